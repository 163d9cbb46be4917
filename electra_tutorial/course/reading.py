"""How long a lesson takes a student, and which of its sections can wait.

A section whose heading says `<!-- weave: second reading -->` is for a second reading: JupyterLab shows it folded
until somebody opens it, and its cells carry the tag "second-reading". It runs with the rest, and nothing after it
may need what it defines. The time is an estimate, by the rates below and the minutes on the cards of the exercises.
"""
import re

from electra_tutorial.errors import UserError

MARK = "<!-- weave: second reading -->"
TAG = "second-reading"
FOLDED = {"jp-MarkdownHeadingCollapsed": True}  # how JupyterLab notes that what stands under a heading is not shown
HEADING = re.compile(r"^(##+) ", re.M)
WORDS_A_MINUTE = 200  # of a lesson's text, with its questions and their answers
LINES_A_MINUTE = 20  # of its code
ROUND_TO = 5  # minutes


def mark_second_reading(cells, lesson):
    """Give the cells of each section for a second reading the tag; its heading says so, and is folded.

    Raises UserError, naming lesson and line, where such a section does not begin or end with a cell.
    """
    depth = 0  # of the heading that we are under, if that section can wait
    for cell in cells:
        found = list(HEADING.finditer(cell.text)) if cell.kind == "markdown" else []
        levels, marked = [len(heading[1]) for heading in found], MARK in cell.text
        ends = depth and min(levels, default=7) <= depth
        if (marked or ends) and (not found or found[0].start() or marked and min(levels[1:], default=7) <= levels[0]):
            raise UserError(f"Lesson {lesson}, line {cell.line}: a section for a second reading is folded with its "
                            "heading: begin a cell with that heading, and another with the one that follows.")
        if ends:
            depth = 0
        if marked:
            depth = levels[0]
            cell.text = cell.text.replace(f" {MARK}", " *(second reading)*", 1)
            cell.metadata |= FOLDED
        if depth:
            cell.tags.append(TAG)


def time_sentence(cells, cards):
    """A student's time for a lesson, in words. cells: all of the lesson's; cards: those of its exercises."""
    first, second = (time_of(cells, cards, later) for later in (False, True))
    now = [card.minutes for card in cards if not card.later]
    said = f"**Your time:** about {first} minutes"
    if now:
        said += f", {sum(now)} of them for the {f'{len(now)} exercises' if len(now) > 1 else 'exercise'}"
    if second:
        said += (f". What is for a second reading (about {second} minutes more) is folded in JupyterLab: the key ↓ "
                 "passes it by, and a click on *cells hidden* opens it. Nothing else needs it")
    return f"{said}."


def time_of(cells, cards, later=False):
    """Minutes for what must be read now, or for what can wait, to the nearest five."""
    words = lines = 0
    for cell in cells:
        if (TAG in cell.tags) == later and not cell.name.startswith("exercise-"):
            words += len(cell.text.split()) * (cell.kind == "markdown")
            lines += sum(map(bool, cell.text.splitlines())) * (cell.kind == "code")
    exercises = sum(card.minutes for card in cards if card.later == later)
    exact = words / WORDS_A_MINUTE + lines / LINES_A_MINUTE + exercises
    return max(ROUND_TO, ROUND_TO * round(exact / ROUND_TO)) if exact else 0


def waits(card, cells):
    """True for an exercise that stands in a section for a second reading."""
    return any(cell.name == f"exercise-{card.name}" and TAG in cell.tags for cell in cells)
