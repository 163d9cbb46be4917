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
    """All heads small, one layer a row: attentions, a list of (H, T, T), as of `look_inside`. A `Picture`.

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


def attention_difference(before, after, attention_before, attention_after, title="What changed in one head"):
    """How one head looks otherwise at a changed sentence: after minus before, (T, T) each. A `Picture`.

    before, after: the T pieces of both sentences, which must be as long; places that differ are pointed out. Raises
    `UserError` when they are not, or as `attention_map`.
    """
    if len(before) != len(after):
        raise UserError(f"A sentence of {len(before)} pieces and one of {len(after)} cannot be subtracted: change a "
                        "word into one of as many pieces.")
    change = checked(after, attention_after) - checked(before, attention_before)
    marked = [place for place, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]
    T, most = len(after), max(0.05, abs(change).max())
    side = max(3.2, 0.34 * T) + 1.2
    figure = new_figure(side + 0.9, side)
    axes = figure.subplots()
    image = axes.imshow(change, cmap="PuOr_r", vmin=-most, vmax=most)  # two colours that no eye mixes up
    label_places(axes, after, marked, max(6, min(10, 260 / T)))
    axes.set_xlabel("is looked at")
    axes.set_ylabel("looks")
    axes.set_title(title, fontfamily=FONTS)
    add_scale(figure, image, axes, "change of its share: orange more, violet less")
    row, column = np.unravel_index(abs(change).argmax(), change.shape)
    return Picture(figure, f"{title}: a map of {T} by {T} pieces. The largest change: {after[row]} looks at "
                           f"{after[column]} with {change[row, column]:+.0%} of its attention.")


def head_values(values, title, label, diverging=False):
    """One number a head, with a row a layer: values (L, H). A `Picture` with the numbers written in."""
    values = np.asarray(values, dtype=float)
    L, H = values.shape
    most = abs(values).max() or 1.0
    limits = {"cmap": "PuOr_r", "vmin": -most, "vmax": most} if diverging else {"cmap": "cividis"}
    figure = new_figure(1.0 * H + 2.2, 0.62 * L + 1.2)
    axes = figure.subplots()
    image = axes.imshow(values, aspect="auto", **limits)
    write_numbers(axes, image, values)
    axes.set_xticks(range(H), [f"head {head}" for head in range(H)])
    axes.set_yticks(range(L), [f"layer {layer}" for layer in range(L)])
    axes.set_title(title, fontfamily=FONTS)
    add_scale(figure, image, axes, label)
    layer, head = np.unravel_index(values.argmax(), values.shape)
    low = np.unravel_index(values.argmin(), values.shape)
    return Picture(figure, f"{title}: {label}, for {L} layers of {H} heads. Highest: layer {layer}, head {head} with "
                           f"{values.max():.2f}; lowest: layer {low[0]}, head {low[1]} with {values.min():.2f}.")


def summary_map(summary, title="What each head looks at, on average"):
    """A head a row, a kind of place a column: summary {kind: (L, H)}, as of `head_summary`. A `Picture`."""
    kinds = list(summary)
    L, H = summary[kinds[0]].shape
    table = np.stack([summary[kind].ravel() for kind in kinds], axis=1)  # (L H, number of kinds)
    figure = new_figure(1.05 * len(kinds) + 2.2, max(3.2, 0.3 * L * H + 1.2))
    axes = figure.subplots()
    image = axes.imshow(table, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    write_numbers(axes, image, table)
    axes.set_xticks(range(len(kinds)), kinds)
    axes.set_yticks(range(L * H), [f"layer {n // H}, head {n % H}" for n in range(L * H)], fontsize=8)
    axes.set_title(title, fontfamily=FONTS)
    add_scale(figure, image, axes, "share of its attention (a row sums to 1)")
    tops = [(table[:, n].max(), divmod(int(table[:, n].argmax()), H), kind) for n, kind in enumerate(kinds)]
    said = "; ".join(f"{kind}: layer {at[0]}, head {at[1]} with {most:.0%}" for most, at, kind in tops)
    return Picture(figure, f"{title}: a table of {L * H} heads by {len(kinds)} kinds of place. The strongest of each "
                           f"kind: {said}.")


def write_numbers(axes, image, values):
    """Each value in its cell, dark on light and light on dark."""
    for (row, column), value in np.ndenumerate(values):
        red, green, blue, _ = image.cmap(image.norm(value))
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5  # how bright the eye finds it
        ink = "white" if dark else "black"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color=ink)


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
