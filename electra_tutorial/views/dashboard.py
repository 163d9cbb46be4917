"""Watch a run while its cell runs: the exam first, losses beside their baselines, and a button that stops it.

The button's press is heard in another thread, so it sets an event and does nothing else: the run sees the event after
its step, saves all, and ends as it does when the kernel is interrupted. It is heard while the cell runs where both
page and kernel know subshells (JupyterLab 4.4 and ipykernel 7, or newer); elsewhere only when the cell has ended, and
there the kernel's interrupt is the way. What stays in a saved notebook is a picture and a line of text; outside a
notebook the run shows its plain bar.
"""
import threading
import time

from electra_tutorial.errors import UserError
from electra_tutorial.views.curves import (
    FLOORS,
    LiveCurves,
    column,
    curves_in_words,
    draw_exam,
    draw_loss,
    progress_line,
    token_axis,
    tokens_seen,
)
from electra_tutorial.views.picture import BLUE, GREY, ORANGE, Picture, new_figure

PANELS = [["exam", "mlm_loss", "rtd_loss"], ["exam", "rtd_auc", "shares"]]


def dashboard_figure(history, title=None):
    """The exam large; beside it both losses, the detector's AUC, its recall and the share of fakes. A `Picture`.

    history: `Run.history`. Raises `UserError` when there is none yet.
    """
    if not history:
        raise UserError("There is no evaluation to draw yet: train for some steps first.")
    figure = new_figure(10.6, 4.7)
    axes = figure.subplot_mosaic(PANELS, width_ratios=[1.5, 1, 1])
    draw_exam(axes["exam"], history)
    draw_loss(axes["mlm_loss"], history, "mlm_loss", ORANGE, "baseline")
    draw_loss(axes["rtd_loss"], history, "rtd_loss", BLUE, "baseline")
    draw_shares(axes["rtd_auc"], history, (("rtd_auc", BLUE, "o", "AUC"), (0.5, GREY, "", "baseline")))
    draw_shares(axes["shares"], history, (("rtd_recall", BLUE, "o", "fakes found (recall)"),
                                          ("replaced_share", ORANGE, "s", "tokens replaced")))
    titles = {"mlm_loss": "Generator: loss (MLM)", "rtd_loss": "Discriminator: loss (RTD)",
              "rtd_auc": "Discriminator: AUC in its own game", "shares": "Shares in its own game"}
    for name, words in titles.items():
        axes[name].set_title(words, loc="left", fontsize=9)
        axes[name].tick_params(labelsize=8)
        axes[name].set_xlabel("")
    if title:
        figure.suptitle(title, fontsize=11)
    return Picture(figure, in_words(history, title))


def draw_shares(axes, history, curves):
    """Curves on one axis from 0 to 1: (key of the history or a constant, colour, marker, name)."""
    tokens = tokens_seen(history)
    for key, colour, marker, name in curves:
        if isinstance(key, float):
            axes.axhline(key, color=colour, linestyle="--", linewidth=1, label=name)
            continue
        axes.plot(tokens, column(history, key), color=colour, marker=marker, markersize=4,
                  label=f"{name} {column(history, key)[-1]:.2f}")
    axes.set_ylim(0, 1.02)
    axes.legend(loc="best", frameon=False, fontsize=8, labelcolor="linecolor", handlelength=1.2)
    token_axis(axes, tokens)


def in_words(history, title):
    """The alt text: the curves in words, and how the detector stands in the game against its generator."""
    last = history[-1]
    game = (f"In its own game: AUC {last['rtd_auc']:.2f}, of the fakes {last['rtd_recall']:.0%} found at P > 0.5, "
            f"{last[FLOORS['rtd_average_precision']]:.1%} of the tokens replaced.")
    return " ".join(filter(None, [title and f"{title}.", curves_in_words(history), game]))


def heard_where_addressed(widget):
    """Have what the page says to a widget heard in the thread that the page names, while the cell still runs.

    JupyterLab names a thread of its own (a subshell). ipykernel 7.4 sends it to where the widget last spoke from
    instead, which is the running cell, so that it waits for the cell's end. Where there is no such way round, this
    changes nothing.
    """
    widget.comm._reply_subshell_for = lambda data, addressed: addressed


class Dashboard(LiveCurves):
    """A `watch` for `pretrain(..., watch=dashboard, stop=dashboard.stop)` with a button that stops the run.

    `stop` is a `threading.Event`; the button sets it. `cost()` is the share of the run's time that watching took.
    """

    def __init__(self, title=None, share=0.03):
        super().__init__(title, share, dashboard_figure)
        self.stop, self.button, self.place = threading.Event(), None, None

    def ended(self, training):
        return super().ended(training) or self.stop.is_set()

    def __call__(self, training):
        """Called by the run after each evaluation."""
        if not self.on_a_page:
            return
        self.open(training)
        super().__call__(training)
        if self.ended(training):
            self.close(training)

    def progress(self, training):
        """Called by the run after each step."""
        self.open(training)
        super().progress(training)

    def open(self, training):
        """Put the button on the page, once, and above it how far the run is."""
        if self.place is not None:
            return
        from IPython.display import display
        from ipywidgets import Button

        started = time.monotonic()
        self.began = self.began or started
        if training.step:
            LiveCurves.progress(self, training)
        self.button = Button(description="Stop and save", tooltip="Ends the run after the step under way")
        self.button.on_click(lambda button: self.stop.set())  # in whatever thread: nothing else may happen here
        heard_where_addressed(self.button)
        page = self.button._repr_mimebundle_() | {"text/html": "<p>(A button to stop the run stood here.)</p>"}
        self.place = display(page, raw=True, display_id=True)
        self.spent += time.monotonic() - started

    def close(self, training):
        """Take the button off the page and say how the run ended, so that a saved notebook holds no dead widget."""
        from IPython.display import HTML

        if self.button is None:
            return
        if self.line is not None:
            self.line.update(HTML(progress_line(training)))  # it may be a second old
        done = training.step >= training.total
        words = "The run is finished." if done else f"Stopped after step {training.step:,}; all of it is saved."
        self.place.update(HTML(f"<p>{words}</p>"))
        self.button.close()
        self.button = None

    def cost(self):
        """The share of the time since the run began that drawing and telling took."""
        return self.spent / max(time.monotonic() - self.began, 1e-9) if self.began else 0.0
