"""How the runs of an experiment came out: for each variant a line, the mean of its seeds, in a band, all of them.

`ends_figure` shows the ends alone, where there are many variants: for each a bar over its seeds.

Functions take the lines of a file of results (see `experiments.py`) and return a `Picture`.
"""
import numpy as np

from electra_tutorial.errors import UserError
from electra_tutorial.experiments import by_budget, by_variant, last_figures
from electra_tutorial.views.curves import FIGURES, FLOORS, STYLES, column, label_ends, token_axis, tokens_seen
from electra_tutorial.views.picture import BLUE, GREY, ORANGE, Picture, new_figure

ENDS = {  # figures that stand at the end of a run alone -> what they are, their axis, the score of chance
    "probe_easy_auc": ("frozen: a random word", "word-level AUC", 0.5),
    "probe_medium_auc": ("frozen: a word like it", "word-level AUC", 0.5),
    "probe_pairs": ("frozen: minimal pairs", "share of pairs right", 0.5),
    "probe_sentiment": ("frozen: film reviews", "accuracy", 0.5),
    "sentiment": ("fine-tuned: film reviews", "accuracy", 0.5),
    "generator_accuracy": ("the generator is right", "share of hidden tokens", None),
    "generator_entropy": ("the generator is undecided", "entropy (nats)", None),
}
BUDGET_STYLES = {"tokens": (BLUE, "o", 0.12), "time": (ORANGE, "s", -0.12)}  # colour, marker, shift

SIDE_BY_SIDE = ("exam_easy_auc", "exam_medium_auc")


def experiment_figure(lines, keys=SIDE_BY_SIDE, title=None):
    """One panel for each figure of `keys`, one line and one band for each variant. A `Picture`.

    A band reaches from the least to the most of a variant's seeds. Raises `UserError` when no run came to an end.
    """
    groups = {variant: [line["history"] for line in group if "history" in line]
              for variant, group in by_variant(lines).items()}
    groups = {variant: histories for variant, histories in groups.items() if histories}
    if not groups:
        raise UserError("No run of this experiment came to an end: there is nothing to draw.")
    figure = new_figure(9.6, 3.4 if len(keys) < 3 else 3.0)
    for axes, key in zip(figure.subplots(1, len(keys), squeeze=False)[0], keys, strict=True):
        draw_bands(axes, groups, key)
    if title:
        figure.suptitle(title)
    words = [(title or "An experiment").rstrip("?.") + ".", *(in_words(groups, key) for key in keys)]
    return Picture(figure, " ".join(words))


def ends_figure(lines, keys, title=None):
    """Where each variant ended: a panel for each figure of `keys`, a row for each variant. A `Picture`.

    A dot is one seed, the bar reaches over all of them; with two budgets each has its colour. Raises `UserError`
    when there is nothing to draw.
    """
    if not any(last_figures(line, key) is not None for line in lines for key in keys):
        raise UserError("No run of this experiment came to an end: there is nothing to draw.")
    variants = list(by_variant(lines))
    figure = new_figure(9.6, 1.1 + 0.34 * len(variants))
    panels, words = figure.subplots(1, len(keys), sharey=True, squeeze=False)[0], []
    for axes, key in zip(panels, keys, strict=True):
        for budget, some in by_budget(lines).items():
            draw_ends(axes, variants, some, key, budget)
        words.append(ends_in_words(lines, key))
        what, axis, chance = (FIGURES | ENDS).get(key, (key, key, None))
        if chance is not None:
            axes.axvline(chance, color=GREY, linestyle="--", linewidth=1)
        axes.set_title(what, loc="left", fontsize=10)
        axes.set_xlabel(axis)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(variants)), variants)
    panels[0].invert_yaxis()
    if len(by_budget(lines)) > 1:
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    if title:
        figure.suptitle(title)
    return Picture(figure, " ".join([(title or "An experiment").rstrip("?.") + ".", *words]))


def draw_ends(axes, variants, lines, key, budget):
    """One dot a run and a bar over the runs of each variant."""
    colour, marker, shift = BUDGET_STYLES[budget]
    for variant, group in by_variant(lines).items():
        values = [value for line in group if (value := last_figures(line, key)) is not None]
        if values:
            row, label = variants.index(variant) - shift, f"equal {budget}" if variant == variants[0] else None
            axes.plot([min(values), max(values)], [row, row], color=colour, linewidth=5, alpha=0.3)
            axes.plot(values, [row] * len(values), marker, color=colour, markersize=5, label=label)


def ends_in_words(lines, key):
    """How each variant ended, budget by budget, in a sentence."""
    parts = []
    for budget, some in by_budget(lines).items():
        for variant, group in by_variant(some).items():
            values = [value for line in group if (value := last_figures(line, key)) is not None]
            if values:
                parts.append(f"{variant} {min(values):.2f} to {max(values):.2f} at equal {budget}")
    return f"{(FIGURES | ENDS).get(key, (key,))[0]}: {'; '.join(parts) or 'not measured'}."


def draw_bands(axes, groups, key):
    """Mean and range of every variant, labelled at its end, and what a trivial model gets."""
    what, axis, chance = FIGURES.get(key, (key, key, None))
    ends = []
    for (variant, histories), (colour, marker) in zip(groups.items(), STYLES * len(groups), strict=False):
        tokens, values = spread_of(histories, key)
        axes.plot(tokens, values.mean(0), color=colour, marker=marker, markersize=4)
        axes.fill_between(tokens, values.min(0), values.max(0), color=colour, alpha=0.15, linewidth=0)
        ends.append((values.mean(0)[-1], variant, colour))
    if key in FLOORS:
        tokens, floor = spread_of(sum(groups.values(), []), FLOORS[key])
        axes.plot(tokens, floor.mean(0), color=GREY, linestyle="--", linewidth=1)
        ends.append((floor.mean(0)[-1], "baseline", GREY))
        cut_start(axes, [spread_of(histories, key)[1] for histories in groups.values()] + [floor])
    elif chance is not None:
        axes.axhline(chance, color=GREY, linestyle="--", linewidth=1)
        ends.append((chance, "chance", GREY))
    label_ends(axes, ends)
    token_axis(axes, tokens)
    axes.set_ylabel(axis)
    axes.set_title(what, loc="left", fontsize=10)


def cut_start(axes, curves):
    """Leave a high start out of the picture: the first, untrained loss would press all else flat."""
    later = np.concatenate([values[:, 1:].ravel() if values.shape[1] > 2 else values.ravel() for values in curves])
    room = 0.1 * (np.nanmax(later) - np.nanmin(later)) + 0.01
    axes.set_ylim(np.nanmin(later) - room, np.nanmax(later) + room)


def spread_of(histories, key):
    """Tokens at each evaluation, (evaluations,), and one figure of every run, (runs, evaluations)."""
    values = np.array([column(history, key) for history in histories])
    return np.mean([tokens_seen(history) for history in histories], axis=0), values


def in_words(groups, key):
    """How each variant ended, in a sentence."""
    parts = []
    for variant, histories in groups.items():
        last = spread_of(histories, key)[1][:, -1]
        parts.append(f"{variant} {last.mean():.2f} ({last.min():.2f} to {last.max():.2f} over {len(last)} seeds)")
    return f"{FIGURES.get(key, (key,))[0]}: {'; '.join(parts)}."
