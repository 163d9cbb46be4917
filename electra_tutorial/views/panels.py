"""Lines side by side: one panel a quantity, one line a variant. For the small pictures that lessons draw."""
from electra_tutorial.views.picture import BLUE, GREEN, GREY, ORANGE, PURPLE, Picture, new_figure

STYLES = ((BLUE, "o", "-"), (ORANGE, "s", "--"), (GREEN, "^", "-"), (PURPLE, "D", "--"), (GREY, "v", "-"))


def line_panels(panels, alt, xlabel, x=None, log=False, one_scale=False, floor=None):
    """A `Picture` of {title: {label: numbers}}: a panel for each title, in it a line for each label.

    The same label has the same style in every panel. x: what the numbers belong to (default: 0, 1, 2 ...).
    log: upwards in powers of ten. one_scale: the same in all panels. floor: (number, words), a dotted line.
    """
    figure = new_figure(4.6 * max(len(panels), 2), 3.4)
    row = figure.subplots(1, len(panels), squeeze=False, sharey=one_scale)[0]
    for axes, (title, lines) in zip(row, panels.items(), strict=True):
        for (label, numbers), (colour, marker, dash) in zip(lines.items(), STYLES, strict=False):
            places = range(len(numbers)) if x is None else x
            axes.plot(places, numbers, dash, color=colour, marker=marker, markersize=4, label=label)
        if floor:
            axes.axhline(floor[0], color="black", linestyle=":", label=floor[1])
        axes.set_yscale("log") if log else axes.set_ylim(bottom=0)
        axes.set(xlabel=xlabel)
        axes.set_title(title, loc="left", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(fontsize=9)
    return Picture(figure, alt)
