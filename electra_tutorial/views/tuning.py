"""Curves of fine-tuning over seeds, from what `benchmarks/finetune.py` has written so far, if it has."""
import numpy as np

from electra_tutorial.experiments import by_variant, read_results
from electra_tutorial.sources import data_dir
from electra_tutorial.views.panels import STYLES
from electra_tutorial.views.picture import BLUE, GREY, Picture, new_figure


def cures_picture(study="overfitting", path=None):
    """For each cure a panel: the loss on train and on valid over the looks, beside the run without any. A `Picture`.

    None where there is no cure to draw yet: `results_table` says how to make the results.
    """
    path = path or data_dir() / "results" / "fine-tuning" / f"{study}.jsonl"
    curves = {variant: mean_curve(lines) for variant, lines in by_variant(read_results(path)).items()}
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
        axes.set(xlabel="epochs", ylim=(0, None))
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(others):]:
        axes.set_visible(False)
    panels[0].set_ylabel("nats")
    panels[0].legend(fontsize=8)
    ends = "; ".join(f"{variant} {curve['loss'][-1]:.2f}" for variant, curve in curves.items())
    return Picture(figure, f"The loss on valid over the epochs, a panel for each cure. It ends at: {ends}.")


def mean_curve(lines):
    """{epoch, loss, train_loss}: arrays, the mean over the seeds as far as all of them went."""
    shortest = min(len(line["history"]) for line in lines)
    return {key: np.mean([[row[key] for row in line["history"][:shortest]] for line in lines], axis=0)
            for key in ("epoch", "loss", "train_loss")}


def results_table(study, path=None):
    """Score and last loss of each variant and number of examples, the mean over its seeds, as text for a `print`.

    Where there are no results: a sentence that says how to make them.
    """
    path = path or data_dir() / "results" / "fine-tuning" / f"{study}.jsonl"
    groups = {}
    for line in read_results(path):
        groups.setdefault((line["variant"], line["examples"]), []).append(line)
    rows = []
    for (variant, number), lines in groups.items():
        score, losses = np.mean([line["score"] for line in lines]), [
            line["history"][-1]["loss"] for line in lines if "history" in line]
        last = f"   last loss on valid {np.mean(losses):.2f}" if losses else ""
        seeds = f"{len(lines)} seed{'s' * (len(lines) > 1)}"
        rows.append(f"{variant:24} {number or 'all':>5} examples   {seeds}   {score:.3f}{last}")
    return "\n".join(rows) or f"There are no results here yet: `python benchmarks/finetune.py {study}` makes them."


def examples_picture(path=None, whole=7_328):
    """Accuracy over the number of examples, a line for each way to learn, a band over its seeds. A `Picture`.

    whole: how many "all" are. None where there are no results: `results_table` says how to make them.
    """
    path = path or data_dir() / "results" / "fine-tuning" / "examples.jsonl"
    curves = {variant: seeds_by_number(lines, whole) for variant, lines in by_variant(read_results(path)).items()}
    if not curves:
        return None
    figure = new_figure(7, 3.6)
    axes = figure.subplots()
    for (variant, curve), (colour, marker, dash) in zip(curves.items(), STYLES, strict=False):
        numbers, scores = list(curve), list(curve.values())
        axes.plot(numbers, [np.mean(some) for some in scores], dash, color=colour, marker=marker, label=variant)
        axes.fill_between(numbers, [min(some) for some in scores], [max(some) for some in scores],
                          color=colour, alpha=0.15, linewidth=0)
    axes.axhline(0.5, color="black", linestyle=":", label="a coin")
    axes.set(xscale="log", xlabel="examples to train on", ylabel="accuracy on the test side")
    axes.set_xticks(list(next(iter(curves.values()))), [f"{number:,}" for number in next(iter(curves.values()))])
    axes.set_xticks([], minor=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=9)
    ends = "; ".join(f"{variant} {np.mean(list(curve.values())[-1]):.2f}" for variant, curve in curves.items())
    return Picture(figure, f"Accuracy over the number of examples. With the most that were run: {ends}.")


def seeds_by_number(lines, whole):
    """{number of examples: the scores of all seeds}, from few to many."""
    groups = {}
    for line in sorted(lines, key=lambda line: line["examples"] or whole):
        groups.setdefault(line["examples"] or whole, []).append(line["score"])
    return groups
