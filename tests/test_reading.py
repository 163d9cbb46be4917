"""Sections for a second reading: folded, marked, needed by nothing; and how long a lesson takes a student."""
import pytest

from electra_tutorial.course import reading
from electra_tutorial.course.exercises import cards
from electra_tutorial.course.weave import NOTEBOOKS, Cell, weave
from electra_tutorial.errors import UserError

TOY = """\
# %% [markdown]
# # 01 · A toy
#
# <!-- weave: minutes -->

# %%
number = 1

# %% [markdown]
# ## 1. Some more <!-- weave: second reading -->
#
# For those who want it.

# %%
from electra_tutorial.training import learning_rate  # weave: show

# %% [markdown]
# ### Still more

# %%
more = number + 1

# %% [markdown]
# ## 2. And on
#
# ## 3. And on

# %%
print(number)
"""


@pytest.fixture
def lesson(tmp_path):
    """A function that weaves a lesson with this text and returns its cells, the woven first one left out."""
    import nbformat

    (tmp_path / "source").mkdir()

    def make(text, name="01_toy"):
        source = tmp_path / "source" / f"{name}.py"
        source.write_text(text, "utf-8")
        return [cell for cell in nbformat.reads(weave(source), 4).cells if cell.id != "kernel"]

    return make


def test_a_section_for_a_second_reading_is_folded_and_its_cells_are_tagged(lesson):
    cells = lesson(TOY)
    waiting = [number for number, cell in enumerate(cells) if reading.TAG in cell.metadata.get("tags", [])]
    assert waiting == [2, 3, 4, 5]
    assert cells[2].source.startswith("## 1. Some more *(second reading)*\n")
    folded = [number for number, cell in enumerate(cells) if cell.metadata.get("jp-MarkdownHeadingCollapsed")]
    assert folded == [2]
    assert not any("weave" in cell.source for cell in cells)


def test_an_exercise_in_it_is_tagged_whole_and_keeps_its_own_tag(lesson):
    cells = lesson(TOY.replace("from electra_tutorial.training import learning_rate  # weave: show",
                               "from electra_tutorial.tokens import longest_match  # weave: exercise"))
    parts = [cell for cell in cells if cell.id.startswith("exercise-")]
    assert len(parts) == 4 and all(reading.TAG in cell.metadata.tags for cell in parts)
    assert parts[1].metadata.tags == ["raises-exception", reading.TAG]
    assert "for the exercise" not in cells[0].source, "it is not counted among those for now"
    assert "about 10 minutes more" in cells[0].source


def test_the_card_of_an_exercise_and_the_section_it_stands_in_agree_on_whether_it_can_wait(lesson):
    woven = "from electra_tutorial.training import learning_rate  # weave: show"
    with pytest.raises(UserError, match="split_heads says later=False, and the section .* otherwise"):
        lesson(TOY.replace(woven, "from electra_tutorial.model import split_heads  # weave: exercise"), "02_toy")
    with pytest.raises(UserError, match="longest_match says later=True"):
        lesson(TOY.replace(" <!-- weave: second reading -->", "").replace(
            woven, "from electra_tutorial.tokens import longest_match  # weave: exercise"))


@pytest.mark.parametrize(("old", "new"), [
    ("# %% [markdown]\n# ## 1. Some", "# %% [markdown]\n# Before.\n#\n# ## 1. Some"),
    ("# For those who want it.", "# ## 1b. Another"),
    ("# ## 2. And on", "# Behind.\n#\n# ## 2. And on"),
    ("# ## 1. Some more <!-", "# Some more <!-"),
])
def test_such_a_section_begins_and_ends_with_a_cell(lesson, old, new):
    with pytest.raises(UserError, match=r"Lesson 01_toy, line \d+: a section for a second reading is folded"):
        lesson(TOY.replace(old, new))


def test_it_may_end_with_the_lesson(lesson):
    assert reading.TAG in lesson(TOY.partition("# %% [markdown]\n# ## 2.")[0])[-1].metadata.tags


@pytest.mark.parametrize(("old", "new", "name"), [
    ("print(number)", "print(number, more)", "more"),  # made there
    ("print(number)", "def later():\n    return more", "more"),  # also inside a function
    ("more = number", "more = number = number", "number"),  # made before, and changed there
    ("print(number)", "from electra_tutorial.training import train_step  # weave: show", None),
])
def test_nothing_after_it_may_need_what_it_defines(lesson, old, new, name):
    if name:
        with pytest.raises(UserError, match=rf"line \d+: {name} gets its value in a section for a second reading"):
            lesson(TOY.replace(old, new))
    else:  # a definition that is shown brings its imports, though the second reading has them
        shown = lesson(TOY.replace("from electra_tutorial.training import learning_rate", "import torch")
                       .replace("import torch  # weave: show", "import torch").replace(old, new))[-1]
        assert "import torch\n" in shown.source


def test_what_is_defined_anew_after_it_may_be_used(lesson):
    assert lesson(TOY.replace("print(number)", "more = 3\nprint(more)"))


def test_a_students_time_is_words_lines_and_exercises():
    card, later = cards()["position_waves"], cards()["longest_match"]
    text = Cell("markdown", "word " * 2000, 1)
    code = Cell("code", "x = 1\n\n" * 100, 2)
    exercise = Cell("code", "x = 1\n" * 1000, 3, name="exercise-position_waves")
    assert reading.time_of([text], []) == 10
    assert reading.time_of([text, code], []) == 15
    assert reading.time_of([text, code, exercise], [card]) == 15 + card.minutes
    assert reading.time_of([Cell("markdown", "word", 1)], []) == 5, "nothing takes no time"
    assert reading.time_sentence([text, exercise], [card]) == (
        f"**Your time:** about 20 minutes, {card.minutes} of them for the exercise.")
    text.tags = [reading.TAG]
    assert reading.time_of([text, code], [], later=True) == 10 and reading.time_of([text, code], []) == 5
    assert later.later and reading.time_of([text, code], [later]) == 5
    assert reading.time_of([text, code], [later], later=True) == 10 + later.minutes


def test_a_lesson_says_how_long_it_takes_and_so_does_the_map():
    from electra_tutorial.course.course_map import stops

    for stop in stops():
        text = (NOTEBOOKS / stop.file).read_text("utf-8")
        assert f"**Your time:** about {stop.time}" in text
        assert ("for a second reading" in text.split("**Running time")[0]) == (reading.TAG in text), stop.file
