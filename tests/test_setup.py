"""Set-up's promises, on a tiny copy of the tree whose virtual environment, pip and data only pretend.

The real thing, with the real packages, runs whenever somebody calls `make test` in a fresh clone.
"""
import ast
import json
import os
import resource
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Stands in for the standard library's venv module: makes a .venv whose Python is the one below.
FAKE_VENV = '''
if __name__ == "__main__":
    import os, pathlib, sys, time
    venv = pathlib.Path(sys.argv[1])
    with open(venv.parent / "calls.txt", "a") as calls:
        calls.write("venv\\n")
    (venv / "bin").mkdir()
    if (venv.parent / "venv_is_slow").exists():
        time.sleep(1.5)
    (venv / "site-packages").mkdir()
    python = venv / "bin" / "python"
    python.write_text((venv.parent / "fake_python.py").read_text())
    python.chmod(0o755)
    (venv / "pip").touch()
'''
# Stands in for .venv's Python: notes what it is asked to do, and does what the files beside it say.
FAKE_PYTHON = '''#!{python} -IS
import os, pathlib, sys, time
tree = pathlib.Path(__file__).resolve().parents[2]
words = sys.argv[1:]
if words[0] == "-c" and "import pip" in words[1]:
    sys.exit(0 if (tree / ".venv" / "pip").exists() else 1)
if words[0] == "-c" and "purelib" in words[1]:
    print(tree / ".venv" / "site-packages")
    sys.exit(0)
if words[0] == "-c":
    sys.exit(exec(words[1]))
with open(tree / "calls.txt", "a") as calls:
    calls.write(" ".join(words) + "\\n")
if words[1] == "pip":
    plan = tree / "pip_does"
    exec(plan.read_text() if plan.exists() else "")
elif words[1:3] == ["electra_tutorial", "data"]:
    if (tree / "data_fails").exists():
        print("No network: toy.whl could not be fetched.", file=sys.stderr)
        sys.exit(2)
    (tree / "data" / "cache" / "archives").mkdir(parents=True, exist_ok=True)
    (tree / "data" / "cache" / "archives" / "toy.whl").write_bytes(b"four")
else:
    print("STARTED", os.environ.get("OMP_NUM_THREADS"), *words)
'''
SOURCES = '[[archive]]\nname = "toy"\nfile = "toy.whl"\nbytes = 4\n'


class Tree:
    """A folder like a fresh clone, and a way to run course.py in it."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("course.py", "Makefile"):
            shutil.copy(ROOT / name, folder / name)
        (folder / "requirements.txt").write_text("torch==2.13.0\nnumpy==2.4.6\n")
        (folder / "pyproject.toml").write_text("[project]\nname = 'toy'\n")
        (folder / "data").mkdir()
        (folder / "data" / "sources.toml").write_text(SOURCES)
        (folder / "fakes").mkdir()
        (folder / "fakes" / "venv.py").write_text(FAKE_VENV)
        (folder / "fake_python.py").write_text(FAKE_PYTHON.format(python=sys.executable))
        # Not the outer run's settings: these tests may themselves run under `make test`.
        outer = ("ELECTRA_TUTORIAL_DATA", "OMP_NUM_THREADS", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
        self.environment = {name: value for name, value in os.environ.items() if name not in outer}
        self.environment.update(PYTHONPATH=str(folder / "fakes"), PYTHONDONTWRITEBYTECODE="1")

    def open(self, *words):
        command = [sys.executable, "-S", str(self.folder / "course.py"), *words]
        # A shell's background job ignores Ctrl-C, and so would what it starts.
        return subprocess.Popen(command, env=self.environment, cwd=self.folder, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))

    def run(self, *words):
        """Return (exit code, stdout, stderr)."""
        with self.open(*words) as process:
            out, err = process.communicate(timeout=300)
            return process.returncode, out, err

    def calls(self):
        """Return what was done since the last time this was asked, a line each."""
        path = self.folder / "calls.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        path.write_text("")
        return lines

    def wait_for(self, words):
        """Wait until a call whose line contains the words has begun."""
        limit = time.monotonic() + 120
        path = self.folder / "calls.txt"
        while not (path.exists() and words in path.read_text()):
            assert time.monotonic() < limit, f"no call of {words}"
            time.sleep(0.02)


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


@pytest.fixture
def ready(tree):
    assert tree.run("setup")[0] == 0
    tree.calls()
    return tree


def last_line(text):
    return text.strip().splitlines()[-1]


# --- first, second, changed ---------------------------------------------------------------------------

def test_the_first_call_makes_the_environment_installs_the_pins_and_the_package_and_fetches_the_data(tree):
    code, _, _ = tree.run("setup")
    made, pins, package, data = tree.calls()
    assert code == 0 and made == "venv"
    assert pins.startswith("-m pip install") and pins.endswith("-r requirements.txt")
    assert package.endswith("--no-deps --no-build-isolation -e .")
    assert data == "-m electra_tutorial data"


def test_the_second_call_does_nothing_and_takes_under_two_seconds(ready):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code, out, err = ready.run("setup")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (code, out, err) == (0, "", "") and ready.calls() == []
    # The processor's time, not the clock's: other work on this machine must not count.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2


@pytest.mark.parametrize("first", ["lab", "test", "doctor"])
def test_each_command_works_first(tree, first):
    code, out, _ = tree.run(first)
    assert code == 0 and out.startswith("STARTED") and len(tree.calls()) == 5


def test_lab_hands_its_words_to_the_lessons_command(ready):
    assert ready.run("lab", "--no-browser", "--port", "8899", "--fresh", "06")[0] == 0
    assert ready.calls() == ["-m electra_tutorial lab --no-browser --port 8899 --fresh 06"]


def test_test_hands_its_words_to_pytest_and_shares_the_processors_among_the_workers(ready):
    _, out, _ = ready.run("test", "tests/test_setup.py", "-k", "a or b", "-x")
    assert ready.calls()[0].endswith("tests/test_setup.py -k a or b -x")
    _, threads, _, _, _, workers, *_ = out.split()
    assert 1 <= int(threads) * int(workers) <= os.cpu_count()


def test_other_commands_go_to_electra_tutorial_with_all_their_words(ready):
    assert ready.run("train", "--minutes", "3", "--from", "here")[0] == 0
    assert ready.calls() == ["-m electra_tutorial train --minutes 3 --from here"]


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml"])
def test_a_changed_pin_is_installed_into_the_same_environment(ready, name):
    (ready.folder / name).write_text((ready.folder / name).read_text() + "# changed\n")
    assert ready.run("setup")[0] == 0
    assert [line.split()[-1] for line in ready.calls()] == ["requirements.txt", "."]
    ready.run("setup")
    assert ready.calls() == []


def test_a_moved_checkout_is_set_up_again_without_starting_over(ready, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "moved"
    shutil.move(ready.folder, elsewhere)
    moved = Tree.__new__(Tree)
    moved.folder, moved.environment = elsewhere, {**ready.environment, "PYTHONPATH": str(elsewhere / "fakes")}
    assert moved.run("setup")[0] == 0
    assert [line.split()[-1] for line in moved.calls()] == ["requirements.txt", "."]


def test_an_environment_that_somebody_made_by_hand_is_used(tree):
    (tree.folder / ".venv").mkdir()
    subprocess.run([sys.executable, tree.folder / "fakes" / "venv.py", tree.folder / ".venv"], check=True)
    (tree.folder / ".venv" / "mine").touch()
    tree.calls()
    assert tree.run("setup")[0] == 0
    assert "venv" not in tree.calls() and (tree.folder / ".venv" / "mine").exists()


# --- the data -----------------------------------------------------------------------------------------

def test_a_missing_or_shortened_archive_is_fetched_again(ready):
    archive = ready.folder / "data" / "cache" / "archives" / "toy.whl"
    for damage in (archive.unlink, lambda: archive.write_bytes(b"fo")):
        damage()
        assert ready.run("setup")[0] == 0
        assert ready.calls() == ["-m electra_tutorial data"] and archive.read_bytes() == b"four"


def test_a_missing_cleaned_file_is_made_again(ready):
    described = ready.folder / "data" / "sources.toml"
    described.write_text(SOURCES + '[outputs]\n"train.txt" = {sha256 = "00", bytes = 3}\n')
    ready.run("setup")
    assert ready.calls() == ["-m electra_tutorial data"]
    (ready.folder / "data" / "cache" / "course").mkdir()
    (ready.folder / "data" / "cache" / "course" / "train.txt").write_bytes(b"abc")
    ready.run("setup")
    assert ready.calls() == []


def test_a_folder_of_archives_stands_in_for_the_network(tree):
    assert tree.run("setup", "--from", "archives")[0] == 0
    assert tree.calls()[-1] == f"-m electra_tutorial data --from {tree.folder / 'archives'}"


def test_without_its_data_set_up_fails_but_the_course_opens_and_says_so(tree):
    (tree.folder / "data_fails").touch()
    code, _, err = tree.run("setup")
    assert code == 2 and last_line(err).startswith("The data is not complete")
    code, out, err = tree.run("lab")
    assert code == 0 and "its own small corpus" in err and out.startswith("STARTED")
    (tree.folder / "data_fails").unlink()
    assert tree.run("setup")[0] == 0


# --- what goes wrong, and the next call mends it ------------------------------------------------------

PIP_FAILS = {
    "network": ("print('Retrying after connection broken by NewConnectionError'); sys.exit(1)",
                "The network did not answer while fetching the pinned packages"),
    "disk": ("print('ERROR: Could not install: [Errno 28] No space left on device'); sys.exit(1)",
             "The disk filled up while installing the pinned packages"),
    "strange": ("print('ERROR: the moon is full'); sys.exit(1)", "pip could not install the pinned packages"),
}


@pytest.mark.parametrize("reason", PIP_FAILS)
def test_when_pip_fails_one_sentence_says_why_and_the_next_call_mends_it(tree, reason):
    plan, sentence = PIP_FAILS[reason]
    (tree.folder / "pip_does").write_text(plan)
    code, out, err = tree.run("lab")
    assert code == 2 and out == "" and last_line(err).startswith(sentence) and "Traceback" not in err
    assert last_line(err).endswith("then run the same command again.")
    assert ("the moon is full" in err) == (reason == "strange")
    assert plan.split("'")[1] in (tree.folder / "logs" / "set-up.log").read_text()
    (tree.folder / "pip_does").unlink()
    tree.calls()
    code, out, _ = tree.run("lab")
    assert code == 0 and out.startswith("STARTED") and "venv" not in tree.calls()


def test_ctrl_c_stops_pip_too_and_the_next_call_goes_on(tree):
    (tree.folder / "pip_does").write_text("time.sleep(1); (tree / 'went_on').touch()")
    with tree.open("setup") as process:
        tree.wait_for("pip install")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130 and last_line(err).startswith("Stopped. Run the same command again")
    time.sleep(1.2)
    assert not (tree.folder / "went_on").exists()
    (tree.folder / "pip_does").unlink()
    tree.calls()
    assert tree.run("setup")[0] == 0 and "venv" not in tree.calls()


def test_killed_while_the_environment_is_made_the_next_call_waits_and_starts_it_over(tree):
    (tree.folder / "venv_is_slow").touch()
    with tree.open("setup") as process:
        tree.wait_for("venv")
        process.kill()
    (tree.folder / "venv_is_slow").unlink()
    code, _, err = tree.run("setup")
    assert code == 0 and "Another set-up of this folder is at work" in err  # the child of the killed one
    assert tree.calls()[:2] == ["venv", "venv"]
    assert not (tree.folder / ".venv" / "set-up-unfinished").exists()


def empty_folder(venv):
    shutil.rmtree(venv)
    venv.mkdir()


def dead_python(venv):
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to("nowhere")


def without_pip(venv):
    (venv / "pip").unlink()


def other_python(venv):
    stamp = json.loads((venv / "set-up.json").read_text())
    (venv / "set-up.json").write_text(json.dumps({**stamp, "python": "3.99"}))


@pytest.mark.parametrize("damage", [empty_folder, dead_python, without_pip, other_python])
def test_an_environment_of_no_use_is_made_anew(ready, damage):
    damage(ready.folder / ".venv")
    if damage is without_pip:  # set-up looks for pip only when it needs it
        (ready.folder / ".venv" / "set-up.json").unlink()
    assert ready.run("setup")[0] == 0
    assert ready.calls()[0] == "venv" and ready.run("setup")[0] == 0 and ready.calls() == []


def test_started_by_the_python_of_an_environment_that_must_go_set_up_uses_the_one_behind_it(tree):
    done = run_pretending(tree, "sys.executable = 'gone-with-the-environment'", "setup")
    assert done.returncode == 0 and tree.calls()[0] == "venv"


def test_a_link_in_place_of_the_environment_is_left_alone(tree, tmp_path_factory):
    (tree.folder / ".venv").symlink_to(tmp_path_factory.mktemp("mine"))
    code, _, err = tree.run("setup")
    assert code == 2 and last_line(err).startswith(".venv is not a folder with a working Python: remove it")


def test_a_damaged_stamp_is_not_believed(ready):
    for text in ("", "{", "[1, 2]", "null"):
        (ready.folder / ".venv" / "set-up.json").write_text(text)
        assert ready.run("setup")[0] == 0
        assert len(ready.calls()) == 2


def test_a_package_that_a_killed_pip_left_half_installed_is_installed_again(tree):
    packages = tree.folder / ".venv" / "site-packages"
    (tree.folder / "pip_does").write_text(
        "packages = tree / '.venv' / 'site-packages'\n"
        "(packages / 'whole.dist-info').mkdir()\n"
        "(packages / 'whole.dist-info' / 'INSTALLER').touch()\n"
        "(packages / 'half.dist-info').mkdir()\n"
        "sys.exit(1)")
    tree.run("setup")
    assert len(list(packages.iterdir())) == 2
    (tree.folder / "pip_does").unlink()
    assert tree.run("setup")[0] == 0
    assert [path.name for path in packages.iterdir()] == ["whole.dist-info"]


def test_two_calls_at_once_install_once(tree):
    (tree.folder / "pip_does").write_text("time.sleep(0.3)")
    with tree.open("setup") as one, tree.open("setup") as other:
        assert one.wait(120) == 0 and other.wait(120) == 0
    assert len(tree.calls()) == 4


def test_a_python_without_venv_says_what_to_install(tree):
    (tree.folder / "fakes" / "ensurepip.py").write_text("raise ImportError(\"No module named 'ensurepip'\")")
    code, _, err = tree.run("lab")
    assert code == 2 and len(err.strip().splitlines()) == 1
    assert "apt install python3-venv" in err and not (tree.folder / ".venv").exists()


def run_pretending(tree, lies, *words):
    """Run course.py in a Python that was told something untrue about itself first."""
    code = f"import runpy, shutil, sys; {lies}; sys.argv = ['course.py', *{words!r}]; " \
           f"runpy.run_path({str(tree.folder / 'course.py')!r}, run_name='__main__')"
    return run([sys.executable, "-S", "-c", code], tree)


def run(command, tree):
    return subprocess.run(command, env=tree.environment, cwd=tree.folder, text=True, timeout=300,
                          capture_output=True)


def test_a_full_disk_is_noticed_before_anything_is_made(tree):
    done = run_pretending(tree, "shutil.disk_usage = lambda path: type('Usage', (), {'free': 3e8})", "lab")
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
    assert "needs 4 GB" in done.stderr and "0.3 GB" in done.stderr and not (tree.folder / ".venv").exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(tree):
    (tree.folder / "logs").write_text("a file where set-up wants its folder")
    code, _, err = tree.run("lab")
    assert code == 2 and "logs" in err and len(err.strip().splitlines()) == 1


# --- the wrong Python ---------------------------------------------------------------------------------

@pytest.mark.parametrize("version", [(2, 7), (3, 8), (3, 10), (3, 15), (4, 0)])
def test_a_python_too_old_or_too_new_is_one_sentence(tree, version):
    done = run_pretending(tree, f"sys.version_info = {(*version, 1, 'final', 0)!r}", "lab")
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
    name = ".".join(map(str, version))
    assert done.stderr.startswith(f"This is Python {name}, and the course needs 3.11 to 3.14: ")
    assert "course.py lab" in done.stderr and not (tree.folder / ".venv").exists()


@pytest.mark.parametrize("minor", [11, 12, 13, 14])
def test_the_pythons_that_pytorch_has_packages_for_are_accepted(ready, minor):
    done = run_pretending(ready, f"sys.version_info = (3, {minor}, 1, 'final', 0)", "setup")
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_in_course_py_is_newer_than_what_an_old_python_can_read():
    newer = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.AsyncFunctionDef, ast.Nonlocal, ast.Match,
             ast.YieldFrom, ast.MatMult, ast.Await)
    for node in ast.walk(ast.parse((ROOT / "course.py").read_text("ascii"))):
        assert not isinstance(node, newer), f"line {node.lineno}: {type(node).__name__}"
        if isinstance(node, ast.FunctionDef):
            assert not (node.returns or node.args.kwonlyargs or node.args.posonlyargs), node.name
            assert not any(argument.annotation for argument in node.args.args), node.name
        if isinstance(node, ast.Raise):
            assert node.cause is None, f"line {node.lineno}: raise ... from"


def old_pythons():
    """Return the old Pythons that this machine happens to have."""
    names = ["python2", "python2.7", *(f"python3.{minor}" for minor in range(4, 11))]
    found = filter(None, map(shutil.which, names))
    return [path for path in found if subprocess.run([path, "-c", ""], capture_output=True).returncode == 0]


def test_the_old_pythons_on_this_machine_give_the_sentence(tree):
    for python in old_pythons():
        done = run([python, "course.py", "lab"], tree)
        assert done.returncode == 2 and "the course needs 3.11 to 3.14" in done.stderr, (python, done.stderr)


# --- another PyTorch ----------------------------------------------------------------------------------

def test_another_index_gives_pytorch_alone_and_is_kept(tree):
    assert tree.run("setup", "--torch-index", "somewhere")[0] == 0
    torch = [line for line in tree.calls() if "--index-url somewhere" in line]
    assert len(torch) == 1 and torch[0].endswith("--no-deps --index-url somewhere torch==2.13.0")
    assert tree.run("setup")[0] == 0 and tree.calls() == []
    assert tree.run("setup", "--torch-index", "elsewhere")[0] == 0
    assert tree.calls()[0] == "venv"  # two builds do not mix: what the first one brought along must go


def fake_nvidia_smi(tree, answer, code):
    tool = tree.folder / "fakes" / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\necho '{answer}'\nexit {code}\n")
    tool.chmod(0o755)
    tree.environment["PATH"] = f"{tool.parent}{os.pathsep}{tree.environment['PATH']}"


def test_linux_without_a_gpu_is_told_how_to_avoid_gigabytes_and_with_one_is_not(tree):
    fake_nvidia_smi(tree, "NVIDIA-SMI has failed", 9)
    lies = "import platform; platform.machine = lambda: 'x86_64'; sys.platform = 'linux'"
    told = run_pretending(tree, lies, "setup")
    assert told.returncode == 0 and "--torch-index ADDRESS" in told.stderr
    shutil.rmtree(tree.folder / ".venv")
    fake_nvidia_smi(tree, "GPU 0: a fast one", 0)
    lies += "; shutil.disk_usage = lambda path: type('Usage', (), {'free': 9e10})"
    told = run_pretending(tree, lies, "setup")
    assert told.returncode == 0 and "--torch-index" not in told.stderr


# --- mistakes, and make -------------------------------------------------------------------------------

@pytest.mark.parametrize("words, sentence", [
    (["labb"], "There is no command 'labb'"),
    (["setup", "--port", "1"], "`setup` does not know '--port 1'"),
])
def test_a_wrong_word_is_one_sentence_and_sets_nothing_up(tree, words, sentence):
    code, _, err = tree.run(*words)
    assert code == 2 and err.startswith(sentence) and len(err.strip().splitlines()) == 1
    assert not (tree.folder / ".venv").exists()


def test_help_tells_the_commands_and_sets_nothing_up(tree):
    code, out, _ = tree.run("--help")
    assert code == 0 and "python course.py lab" in out and not (tree.folder / ".venv").exists()
    assert tree.run()[0] == 2


def make(tree, *words):
    return run(["make", *words], tree)


def test_make_only_calls_course_py(tree):
    python = f"PYTHON={sys.executable}"
    assert make(tree, "lab", python, "LAB_ARGS=--no-browser --port 8899").returncode == 0
    assert tree.calls()[-1] == "-m electra_tutorial lab --no-browser --port 8899"
    assert make(tree, "test", python, "TEST_ARGS=-k 'one or two'").returncode == 0
    assert tree.calls()[0].endswith("-k one or two")
    assert "python course.py lab" in make(tree, python).stdout


def test_make_without_a_python_is_one_sentence(tree):
    done = make(tree, "lab", "PYTHON=python-that-is-not-here")
    sentence, *rest = done.stderr.splitlines()
    assert done.returncode == 2
    assert sentence.startswith("There is no 'python-that-is-not-here' here: install Python 3.11 or newer")
    assert all(line.startswith("make:") for line in rest)


def test_where_no_terminal_shows_progress_each_full_minute_is_told_once(capsys):
    tell, told = runpy.run_path(str(ROOT / "course.py"))["tell_of_waiting"], 0
    for seconds in (0.5, 59.5, 60.5, 61.0, 119.0, 120.5):
        told = tell(seconds, told)
    assert capsys.readouterr().err.split("\n") == ["  ... 1 min, still at work", "  ... 2 min, still at work", ""]
