"""After set-up nothing asks the network.

Each command runs in a process in which every attempt to look up or reach another machine is written down,
and, where the system allows it, in a network namespace of its own without any way out.
"""
import json
import os
import subprocess
import sys

import pytest

from electra_tutorial import sources
from electra_tutorial.checkpoint import save
from electra_tutorial.model import Electra
from electra_tutorial.tokens import train_tokenizer

from conftest import toy_preset, toy_sentences  # isort: skip

# Python runs a module of this name when it starts.
WATCH = '''
import os, sys
def watch(event, args):
    if event.startswith("socket.") and event != "socket.__new__":
        if event in ("socket.connect", "socket.sendto", "socket.bind") and not isinstance(args[1], tuple):
            return  # a socket between processes of this machine
        with open(os.environ["ASKED"], "a") as asked:
            asked.write(f"{event} {args[1:] if event == 'socket.connect' else args}\\n")
sys.addaudithook(watch)
'''


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Run a command without a network: returns (what it printed, what it asked of the network)."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "sitecustomize.py").write_text(WATCH)
    asked = folder / "asked.txt"
    environment = {**os.environ, "PYTHONPATH": str(folder), "ASKED": str(asked), "OMP_NUM_THREADS": "1"}
    cut_off = ["unshare", "--map-root-user", "--net"]
    try:
        can = subprocess.run([*cut_off, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        can = False

    def run(*words):
        asked.write_text("")
        command = [*(cut_off if can else []), sys.executable, *words]
        done = subprocess.run(command, env=environment, cwd=folder, text=True, capture_output=True)
        assert done.returncode in (0, 1), done.stderr  # 1: the doctor found something to mend
        return done.stdout, asked.read_text()
    return run


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model folder, so that this test does not depend on the one that is shipped."""
    lines = toy_sentences(300)
    tokenizer = train_tokenizer(lines, 120)
    electra = Electra(toy_preset(vocab_size=tokenizer.get_vocab_size()))
    return str(save(electra, tokenizer, tmp_path_factory.mktemp("model") / "toy"))


@pytest.mark.parametrize("question", [
    "getaddrinfo('example.invalid', 80)", "gethostbyname('example.invalid')",
    "create_connection(('203.0.113.1', 80), timeout=.1)",
])
def test_the_watch_notices_a_question(alone, question):
    asked = alone("-c", f"import socket\ntry:\n    socket.{question}\nexcept OSError:\n    pass")[1]
    assert asked.startswith("socket.") and ("example.invalid" in asked or "203.0.113.1" in asked)


@pytest.mark.parametrize("words", [["--help"], ["doctor", "--json"]])
def test_the_preflight_asks_nothing(alone, words):
    printed, asked = alone("-m", "electra_tutorial", *words)
    assert printed and asked == ""


def test_looking_inside_a_model_asks_nothing(alone, model):
    words = ["inspect", "The dog sees the ball.", "--model", model, "--json"]
    printed, asked = alone("-m", "electra_tutorial", *words)
    assert json.loads(printed) and asked == ""


def test_exporting_a_model_asks_nothing(alone, model, tmp_path):
    _, asked = alone("-m", "electra_tutorial", "export", str(tmp_path / "exported"), "--model", model)
    assert (tmp_path / "exported" / "discriminator" / "config.json").exists() and asked == ""


def test_complete_data_is_not_fetched_again(alone):
    states = {row["state"] for row in sources.status()}
    assert states == {"complete"}, "the data is not here: python course.py setup"
    assert alone("-m", "electra_tutorial", "data")[1] == ""
