"""What each head looked at: one head large, or all layers and heads small. Row = the token that looks, column = at what."""
import numpy as np

from electra_tutorial.errors import UserError
from electra_tutorial.views.picture import Picture, label_font, new_figure


def attention_map(pieces, attention, title="One attention head"):
    """One head: attention (T, T), each row summing to 1, over the T pieces. A `Picture`."""
    attention = checked(pieces, attention, 2)
    T = len(pieces)
    size = max(4.0, 0.28 * T + 1.6)
    figure = new_figure(size + 0.9, size)
    axes = figure.subplots()
    image = axes.imshow(attention, cmap="cividis", vmin=0)
    axes.set_xticks(range(T), pieces, rotation=90)
    axes.set_yticks(range(T), pieces)
    label_font(axes.xaxis)
    label_font(axes.yaxis)
    axes.set_xlabel("is looked at")
    axes.set_ylabel("looks")
    axes.set_title(title)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of attention (a row sums to 1)")
    return Picture(figure, f"{title}: a map of attention among {T} pieces. " + strongest(pieces, attention))


def attention_grid(pieces, attentions, title="All heads"):
    """Every head of every layer: attentions, a list of (H, T, T), small, one layer a row. A `Picture`."""
    heads = max(len(layer) for layer in attentions)
    figure = new_figure(1.5 * heads + 1.1, 1.5 * len(attentions) + 0.8)
    grid = figure.subplots(len(attentions), heads, squeeze=False)
    for number, layer in enumerate(attentions):
        for head, axes in enumerate(grid[number]):
            image = axes.imshow(checked(pieces, layer[head], 2), cmap="cividis", vmin=0, vmax=1)
            axes.set_xticks([])
            axes.set_yticks([])
            if number == 0:
                axes.set_title(f"head {head + 1}", fontsize=9)
        grid[number][0].set_ylabel(f"layer {number + 1}", fontsize=9)
    figure.suptitle(title)
    figure.colorbar(image, ax=grid, shrink=0.8, label="share of attention")
    return Picture(figure, f"{title}: {len(attentions)} layers of {heads} heads on {len(pieces)} pieces.")


def checked(pieces, attention, dimensions):
    """The attention as an array. Raises `UserError` when it does not fit the pieces."""
    attention = np.asarray(attention, dtype=float)
    if attention.shape[-2:] != (len(pieces),) * 2 or attention.ndim != dimensions:
        raise UserError(f"An attention of shape {attention.shape} does not fit {len(pieces)} pieces: give one head, "
                        f"({len(pieces)}, {len(pieces)}).")
    return attention


def strongest(pieces, attention):
    """The largest share between two different pieces, in words."""
    between = attention * (1 - np.eye(len(pieces)))
    row, column = np.unravel_index(between.argmax(), between.shape)
    return f"The strongest look at another piece is from {pieces[row]} to {pieces[column]}: {between[row, column]:.0%}."
