"""How a run went: the exam and the losses with their trivial floors, live or afterwards, and the time-lapse of the probes."""
import time

import numpy as np

from electra_tutorial.errors import UserError
from electra_tutorial.views.picture import BLUE, GREEN, GREY, ORANGE, Picture, label_font, new_figure

EXAM = (
    ("exam_easy_auc", "easy: a random word (AUC)", BLUE, "o"),
    ("exam_medium_auc", "medium: a similar word (AUC)", ORANGE, "s"),
    ("exam_pairs", "hard: agreement pairs (accuracy)", GREEN, "^"),
)


def training_curves(history, title="Training"):
    """The exam on the left, both losses with their floors on the right, against tokens seen. A `Picture`.

    history: `Run.history`, a list of dicts, one an evaluation.
    """
    if not history:
        raise UserError("There is no evaluation in this history yet: train for some steps first.")
    figure = new_figure(11, 4.2)
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.4, 1, 1])
    draw_exam(left, history)
    draw_loss(middle, history, "mlm_loss", "mlm_loss_unigram", "Generator (MLM)", "knows only frequencies", ORANGE)
    draw_loss(right, history, "rtd_loss", "rtd_loss_floor", "Discriminator (RTD)", "says the same everywhere", BLUE)
    right.set_title("Discriminator (RTD)\nthe opponent improves too")
    figure.suptitle(title)
    return Picture(figure, f"{title}. " + exam_in_words(history))


def draw_exam(axes, history):
    tokens = [h["tokens_seen"] for h in history]
    for key, label, colour, marker in EXAM:
        axes.plot(tokens, column(history, key), color=colour, marker=marker, label=label)
    axes.axhline(0.5, color=GREY, linestyle="--", linewidth=1)
    axes.set_ylim(0.4, 1.01)
    axes.set_xlabel("tokens seen")
    axes.set_ylabel("score")
    axes.legend(fontsize=8)


def draw_loss(axes, history, key, floor, title, floor_label, colour):
    tokens = [h["tokens_seen"] for h in history]
    axes.plot(tokens, column(history, key), color=colour, marker="o")
    axes.plot(tokens, column(history, floor), color=GREY, linestyle="--", label=floor_label)
    axes.set_title(title)
    axes.set_xlabel("tokens seen")
    axes.set_ylabel("loss (nats)")
    axes.legend(fontsize=8)


def column(history, key):
    """One figure of every evaluation, nan where it was not taken: (number of evaluations,)."""
    return np.array([np.nan if h.get(key) is None else h[key] for h in history], dtype=float)


def exam_in_words(history):
    """The first and last exam as a sentence."""
    parts = [f"{label} from {first:.2f} to {last:.2f}" for key, label, _, _ in EXAM
             for first, last in [column(history, key)[[0, -1]]] if not np.isnan(last)]
    return f"The exam after {history[-1]['tokens_seen']:,} tokens: " + ", ".join(parts) + "; chance is 0.50."


def curves_of(runs, key="exam_medium_auc"):
    """One figure of several runs: runs, a list of (name, history). A `Picture`."""
    figure = new_figure(7, 4)
    axes = figure.subplots()
    for name, history in runs:
        axes.plot([h["tokens_seen"] for h in history], column(history, key), marker="o", label=name)
    axes.set_xlabel("tokens seen")
    axes.set_ylabel(key)
    axes.legend()
    return Picture(figure, f"{key} of {len(runs)} runs.")


def timelapse_figure(timelapse, sentence=0):
    """How suspicion of each piece of a probe sentence grew: pieces down, moments across. A `Picture`."""
    probe = timelapse["sentences"][sentence]
    moments = timelapse["moments"]
    grid = np.array([m["probabilities"][sentence] for m in moments]).T  # (T, moments)
    figure = new_figure(8, 0.28 * len(grid) + 1.6)
    axes = figure.subplots()
    image = axes.imshow(grid, aspect="auto", cmap="cividis", vmin=0, vmax=1)
    axes.set_yticks(range(len(grid)), probe["pieces"])
    label_font(axes.yaxis)
    axes.set_xticks(range(len(moments)), [m["step"] for m in moments], rotation=90)
    axes.set_xlabel("training step")
    figure.colorbar(image, ax=axes, label="P(replaced)")
    return Picture(figure, f"P(replaced) of each piece of {probe['text']!r} over {len(moments)} moments of training.")


class LiveCurves:
    """A `watch` for `pretrain`: in a notebook it draws the curves so far into one place; elsewhere it does nothing."""

    def __init__(self, title="Training"):
        self.title, self.handle = title, None
        self.line, self.told = None, 0.0

    def __call__(self, training):
        if not in_notebook():
            return
        from IPython.display import display
        picture = training_curves(training.history, self.title)
        if self.handle is None:
            self.handle = display(picture, display_id=True)
        else:
            self.handle.update(picture)

    def progress(self, training):
        """One line, about once a second: how far the run is, and how long it still takes."""
        last = training.step == training.total
        if not in_notebook() or (time.monotonic() - self.told < 1 and not last):
            return
        from IPython.display import HTML, display
        self.told = time.monotonic()
        left = training.seconds / training.step * (training.total - training.step)
        generator_loss, discriminator_loss = training.losses.tolist()
        line = HTML(
            f'<progress value="{training.step}" max="{training.total}" aria-label="training"></progress> '
            f"step {training.step:,} of {training.total:,}, {clock(training.seconds)} gone, {clock(left)} left; "
            f"training losses: MLM {generator_loss:.2f}, RTD {discriminator_loss:.3f}")
        if self.line is None:
            self.line = display(line, display_id=True)
        else:
            self.line.update(line)


def clock(seconds):
    """Seconds as minutes:seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def in_notebook():
    """Whether a page is there to draw on: an IPython kernel, not a terminal."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    shell = get_ipython()
    return shell is not None and hasattr(shell, "kernel")
