"""The command line: what goes where, exit codes, and every mistake answered by one sentence."""
import argparse
import dataclasses
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import threading

import pytest
from conftest import toy_preset, toy_sentences
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from electra_tutorial import cli, training
from electra_tutorial.checkpoint import load, save
from electra_tutorial.errors import UserError
from electra_tutorial.exam import Exam
from electra_tutorial.model import Electra
from electra_tutorial.presets import PRESETS, Preset
from electra_tutorial.tokens import train_tokenizer

COMMANDS = ("doctor", "data", "train", "inspect", "score", "exam", "export", "bench", "lab", "notebooks")
SMALL = ("--set", "vocab_size=120", "--set", "batch_tokens=256", "--dtype", "float32")


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """A text file to train on."""
    path = tmp_path_factory.mktemp("text") / "toy.txt"
    path.write_text("\n".join(dict.fromkeys(toy_sentences(300))), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory, text):
    """A model folder whose model has learned nothing."""
    tokenizer = train_tokenizer(text.read_text("utf-8").split("\n"), 120)
    electra = Electra(toy_preset(vocab_size=tokenizer.get_vocab_size()))
    folder = tmp_path_factory.mktemp("models") / "toy"
    return save(electra, tokenizer, folder, config={"corpus": str(text)}, metrics={"replaced_share": 0.12})


@pytest.fixture
def call(capsys):
    """Run a command in this process: (exit code, stdout, stderr)."""
    def run(*words):
        capsys.readouterr()
        code = cli.main([str(word) for word in words])
        return code, *capsys.readouterr()
    return run


@pytest.fixture
def mistake(call):
    """Run a command that must be refused: its one sentence."""
    def run(*words):
        code, out, err = call(*words)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        return err
    return run


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def program(*words, **options):
    """The program in a process of its own."""
    command = [sys.executable, "-m", "electra_tutorial", *words]
    return subprocess.run(command, capture_output=True, text=True, **options)


# --- help -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_help_text_with_an_example(call, command):
    code, out, err = call(command, "--help")
    assert (code, err) == (0, "") and f"electra-tutorial {command}" in out.split("example:")[1]


def test_help_lists_every_command(call):
    out = call("--help")[1]
    assert all(command in out for command in COMMANDS)


def test_help_waits_for_no_library():
    """PyTorch takes seconds to import, --help may take half of one."""
    slow = {"torch", "numpy", "tokenizers", "safetensors", "transformers", "matplotlib", "tqdm", "IPython"}
    code = "import sys; from electra_tutorial.cli import main; main(['train', '--help']); "
    code += f"assert not {slow} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


def test_the_package_itself_is_the_program(tmp_path):
    from electra_tutorial import __version__

    result = program("--version", cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{__version__}\n", "")


# --- what goes where --------------------------------------------------------------------------------------
def test_json_stands_alone_on_stdout_and_words_on_stderr(call, data, model, tmp_path):
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("The dog sees.\tThe dog see.\n")
    for words in (("inspect", "the dog " * 30), ("score", pairs), ("exam",)):
        code, out, err = call(*words, "--model", model, "--json")
        assert code == 0 and isinstance(json.loads(out), dict)
        assert words[0] == "score" or err.endswith(".\n")


LEAVES = st.floats() | st.integers() | st.text(max_size=5) | st.none()


@given(st.recursive(LEAVES, lambda x: st.lists(x) | st.dictionaries(st.text(max_size=5), x), max_leaves=8))
@example([float("nan"), {"x": -float("inf")}])
@settings(max_examples=40)
def test_whatever_is_printed_as_json_any_program_can_read(thing):
    printed = io.StringIO()
    stdout, sys.stdout = sys.stdout, printed
    try:
        cli.print_json({"thing": thing})
    finally:
        sys.stdout = stdout

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    json.loads(printed.getvalue(), parse_constant=refuse)
    assert printed.getvalue().isascii()


def test_a_reader_who_leaves_is_no_error():
    code = "import sys; from electra_tutorial import cli; cli.data = lambda args: print('x' * 100_000); "
    code += "sys.exit(cli.main(['data']))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()  # before a word is written, as `| true` does
        assert process.stderr.read() == b""
    assert process.returncode == cli.CLOSED_PIPE


@pytest.mark.parametrize("terminal, variables, expected", [
    (True, {}, True), (False, {}, False), (True, {"NO_COLOR": "1"}, False), (True, {"TERM": "dumb"}, False),
])
def test_colours_are_for_terminals_that_want_them(monkeypatch, terminal, variables, expected):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    assert cli.wants_colour(stream) is expected


def test_under_torchrun_the_first_process_speaks_for_all(call, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert call("inspect", "hello", "--model", "/nowhere") == (2, "", "")


def test_ctrl_c_ends_with_130_and_no_traceback(call, monkeypatch):
    from electra_tutorial.course import doctor

    def interrupted(as_json):
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "main", interrupted)
    assert call("doctor") == (cli.STOPPED, "", "Stopped.\n")


# --- the words given --------------------------------------------------------------------------------------
@pytest.mark.parametrize("words, said", [
    ((), "COMMAND"),
    (("foo",), "'foo'"),
    (("doctor", "--foo"), "'--foo'"),
    (("inspect",), "TEXT"),
    (("inspect", "a dog", "--mask", "two"), "'two'"),
    (("inspect", "a dog", "--mask", "2;3"), "such as 2,3"),
    (("inspect", "a dog", "--temperature", "warm"), "'warm'"),
    (("inspect", "a dog", "--seed", "-1"), "--seed"),
    (("score", "pairs.tsv", "--with", "both"), "'both'"),
    (("train", "--minutes", "ten"), "'ten'"),
    (("train", "--minutes", "0"), "--minutes 0"),
    (("train", "--minutes", "-3"), "--minutes -3"),
    (("train", "--minutes", "nan"), "--minutes nan"),
    (("train", "--minutes", "inf"), "--minutes inf"),
    (("train", "--minutes", "1e308"), "--minutes 1e+308"),
    (("train", "--steps", "1"), "1 steps"),
    (("train", "--steps", "many"), "'many'"),
    (("train", "--seed", "1.5"), "'1.5'"),
    (("train", "--seed", str(2**32)), str(2**32)),
    (("train", "--preset", "huge"), "tiny, laptop, gpu, paper"),
    (("train", "--dtype", "int8"), "float32, bfloat16"),
    (("train", "--corpus", "nowhere.txt"), "nowhere.txt"),
    (("train", "--resume"), "no checkpoint"),
    (("train", "--set", "layers"), "name=value"),
    (("train", "--set", "layers=many"), "layers=4"),
    (("train", "--set", "layers=2.5"), "a whole number"),
    (("train", "--set", "layers=True"), "a whole number"),
    (("train", "--set", "dropout=a lot"), "a number"),
    (("train", "--set", "packing=1"), "True or False"),
    (("train", "--set", "positions=far"), "'far'"),
    (("train", "--set", "size=3"), "'size'"),
    (("train", "--set", "heads=3"), "3 heads"),
])
def test_a_wrong_word_is_named_and_nothing_is_written(mistake, data, monkeypatch, tmp_path, words, said):
    monkeypatch.chdir(tmp_path)
    assert said in mistake(*words)
    assert contents(tmp_path) == {}


@given(st.sampled_from([f for f in dataclasses.fields(Preset) if f.name != "name"]), st.sampled_from(sorted(PRESETS)))
def test_any_number_of_a_preset_can_be_set_as_it_is_printed(field, name):
    value = getattr(PRESETS[name], field.name)
    assert cli.read_change(f"{field.name}={value}") == (field.name, value)


def test_a_number_changed_by_set_reaches_the_preset():
    changes = ["layers=6", "dropout=0", "packing=True", "initial_std=0.02", "norm=pre"]
    preset = cli.find_preset(argparse.Namespace(preset="tiny", set=changes), {})
    assert (preset.layers, preset.dropout, preset.packing) == (6, 0.0, True)
    assert (preset.initial_std, preset.norm) == (0.02, "pre")
    assert preset.width == PRESETS["tiny"].width and isinstance(preset.dropout, float)


# --- train ------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def half_a_run(tmp_path_factory, shared_data, text):
    """A run stopped in the middle: 8 steps wanted, fewer taken, with a preset of its own."""
    folder, stop = tmp_path_factory.mktemp("runs") / "half", threading.Event()
    os.environ["ELECTRA_TUTORIAL_DATA"] = str(shared_data)
    preset = PRESETS["tiny"].with_changes(vocab_size=120, batch_tokens=256, layers=1)

    def watch(run):
        if run.step > 0:
            stop.set()

    run = training.pretrain(preset, str(text), folder, steps=8, seed=5, dtype="float32", watch=watch, stop=stop,
                            evaluations=2, quiet=True)
    del os.environ["ELECTRA_TUTORIAL_DATA"]
    assert 0 < run.metrics["steps"] < 8
    return folder


@pytest.fixture
def half(half_a_run, tmp_path):
    return shutil.copytree(half_a_run, tmp_path / "half")


def test_a_training_leaves_a_model_and_prints_its_metrics(call, data, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = call("train", "--preset", "tiny", "--corpus", text, "--steps", 4, *SMALL, "--json")
    metrics = json.loads(out)
    assert code == 0 and metrics["finished"] and metrics["steps"] == 4 and metrics["seed"] == 0
    assert metrics["folder"] == os.path.join("runs", "tiny")
    assert load("runs/tiny")[0].preset.batch_tokens == 256
    code, out, err = call("inspect", "the dog sees", "--model", "runs/tiny")
    assert code == 0 and "[CLS]" in out and "dog" in out


def test_without_json_the_figures_stand_beside_their_floors(call, data, text, tmp_path):
    words = ("--preset", "tiny", "--corpus", text, "--steps", 2, *SMALL)
    code, out, err = call("train", *words, "--out", tmp_path / "r")
    assert code == 0 and "exam easy" in out and "MLM loss" in out and "of a constant" in out
    assert "2 steps on" in err


def test_resume_takes_preset_corpus_and_seed_from_the_run(call, data, half):
    code, out, err = call("train", "--resume", "--out", half, "--json")
    metrics, config = json.loads(out), json.loads((half / "config.json").read_text())
    assert code == 0 and (metrics["steps"], metrics["seed"]) == (8, 5)
    assert config["preset"]["layers"] == 1


def test_resume_accepts_what_the_run_began_with_and_says_that_its_length_is_fixed(call, data, text, half):
    words = ("--preset", "tiny", *SMALL[:4], "--set", "layers=1", "--seed", 5, "--corpus", text, "--minutes", 3)
    code, out, err = call("train", "--resume", "--out", half, *words, "--json")
    assert code == 0 and json.loads(out)["steps"] == 8 and "fixed when it began: 8 steps" in err


@pytest.mark.parametrize("words", [
    ("--preset", "laptop"), ("--preset", "tiny"), ("--seed", "6"), ("--set", "layers=2"), ("--corpus", "grammar"),
    ("--dtype", "bfloat16"),
])
def test_a_run_does_not_go_on_as_another_one(mistake, data, monkeypatch, half, words):
    from electra_tutorial import corpus

    monkeypatch.setattr(corpus, "GRAMMAR_SENTENCES", 300)
    before = contents(half)
    assert str(half) in mistake("train", "--resume", "--out", half, *words)
    assert contents(half) == before


def test_a_resumed_small_vocabulary_is_the_same_one(call, data, tmp_path):
    """A small text gives fewer pieces than asked for; asking for just those would leave out half of its letters."""
    alphabets = ("αω", "ая", "աք", "აჰ", "az")
    letters = [chr(code) for first, last in alphabets for code in range(ord(first), ord(last) + 1)]
    words = [a + b for a, b in zip(letters, letters[1:], strict=False)]
    lines = [f"{a} {b} {a}." for a, b in zip(words, words[40:] + words[:40], strict=True)]
    (tmp_path / "t.txt").write_text("\n".join(lines), encoding="utf-8")
    preset, stop = PRESETS["tiny"].with_changes(vocab_size=600), threading.Event()
    run = training.pretrain(preset, str(tmp_path / "t.txt"), tmp_path / "r", steps=4, dtype="float32",
                            quiet=True, watch=lambda run: run.step and stop.set(), stop=stop)
    assert run.electra.preset.vocab_size < 600 and not run.finished
    assert call("train", "--resume", "--out", tmp_path / "r")[0] == 0


@pytest.mark.parametrize("damage", [lambda b: b[:-50], lambda b: b"\x80\x04\x95\x00."], ids=["cut short", "a pickle"])
def test_a_damaged_checkpoint_is_refused(mistake, data, half, damage):
    state = half / "checkpoint" / "state.safetensors"
    state.write_bytes(damage(state.read_bytes()))
    assert "state.safetensors" in mistake("train", "--resume", "--out", half)


@pytest.mark.parametrize("place", ["a run", "notes", "a file", "below a file"])
def test_an_output_folder_with_something_in_it_is_left_as_it_is(mistake, data, text, half, tmp_path, place):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    (tmp_path / "file").write_text("keep me too")
    places = {"notes": "mine", "a file": "file", "below a file": "file/x", "a run": "half"}
    out = tmp_path / places[place]
    before = contents(tmp_path)
    assert str(out) in mistake("train", "--out", out, "--corpus", text)
    assert contents(tmp_path) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(mistake, data, text, tmp_path):
    tmp_path.chmod(0o500)
    assert str(tmp_path) in mistake("train", "--out", tmp_path / "run", "--corpus", text)


@pytest.mark.parametrize("content, said", [
    (b"", "is empty"), (b"One.", "too few"), (b"\xff\xfe\x00", "UTF-16"), (b"caf\xe9 is here. " * 9, "not UTF-8"),
    (b"PK\x03\x04\x00\x00", "not text"),
])
def test_a_corpus_that_is_no_text_or_too_small_is_refused(mistake, data, tmp_path, content, said):
    (tmp_path / "corpus.txt").write_bytes(content)
    assert said in mistake("train", "--corpus", tmp_path / "corpus.txt", "--out", tmp_path / "run", "--steps", 2)


def test_ctrl_c_in_a_training_saves_it_and_ends_with_130(call, data, text, tmp_path, monkeypatch):
    pretrain, stop = training.pretrain, threading.Event()
    stop.set()  # as the first Ctrl-C does
    monkeypatch.setattr(training, "pretrain", lambda *a, **k: pretrain(*a, **k, stop=stop))
    out = tmp_path / "run"
    code, _, err = call("train", "--preset", "tiny", "--corpus", text, "--steps", 9, *SMALL, "--out", out)
    assert code == cli.STOPPED and f"--resume --out {out}" in err and (out / "model.safetensors").exists()


def test_the_grammar_stands_in_only_when_nobody_named_a_corpus(call, data, monkeypatch, tmp_path):
    from electra_tutorial import corpus

    def unreachable(from_dir=None, progress=None):
        raise UserError("No network.")

    monkeypatch.setattr(corpus, "load_course", unreachable)
    monkeypatch.setattr(corpus, "GRAMMAR_SENTENCES", 300)
    found = cli.find_corpus(argparse.Namespace(corpus=None), {})
    assert found.name == "grammar" and "No network." in found.note
    for named, begun in (("course", {}), (None, {"corpus": "course"})):
        with pytest.raises(UserError, match="No network."):
            cli.find_corpus(argparse.Namespace(corpus=named), begun)


# --- inspect ----------------------------------------------------------------------------------------------
def test_inspect_prints_a_strip_without_colours_into_a_file(call, model):
    code, out, err = call("inspect", "The dog sees the apple.", "--model", model, "--mask", "2,3")
    assert (code, err) == (0, "") and "[MASK]" in out and "\x1b" not in out


def test_inspect_gives_the_same_numbers_as_plain_data(call, model):
    code, out, err = call("inspect", "The dog sees the apple.", "--model", model, "--mask", "3,2", "--json")
    found = json.loads(out)
    assert code == 0 and found["mask"] == [2, 3] and found["pieces"][0] == "[CLS]"
    assert found["masked"][2] == found["masked"][3] == "[MASK]"
    assert len(found["samples"]) == len(found["proposals"]) == 2
    assert len(found["p_replaced"]) == len(found["pieces"]) and all(0 < p < 1 for p in found["p_replaced"])


def test_the_seed_decides_masks_and_samples(call, model):
    words = ("inspect", "the dog sees the tall cats " * 2, "--model", model, "--json", "--seed")
    first, again, other = (call(*words, seed)[1] for seed in (1, 1, 2))
    assert first == again != other


def test_an_empty_mask_hides_nothing(call, model):
    assert json.loads(call("inspect", "the dog", "--model", model, "--mask", "", "--json")[1])["mask"] == []


def test_one_word_is_a_text(call, model):
    assert call("inspect", "dog", "--model", model)[0] == 0


def test_ten_thousand_characters_are_cut_and_it_says_so(call, model):
    code, out, err = call("inspect", ("the dog sees " * 800)[:10_000], "--model", model, "--json")
    assert code == 0 and "cut" in err and len(json.loads(out)["pieces"]) <= load(model)[0].preset.max_length
    assert "cut" in call("inspect", "the dog sees " * 800, "--model", model)[1]


@pytest.mark.parametrize("words", ["李华去了北京。", "🙂 🙃 🙂", "Он пошёл домой"])
def test_it_says_that_it_never_saw_a_language(call, model, words):
    code, out, err = call("inspect", words, "--model", model)
    assert code == 0 and "never saw" in out
    assert "never saw" in call("inspect", words, "--model", model, "--json")[2]


@pytest.mark.parametrize("words, said", [
    ("", "''"), (" \t ", "nothing"), ("\x07\x1b\x00", "no word"), ("\udcff dog", "UTF-8"),
])
def test_a_text_without_a_word_is_refused(mistake, model, words, said):
    assert said in mistake("inspect", words, "--model", model)


def test_control_characters_inside_a_text_do_no_harm(call, model):
    code, out, err = call("inspect", "the \x1b[31mdog\x07 sees", "--model", model)
    assert code == 0 and "\x1b" not in out and "\x07" not in out


@pytest.mark.parametrize("places, said", [("99", "99"), ("0", "[CLS]"), ("2,-1", "-1"), ("3", "[SEP]")])
def test_a_place_that_is_not_there_or_special_is_refused(mistake, model, places, said):
    assert said in mistake("inspect", "the dog", "--model", model, f"--mask={places}")


@pytest.mark.parametrize("temperature", ["-1", "nan", "inf"])
def test_a_temperature_is_a_number_from_0_up(mistake, model, temperature):
    assert "temperature" in mistake("inspect", "the dog", "--model", model, f"--temperature={temperature}")


# --- model folders ----------------------------------------------------------------------------------------
def foreign_tokenizer(folder):
    Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]")).save(str(folder / "tokenizer.json"))


class Payload:
    """Opening its pickle would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


DAMAGES = {
    "weights are missing": (lambda f: (f / "model.safetensors").unlink(), "model.safetensors"),
    "weights are cut short": (lambda f: os.truncate(f / "model.safetensors", 2000), "damaged"),
    "weights are empty": (lambda f: (f / "model.safetensors").write_bytes(b""), "model.safetensors"),
    "weights are a pickle": (
        lambda f: (f / "model.safetensors").write_bytes(pickle.dumps(Payload(f / "opened"))), "pickle"),
    "config is missing": (lambda f: (f / "config.json").unlink(), "config.json"),
    "config is no JSON": (lambda f: (f / "config.json").write_text("{"), "config.json"),
    "config is foreign": (lambda f: (f / "config.json").write_text('{"model_type": "bert"}'), "config.json"),
    "tokenizer is missing": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer"),
    "tokenizer is foreign": (foreign_tokenizer, "another kind"),
    "tokenizer is no JSON": (lambda f: (f / "tokenizer.json").write_text("x"), "damaged"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_folder_that_is_no_whole_model_is_refused_and_named(mistake, model, tmp_path, name):
    folder = shutil.copytree(model, tmp_path / "copy")
    damage, said = DAMAGES[name]
    damage(folder)
    sentence = mistake("inspect", "the dog", "--model", folder)
    assert said in sentence and str(folder) in sentence
    assert not (folder / "opened").exists()


def test_a_missing_model_folder_is_named(mistake, data, tmp_path):
    assert str(tmp_path / "none") in mistake("exam", "--model", tmp_path / "none")
    assert "mini-electra" in mistake("inspect", "the dog")  # this data folder came without its model


def test_the_default_model_is_found_from_any_folder(call, model, tmp_path, monkeypatch):
    monkeypatch.setenv("ELECTRA_TUTORIAL_DATA", str(tmp_path))
    shutil.copytree(model, tmp_path / "mini-electra")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert call("inspect", "the dog sees", "--json")[0] == 0


# --- score, exam, export ----------------------------------------------------------------------------------
@pytest.mark.parametrize("half", ["discriminator", "generator"])
def test_pairs_are_scored(call, model, tmp_path, half):
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("The dog sees.\tThe dog see.\r\n\nThe cats see.\tThe cats sees.\n", encoding="utf-8")
    code, out, err = call("score", pairs, "--model", model, "--with", half, "--json")
    found = json.loads(out)
    assert code == 0 and found["n"] == len(found["pairs"]) == 2 and found["with"] == half
    assert found["accuracy"] in (0, 0.5, 1) and found["interval"][0] <= found["accuracy"] <= found["interval"][1]
    assert "accuracy" in call("score", pairs, "--model", model, "--with", half)[1]


@pytest.mark.parametrize("content, said", [
    (b"The dog sees.\n", "1 column"), (b"a dog\ta cat\nx\ty\tz\n", "Line 2"),
    (b"caf\xe9\tcafe\n", "not UTF-8"), (b"", "empty"), (b"the dog\tthe dog\n", "twice"),
    (b"the dog\t\x07\n", "no word"),
])
def test_a_file_of_pairs_with_a_fault_is_refused(mistake, model, tmp_path, content, said):
    (tmp_path / "pairs.tsv").write_bytes(content)
    assert said in mistake("score", tmp_path / "pairs.tsv", "--model", model)


def test_a_file_of_pairs_must_be_there(mistake, model, tmp_path):
    assert "nope.tsv" in mistake("score", tmp_path / "nope.tsv", "--model", model)


def test_the_exam_is_printed_with_what_guessing_gives(call, data, model):
    code, out, err = call("exam", "--model", model, "--json")
    found = json.loads(out)
    keys = {"exam_easy_auc", "exam_easy_found", "exam_medium_auc", "exam_medium_found", "exam_pairs"}
    assert code == 0 and keys <= set(found) and keys == set(found["floors"])
    assert 0 < found["floors"]["exam_easy_found"] < 0.5 == found["floors"]["exam_easy_auc"]
    assert "guessing" in call("exam", "--model", model)[1]


def test_the_exam_command_asks_the_part_that_reports_unless_told(call, data, model, monkeypatch):
    asked = []
    monkeypatch.setattr(Exam, "part", lambda self, name: asked.append(name) or self)
    for words in ((), ("--part", "all"), ("--part", "choose")):
        assert call("exam", "--model", model, *words)[0] == 0
    assert asked == ["report", "all", "choose"] and call("exam", "--part", "best")[0] == 2


def test_export_writes_both_models_once(call, mistake, model, tmp_path):
    assert call("export", tmp_path / "out", "--model", model)[:2] == (0, f"{tmp_path / 'out'}\n")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"generator", "discriminator"}
    before = contents(tmp_path)
    assert "already" in mistake("export", tmp_path / "out", "--model", model)
    assert contents(tmp_path) == before


def test_export_refuses_switches_and_says_why(mistake, model, tmp_path):
    tokenizer = load(model)[1]
    electra = Electra(toy_preset(vocab_size=tokenizer.get_vocab_size(), positions="rotary"))
    save(electra, tokenizer, tmp_path / "rotary")
    assert "rotary" in mistake("export", tmp_path / "out", "--model", tmp_path / "rotary")
    assert not (tmp_path / "out").exists()


# --- the course -------------------------------------------------------------------------------------------
def test_data_from_a_folder_without_the_archives_is_refused(mistake, data, tmp_path):
    assert str(tmp_path) in mistake("data", "--from", tmp_path)


def test_words_that_lab_does_not_know_are_jupyterlabs(call, monkeypatch):
    from electra_tutorial.course import lab

    monkeypatch.setattr(lab, "start", lambda words, fresh: print(words, fresh))
    code, out, err = call("lab", "--no-browser", "--port", "8899", "--fresh", "06")
    assert (code, out) == (0, "['--no-browser', '--port', '8899'] 06\n")


def test_doctors_verdict_is_the_exit_code(call, monkeypatch):
    from electra_tutorial.course import doctor

    monkeypatch.setattr(doctor, "examine", lambda: [doctor.fix("x", "bad", "Mend it.")])
    code, out, err = call("doctor", "--json")
    assert code == 1 and json.loads(out)["ok"] is False


def test_notebooks_weaves_or_runs(call, monkeypatch):
    from electra_tutorial.course import execute, weave

    monkeypatch.setattr(weave, "weave_all", lambda: ["notebooks/06.ipynb"])
    monkeypatch.setattr(execute, "run_all", lambda fast, time, tell: print("run", fast, time))
    assert call("notebooks")[:2] == (0, "notebooks/06.ipynb\n")
    assert call("notebooks", "--run")[1] == "run False False\n"
    assert call("notebooks", "--fast")[1] == "run True False\n"
    assert call("notebooks", "--time")[1] == "run False True\n"
