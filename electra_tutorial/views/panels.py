"""Lines and bars side by side, a panel a quantity. For the small pictures that lessons draw."""
from electra_tutorial.views.picture import BLUE, GREEN, GREY, ORANGE, PURPLE, Picture, new_figure

STYLES = ((BLUE, "o", "-"), (ORANGE, "s", "--"), (GREEN, "^", "-"), (PURPLE, "D", "--"), (GREY, "v", "-"))
MARKED = 100  # the most points that a line shows one by one


def line_panels(panels, alt, xlabel, x=None, log=False, one_scale=False, floor=None):
    """A `Picture` of {title: {label: numbers}}: a panel for each title, in it a line for each label.

    The same label has the same style in every panel. x: what the numbers belong to (default: 0, 1, 2 ...).
    log: in powers of ten; True or "y" upwards, "x" to the right, "both". one_scale: the same in all panels.
    floor: (number, words), a dotted line.
    """
    figure = new_figure(4.6 * max(len(panels), 2), 3.4)
    row = figure.subplots(1, len(panels), squeeze=False, sharey=one_scale)[0]
    for axes, (title, lines) in zip(row, panels.items(), strict=True):
        for (label, numbers), (colour, marker, dash) in zip(lines.items(), STYLES, strict=False):
            places = range(len(numbers)) if x is None else x
            marker = marker if len(numbers) <= MARKED else None
            axes.plot(places, numbers, dash, color=colour, marker=marker, markersize=4, label=label)
        if floor:
            axes.axhline(floor[0], color="black", linestyle=":", label=floor[1])
        axes.set_yscale("log") if log in (True, "y", "both") else axes.set_ylim(0, 1.06 * axes.get_ylim()[1])
        if log in ("x", "both"):
            axes.set_xscale("log")
        axes.set(xlabel=xlabel)
        axes.set_title(title, loc="left", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*row[0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=9)
    return Picture(figure, alt)


def bar_panels(panels, alt, ylabel, line=None):
    """A `Picture` of {title: (labels, numbers)}: a panel for each title, on one scale, a bar for each label.

    line: (number, words), a line across every panel.
    """
    figure = new_figure(4.6 * max(len(panels), 2), 3)
    row = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axes, (title, (labels, numbers)) in zip(row, panels.items(), strict=True):
        axes.bar(range(len(labels)), numbers, color=BLUE)
        axes.set_xticks(range(len(labels)), list(map(str, labels)), rotation=0 if len(labels) < 7 else 60)
        if line:
            axes.axhline(line[0], color=ORANGE, linestyle="--", label=line[1])
        axes.set_title(title, loc="left", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    row[0].set_ylabel(ylabel)
    if line:
        figure.legend(*row[0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=9)
    return Picture(figure, alt)
