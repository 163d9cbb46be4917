"""my_electra.py: the functions that a student has written, kept beside the lessons, and what is made of them.

A function is kept there when its check passes, each in a section of its own with the imports it needs, so
that a damaged one spoils no other. The file is all that lessons know of each other's exercises, and all that
`progress` goes by: a restarted kernel finds it again.
"""
import dataclasses
import os
import re
import textwrap
from pathlib import Path

from electra_tutorial.course.exercise import verdict
from electra_tutorial.course.exercises import cards, find
from electra_tutorial.course.source import standalone
from electra_tutorial.errors import UserError
from electra_tutorial.objective import Objective

FILE = "my_electra.py"
DAMAGED = "my_electra.damaged.py"
HEAD = '"""Your parts of ELECTRA: what passed its check. `mine()` trains with them."""\n'
SECTION = re.compile(r"^# === (\w+) ===\n", re.M)

unwritten = {}  # name -> function: passed in this kernel, and could not be kept in the file


# --- keeping --------------------------------------------------------------------------------------

def keep(name, function):
    """Write a function that has passed into my_electra.py; return a sentence that says so, or why not."""
    unwritten[name] = function
    until = "Until the kernel is restarted it counts all the same."
    try:
        text = standalone(name, function)
        if why := verdict(find(name), define(name, text)):
            raise UserError(f"by itself, without your notebook, it does not pass ({one_line(why)})")
        said = write_section(name, text)
    except UserError as why:
        return f"{FILE} could not keep it: {why}. {until}"
    except OSError as error:
        return (f"{FILE} could not keep it, for it cannot be written beside this lesson ({error.strerror or error}): "
                f"make that possible and check again. {until}")
    del unwritten[name]
    return f"{FILE} keeps it.{said}"


def write_section(name, text):
    """Put one function's section into the file, in place of an older one. Returns what else is to be said."""
    path, said = Path(FILE), ""
    try:
        head, sections = read_sections(path)
    except UnicodeDecodeError:
        os.replace(path, DAMAGED)
        (head, sections), said = read_sections(path), f" The old one was damaged: it is {DAMAGED} now."
    sections[name] = text
    parts = [head, *(f"# === {name} ===\n{text.strip()}\n" for name, text in sections.items())]
    new = path.with_name(path.name + ".new")
    new.write_text("\n\n".join(parts), "utf-8")
    os.replace(new, path)
    return said


# --- reading --------------------------------------------------------------------------------------

def read_sections(path):
    """(what stands above the first section, {name: text}) of the file; where there is none, of a new one."""
    head, *rest = SECTION.split(path.read_text("utf-8") if path.exists() else HEAD)
    return head.strip() + "\n", dict(zip(rest[::2], rest[1::2], strict=True))


def one_line(why):
    """What a verdict says in several lines, as a part of a sentence."""
    return " ".join(why.split()).rstrip(".")


def define(name, text):
    """The function that a section defines. Raises UserError, saying why, if it defines none."""
    namespace = {"__name__": FILE.removesuffix(".py")}
    try:
        exec(compile(text, f"{FILE}, {name}", "exec"), namespace)
    except Exception as error:
        raise UserError(f"its source does not run ({type(error).__name__}: {error})") from None
    if name not in namespace:
        raise UserError("nothing in its section defines it")
    return namespace[name]


def yours():
    """{name: function} of the exercises done, and a sentence about each part of the file that is of no use."""
    done, problems = {}, []
    try:
        sections = read_sections(Path(FILE))[1]
    except (OSError, UnicodeDecodeError) as error:
        sections, problems = {}, [f"{FILE} cannot be read ({error}): the next right answer begins a new one."]
    for name in sections.keys() & cards().keys():
        try:
            function = define(name, sections[name])
            if why := verdict(find(name), function):
                raise UserError(one_line(why))
            done[name] = function
        except UserError as why:
            again = f"Check yours again in lesson {cards()[name].lesson:02}."
            problems.append(f"`{name}` in {FILE} is not used: {why}. {again}")
    return done | unwritten, problems


# --- what is made of it ---------------------------------------------------------------------------

def mine():
    """An `Objective` of your own functions, and of the reference's where you have none; prints whose is which."""
    done, problems = yours()
    steps = {field.name: field.default for field in dataclasses.fields(Objective)}
    objective = Objective(**{step: done.get(function.__name__, function) for step, function in steps.items()})
    names = [function.__name__ for function in steps.values()]
    say("Yours", [name for name in names if name in done])
    say("Reference", [name for name in names if name not in done])
    print(*problems, sep="\n", end="\n" if problems else "")
    return objective


def progress(lesson):
    """Print which exercises of a lesson, given by its number, are done and which are open."""
    done, problems = yours()
    names = [card.name for card in cards().values() if card.lesson == lesson]
    finished = [name for name in names if name in done]
    line = f"Lesson {lesson:02}: {len(finished)} of {len(names)} exercises done"
    line += f" ({', '.join(finished)})." if finished else "."
    if len(finished) < len(names):
        left = [name + " (for a second reading)" * cards()[name].later for name in names if name not in done]
        line += f" Open: {', '.join(left)}."
    lines = [textwrap.fill(line, 90, break_long_words=False)]  # JupyterLab would break it in the middle of a word
    if not Path(FILE).exists():
        lines.append(f"There is no {FILE} beside this lesson yet; if you moved the lesson, move that file too.")
    print(*lines, *problems, sep="\n")


def say(title, names):
    print(f"{title}: {', '.join(names) or 'none'}")
