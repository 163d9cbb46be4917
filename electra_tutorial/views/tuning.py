"""Curves of fine-tuning over seeds, from what `benchmarks/finetune.py` has written so far, if it has."""
import math

import numpy as np

from electra_tutorial.experiments import by_variant, cell, read_results
from electra_tutorial.sources import data_dir
from electra_tutorial.views.panels import STYLES
from electra_tutorial.views.picture import BLUE, GREY, Picture, new_figure


def cures_picture(study="overfitting", path=None):
    """For each cure a panel: the loss on train and on valid over the looks, beside the run without any. A `Picture`.

    None where there is no cure to draw yet: `results_table` says how to make the results.
    """
    lines = read_results(path or results_path(study))
    curves = {variant: mean_curve(group) for variant, group in by_variant(lines).items()}
    if len(curves) < 2:  # the first is the run without any
        return None
    (name, plain), *others = curves.items()
    figure = new_figure(9.6, 2.5 * -(-len(others) // 3) + 0.3)
    panels = figure.subplots(-(-len(others) // 3), 3, sharey=True, sharex=True, squeeze=False).ravel()
    for axes, (variant, curve) in zip(panels, others, strict=False):
        axes.plot(plain["epoch"], plain["loss"], color=GREY, linestyle=":", label=name)
        axes.plot(curve["epoch"], curve["loss"], color=BLUE, marker="o", markersize=3, label="loss on valid")
        axes.plot(curve["epoch"], curve["train_loss"], color=BLUE, linestyle="--", label="loss on train")
        axes.set_title(variant, loc="left", fontsize=10)
        axes.set_xlabel("epochs")
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(others):]:
        axes.set_visible(False)
    panels[0].set(ylabel="nats", ylim=(0, 1.05 * max(curve["loss"].max() for curve in curves.values())))  # of all
    panels[0].legend(fontsize=8)
    ends = "; ".join(f"{variant} {curve['loss'][-1]:.2f}" for variant, curve in curves.items())
    return Picture(figure, f"The loss on valid over the epochs, a panel for each cure. It ends at: {ends}.")


def mean_curve(lines):
    """{epoch, loss, train_loss}: arrays, the mean over the seeds as far as all of them went."""
    shortest = min(len(line["history"]) for line in lines)
    return {key: np.mean([[row[key] for row in line["history"][:shortest]] for line in lines], axis=0)
            for key in ("epoch", "loss", "train_loss")}


def results_table(study, path=None):
    """Score and last loss of each variant, the mean over its seeds and the least and the most, as text for a `print`.

    Of "examples" and "texts" a table with a column for each number of examples. Where there are no results: a
    sentence that says how to make them.
    """
    lines = read_results(path or results_path(study))
    if not lines:
        return f"There are no results here yet: `python benchmarks/finetune.py {study}` makes them."
    if study in ("examples", "texts"):
        return numbers_table(lines)
    rows = [f"{'':24} seeds   accuracy           last loss on valid"]
    for variant, group in by_variant(lines).items():
        score, loss = (cell(spread(values)) for values in (
            [line["score"] for line in group], [line["history"][-1]["loss"] for line in group]))
        rows.append(f"{variant:24} {len(group):5}   {score:18} {loss}")
    return "\n".join(rows)


def numbers_table(lines):
    """A row for each task and way to learn, a column for each number of examples."""
    numbers = sorted({line["examples"] or math.inf for line in lines})
    heads = ("all" if number == math.inf else f"{number:,}" for number in numbers)
    rows = [f"{'':28}" + "".join(f"{head:>18}" for head in heads)]
    for task, of_task in by_task(lines).items():
        for variant, group in by_variant(of_task).items():
            scores = scores_by_number(group, math.inf)
            cells = (cell(spread(scores[number])) if number in scores else "" for number in numbers)
            rows.append(f"{task:11}{variant:17}" + "".join(f"{one:>18}" for one in cells))
    return "\n".join(rows)


def examples_picture(path=None):
    """For each task a panel: the score over the number of examples, a line for each way to learn. A `Picture`.

    A band has the scores of all seeds; a rival that learns nothing is a level line. "all" stands at the right, one
    step beyond the largest number. None where there are no results: `results_table` says how to make them.
    """
    tasks = by_task(read_results(path or results_path("examples")))
    if not tasks:
        return None
    figure, told = new_figure(3.4 * max(2, len(tasks)), 3.3), []
    for axes, (task, lines) in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks.items(), strict=True):
        beyond = 4 * max([line["examples"] or 0 for line in lines] + [1])
        numbers = sorted({line["examples"] or beyond for line in lines})
        for (variant, group), style in zip(by_variant(lines).items(), STYLES, strict=False):
            scores = scores_by_number(group, beyond)
            draw_scores(axes, variant, scores, style, numbers)
            least, most = (f"{np.mean(scores[number]):.2f}" for number in (min(scores), max(scores)))
            told.append(f"{task}, {variant}, " + (f"from {least} to {most}" if len(scores) > 1 else most))
        axes.set_title(task, loc="left", fontsize=10)
        axes.set(xscale="log", xlabel="examples to train on", ylim=(0, 1))
        axes.set_xticks(numbers, ["all" if number == beyond else f"{number:,}" for number in numbers])
        axes.set_xticks([], minor=True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=8, loc="lower right")
    figure.axes[0].set_ylabel("share right on the test side")
    return Picture(figure, f"The share right over the number of examples, a panel for each task: {'; '.join(told)}.")


def draw_scores(axes, variant, scores, style, numbers):
    """One way to learn: a line with the band of its seeds, or level across the panel if it learns nothing."""
    colour, marker, dash = style
    if len(scores) == 1 and len(numbers) > 1:
        axes.axhline(np.mean(next(iter(scores.values()))), color="black", linestyle=":", label=variant)
        return
    axes.plot(list(scores), [np.mean(some) for some in scores.values()], dash, color=colour, marker=marker,
              label=variant)
    axes.fill_between(list(scores), [min(some) for some in scores.values()], [max(some) for some in scores.values()],
                      color=colour, alpha=0.15, linewidth=0)


def results_path(study):
    """Where `benchmarks/finetune.py` writes the results of a study."""
    return data_dir() / "results" / "fine-tuning" / f"{study}.jsonl"


def by_task(lines):
    """{task: its lines} in the order in which they first stand."""
    groups = {}
    for line in lines:
        groups.setdefault(line["task"], []).append(line)
    return groups


def scores_by_number(lines, every):
    """{number of examples: the scores of all seeds}, from few to many; `every` stands for all of them."""
    groups = {}
    for line in sorted(lines, key=lambda line: line["examples"] or every):
        groups.setdefault(line["examples"] or every, []).append(line["score"])
    return groups


def spread(values):
    """(mean, least, most)."""
    return sum(values) / len(values), min(values), max(values)
