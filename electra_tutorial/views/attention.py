"""What each head looked at: one head large, or all layers and heads small.

Row: the token that looks; column: the token it looks at; colour: the share of its attention, and each row
sums to 1. A head shows where information was gathered, which is not yet why the model said what it said.
"""
import numpy as np

from electra_tutorial.errors import UserError
from electra_tutorial.views.picture import FONTS, Picture, new_figure


def attention_map(pieces, attention, title="One attention head", marked=()):
    """One head large: attention (T, T) over T pieces. A `Picture`.

    marked: places to point out, such as those of a replaced word. Raises `UserError` when the attention does
    not fit the pieces.
    """
    attention = checked(pieces, attention)
    T = len(pieces)
    # Inches and points: up to 26 pieces it is no taller than a laptop's window, and 64 can still be read.
    cell, font = max(0.155, min(0.34, 4 / T)), max(6, min(10, 240 / T))
    side = max(3.2, cell * T) + 1.2
    figure = new_figure(side + 0.9, side)
    axes = figure.subplots()
    image = axes.imshow(attention, cmap="cividis", vmin=0)
    label_places(axes, pieces, marked, font)
    axes.set_xlabel("is looked at")
    axes.set_ylabel("looks")
    axes.set_title(title, fontfamily=FONTS)
    add_scale(figure, image, axes, "share of its attention (a row sums to 1)")
    return Picture(figure, f"{title}: attention among {T} pieces. {strongest_looks(pieces, attention)}")


def attention_grid(pieces, attentions, title="What each head looks at"):
    """All heads small, one layer a row: attentions, a list of (H, T, T), as of `attentions_of`. A `Picture`.

    One scale for all of them, 0 to 1, so that heads can be compared. Raises `UserError` as `attention_map`.
    """
    layers = [[checked(pieces, head) for head in layer] for layer in attentions]
    heads = max(map(len, layers))
    figure = new_figure(1.6 * heads + 1.3, 1.6 * len(layers) + 0.9)
    grid = figure.subplots(len(layers), heads, squeeze=False)
    for number, layer in enumerate(layers):
        for head, attention in enumerate(layer):
            axes = grid[number][head]
            image = axes.imshow(attention, cmap="cividis", vmin=0, vmax=1)
            axes.set_xticks([])
            axes.set_yticks([])
            if number == 0:
                axes.set_title(f"head {head}", fontsize=9)
        grid[number][0].set_ylabel(f"layer {number}\nlooks", fontsize=9)
    grid[-1][0].set_xlabel("is looked at", fontsize=9)
    figure.suptitle(title, fontfamily=FONTS)
    add_scale(figure, image, grid, "share of its attention")
    return Picture(figure, f"{title}: {len(layers)} layers of {heads} heads on {len(pieces)} pieces. "
                           f"{sharpest_head(layers)}")


def checked(pieces, attention):
    """One head's attention as an array (T, T). Raises `UserError` when it does not fit the pieces."""
    attention, T = np.asarray(attention, dtype=float), len(pieces)
    if attention.shape != (T, T):
        raise UserError(f"An attention of shape {attention.shape} does not fit {T} pieces: give one head of "
                        f"shape ({T}, {T}).")
    return attention


def label_places(axes, pieces, marked, font):
    """The pieces along both sides; those marked are bold behind an arrow, so not told by colour alone."""
    labels = ["▶ " * (place in marked) + piece for place, piece in enumerate(pieces)]
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=font, fontfamily=FONTS)
    axes.set_yticks(range(len(labels)), labels, fontsize=font, fontfamily=FONTS)
    for axis in (axes.xaxis, axes.yaxis):
        for place in marked:
            axis.get_ticklabels()[place].set_fontweight("bold")


def add_scale(figure, image, axes, label):
    """A colour bar with its unit, 4 inches long at most, however tall the figure."""
    figure.colorbar(image, ax=axes, shrink=min(0.8, 4 / figure.get_figheight()), aspect=20, label=label)


def strongest_looks(pieces, attention, many=3):
    """The largest shares between different places, in a sentence."""
    between = attention * (1 - np.eye(len(pieces)))
    order = between.ravel().argsort()[::-1][:many]
    looks = [f"{pieces[i // len(pieces)]} at {pieces[i % len(pieces)]} {between.flat[i]:.0%}" for i in order]
    return f"Strongest looks at another piece: {', '.join(looks)}."


def sharpest_head(layers):
    """The head whose tokens each look at the fewest places, in a sentence."""
    mean_largest = {(layer, head): attention.max(axis=-1).mean()
                    for layer, row in enumerate(layers) for head, attention in enumerate(row)}
    layer, head = max(mean_largest, key=mean_largest.get)
    return (f"The sharpest is layer {layer}, head {head}: on average a token gives one place "
            f"{mean_largest[layer, head]:.0%} of its attention.")
