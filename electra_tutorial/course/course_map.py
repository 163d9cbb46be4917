"""The map of the course: each lesson, what it builds, and how far you are. The README's table is woven from it."""
import json
import re
from dataclasses import dataclass
from html import escape

from electra_tutorial.course.exercises import cards
from electra_tutorial.course.weave import MINUTES, NOTEBOOKS, minutes_of

# Number, title, what it builds. The rest is measured, counted, estimated or looked for.
PLAN = (
    (0, "Start here", "the whole idea in one picture, with the model that comes with the course"),
    (1, "Text to tokens", "the corpus, a vocabulary of word pieces, rows, and the floor under every loss"),
    (2, "Attention", "one head by hand, softmax and scaling, several heads, masks"),
    (3, "The encoder", "embeddings, residual, norm, block, initialisation: equal to `transformers`"),
    (4, "The generator", "masked language model, sampling, positions, a training loop of your own"),
    (5, "Replaced token detection", "corrupt, label, discriminate, the joint loss, and five bugs that hide well"),
    (6, "Train your ELECTRA", "your parts put together and trained, with a live exam; stop and resume"),
    (7, "See replacements", "the explorer: type, mask, sample, replace, fool the detector"),
    (8, "See attention", "what each head looks at, and whether that explains anything"),
    (9, "Fine-tune", "sentiment and answering questions with your own model, against plain rivals"),
    (10, "Is it a GAN?", "the paper's comparisons, at equal tokens and at equal measured time"),
)
HEADS = ("", "lesson", "what you build", "exercises done", "your time", "all cells run in")
YOUR_TIME = re.compile(r"\*\*Your time:\*\* about (\d+ minutes)")  # as a lesson says it, see `reading`
CELL = "padding:3px 10px 3px 0;text-align:left;vertical-align:top;background-color:#ffffff;color:#111111;"
COMING = "being written"


@dataclass(frozen=True)
class Stop:
    """One lesson on the map. file: its notebook's name, "" while it is being written.

    time: a student's; minutes: of two cores.
    """

    number: int
    title: str
    builds: str
    file: str
    exercises: tuple
    time: str
    minutes: str


def stops(notebooks=NOTEBOOKS):
    """Every lesson of the plan as a `Stop`, with what is known of it now."""
    path = notebooks / MINUTES
    measured = json.loads(path.read_text("utf-8")) if path.exists() else {}
    found = []
    for number, title, builds in PLAN:
        file = next((one.name for one in sorted(notebooks.glob(f"{number:02}_*.ipynb"))), "")
        exercises = tuple(card.name for card in cards().values() if card.lesson == number) if file else ()
        cpu = measured.get(file.removesuffix(".ipynb"), {}).get("cpu")
        minutes = COMING if not file else "not yet measured" if cpu is None else minutes_of(cpu)
        time = YOUR_TIME.search((notebooks / file).read_text("utf-8")) if file else None
        found.append(Stop(number, title, builds, file, exercises, time[1] if time else "", minutes))
    return found


class CourseMap:
    """The map as HTML for a notebook and as text for a terminal. done: the names of the exercises done."""

    def __init__(self, stops, done):
        self.stops, self.done = stops, set(done)

    def rows(self):
        """The texts of each line of the table."""
        for stop in self.stops:
            done = len(self.done.intersection(stop.exercises))
            score = f"{done} of {len(stop.exercises)}" if stop.exercises else ""
            yield f"{stop.number:02}", stop.title, stop.builds.replace("`", ""), score, stop.time, stop.minutes

    def _repr_html_(self):
        head = "".join(f'<th scope="col" style="{CELL}">{escape(text)}</th>' for text in HEADS)
        lines = "".join(f"<tr>{self.line(stop, row)}</tr>" for stop, row in zip(self.stops, self.rows(), strict=True))
        return f'<table style="font-size:14px;border-collapse:collapse"><tr>{head}</tr>{lines}</table>'

    def line(self, stop, row):
        number, title, *rest = map(escape, row)
        title = f'<a href="{escape(stop.file)}" style="color:#0b57a4">{title}</a>' if stop.file else title
        return "".join(f'<td style="{CELL}">{text}</td>' for text in (number, title, *rest))

    def __repr__(self):
        return "\n".join(f"{number} {title}: {builds} ({', '.join(filter(None, rest))})"
                         for number, title, builds, *rest in self.rows())


def course_map():
    """The map, with the exercises that you have done: a `CourseMap`."""
    from electra_tutorial.course.mine import yours

    return CourseMap(stops(), yours()[0])


README_HEAD = "| # | lesson | what you build | your time | all cells run in, on two CPU cores |"


def readme_table(notebooks=NOTEBOOKS):
    """The same table for the README, without what is a student's own."""
    lines = [README_HEAD, "|---|---|---|---|---|"]
    for stop in stops(notebooks):
        title = f"[{stop.title}](notebooks/{stop.file})" if stop.file else stop.title
        lines.append(f"| {stop.number:02} | {title} | {stop.builds} | {stop.time} | {stop.minutes} |")
    return "\n".join(lines)


def with_table(readme, notebooks=NOTEBOOKS):
    """A README's text with the table as it should be; as it was, if it has none."""
    table = readme_table(notebooks) + "\n"
    return re.sub(rf"^{re.escape(README_HEAD)}\n(\|.*\n)*", lambda _: table, readme, flags=re.M)
