"""Model folders: what is saved comes back, what is damaged or foreign is refused in one sentence."""

import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import toy_batch, toy_preset
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError

from electra_tutorial import checkpoint, training
from electra_tutorial.checkpoint import (
    STATE,
    load,
    load_weights,
    model_folder,
    read_json,
    read_tensors,
    save,
    unshared,
    write_json,
    write_tensors,
)
from electra_tutorial.errors import UserError
from electra_tutorial.model import Electra
from electra_tutorial.tokens import train_tokenizer
from electra_tutorial.training import pretrain


@pytest.fixture(scope="module")
def tokenizer(corpus):
    return train_tokenizer(corpus.train["toy"], 120)


def toy(**changes):
    torch.manual_seed(1)
    return Electra(toy_preset(**changes)).eval()


@pytest.fixture
def folder(tmp_path, tokenizer):
    """A model folder, freshly saved."""
    return save(toy(), tokenizer, tmp_path / "model", metrics={"exam_pairs": 0.5})


def logits(electra):
    ids, mask = toy_batch()
    with torch.no_grad():
        return electra.generator(ids, mask), electra.discriminator(ids, mask)


def refused(words, call, *args, **kwargs):
    """Assert that the call raises a `UserError` of one line that contains the words; returns the sentence."""
    with pytest.raises(UserError, match=words) as error:
        call(*args, **kwargs)
    assert "\n" not in str(error.value)
    return str(error.value)


# --- there and back -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sharing": "none"},
        {"positions": "rotary", "norm": "pre"},
        {"positions": "none", "embedding": 32},
    ],
)
def test_a_loaded_model_gives_the_very_logits_of_the_one_that_was_saved(tmp_path, tokenizer, changes):
    electra = toy(**changes)
    loaded, its_tokenizer = load(save(electra, tokenizer, tmp_path / "model"))
    assert loaded.preset == electra.preset and not loaded.training
    assert all(torch.equal(a, b) for a, b in zip(logits(electra), logits(loaded), strict=True))
    assert its_tokenizer.get_vocab() == tokenizer.get_vocab()


def test_float16_halves_the_file_and_loads_as_float32_close_to_the_original(tmp_path, tokenizer):
    electra = toy()
    whole = save(electra, tokenizer, tmp_path / "whole") / "model.safetensors"
    half = save(electra, tokenizer, tmp_path / "half", dtype=torch.float16) / "model.safetensors"
    assert half.stat().st_size < 0.65 * whole.stat().st_size
    assert {t.dtype for t in read_tensors(half)[0].values()} == {torch.float16}
    loaded, _ = load(tmp_path / "half")
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    for a, b in zip(logits(electra), logits(loaded), strict=True):
        torch.testing.assert_close(a, b, atol=0.02, rtol=0.02)
    again, _ = load(save(loaded, tokenizer, tmp_path / "again", dtype=torch.float16))
    assert all(torch.equal(a, b) for a, b in zip(logits(loaded), logits(again), strict=True))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_whoever_may_read_the_settings_may_read_the_weights(folder):
    """A teacher's model on a shared disk."""
    assert (folder / "model.safetensors").stat().st_mode == (folder / "config.json").stat().st_mode


def test_saving_leaves_the_model_as_it_was(tmp_path, tokenizer):
    electra = toy()
    before = logits(electra)
    save(electra, tokenizer, tmp_path / "model", dtype=torch.float16)
    assert all(torch.equal(a, b) for a, b in zip(before, logits(electra), strict=True))


def test_shared_tables_are_in_the_file_once_and_shared_again_after_loading(folder):
    tensors, _ = read_tensors(folder / "model.safetensors")
    tables = [name for name in tensors if name.endswith("embeddings.token.weight")]
    assert len(tables) == 1
    assert sum(t.numel() for t in tensors.values()) == sum(p.numel() for p in load(folder)[0].parameters())
    loaded, _ = load(folder)
    assert loaded.generator.encoder.embeddings.token is loaded.discriminator.encoder.embeddings.token


def test_a_model_larger_than_its_vocabulary_loads(tmp_path, tokenizer):
    electra = toy(vocab_size=tokenizer.get_vocab_size() + 30)
    loaded, _ = load(save(electra, tokenizer, tmp_path / "model"))
    assert all(torch.equal(a, b) for a, b in zip(logits(electra), logits(loaded), strict=True))


def test_the_documents_are_plain_json_in_which_nan_is_null(folder):
    assert read_json(folder / "metrics.json") == {"exam_pairs": 0.5}
    write_json(folder / "metrics.json", {"auc": float("nan"), "list": [1, float("nan")], "text": "é"})
    text = (folder / "metrics.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=pytest.fail) == {"auc": None, "list": [1, None], "text": "é"}


def test_a_model_folder_is_found_by_name_and_the_lack_of_one_is_said(folder, tmp_path, monkeypatch):
    assert model_folder(folder) == folder == model_folder(str(folder))
    refused("nowhere", load, tmp_path / "nowhere")
    refused("config.json", load, folder / "config.json")
    monkeypatch.setenv("ELECTRA_TUTORIAL_DATA", str(tmp_path))
    refused("without its model", load)


# --- damage ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    refused(name, load, folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
@given(share=st.floats(0, 0.999))
@settings(max_examples=12)
def test_a_truncated_file_is_named_wherever_it_was_cut(tokenizer, tmp_path_factory, name, share):
    folder = save(toy(), tokenizer, tmp_path_factory.mktemp("cut"))
    whole = (folder / name).read_bytes().rstrip()
    (folder / name).write_bytes(whole[: int(len(whole) * share)])
    refused(name, load, folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xfe\x00", b"{}", b"[]", b"null", b"\x00" * 4096])
def test_a_foreign_file_is_refused(folder, name, content):
    (folder / name).write_bytes(content)
    refused(name, load, folder)


@pytest.mark.parametrize(
    "preset, why",
    [
        (None, "preset"),
        ([], "preset"),
        ("laptop", "preset"),
        ({"depth": 3}, "has no 'depth'"),
        ({"width": "wide"}, "width='wide' must be"),
        ({"heads": 0}, "heads=0 must be"),
        ({"layers": -1}, "layers=-1 must be"),
        ({"vocab_size": 1e12}, "vocab_size=.* must be"),
        ({"positions": "sideways"}, "'sideways' is not known"),
        ({"mask_rate": None}, "mask_rate=None must be"),
        ({"width": [32]}, "width=.* must be"),
    ],
)
def test_a_config_without_a_sensible_preset_is_refused(folder, preset, why):
    write_json(folder / "config.json", {"preset": preset})
    refused(f"config.json.*{why}", load, folder)


@pytest.mark.parametrize(
    "changes, name",
    [
        ({"width": 64}, "discriminator"),
        ({"layers": 3}, "blocks.2"),
        ({"layers": 1}, "blocks.1"),
        ({"sharing": "none"}, "encoder.embeddings"),
        ({"vocab_size": 121}, "token.weight|bias"),
    ],
)
def test_weights_of_another_size_are_refused_and_the_tensor_is_named(folder, changes, name):
    preset = toy_preset(**changes).to_dict()
    write_json(folder / "config.json", {"preset": preset})
    refused(name, load, folder)


def test_weights_of_another_program_are_refused(folder):
    write_tensors(folder / "model.safetensors", {"bert.embeddings.weight": torch.zeros(3, 3)})
    refused("model.safetensors", load, folder)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(tmp_path, corpus):
    larger = train_tokenizer(corpus.train["toy"], 150)
    folder = save(toy(), larger, tmp_path / "model")
    refused(str(larger.get_vocab_size()), load, folder)


def test_refused_weights_change_nothing():
    electra = toy()
    before, tensors = logits(electra), dict(unshared(toy(width=64)))
    refused("another shape", load_weights, electra, tensors)
    assert all(torch.equal(a, b) for a, b in zip(before, logits(electra), strict=True))


# --- pickles --------------------------------------------------------------------------------------
class Bomb:
    """A pickle that leaves a trace when it is opened."""

    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return open, (self.trace, "w")


@pytest.mark.parametrize(
    "write",
    [
        lambda bomb, path: torch.save({"weights": bomb}, path),
        lambda bomb, path: torch.save({"weights": bomb}, path, _use_new_zipfile_serialization=False),
        *[lambda bomb, path, p=p: path.write_bytes(pickle.dumps(bomb, protocol=p)) for p in range(6)],
    ],
    ids=["torch", "old torch", *[f"protocol {p}" for p in range(6)]],
)
def test_a_pickle_is_refused_without_being_opened(folder, tmp_path, monkeypatch, write):
    trace = tmp_path / "it was opened"
    write(Bomb(trace), folder / "model.safetensors")
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, None)
    monkeypatch.setattr(torch, "load", None)
    refused("model.safetensors.*safetensors", load, folder)
    assert not trace.exists()


def test_a_pickle_by_another_name_is_not_looked_for(folder):
    (folder / "model.safetensors").unlink()
    torch.save({"weights": torch.zeros(3)}, folder / "pytorch_model.bin")
    refused("model.safetensors is missing", load, folder)


def test_a_run_leaves_no_pickle_behind(corpus, data, tmp_path):
    pretrain(toy_preset(), corpus, tmp_path / "run", steps=2, dtype="float32", device="cpu", quiet=True)
    files = sorted(path for path in (tmp_path / "run").rglob("*") if path.is_file())
    assert {path.suffix for path in files} == {".json", ".safetensors"}
    for path in files:
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
        else:
            assert read_tensors(path)[0]
    names = {path.relative_to(tmp_path / "run").as_posix() for path in files}
    assert names >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "metrics.json",
        "history.json",
        "timelapse.json",
        "checkpoint/state.safetensors",
    }


# --- writing --------------------------------------------------------------------------------------
def test_a_folder_that_cannot_be_made_is_named(tmp_path, tokenizer):
    (tmp_path / "file").write_text("in the way")
    refused("file.*another folder", save, toy(), tokenizer, tmp_path / "file" / "model")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_full_disk_leaves_the_old_weights(folder, monkeypatch, tokenizer):
    def full(*args):
        raise OSError(28, "No space left on device")

    before = (folder / "model.safetensors").read_bytes()
    monkeypatch.setattr("electra_tutorial.checkpoint.save_file", full)
    refused("No space left", save, toy(sharing="none"), tokenizer, folder)
    assert (folder / "model.safetensors").read_bytes() == before
    load(folder)


FULL_DISK = """
import resource, signal, sys
import torch
from electra_tutorial.checkpoint import write_json, write_tensors
from electra_tutorial.errors import UserError

folder = sys.argv[1]
write_tensors(folder + "/one.safetensors", {"x": torch.ones(100)})
write_json(folder + "/one.json", [1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))  # to the program, a disk that is full
for write in (lambda: write_tensors(folder + "/one.safetensors", {"x": torch.zeros(10_000)}),
              lambda: write_json(folder + "/one.json", ["x" * 10_000])):
    try:
        write()
    except UserError as error:
        print(error)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limits of this kind")
def test_when_no_more_can_be_written_one_sentence_says_so_and_the_old_file_stays(tmp_path):
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(said) == 2 and all("cannot be written" in line and "room on the disk" in line for line in said)
    assert torch.equal(read_tensors(tmp_path / "one.safetensors")[0]["x"], torch.ones(100))
    assert read_json(tmp_path / "one.json") == [1]
    assert {path.name for path in tmp_path.iterdir()} == {"one.safetensors", "one.json"}, "no half of a file is left"


def test_a_disk_that_fills_up_stops_a_run_by_a_sentence_and_keeps_its_last_checkpoint(corpus, data, tmp_path,
                                                                                   monkeypatch):
    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)  # a checkpoint after each step
    written, save_file = [], checkpoint.save_file

    def fills_up(tensors, path, metadata):
        if len(written) == 3:
            path.write_bytes(b"half of it")
            raise SafetensorError("I/O error: No space left on device (os error 28)")
        written.append(path)
        save_file(tensors, path, metadata)

    monkeypatch.setattr(checkpoint, "save_file", fills_up)
    settings = dict(dtype="float32", device="cpu", quiet=True, evaluations=1)
    with pytest.raises(UserError, match="state.safetensors cannot be written .*No space left"):
        pretrain(toy_preset(), corpus, tmp_path / "run", steps=6, **settings)
    monkeypatch.setattr(checkpoint, "save_file", save_file)
    run = pretrain(toy_preset(), corpus, tmp_path / "run", resume=True, **settings)
    assert run.finished and run.metrics["steps"] == 6
    assert not list((tmp_path / "run").rglob("*.new"))


DIES_WHILE_WRITING = """
import os, signal, sys
from conftest import Corpus, toy_preset, toy_sentences
from electra_tutorial import checkpoint, training

folder, die_at = sys.argv[1:]
lines = list(dict.fromkeys(toy_sentences(700)))
corpus = Corpus("toy", {"toy": lines[60:560]}, {"toy": lines[:60]})
training.SAVE_EVERY = 0.0  # a checkpoint after each step
written, save_file = [], checkpoint.save_file


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def dying(tensors, path, metadata):
    save_file(tensors, path, metadata)
    written.append(path)
    if len(written) == 4 and die_at == "half":
        size = os.path.getsize(path)
        os.truncate(path, size // 2)
        die()
    if len(written) == 4 and die_at == "rename":
        os.replace = lambda *args: die()


checkpoint.save_file = dying
settings = dict(dtype="float32", device="cpu", quiet=True, evaluations=2)
training.pretrain(toy_preset(), corpus, folder, steps=8, **settings)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows ends processes by other means")
@pytest.mark.parametrize("die_at", ["half", "rename"])
def test_a_kill_in_the_middle_of_a_checkpoint_leaves_the_one_before(corpus, data, tmp_path, die_at):
    script = tmp_path / "dies.py"
    script.write_text(DIES_WHILE_WRITING)
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)])}
    run = tmp_path / "run"
    ended = subprocess.run(
        [sys.executable, script, run, die_at], env=environment, capture_output=True, text=True
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    tensors, metadata = read_tensors(run / STATE)  # the third one, whole
    assert json.loads(metadata["record"])["step"] == 3
    assert all(torch.isfinite(t.float()).all() for t in tensors.values())

    resumed = pretrain(toy_preset(), corpus, run, resume=True, device="cpu", quiet=True, evaluations=2)
    straight = pretrain(
        toy_preset(), corpus, steps=8, dtype="float32", device="cpu", quiet=True, evaluations=2
    )
    assert resumed.finished and resumed.metrics["steps"] == 8
    assert all(
        torch.equal(a, b) for a, b in zip(logits(resumed.electra), logits(straight.electra), strict=True)
    )
