"""The time-lapse of a run: how suspicion of each piece of a probe sentence grew, beside the exam at that moment.

All moments go to the page at once, so the slider and the play button work without a kernel. The static twin
shows all moments side by side: pieces down, moments across, and the exam below on the same axis.
"""
from pathlib import Path

import numpy as np
import traitlets
from matplotlib.colors import LinearSegmentedColormap

from electra_tutorial.checkpoint import model_folder, read_json
from electra_tutorial.errors import UserError
from electra_tutorial.judgement import base_rate_of, find_model
from electra_tutorial.views.columns import log_odds_above, percent
from electra_tutorial.views.curves import EXAM, FIGURES, column, tokens_seen
from electra_tutorial.views.live import STYLE, Live, Said, front_end
from electra_tutorial.views.picture import BLUE, FONTS, GREY, ORANGE, Picture, new_figure
from electra_tutorial.views.strip import FULL, scale, shade

SUSPICION = LinearSegmentedColormap.from_list("suspicion", [BLUE, "#ffffff", ORANGE])


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
        return timelapse_picture(timelapse, base_rate, self.sentence, history)._repr_html_()


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
def timelapse_picture(timelapse, base_rate, sentence=1, history=None):
    """How suspicion of each piece of a probe sentence grew: pieces down, moments across. A `Picture`.

    timelapse: `Run.timelapse`; sentence: the number of a probe, or its text; history: `Run.history`, to have the
    exam below on the same axis. Moments are log-spaced, since most happens early. Colours are those of the token
    strip: how far, in log-odds, P(replaced) lies from `base_rate`, the share of fakes in training. Raises `UserError`
    when the run recorded nothing, or has no such sentence.
    """
    number = probe_number(timelapse, sentence)
    probe, moments = timelapse["sentences"][number], timelapse["moments"]
    p = np.array([moment["probabilities"][number] for moment in moments], dtype=float).T  # (T, moments)
    heights = [0.3 * len(p)] + [1.8] * (history is not None)
    figure = new_figure(8.5, sum(heights) + 1.3)
    axes, *below = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    image = axes.imshow(logit(p) - logit(base_rate), aspect="auto", cmap=SUSPICION, vmin=-FULL, vmax=FULL)
    label_pieces(axes, probe)
    end = axes.secondary_yaxis("right")
    end.set_yticks(range(len(p)), [percent(value) for value in p[:, -1]], fontsize=8)
    end.set_ylabel("at the end", fontsize=8)
    bar = figure.colorbar(image, ax=axes, label="P(replaced); white: the base rate", pad=0.12)
    bar.set_ticks(range(-4, 5, 2), labels=[label for _, label in scale(base_rate)])
    axes.set_title(probe["text"], fontfamily=FONTS, fontsize=10)
    alt = timelapse_in_words(probe, p, moments)
    for one in below:
        axes.tick_params(bottom=False)
        draw_exam_below(one, history, moments)
        alt += f" Below: {exam_in_words(history, float('inf'))} at last."
    lowest = (axes, *below)[-1]
    lowest.set_xticks(range(len(moments)), [f"{moment['step']:,}" for moment in moments], rotation=90, fontsize=8)
    lowest.set_xlabel("training steps, log-spaced")
    return Picture(figure, alt)


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
    axes.spines[["top", "right"]].set_visible(False)


def logit(p):
    """Log-odds of probabilities, kept finite."""
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def probe_number(timelapse, sentence):
    """The number of a probe sentence given by number or text."""
    if not timelapse or not timelapse.get("moments"):
        raise UserError("This run recorded no time-lapse: take the shipped model's, or train anew.")
    texts = [probe["text"] for probe in timelapse["sentences"]]
    number = texts.index(sentence) if sentence in texts else sentence
    if not isinstance(number, int) or not 0 <= number < len(texts):
        raise UserError(f"There is no probe sentence {sentence!r}: choose from 0 to {len(texts) - 1}.")
    return number


def label_pieces(axes, probe):
    """The pieces down the side; those of the word that does not belong are bold behind an arrow."""
    arrows = ["▶ " * (place in probe["replaced"]) for place in range(len(probe["pieces"]))]
    labels = [arrow + piece for arrow, piece in zip(arrows, probe["pieces"], strict=True)]
    axes.set_yticks(range(len(labels)), labels, fontfamily=FONTS)
    for place in probe["replaced"]:
        axes.get_yticklabels()[place].set_fontweight("bold")


def timelapse_in_words(probe, p, moments):
    """What the discriminator said first and last of the false word, or of the most suspected piece."""
    place = probe["replaced"][0] if probe["replaced"] else int(p[1:-1, -1].argmax()) + 1
    kind = "The false word" if probe["replaced"] else "No word is false; the most suspected piece"
    return (f"P(replaced) of each piece of “{probe['text']}” at {len(moments)} moments up to step "
            f"{moments[-1]['step']:,}. {kind}, {probe['pieces'][place]}: {percent(p[place, 0])} at "
            f"first, {percent(p[place, -1])} at last; the mean piece at last: {percent(p[1:-1, -1].mean())}.")
