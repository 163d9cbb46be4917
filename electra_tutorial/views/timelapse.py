"""The time-lapse of a run: how suspicion of each piece of a probe sentence grew, beside the exam at that moment.

All moments go to the page at once, so the slider and the play button work without a kernel. The static twin
shows all moments side by side: pieces down, moments across, and the exam below on the same axis.
"""
from pathlib import Path

import numpy as np
import traitlets

from electra_tutorial.checkpoint import model_folder, read_json
from electra_tutorial.errors import UserError
from electra_tutorial.judgement import base_rate_of, find_model
from electra_tutorial.views.columns import log_odds_above, percent
from electra_tutorial.views.curves import (
    EXAM,
    FIGURES,
    FULL,
    SUSPICION,
    column,
    label_pieces,
    logit,
    probe_number,
    timelapse_in_words,
    tokens_seen,
)
from electra_tutorial.views.live import STYLE, Live, Said, front_end
from electra_tutorial.views.picture import GREY, Picture, new_figure
from electra_tutorial.views.strip import scale, shade


class Timelapse(Live):
    """The live view of one run's time-lapse."""

    _esm = front_end("timelapse")
    _css = STYLE
    film = traitlets.Dict().tag(sync=True)  # every moment of every sentence, sent once
    sentence = traitlets.Int(0).tag(sync=True)  # which sentence is shown; the page may change it

    def __init__(self, timelapse, history, base_rate, sentence):
        self.source = timelapse, history, base_rate
        super().__init__(film=film_of(timelapse, history, base_rate), sentence=probe_number(timelapse, sentence))
        self.observe(lambda change: self.refresh(), "sentence")

    def static(self):
        timelapse, history, base_rate = self.source
        return timelapse_and_exam(timelapse, history, self.sentence, base_rate)._repr_html_()


def timelapse_view(run=None, sentence=1):
    """The time-lapse of a run, live: a `Timelapse`, or a sentence that says why there is none.

    run: a `Run`, a run folder, or None for the mini ELECTRA that comes with the course; sentence: the number of
    a probe sentence, or its text.
    """
    try:
        return Timelapse(*recorded(run), sentence)
    except UserError as why:
        return Said(str(why))


def recorded(run):
    """(time-lapse, history, base rate) of a run. Raises `UserError` when it recorded none."""
    if hasattr(run, "timelapse"):
        return run.timelapse, run.history, base_rate_of(run.electra, run.metrics)
    folder = model_folder(run)
    if not (folder / "timelapse.json").is_file():
        raise UserError(f"The run {Path(folder).name} recorded no time-lapse: take the course's own, or train anew.")
    history = read_json(folder / "history.json") if (folder / "history.json").is_file() else []
    return read_json(folder / "timelapse.json"), history, find_model(folder, None)[2]


# --- what the page draws --------------------------------------------------------------------------------------
def film_of(timelapse, history, base_rate):
    """All moments as plain data: for each sentence its pieces, and for each moment their numbers and colours."""
    probe_number(timelapse, 0)  # says so when nothing was recorded
    moments = timelapse["moments"]
    return {
        "sentences": [probe | {"joined": [piece.startswith("##") for piece in probe["pieces"]]}
                      for probe in timelapse["sentences"]],
        "moments": [{
            "step": f"{moment['step']:,}", "tokens": f"{moment['tokens_seen']:,}",
            "exam": exam_in_words(history, moment["tokens_seen"]),
            "p": [[percent(p) for p in row] for row in moment["probabilities"]],
            "colours": [[shade(log_odds_above(p, base_rate)) for p in row] for row in moment["probabilities"]],
        } for moment in moments],
        "curves": [{"name": FIGURES[key][0], "colour": colour, "dash": dash,
                    "points": np.column_stack(points_of(history, key, moments)).round(4).tolist()}
                   for (key, colour, _), dash in zip(EXAM, ("", "6 3", "2 3"), strict=True)],
        "base": percent(base_rate),
        "scale": [{"colour": colour, "label": label} for colour, label in scale(base_rate)],
    }


def points_of(history, key, moments):
    """One curve of the exam: where its evaluations lie between the moments (0 = the first), and the scores."""
    scores, tokens = column(history, key), tokens_seen(history)
    there = np.isfinite(scores)
    places = np.interp(tokens[there], [moment["tokens_seen"] for moment in moments], np.arange(len(moments)))
    return places, scores[there]


def exam_in_words(history, tokens):
    """What the exam said last before so many tokens were seen."""
    taken = [row for row in history if row["tokens_seen"] <= tokens]
    if not taken:
        return "no exam yet"
    scores = [f"{FIGURES[key][0].split(':')[0]} {taken[-1][key]:.2f}" for key, _, _ in EXAM
              if taken[-1].get(key) is not None]
    return f"exam: {', '.join(scores)}" if scores else "no exam taken"


# --- the static twin ------------------------------------------------------------------------------------------
def timelapse_and_exam(timelapse, history, sentence=1, base_rate=0.12):
    """Suspicion of each piece over the moments of a run, and the exam below on the same axis: a `Picture`.

    As `timelapse_figure` in `curves`, and raises `UserError` as that does.
    """
    number = probe_number(timelapse, sentence)
    probe, moments = timelapse["sentences"][number], timelapse["moments"]
    p = np.array([moment["probabilities"][number] for moment in moments], dtype=float).T  # (T, moments)
    figure = new_figure(8.5, 0.28 * len(p) + 3)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[0.28 * len(p), 1.8])
    image = above.imshow(logit(p) - logit(base_rate), aspect="auto", cmap=SUSPICION, vmin=-FULL, vmax=FULL)
    label_pieces(above, probe)
    end = above.secondary_yaxis("right")
    end.set_yticks(range(len(p)), [percent(value) for value in p[:, -1]], fontsize=8)
    end.set_ylabel("P(replaced) at the end", fontsize=8)
    above.set_title(probe["text"], fontsize=10)
    above.tick_params(bottom=False)
    bar = figure.colorbar(image, ax=above, pad=0.12, label="P(replaced); white: the base rate")
    bar.set_ticks(range(-4, 5, 2), labels=[label for _, label in scale(base_rate)])
    draw_exam_below(below, history, moments)
    return Picture(figure, f"{timelapse_in_words(probe, p, moments)} Below: {exam_in_words(history, float('inf'))} "
                           "at last.")


def draw_exam_below(axes, history, moments):
    """The curves of the exam over the moments."""
    for key, colour, marker in EXAM:
        places, scores = points_of(history, key, moments)
        axes.plot(places, scores, color=colour, marker=marker, markersize=3, linewidth=1,
                  label=FIGURES[key][0].split(":")[0])
    axes.axhline(0.5, color=GREY, linestyle="--", linewidth=1, label="chance")
    axes.set_ylim(0.4, 1)
    axes.set_ylabel("exam")
    axes.legend(fontsize=7, ncols=4, loc="lower right", frameon=False)
    axes.set_xticks(range(len(moments)), [f"{moment['step']:,}" for moment in moments], rotation=90, fontsize=8)
    axes.set_xlabel("training steps, log-spaced")
    axes.spines[["top", "right"]].set_visible(False)
