"""The weaver: the same bytes, the package's own definitions, and clear words when a lesson is broken."""
import ast
import json
import re
import subprocess
import sys
import textwrap

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_tutorial.course import weave as weaver
from electra_tutorial.course.definitions import Import, Module, import_lines, names_bound
from electra_tutorial.course.weave import NOTEBOOKS, read_cells, weave, weave_all
from electra_tutorial.errors import UserError

RATE = "from electra_tutorial.training import learning_rate  # weave: show"


@pytest.fixture
def lesson(tmp_path):
    """A function that weaves a lesson with this text and returns the notebook."""
    (tmp_path / "source").mkdir()

    def make(text, name="01_toy"):
        source = tmp_path / "source" / f"{name}.py"
        source.write_text(textwrap.dedent(text).lstrip("\n"), "utf-8")
        return json.loads(weave(source))

    return make


def texts(notebook, kind="code"):
    """The text of each cell of a kind, without the cell that the weaver puts first."""
    return ["".join(cell["source"]) for cell in notebook["cells"]
            if cell["cell_type"] == kind and cell["id"] != "kernel"]


# --- what is committed ----------------------------------------------------------------------------

def test_the_committed_notebooks_are_what_their_sources_make():
    stale = weave_all(check=True)
    assert not stale, f"run `electra-tutorial notebooks` and commit {[path.name for path in stale]}"


def test_every_notebook_has_a_source():
    sources = {path.stem for path in (NOTEBOOKS / "source").glob("*.py")}
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == sources


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_valid_clean_and_names_its_kernel(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3" and "widgets" not in notebook.metadata
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code and not any(cell.outputs or cell.execution_count for cell in code)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


def test_a_linter_finds_no_undefined_name_and_no_unused_import_in_any_notebook():
    command = [sys.executable, "-m", "ruff", "check", "--select", "F,E9", str(NOTEBOOKS)]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_weaving_does_not_wait_for_pytorch():
    code = "import sys; from electra_tutorial.course.weave import weave_all; weave_all(check=True); " \
           "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# --- reading a source -----------------------------------------------------------------------------

def test_cells_keep_their_text_and_markdown_loses_its_comment_sign(lesson):
    notebook = lesson("""
        # For editors only.
        # %% [markdown]
        # # Title
        #
        # - a list
        #   goes on

        # %% tags=["hide-input"]
        x = 1  # a comment stays


        def f():
            return x
    """)
    assert texts(notebook, "markdown") == ["# Title\n\n- a list\n  goes on"]
    assert texts(notebook) == ["x = 1  # a comment stays\n\n\ndef f():\n    return x"]
    assert notebook["cells"][1]["metadata"] == {"tags": ["hide-input"]}


@given(st.lists(st.tuples(st.booleans(), st.text("ab =()\n", min_size=1)), min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_what_is_written_as_cells_is_read_back(cells):
    cells = [(markdown, re.sub(" +$", "", text, flags=re.M).strip("\n")) for markdown, text in cells]
    cells = [(markdown, text) for markdown, text in cells if text]
    source = ""
    for markdown, text in cells:
        lines = ["# " + line if line else "#" for line in text.split("\n")] if markdown else text.split("\n")
        source += ("# %% [markdown]\n" if markdown else "# %%\n") + "\n".join(lines) + "\n\n"
    kinds = {True: "markdown", False: "code"}
    found = [(cell.kind, cell.text) for cell in read_cells(source, "toy")]
    assert found == [(kinds[markdown], text) for markdown, text in cells]


@pytest.mark.parametrize(("text", "said"), [
    ("import os\n# %%\nos\n", "line 1: code stands above"),
    ("# %%\nx = 1\n# %% markdown\n# text\n", "line 3: '# %% markdown' begins no cell"),
    ("# %% [markdown]\nnot a comment\n", "line 2: 'not a comment' stands in a cell of text"),
    ("# %%\n# %%\nx = 1\n", "line 1: this cell is empty"),
    ("# %%\nx = (\n", "line 1: line 1 of this cell"),
])
def test_a_broken_source_is_an_error_that_names_lesson_and_line(lesson, text, said):
    with pytest.raises(UserError, match=re.escape(f"Lesson 01_toy, {said}")):
        lesson(text)


# --- showing definitions --------------------------------------------------------------------------

def test_a_shown_definition_is_the_packages_own_to_the_letter(lesson):
    code = texts(lesson(f"# %%\n{RATE}\n"))[0]
    module = (NOTEBOOKS.parent / "electra_tutorial" / "training.py").read_text("utf-8")
    assert code.startswith("def learning_rate(") and code in module
    assert ast.parse(code).body[0].end_lineno == len(code.splitlines())


def test_a_shown_definition_brings_the_imports_it_needs_and_no_others(lesson):
    line = "from electra_tutorial.objective import corrupt, mask_tokens  # weave: show"
    code = texts(lesson(f"# %%\n{line}\n"))[0]
    assert code.startswith("import torch\n\n\ndef corrupt(") and "\n\n\ndef mask_tokens(" in code
    assert len(re.findall("^(?:import|from)", code, re.M)) == 1


def test_a_name_the_lesson_has_already_is_not_imported_again(lesson):
    first, second = texts(lesson("""
        # %%
        import torch

        # %%
        from electra_tutorial.objective import mask_tokens  # weave: show
    """))
    assert second.startswith("def mask_tokens(")


def test_a_students_own_function_is_what_later_definitions_call(lesson):
    cells = texts(lesson("""
        # %%
        from electra_tutorial.training import clip_gradients  # weave: show

        # %%
        from electra_tutorial.training import train_step  # weave: show
    """))
    assert "clip_gradients(groups" in cells[1] and "import clip_gradients" not in cells[1]


def test_decorators_and_the_comment_above_come_along_but_not_the_heading_of_a_section():
    text = textwrap.dedent('''
        # --- a section ---
        # Why it is so.
        @dataclass
        class Box:
            size: int = SIZE
    ''')
    module = Module("electra_tutorial.toy", text, "Lesson 01")
    assert module.source("Box").startswith("# Why it is so.\n@dataclass\nclass Box:")
    assert module.needs("Box") == {"dataclass", "SIZE"}


def test_imports_stand_in_the_order_a_linter_wants():
    imports = [Import("electra_tutorial.tokens", "collate", "collate"), Import("torch", None, "torch"),
               Import("electra_tutorial.tokens", "MASK_ID", "MASK_ID"), Import("math", None, "math"),
               Import("torch.nn.functional", None, "F"), Import("torch", "nn", "nn")]
    assert import_lines(imports) == (
        "import math\n\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n"
        "from electra_tutorial.tokens import MASK_ID, collate")


@pytest.mark.parametrize(("line", "said"), [
    (RATE.replace("learning", "lerning"), "defines no function or class 'lerning_rate'"),
    (RATE.replace("training", "trainings"), "there is no module electra_tutorial.trainings"),
    (f"{RATE}\nprint(1)", "must stand alone"),
    ("import torch  # weave: show", "must stand alone"),
    (RATE.replace("show", "display"), "'weave: display' is not known"),
    (RATE.replace("show", "exercise"), "learning_rate is set for lesson 04"),
])
def test_a_lost_definition_is_an_error_that_names_lesson_and_name(lesson, line, said):
    with pytest.raises(UserError) as error:
        lesson(f"# %% [markdown]\n# text\n\n# %%\n{line}\n")
    assert str(error.value).startswith("Lesson 01_toy, line 4: ") and said in str(error.value)


def test_a_definition_that_uses_a_name_its_module_does_not_have_is_an_error():
    module = Module("electra_tutorial.toy", "def f():\n    return lost", "Lesson 01_toy, line 3")
    with pytest.raises(UserError, match="Lesson 01_toy, line 3: .* uses 'lost'"):
        module.importing("lost")


def test_a_relative_import_cannot_be_woven():
    text = "from .tokens import x\ndef f():\n    return x"
    module = Module("electra_tutorial.toy", text, "Lesson 01_toy, line 3")
    with pytest.raises(UserError, match="imports 'x' relatively"):
        module.importing("x")


# --- the notebook ---------------------------------------------------------------------------------

def test_the_same_source_gives_the_same_bytes_in_another_process(tmp_path):
    source = tmp_path / "01_toy.py"
    names = "Electra, Encoder  # weave: show"
    source.write_text(f"# %%\nfrom electra_tutorial.model import {names}\n\n# %%\n{RATE}\n")
    code = f"from electra_tutorial.course.weave import weave; print(weave({str(source)!r}), end='')"
    made = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True,
                           env={"PYTHONHASHSEED": seed}).stdout for seed in "12"}
    assert made == {weave(source).encode()}


def test_editing_one_cell_changes_no_other_cells_id(lesson):
    before = lesson("# %%\nx = 1\n\n# %%\ny = 2\n\n# %%\ny = 2\n")
    after = lesson("# %%\nx = 3\n\n# %%\ny = 2\n\n# %%\ny = 2\n")
    ids = [[cell["id"] for cell in notebook["cells"]] for notebook in (before, after)]
    assert ids[0][0] != ids[1][0] and ids[0][1:] == ids[1][1:] and len(set(ids[0])) == 3


def test_measured_minutes_stand_in_the_lesson(lesson, tmp_path):
    text = "# %% [markdown]\n# <!-- weave: minutes -->\n"
    assert "not yet measured" in texts(lesson(text), "markdown")[0]
    (tmp_path / weaver.MINUTES).write_text('{"01_toy": {"cpu": 12.4}}')
    assert "12 minutes on two CPU cores; on a GPU not yet measured" in texts(lesson(text), "markdown")[0]


def test_weaving_again_changes_nothing_and_checking_writes_nothing(lesson, tmp_path):
    lesson("# %%\nx = 1\n")
    assert [path.name for path in weave_all(check=True, notebooks=tmp_path)] == ["01_toy.ipynb"]
    assert not (tmp_path / "01_toy.ipynb").exists()
    assert weave_all(notebooks=tmp_path) and not weave_all(notebooks=tmp_path)


def test_no_lessons_is_said(tmp_path):
    with pytest.raises(UserError, match="There are no lessons in"):
        weave_all(notebooks=tmp_path)


def test_names_bound_are_those_of_the_top_level_alone():
    code = "import a.b\nx, y = 1, 2\ndef f():\n    z = 1\nfor i in x:\n    pass"
    assert names_bound(code) == {"a", "x", "y", "f", "i"}
