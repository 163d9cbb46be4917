"""Tasks to fine-tune on: labelled text, made from archives that set-up has fetched, or read from a file of yours.

    sentiment    snippets of film reviews, rated by people: thumbs up or down?

A task is three lists of examples that share no sentence template (`corpus.template`): to train on, to choose with
(when to stop, which setting), and to judge with, once.
"""
import csv
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from electra_tutorial import corpus, sources
from electra_tutorial.errors import UserError

CLEAR = 0.5  # a mean rating nearer to 0 than this, on the scale from -4 to 4, is no clear opinion
TEST_SHARE, VALID_SHARE = 0.15, 0.10
SENTIMENT = ("negative", "positive")


@dataclass(frozen=True)
class Labelled:
    """A text and the number of its class."""

    text: str
    label: int


@dataclass(frozen=True)
class Task:
    """Examples to train on, to choose with and to judge with; `other` comes from a source never trained on."""

    name: str
    classes: tuple
    train: list
    valid: list
    test: list
    other: list = field(default_factory=list)


# --- reading and dividing -----------------------------------------------------------------------------------
def member_text(name, from_dir=None):
    """The text of a member that `sources.toml` names, its archive fetched if it is not there."""
    for source in sources.load_sources():
        for member in source.members:
            if member.name == name:
                return sources.read_member(sources.fetch(source, from_dir), member.path).decode("utf-8")
    raise UserError(f"sources.toml lists no {name!r}: restore it with `git checkout data/sources.toml`.")


def divide(examples, text_of, test=TEST_SHARE, valid=VALID_SHARE):
    """(train, valid, test), each in order; the hash of a text's template decides, so near-twins stay together."""
    sides = [], [], []
    for example in examples:
        place = corpus.hash_share(corpus.template(text_of(example)))
        sides[2 if place < test else 1 if place < test + valid else 0].append(example)
    return sides


# --- sentiment ----------------------------------------------------------------------------------------------
def load_sentiment(from_dir=None):
    """Film-review snippets as a `Task`: negative 0, positive 1. `other`: sentences about goods sold by a shop.

    Each has the mean of the ratings of some 15 people (Hutto and Gilbert 2014, ICWSM). Those near 0 are left out,
    and so are crude ones. Raises `UserError` if the archive cannot be had.
    """
    films, goods = (clean_ratings(member_text(name, from_dir)) for name in ("movie-snippets", "amazon-snippets"))
    return Task("sentiment", SENTIMENT, *divide(films, lambda example: example.text), goods)


def clean_ratings(table):
    """The clear examples of a table of id, mean rating, text: a list of `Labelled`, each text once."""
    found = {}
    for line in table.splitlines():
        _, rating, text = line.split("\t", 2)
        text = clean_snippet(text)
        if text and abs(float(rating)) > CLEAR:
            found.setdefault(text, Labelled(text, int(float(rating) > 0)))
    return [found[text] for text in corpus.fit_for_classrooms(found, corpus.left_out_words())]


def clean_snippet(text):
    """A snippet as people write: '' is a quotation mark, and a wide gap was a dash."""
    text = text.translate(corpus.PLAIN).replace("''", '"').strip()
    return re.sub(" +", " ", re.sub("(?<=[A-Za-z,;:)\"']) {3,}(?=[A-Za-z(\"'])", " - ", text))


# --- a task of your own -------------------------------------------------------------------------------------
def read_task(path, text="text", label="label", classes=None):
    """A `Task` from a table with a header line: .csv with commas, any other name with tabs.

    text, label: the names of its columns. classes: the labels allowed, in order; else all that stand there.
    Raises `UserError`, naming the line, for a column or file that is not there, an empty text, an unknown label,
    and a table in which all have one label.
    """
    rows = read_table(path, (text, label))
    for number, row in rows:
        if missing := [name for name in (text, label) if not row[name]]:
            raise UserError(f"Line {number} of {path} has no {missing[0]}: fill it in, or take the line out.")
    classes = tuple(classes or sorted({row[label] for _, row in rows}))
    if len(classes) < 2:
        raise UserError(f"All {len(rows)} examples of {path} are {classes[0]!r}: a classifier needs two classes.")
    examples = []
    for number, row in rows:
        if row[label] not in classes:
            raise UserError(f"Line {number} of {path} has the label {row[label]!r}: use one of {', '.join(classes)}.")
        examples.append(Labelled(row[text], classes.index(row[label])))
    return check_sides(Task(Path(path).stem, classes, *divide(examples, lambda example: example.text)))


def read_table(path, columns):
    """[(line number, {column: text})] of a table with a header. Raises `UserError` when it is not one."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no file {path}: give a table with a header line and the columns "
                        f"{' and '.join(columns)}.")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="," if path.suffix == ".csv" else "\t")
            found = list(reader.fieldnames or [])
            for column in columns:
                if column not in found:
                    raise UserError(f"{path} has no column {column!r}: name one that its header has, "
                                    f"{', '.join(found) or 'and it has none'}.")
            rows = [(reader.line_num, {name: (row[name] or "").strip() for name in columns}) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a table ({error}): save it as UTF-8 text.") from None
    if not rows:
        raise UserError(f"{path} has a header and no example: write one a line.")
    return rows


def check_sides(task):
    """The same task, if its sides can be trained on and judged with; else a `UserError`."""
    for side in ("train", "valid", "test"):
        if len({example.label for example in getattr(task, side)}) < 2:
            raise UserError(f"{task.name} has too few examples: of the {len(getattr(task, side))} that fall on the "
                            f"side {side!r} none or all are of one class. Give some hundred.")
    return task


def first(task, examples, seed=0):
    """The same task with only so many examples to train on, drawn by the seed; the other sides stay as they are."""
    import random

    if examples is None or examples >= len(task.train):
        return task
    return replace(task, train=random.Random(seed).sample(task.train, examples))
