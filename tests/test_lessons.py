"""Lessons run top to bottom, each in its own kernel, anywhere, without the network; and they have their form."""
import html.parser
import json
import os
import re
import socket
import subprocess
import sys
import types

import nbformat
import pytest
import torch

from electra_tutorial import training
from electra_tutorial.course import check, execute, runs
from electra_tutorial.course.execute import run_all, run_lesson
from electra_tutorial.course.exercises import cards
from electra_tutorial.course.reading import TAG
from electra_tutorial.course.weave import MINUTES, NOTEBOOKS
from electra_tutorial.errors import UserError
from electra_tutorial.presets import PRESETS

LESSONS = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
MOST_CELLS = 55  # but for sections that are for a second reading; the four of an exercise count as one
MOST_IN_ALL = 70
MOST_MINUTES = {lesson: 55 for lesson in range(10)} | {10: 65}  # of a student's time, as `reading` estimates it
MOST_LINES, SHORT = 22, 16  # of a code cell that is not woven; the second in lessons 00 to 05
# scope: pytest asks all tests of one lesson after another, so that mostly one worker runs it, and once.
named = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem, scope="session")


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """Runs a lesson in fast mode, once for all tests; gives the `Lesson` and where it was opened."""
    done = {}

    def once(path):
        if path not in done:
            folder = tmp_path_factory.mktemp("somewhere else")
            done[path] = run_lesson(path, fast=True, folder=folder), folder
        return done[path]

    return once


def outputs(lesson):
    return [output for cell in lesson.notebook.cells for output in cell.get("outputs", [])]


class Images(html.parser.HTMLParser):
    """Collects the attributes of every image in a page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.found.append(dict(attributes))


# --- running --------------------------------------------------------------------------------------

@named
def test_a_lesson_runs_from_top_to_bottom(path, run):
    lesson, _ = run(path)
    assert not lesson.problem
    assert all(cell.execution_count for cell in lesson.notebook.cells if cell.cell_type == "code")


@named
def test_a_lesson_writes_nothing_on_stderr(path, run):
    noise = [output.text for output in outputs(run(path)[0]) if output.get("name") == "stderr"]
    assert not noise


@named
def test_a_lesson_leaves_nothing_in_the_folder_it_was_opened_in(path, run):
    lesson, folder = run(path)
    assert not list(folder.iterdir())


@named
def test_every_picture_of_a_lesson_says_in_words_what_it_shows(path, run):
    parser = Images()
    for output in outputs(run(path)[0]):
        data = output.get("data", {})
        assert "image/png" not in data and "image/svg+xml" not in data, "a picture without alt text"
        parser.feed("".join(data.get("text/html", "")))
    assert parser.found
    for image in parser.found:
        assert len(image.get("alt", "").split()) > 8, image.get("alt")


@named
def test_a_lesson_that_is_opened_again_shows_all_it_showed(path, run):
    """A widget's state is gone with its kernel; then JupyterLab shows an error in its place."""
    for output in outputs(run(path)[0]):
        data = output.get("data", {})
        assert "application/vnd.jupyter.widget-view+json" not in data or "text/html" in data


@named
def test_in_fast_mode_a_lesson_says_what_it_does_not_judge(path, run):
    words = "".join(output.text for output in outputs(run(path)[0]) if output.get("name") == "stdout")
    assert "Not judged here" in words and "As it should be" not in words


@named
def test_the_source_of_a_lesson_runs_as_a_plain_script(path, tmp_path):
    source = NOTEBOOKS / "source" / f"{path.stem}.py"
    settings = {"ELECTRA_TUTORIAL_FAST": "1", "ELECTRA_TUTORIAL_RUNS": str(tmp_path / "runs")}
    command = [sys.executable, str(source)]
    ran = subprocess.run(command, cwd=tmp_path, env=os.environ | settings, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]


@named
def test_an_untouched_lesson_ends_by_saying_that_its_exercises_are_open(path, run):
    number = int(path.stem.split("_")[0])
    words = " ".join("".join(output.get("text", "") for output in outputs(run(path)[0])).split())
    for card in cards().values():
        if card.lesson == number:
            assert f"{card.name}: not yet. It is still empty" in words
            assert card.name in words[words.rindex(f"Lesson {number:02}: 0 of "):]


# --- the form of a lesson -------------------------------------------------------------------------

def prose(path):
    """What a lesson says, without its exercises, which have a form of their own."""
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(cell.source for cell in cells
                     if cell.cell_type == "markdown" and not cell.id.startswith("exercise-"))


@named
def test_a_lesson_has_all_its_parts(path):
    text = prose(path)
    for part in ("# ", "**What you will be able to do.**", "**What you need to know.**", "**Running time of all",
                 "**Guess first.**", "What usually goes wrong", "Where to read more", "paper"):
        assert part in text, part
    assert 6 <= text.count("<details><summary>") == text.count("</details>") <= 10


@named
def test_a_lesson_is_short_and_so_are_its_cells(path):
    cells = nbformat.read(path, as_version=4).cells
    cells = [cell for cell in cells if not re.match("exercise-.*-(task|check|help)$", cell.id)]
    assert len(cells) <= MOST_IN_ALL
    assert sum(TAG not in cell.metadata.get("tags", []) for cell in cells) <= MOST_CELLS
    minutes = int(re.search(r"\*\*Your time:\*\* about (\d+) minutes", prose(path))[1])
    assert minutes <= MOST_MINUTES[int(path.name[:2])]
    own = [cell.source for cell in cells
           if cell.cell_type == "code" and not cell.id.startswith(("show-", "exercise-"))]
    lines = [len(source.splitlines()) for source in own]
    early = int(path.stem.split("_")[0]) <= 5
    assert max(lines) <= (SHORT if early else MOST_LINES), own[lines.index(max(lines))]
    assert not early or sorted(lines)[len(lines) // 2] <= 10


@named
def test_the_exercises_of_a_lesson_are_those_set_for_it_and_it_ends_by_saying_which_are_open(path):
    cells, number = nbformat.read(path, as_version=4).cells, int(path.stem.split("_")[0])
    woven = {cell.id.split("-")[1] for cell in cells if cell.id.startswith("exercise-")}
    assert woven == {card.name for card in cards().values() if card.lesson == number}
    assert not woven or any(f"progress({number})" in cell.source for cell in cells)


@named
def test_a_lesson_asserts_what_must_hold(path):
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert sum("assert " in source or "expect(" in source for source in cells) >= 8


@named
def test_a_lesson_does_not_call_anything_simple(path):
    assert not re.findall(r"\b(simply|just|obviously|easily|amazing|powerful)\b", prose(path), re.I)


# --- running without the network ------------------------------------------------------------------

def toy(folder, *cells):
    """A notebook with these code cells."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    (folder / "source").mkdir(exist_ok=True)
    nbformat.write(notebook, folder / "01_toy.ipynb")
    return folder / "01_toy.ipynb"


ASK = """
import socket
asks = {{
    "address": lambda: socket.socket().connect({address}),
    "name": lambda: socket.getaddrinfo("example.org", 80),
}}
for what, ask in asks.items():
    try:
        ask()
        print(what, "reached")
    except OSError:
        print(what, "cut")
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname())
print("this machine answers")
"""


def own_address():
    """This machine's address in its network, which anybody there could ask; None if it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only chooses the way
        except OSError:
            return None
        return probe.getsockname()[0]


@pytest.mark.parametrize("unshare", [True, False], ids=["own network", "guard"])
def test_a_lesson_cannot_reach_the_network_but_this_machine(tmp_path, monkeypatch, unshare):
    if unshare and not execute.can_unshare():
        pytest.skip("this system gives no process a network of its own")
    if own_address() is None:
        pytest.skip("this machine is in no network")
    monkeypatch.setattr(execute, "can_unshare", lambda: unshare)
    with socket.create_server(("0.0.0.0", 0)) as server:
        address = own_address(), server.getsockname()[1]
        socket.create_connection(address).close()  # from here it can be reached
        lesson = run_lesson(toy(tmp_path, ASK.format(address=address)))
    assert outputs(lesson)[0].text == "address cut\nname cut\nthis machine answers\n"


def test_a_cell_that_fails_is_reported_with_its_error_and_ends_the_run(tmp_path):
    toy(tmp_path, "x = 1", "assert x == 2, 'x is one'", "x = 3")
    (tmp_path / "source" / "01_toy.py").write_text("# %%\nx = 1\n\n# %%\nassert x == 2, 'x is one'\n")
    said = []
    with pytest.raises(UserError, match="01_toy does not run: AssertionError: x is one"):
        run_all(fast=True, notebooks=tmp_path, tell=said.append)
    assert said[0].startswith("01_toy: AssertionError: x is one")


def test_a_kernel_that_dies_is_a_problem_of_its_lesson(tmp_path):
    lesson = run_lesson(toy(tmp_path, "import os; os._exit(1)"))
    assert lesson.problem == "DeadKernelError: Kernel died"


def test_measured_minutes_are_kept_and_woven_in(tmp_path):
    (tmp_path / "source").mkdir()
    source = "# %% [markdown]\n# <!-- weave: minutes -->\n\n# %%\nx = 1\n"
    (tmp_path / "source" / "01_toy.py").write_text(source)
    (tmp_path / MINUTES).write_text('{"01_toy": {"gpu": 3.0}, "02_other": {"cpu": 5.0}}')
    execute.write_minutes({"01_toy": 12.34}, tmp_path)
    measured = json.loads((tmp_path / MINUTES).read_text())
    assert measured["01_toy"] in ({"gpu": 3.0, "cpu": 12.3}, {"gpu": 12.3})
    assert measured["02_other"] == {"cpu": 5.0}
    assert "12 minutes" in (tmp_path / "01_toy.ipynb").read_text()


def test_small_numbers_are_not_timed():
    with pytest.raises(UserError, match="do not go together"):
        run_all(fast=True, time=True)


TRAIN = """
from electra_tutorial.corpus import Corpus
from electra_tutorial.training import pretrain
words = [f"The {a} sees the {b} and the {c}." for a in "cat dog boy girl".split()
         for b in "sun moon tree house".split() for c in "bird fish wolf bear".split()]
corpus = Corpus("toy", {"toy": words[8:]}, {"toy": words[:8]})
run = pretrain("tiny", corpus, steps=100_000, dtype="float32", evaluations=1, quiet=True,
               watch=lambda training: print("begun"))
print("well ended", run.finished, 0 < run.metrics["steps"] < 100_000)
"""


def test_interrupting_the_kernel_ends_a_training_well(tmp_path, monkeypatch):
    from jupyter_client.manager import start_new_kernel

    monkeypatch.setenv("ELECTRA_TUTORIAL_DATA", str(tmp_path))
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        client.execute(TRAIN)
        words = ""
        while "well ended" not in words:
            message = client.get_iopub_msg(timeout=120)
            assert message["msg_type"] != "error", message["content"]
            words += message["content"].get("text", "")
            if words.endswith("begun\n"):
                manager.interrupt_kernel()
        assert "well ended False True" in words
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)

WATCHED = TRAIN[:TRAIN.index("run = pretrain")] + """
import threading
from electra_tutorial.views.dashboard import Dashboard
board = Dashboard("Toy")
def press(training):
    Dashboard.progress(board, training)
    if training.step == 20:
        HOW
board.progress = press
run = pretrain("tiny", corpus, FOLDER, steps=100_000, dtype="float32", evaluations=1,
               watch=board, stop=board.stop)
print("well ended", run.finished, run.metrics["steps"] < 100, (run.folder / "checkpoint").is_dir())
"""


@pytest.mark.parametrize("how", [
    "threading.Thread(target=board.button.click).start()", "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
], ids=["the button, in another thread", "the kernel's interrupt"])
def test_a_watched_training_in_a_kernel_ends_well_and_leaves_a_picture_and_no_widget(how, tmp_path, monkeypatch):
    monkeypatch.setenv("ELECTRA_TUTORIAL_DATA", str(tmp_path))
    cell = WATCHED.replace("HOW", how).replace("FOLDER", repr(str(tmp_path / "run")))
    lesson = run_lesson(toy(tmp_path, cell))
    assert not lesson.problem
    found = outputs(lesson)
    assert "well ended False True True" in "".join(output.get("text", "") for output in found)
    pages = [output.get("data", {}) for output in found]
    assert any("Stopped after step" in page.get("text/html", "") for page in pages)
    assert any("In its own game" in page.get("text/html", "") for page in pages)
    assert not any("application/vnd.jupyter.widget-view+json" in page for page in pages)


SPY = """\"\"\"Your parts of ELECTRA.\"\"\"

# === corrupt ===
calls = []


def corrupt(ids, chosen, samples):
    \"\"\"Yours.\"\"\"
    calls.append(len(samples))
    corrupted_ids = ids.clone()
    corrupted_ids[chosen] = samples
    return corrupted_ids
"""


def test_lesson_06_trains_with_the_functions_that_a_student_kept(tmp_path):
    notebook = nbformat.read(NOTEBOOKS / "06_train_your_electra.ipynb", as_version=4)
    (training,) = [n for n, cell in enumerate(notebook.cells)
                   if cell.cell_type == "code" and "run = pretrain(" in cell.source]
    code = nbformat.v4.new_code_cell
    notebook.cells = [
        *notebook.cells[:training], code("calls = objective.corrupt.__globals__['calls']; before = len(calls)"),
        notebook.cells[training], code("print('spied', len(calls) - before - metrics['steps'])"),
    ]
    (tmp_path / "my_electra.py").write_text(SPY)
    nbformat.write(notebook, tmp_path / "06_train.ipynb")
    lesson = run_lesson(tmp_path / "06_train.ipynb", fast=True, folder=tmp_path)
    assert not lesson.problem
    words = "".join(output.get("text", "") for output in outputs(lesson))
    assert "Yours: corrupt" in words and int(re.search(r"spied (-?\d+)", words)[1]) >= 0
    pictures = "".join(output.get("data", {}).get("text/html", "") for output in outputs(lesson))
    assert "corrupt (yours)" in pictures and "mask_tokens (reference)" in pictures


@pytest.mark.parametrize(("seconds", "asked"), [(1.0, 1000), (0.05, training.steps_in(10, 0.05))])
def test_on_a_slow_machine_lesson_06_still_trains_for_long_enough_to_learn_grammar(seconds, asked, monkeypatch):
    lesson = nbformat.read(NOTEBOOKS / "06_train_your_electra.ipynb", as_version=4)
    cells = [cell.source for cell in lesson.cells
             if cell.cell_type == "code" and re.search(r"^MINUTES =|^run = pretrain\(", cell.source, re.M)]
    assert len(cells) == 2
    given = {}
    report = types.SimpleNamespace(
        metrics={"steps": 1, "tokens_seen": 1, "seconds": 1}, electra=torch.nn.Module(), finished=True)
    report.electra.objective = None
    monkeypatch.setattr(training, "pretrain", lambda *_, **keywords: given.update(keywords) or report)
    monkeypatch.setattr(runs, "next_run", lambda name: name)
    names = {"times": {"float32": seconds}, "preset": PRESETS["laptop"], "batches": range(9), "objective": None,
             "steps_in": training.steps_in, "torch": torch, "Electra": lambda *_: None, "sizes": None, "corpus": None,
             "full_or_fast": lambda full, fast: full}
    for cell in cells:
        exec(cell, names)
    assert given["steps"] == asked and "minutes" not in given


# --- what lessons lean on -------------------------------------------------------------------------

def test_what_must_be_learned_is_judged_in_full_runs_alone(monkeypatch, capsys):
    monkeypatch.setenv("ELECTRA_TUTORIAL_FAST", "1")
    check.expect(False, "It learned.")
    assert capsys.readouterr().out == "Not judged here, for the numbers were small: It learned.\n"
    assert check.full_or_fast(10, 1) == 1
    monkeypatch.setenv("ELECTRA_TUTORIAL_FAST", "0")
    check.expect(True, "It learned.")
    assert capsys.readouterr().out == "As it should be: It learned.\n"
    with pytest.raises(AssertionError, match="It learned."):
        check.expect(False, "It learned.")
    assert check.full_or_fast(10, 1) == 10


def test_a_new_run_never_gets_the_folder_of_another(tmp_path, monkeypatch):
    monkeypatch.setenv("ELECTRA_TUTORIAL_RUNS", str(tmp_path))
    assert runs.next_run("mine") == tmp_path / "mine-1"
    for name in ("mine-1", "mine-10", "mine-x", "mine-too-30", "not-mine-40", "mine-50-old"):
        (tmp_path / name).mkdir()
    assert runs.next_run("mine") == tmp_path / "mine-11" and runs.last_run("mine") == tmp_path / "mine-10"
    with pytest.raises(UserError, match="There is no run 'new'"):
        runs.last_run("new")


def test_runs_of_a_clone_go_to_its_own_folder_that_git_ignores(monkeypatch):
    monkeypatch.delenv("ELECTRA_TUTORIAL_RUNS", raising=False)
    assert runs.runs_dir() == NOTEBOOKS.parent / "runs"
    assert "runs/" in (NOTEBOOKS.parent / ".gitignore").read_text().split()
