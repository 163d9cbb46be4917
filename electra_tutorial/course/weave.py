"""Lessons woven from their sources: notebooks/source/*.py -> notebooks/*.ipynb.

A source is a plain script in the percent format: `# %%` begins a code cell, `# %% [markdown]` a cell of text.
It runs and lints as it stands. Where a lesson shows code of the package, the source imports it,

    from electra_tutorial.training import train_step  # weave: show

alone in its cell, and the notebook gets the definition's own source instead, with the imports it needs: what
students read is what runs. With `# weave: exercise` it gets four cells: what to do, a stub, its check, and
folded a hint and the solution; `exercises/` holds what they say. In a cell of text `<!-- weave: minutes -->`
becomes a student's time and the measured time of the cells, and `<!-- weave: second reading -->` after a heading
folds that section (see `reading`). A first code cell says so when the kernel does not know this package.
The same sources give the same bytes, so a test compares them with what is committed.
"""
import hashlib
import json
import os
import re
import symtable
from dataclasses import dataclass, field
from pathlib import Path

from electra_tutorial.course.definitions import free_names, import_lines, names_bound, read_module
from electra_tutorial.course.exercises import cards
from electra_tutorial.course.reading import TAG, mark_second_reading, time_sentence, waits
from electra_tutorial.errors import UserError

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
GLOSSARY = "glossary.md"  # beside the notebooks, and beside every copy of them
MINUTES = "minutes.json"  # beside the notebooks, from `notebooks --time`: {lesson: {"cpu": 11.2, "gpu": 3.4}}
MINUTES_HERE = "<!-- weave: minutes -->"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
CELL = re.compile(r"# %%(?P<markdown> \[markdown\])?(?: tags=(?P<tags>\[.*\]))?")
FIRST = '''from importlib.util import find_spec

assert find_spec("electra_tutorial"), "This kernel is not the course's: open the lesson with `make lab`."'''
KIT_NOTE = """This copy of the lesson comes without hints and solutions. The package still holds the answers: every
exercise is a function of `electra_tutorial`, and `check` compares yours with it."""
CHECK = """from electra_tutorial.course.check import check

check("{name}")"""  # with its import: it works by itself after a restart
WOVEN_IMPORT = re.compile(
    r"from (?P<module>electra_tutorial[\w.]*) import (?P<names>\w+(?:, \w+)*)  # weave: (?P<what>\w+)")


@dataclass
class Cell:
    """One cell. kind: "code" or "markdown"; line: where it begins in the source; name: for a readable id."""

    kind: str
    text: str
    line: int
    tags: list = field(default_factory=list)
    name: str = ""
    metadata: dict = field(default_factory=dict)


def weave_all(check=False, notebooks=NOTEBOOKS):
    """Weave every lesson, and the README's table of them; return the paths of what was not as it should be.

    check=True writes nothing. Raises UserError, naming lesson and line, for a source that cannot be woven.
    """
    notebooks, stale = Path(notebooks), []
    sources = sorted((notebooks / "source").glob("[0-9]*.py"))
    if not sources:
        raise UserError(f"There are no lessons in {notebooks / 'source'}: run this in a clone of the course.")
    for source in sources:
        text, target = weave(source), notebooks / f"{source.stem}.ipynb"
        if not target.exists() or target.read_bytes() != text.encode():
            stale.append(target)
            if not check:
                write_whole(target, text)
    return stale + weave_readme(check, notebooks)


def weave_readme(check, notebooks):
    """Bring the table of lessons in the README above up to date; return [its path] if it was not."""
    from electra_tutorial.course.course_map import with_table  # which reads what is woven here

    path = notebooks.parent / "README.md"
    text = path.read_text("utf-8") if path.exists() else ""
    if text == (latest := with_table(text, notebooks)):
        return []
    if not check:
        write_whole(path, latest)
    return [path]


def weave_kit(folder, notebooks=NOTEBOOKS):
    """Write every lesson without hints and solutions into a new folder, and the glossary; return the paths.

    Raises UserError for a folder that has something in it.
    """
    folder, written = empty_folder(folder), []
    for source in sorted((Path(notebooks) / "source").glob("[0-9]*.py")):
        written.append(folder / f"{source.stem}.ipynb")
        write_whole(written[-1], weave(source, kit=True))
    if (glossary := Path(notebooks) / GLOSSARY).exists():
        written.append(folder / GLOSSARY)
        write_whole(written[-1], glossary.read_text("utf-8"))
    return written


def empty_folder(folder):
    """A folder that is there and has nothing in it. Raises UserError for one that holds something."""
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty, and nothing in it should be written over: name a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def weave(source, kit=False):
    """The text of the notebook that one source makes; a kit's has no hints and solutions. Raises UserError."""
    source = Path(source)
    read, cells, bound, later = read_cells(source.read_text("utf-8"), source.stem), [], set(), set()
    mark_second_reading(read, source.stem)
    for cell in read:
        where, waits = f"Lesson {source.stem}, line {cell.line}", TAG in cell.tags
        woven = weave_code(cell, bound | later if waits else bound, where) if cell.kind == "code" else [cell]
        for one in woven:
            names, one.tags = names_of(one, where), one.tags + [TAG] * (waits and one is not cell)
            refuse_names(one, set() if waits else later - names, where)
            later = later | names if waits else later - names
            bound |= set() if waits else names
        cells += woven
    cells = with_times(with_first(cells), source)
    return notebook_text(without_answers(cells) if kit else cells)


def refuse_names(cell, names, where):
    """Raises UserError for a cell that uses one of these names, to which the second reading gave a value last."""
    if cell.kind == "code" and (lost := free_names(symtable.symtable(cell.text, where, "exec")) & names):
        raise UserError(f"{where}: {', '.join(sorted(lost))} gets its value in a section for a second reading, which "
                        "may not be read before this: define it here, or take the mark from that section.")


def with_times(cells, source):
    """The cells, with how long they take a student, and this computer, where the lesson says so."""
    own = [card for card in cards().values() if any(cell.name == f"exercise-{card.name}" for cell in cells)]
    for card in own:
        if waits(card, cells) != card.later:
            raise UserError(f"Lesson {Path(source).stem}: the card of {card.name} says later={card.later}, and the "
                            "section that it stands in says otherwise: change one of the two.")
    said = f"{time_sentence(cells, own)} {minutes_sentence(source)}"
    for cell in cells:
        cell.text = cell.text.replace(MINUTES_HERE, said)
    return cells


def with_first(cells):
    """The cells, and before the first that needs this package one that says so where it is missing."""
    for number, cell in enumerate(cells):
        if cell.kind == "code" and "electra_tutorial" in cell.text:
            return [*cells[:number], Cell("code", FIRST, cell.line, name="kernel"), *cells[number:]]
    return cells


def without_answers(cells):
    """The cells without hints and solutions, and after the first one that says where the answers are."""
    kept = [cell for cell in cells if not (cell.name.startswith("exercise-") and cell.name.endswith("-help"))]
    note = Cell("markdown", KIT_NOTE, 0, name="kit")
    return kept[:1] + [note] * (len(kept) < len(cells)) + kept[1:]


def names_of(cell, where):
    """The names to which a cell gives a value; none, for a cell of text."""
    try:
        return names_bound(cell.text) if cell.kind == "code" else set()
    except SyntaxError as error:
        raise UserError(f"{where}: line {error.lineno} of this cell: {error.msg}.") from None


# --- reading a source ---------------------------------------------------------------------------------

def read_cells(text, lesson):
    """The cells of a source in order. Comments above the first cell are for its editors and are left out."""
    cells = []
    for number, line in enumerate(text.splitlines(), 1):
        where = f"Lesson {lesson}, line {number}"
        if line.startswith("# %%"):
            cells.append(begin_cell(line, number, where))
        elif cells:
            cells[-1].text += (line if cells[-1].kind == "code" else uncommented(line, where)) + "\n"
        elif line.strip() and not line.startswith("#"):
            raise UserError(f"{where}: code stands above the first cell: put '# %%' before it.")
    for cell in cells:
        cell.text = cell.text.strip("\n")
        if not cell.text:
            raise UserError(f"Lesson {lesson}, line {cell.line}: this cell is empty: fill it or take it out.")
    return cells


def begin_cell(line, number, where):
    """The cell that a line such as `# %% [markdown]` begins."""
    begin = CELL.fullmatch(line.rstrip())
    if not begin:
        raise UserError(f"{where}: {line!r} begins no cell: write '# %%' or '# %% [markdown]', and behind it "
                        'tags=["..."] if there are any.')
    return Cell("markdown" if begin["markdown"] else "code", "", number, json.loads(begin["tags"] or "[]"))


def uncommented(line, where):
    """A line of a cell of text without its comment sign."""
    if line.startswith("# ") or line.rstrip() in ("#", ""):
        return line[2:].rstrip()
    raise UserError(f"{where}: {line!r} stands in a cell of text: begin it with '# ', or end the cell.")


# --- weaving a cell -----------------------------------------------------------------------------------

def weave_code(cell, bound, where):
    """The cells that the notebook has for a code cell. bound: the names that earlier cells gave a value."""
    if "# weave:" not in cell.text:
        return [cell]
    found = WOVEN_IMPORT.fullmatch(cell.text)
    if not found:
        raise UserError(f"{where}: this cell cannot be woven: 'from electra_tutorial.module import name  "
                        "# weave: show' must stand alone in it, on one line.")
    if found["what"] not in WEAVERS:
        raise UserError(f"{where}: 'weave: {found['what']}' is not known: use one of {', '.join(WEAVERS)}.")
    module = read_module(found["module"], where)
    return WEAVERS[found["what"]](cell, module, found["names"].split(", "), bound)


def show(cell, module, names, bound):
    """A cell with the definitions' own source, which the student runs and may change."""
    needed = set().union(*(module.needs(name) for name in names)) - bound - set(names)
    imports = import_lines([module.importing(name) for name in needed])
    parts = ([imports] if imports else []) + [module.source(name) for name in names]
    cell.text = "\n\n\n".join(parts)
    cell.name = "-".join(["show", *names])
    return [cell]


def exercise(cell, module, names, bound):
    """What to do, a stub, its check, and folded a hint and the solution: the cells of an exercise."""
    name, where = names[0], module.where
    module.find(name)
    if len(names) > 1 or name not in cards() or module.name != f"electra_tutorial.{cards()[name].module}":
        raise UserError(f"{where}: {', '.join(names)} of {module.name} is no exercise: set it in "
                        f"course/exercises/{module.name.split('.')[-1]}.py, and weave one a cell.")
    if not where.startswith(f"Lesson {cards()[name].lesson:02}_"):
        raise UserError(f"{where}: {name} is set for lesson {cards()[name].lesson:02}: weave it there, or change "
                        "its card.")
    if lost := sorted(module.needs(name) - bound):
        raise UserError(f"{where}: the solution of {name} uses {', '.join(lost)}: import that in an earlier cell "
                        "of the lesson, for a student's cell may not run.")
    card, solution = cards()[name], module.source(name)
    texts = {"task": card.text, "": module.stub(name), "check": CHECK.format(name=name),
             "help": f"{folded('A hint', card.hint)}\n\n{folded('A solution', python(solution))}"}
    made = [Cell("markdown" if part in ("task", "help") else "code", text, cell.line,
                 name=f"exercise-{name}-{part}".strip("-")) for part, text in texts.items()]
    made[1].tags = ["raises-exception"]  # a student's error ends no "Run All"
    return made


def python(code):
    return f"```python\n{code}\n```"


def folded(title, text):
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


WEAVERS = {"show": show, "exercise": exercise}


def minutes_sentence(source):
    """How long the lesson runs, as measured; "not yet measured" where nobody has."""
    path = source.parents[1] / MINUTES
    measured = json.loads(path.read_text("utf-8")).get(source.stem, {}) if path.exists() else {}
    said = [f"{minutes_of(measured[kind])} on {where}" if kind in measured else f"on {where} not yet measured"
            for kind, where in (("cpu", "two CPU cores"), ("gpu", "a GPU"))]
    return f"**Running time of all cells:** {'; '.join(said)}."


def minutes_of(number):
    """Minutes in words, rounded."""
    return "under a minute" if number < 0.95 else f"{number:.0f} minute{'s' * (round(number) != 1)}"


# --- writing a notebook -------------------------------------------------------------------------------

def notebook_text(cells):
    """The notebook as text: clean of outputs, the same bytes for the same cells."""
    used, written = set(), []
    for cell in cells:
        data = {"cell_type": cell.kind, "id": cell_id(cell, used),
                "source": cell.text.splitlines(keepends=True),
                "metadata": cell.metadata | ({"tags": cell.tags} if cell.tags else {})}
        written.append(data | ({"execution_count": None, "outputs": []} if cell.kind == "code" else {}))
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    notebook = {"cells": written, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def cell_id(cell, used):
    """An id from what the cell says, so that editing one cell changes no other's. Adds it to `used`."""
    digest = hashlib.sha256(f"{cell.kind}\n{cell.text}".encode()).hexdigest()[:12]
    wanted = cell.name[:60] or digest
    name, number = wanted, 1
    while name in used:
        number += 1
        name = f"{wanted}-{number}"
    used.add(name)
    return name


def write_whole(path, text):
    """Write a file beside its place and move it there: the old one or the new one, never half of it."""
    new = path.with_name(path.name + ".new")
    new.write_bytes(text.encode())
    os.replace(new, path)
