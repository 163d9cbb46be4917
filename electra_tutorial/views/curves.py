"""How a run went: the exam, and both losses beside what a trivial model gets.

The exam is the main curve, because it is the same for every model. The discriminator's own loss is a game
against an opponent that improves too, so it stands beside the loss of a detector that says the same of
every token. Functions take plain data, `Run.history`, and return a `Picture`.
"""
import itertools
import math
import time

import numpy as np

from electra_tutorial.errors import UserError
from electra_tutorial.views.picture import BLUE, GREEN, GREY, ORANGE, PURPLE, Picture, new_figure

# key of a history -> what it is, its axis, the score of chance (None: see FLOORS)
FIGURES = {
    "exam_easy_auc": ("easy: a random word", "word-level AUC", 0.5),
    "exam_medium_auc": ("medium: a word like it", "word-level AUC", 0.5),
    "exam_pairs": ("hard: minimal pairs", "share of pairs right", 0.5),
    "exam_easy_found": ("easy: found", "share of sentences", None),
    "exam_medium_found": ("medium: found", "share of sentences", None),
    "mlm_loss": ("generator", "MLM loss (nats a hidden token)", None),
    "rtd_loss": ("discriminator", "RTD loss (nats a token)", None),
    "rtd_auc": ("replaced tokens of its own game", "token-level AUC", 0.5),
    "rtd_average_precision": ("replaced tokens of its own game", "average precision", None),
    "rtd_recall": ("replaced tokens found at P > 0.5", "recall", None),
    "replaced_share": ("tokens replaced", "share of tokens", None),
}
FLOORS = {  # key of a history -> key of what a trivial model gets
    "mlm_loss": "mlm_loss_unigram", "rtd_loss": "rtd_loss_floor", "rtd_average_precision": "replaced_share",
}
EXAM = (("exam_easy_auc", BLUE, "o"), ("exam_medium_auc", ORANGE, "s"), ("exam_pairs", GREEN, "^"))
STYLES = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PURPLE, "D"), (GREY, "v"), ("#111111", "P"))


# --- one run ------------------------------------------------------------------------------------------------
def training_curves(history, title=None):
    """The exam on the left, both losses with their trivial floors on the right. A `Picture`.

    history: `Run.history`, a list of dicts, one an evaluation (see `Evaluation.run`). Raises `UserError` when
    there is none yet.
    """
    if not history:
        raise UserError("There is no evaluation to draw yet: train for some steps first.")
    figure = new_figure(9.6, 4.8)
    parts = [["exam", "generator"], ["exam", "discriminator"]]
    axes = figure.subplot_mosaic(parts, width_ratios=[1.25, 1])
    draw_exam(axes["exam"], history)
    draw_loss(axes["generator"], history, "mlm_loss", ORANGE, "baseline: guesses by frequency alone")
    draw_loss(axes["discriminator"], history, "rtd_loss", BLUE, "baseline: says the same of every token")
    axes["generator"].set(xlabel="", xticklabels=[])
    axes["generator"].set_title("Generator (MLM): loss in nats a hidden token", loc="left", fontsize=10)
    axes["discriminator"].set_title("Discriminator (RTD): loss in nats a token", loc="left", fontsize=10)
    if title:
        figure.suptitle(title)
    return Picture(figure, " ".join(filter(None, [title and f"{title}.", curves_in_words(history)])))


def draw_exam(axes, history):
    """The three parts of the exam, each with its last score, and the line of chance."""
    tokens, lowest = tokens_seen(history), 0.5
    for key, colour, marker in EXAM:
        values = column(history, key)
        if (there := np.isfinite(values)).any():
            label = f"{FIGURES[key][0]} {values[there][-1]:.2f}"
            axes.plot(tokens, values, color=colour, marker=marker, markersize=5, label=label)
            lowest = min(lowest, values[there].min())
    axes.axhline(0.5, color=GREY, linestyle="--", linewidth=1, label="chance 0.50")
    axes.set_ylim(min(0.25, lowest - 0.03), 1.0)  # room below chance, where nothing is drawn, for the names
    axes.legend(loc="lower right", frameon=False, fontsize=9, labelcolor="linecolor", labelspacing=0.2)
    axes.set_title("The exam: the same questions for every model", loc="left", fontsize=10)
    axes.set_ylabel("AUC; share of pairs right")
    token_axis(axes, tokens)


def draw_loss(axes, history, key, colour, baseline):
    """One loss, and what a trivial model would get. A high start is cut off, for it would press all else flat."""
    tokens, values, floor = tokens_seen(history), column(history, key), column(history, FLOORS[key])
    axes.plot(tokens, values, color=colour, marker="o", markersize=5)
    axes.plot(tokens, floor, color=GREY, linestyle="--", marker="_", linewidth=1, label=baseline)
    axes.legend(loc="upper right", frameon=False, fontsize=8, labelcolor=GREY, handlelength=1.2, borderaxespad=0.1)
    shown = np.concatenate([values[1:], floor]) if len(values) > 2 else np.concatenate([values, floor])
    low, high = np.nanmin(shown), np.nanmax(shown)
    room = max(0.35 * (high - low), 0.03 * high)  # the upper half of it for the legend
    axes.set_ylim(low - room / 2, high + room)
    if values[0] > high + room:
        axes.annotate(f"begins at {values[0]:.2g}", (0.14, 0.97), xycoords="axes fraction", va="top", fontsize=8,
                      color=colour)
    token_axis(axes, tokens)


def token_axis(axes, tokens):
    """An axis of tokens seen, in thousands or millions."""
    units = ((1e6, "million "), (1e3, "thousand "), (1, ""))
    unit, name = next(((unit, name) for unit, name in units if tokens[-1] >= unit), units[-1])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / unit:g}")
    axes.set_xlabel(f"{name}tokens seen")
    axes.set_xlim(-0.03 * max(tokens[-1], 1), 1.03 * max(tokens[-1], 1))
    axes.spines[["top", "right"]].set_visible(False)


def label_ends(axes, ends):
    """Write each curve's name beside its last point, moved apart where two would lie on one another."""
    low, high = axes.get_ylim()
    height, last = 0.06 * (high - low), -math.inf
    for value, label, colour in sorted(ends):
        last = max(value, last + height)
        score = "" if label == "chance" else f" {value:.2f}"
        axes.annotate(label + score, (1.01, last), xycoords=("axes fraction", "data"), va="center",
                      color=colour, fontsize=9, annotation_clip=False)


def tokens_seen(history):
    """Tokens seen at each evaluation: (number of evaluations,)."""
    return np.array([row["tokens_seen"] for row in history], dtype=float)


def column(history, key):
    """One figure at each evaluation, nan where it was not taken: (number of evaluations,)."""
    return np.array([np.nan if row.get(key) is None else row[key] for row in history], dtype=float)


def curves_in_words(history):
    """The first and the last exam, and the losses beside their floors, in sentences."""
    last = history[-1]
    exam = "; ".join(f"{FIGURES[key][0]} {start_and_end(history, key)}" for key, _, _ in EXAM
                     if last.get(key) is not None)
    losses = "; ".join(f"{FIGURES[key][1]} {start_and_end(history, key)}, baseline {last[FLOORS[key]]:.2f}"
                       for key in ("mlm_loss", "rtd_loss") if last.get(key) is not None)
    tokens = f"{int(last['tokens_seen']):,} tokens seen"
    return f"Exam over {tokens}: {exam or 'not taken'}; chance 0.50. {losses or 'Losses: not taken'}."


def start_and_end(history, key):
    """ "0.50 to 0.87", or one number where there is only one."""
    values = column(history, key)
    values = values[np.isfinite(values)]
    return f"{values[0]:.2f} to {values[-1]:.2f}" if len(values) > 1 else f"{values[-1]:.2f}"


# --- several runs -------------------------------------------------------------------------------------------
def curves_of(runs, key="exam_medium_auc", title=None):
    """One figure of several runs over tokens seen: runs, a list of (name, history). A `Picture`.

    key: any figure of a history, such as "exam_pairs" or "mlm_loss"; what a trivial model gets is drawn where
    it is known. Raises `UserError` for a key that no run has.
    """
    drawn = runs_with(key, runs)
    what, axis, chance = FIGURES.get(key, (key, key, None))
    figure = new_figure(8, 4.2)
    axes = figure.subplots()
    ends = []
    for (name, history), (colour, marker) in zip(drawn, itertools.cycle(STYLES)):
        values = column(history, key)
        axes.plot(tokens_seen(history), values, color=colour, marker=marker, markersize=5)
        ends.append((values[np.isfinite(values)][-1], name, colour))
    longest = max((history for _, history in drawn), key=lambda history: history[-1]["tokens_seen"])
    floor = column(longest, FLOORS[key]) if key in FLOORS else np.full(len(longest), chance or np.nan)
    axes.plot(tokens_seen(longest), floor, color=GREY, linestyle="--", linewidth=1)
    if np.isfinite(floor[-1]):
        ends.append((floor[-1], "baseline" if key in FLOORS else "chance", GREY))
    label_ends(axes, ends)
    token_axis(axes, tokens_seen(longest))
    axes.set_ylabel(axis)
    axes.set_title(title or what)
    words = "; ".join(f"{name} {start_and_end(history, key)}" for name, history in drawn)
    return Picture(figure, f"{title or what}, {axis} over tokens seen: {words}.")


def runs_with(key, runs):
    """The runs whose history has this figure. Raises `UserError` when none has."""
    drawn = [(name, history) for name, history in runs if np.isfinite(column(history, key)).any()]
    if not drawn:
        known = sorted({name for _, history in runs for row in history for name in row})
        raise UserError(f"No run has {key!r} to draw: choose from {', '.join(known) or 'nothing yet'}.")
    return drawn


# --- live ---------------------------------------------------------------------------------------------------
class LiveCurves:
    """A `watch` for `pretrain`: in a notebook it draws the curves so far, in one place; elsewhere nothing.

    Drawing takes at most `share` of the time since the run began (.03), the last picture included: in a short run
    it leaves moments out, but never the first and never the last. What the first takes longer than others does not
    count: it has the drawing library to load, and would keep a slow machine from drawing for minutes.
    draw(history, title) makes the picture.
    """

    def __init__(self, title=None, share=0.03, draw=training_curves):
        self.title, self.share, self.draw = title, share, draw
        self.handle, self.began, self.spent, self.dearest, self.first = None, None, 0.0, 0.0, None
        self.line, self.told = None, -math.inf
        self.on_a_page = in_notebook()
        if not self.on_a_page:
            self.progress = None  # so that the run shows its own bar

    def __call__(self, training):
        """Called by the run after each evaluation."""
        if not self.on_a_page:
            return
        now = time.monotonic()
        self.began = self.began or now
        loading = max(0.0, (self.first or 0.0) - self.dearest)
        foreseen = self.spent - loading + 2 * self.dearest  # this picture, and the last one
        if self.handle is None or self.ended(training) or foreseen <= self.share * (now - self.began):
            self.show(self.draw(training.history, self.title))
            took = time.monotonic() - now
            self.spent += took
            if self.first is None:
                self.first = took
            else:
                self.dearest = max(self.dearest, took)

    def ended(self, training):
        """Whether no further step will come."""
        return training.step >= training.total

    def progress(self, training):
        """Called by the run after each step, in place of its bar: about once a second one line of text.

        Text, not a widget: a notebook that is opened again still shows how far the run came.
        """
        if time.monotonic() - self.told < 1 and not self.ended(training):
            return
        from IPython.display import HTML, display

        self.told, words = time.monotonic(), HTML(progress_line(training))
        if self.line is None:
            self.line = display(words, display_id=True)
        else:
            self.line.update(words)
        self.spent += time.monotonic() - self.told

    def show(self, picture):
        """Draw into the place of the picture before."""
        from IPython.display import display  # only notebooks have it

        if self.handle is None:
            self.handle = display(picture, display_id=True)
        else:
            self.handle.update(picture)


def progress_line(training):
    """How far a run is, and how long it still takes, as HTML."""
    left = training.seconds / training.step * (training.total - training.step)
    generator_loss, discriminator_loss = training.losses.tolist()
    return (f'<progress value="{training.step}" max="{training.total}" aria-label="steps of the run"></progress> '
            f"step {training.step:,} of {training.total:,}; {clock(training.seconds)} gone, {clock(left)} left; "
            f"losses in training: MLM {generator_loss:.2f}, RTD {discriminator_loss:.3f}")


def clock(seconds):
    """Seconds as minutes:seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def in_notebook():
    """Whether there is a page to draw on: a kernel, not a terminal or a script."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return hasattr(get_ipython(), "kernel")
