"""The exercises. One file for each module of the package that they are taken from, under the same name:
`corrupt` of `electra_tutorial/objective.py` is set in `exercises/objective.py`, and nowhere else."""
import ast
import importlib
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from electra_tutorial.errors import UserError

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Card:
    """What a lesson says about an exercise. `module`: where it is taken from, and where it is set."""

    name: str
    module: str
    lesson: int
    difficulty: int
    minutes: int
    task: str
    hint: str
    later: bool = False  # it stands in a section for a second reading

    @property
    def text(self):
        dots = "●" * self.difficulty + "○" * (3 - self.difficulty)
        return f"**Exercise: `{self.name}`** · {dots} · about {self.minutes} minutes\n\n{self.task}"


@cache
def cards():
    """{name: `Card`} of every exercise. The files are read as text: this does not wait for PyTorch."""
    found = {}
    for path in sorted(FOLDER.glob("[a-z]*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if is_exercise(node):
                card = read_card(node, path)
                if card.name in found:
                    raise UserError(f"There are two exercises {card.name!r}: `check` must know which, rename one.")
                found[card.name] = card
    return found


def is_exercise(node):
    return isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and \
        isinstance(node.value.func, ast.Name) and node.value.func.id == "Exercise"


def read_card(node, path):
    """The card of a statement `name = Exercise(module.name, lesson=5, ...)`. Raises UserError for half a one."""
    name = node.targets[0].id
    said = {one.arg: one.value for one in node.value.keywords if one.arg in Card.__dataclass_fields__}
    try:
        said = {key: ast.literal_eval(value) for key, value in said.items()}
        texts = {key: textwrap.dedent(said.pop(key)).strip() for key in ("task", "hint")}
        return Card(name, path.stem, **said, **texts)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"The exercise {name!r} in {path.name} has no complete card ({error}): give it lesson, "
                        "difficulty, minutes, task and hint, each written out.") from None


def find(name):
    """The `Exercise` of that name. Raises UserError if there is none."""
    if name not in cards():
        raise UserError(f"There is no exercise {name!r}: there are {', '.join(cards())}.")
    module = importlib.import_module(f"electra_tutorial.course.exercises.{cards()[name].module}")
    return getattr(module, name)
