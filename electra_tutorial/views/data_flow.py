"""How a sentence goes through one step of ELECTRA: hidden, filled, judged, and which loss teaches whom."""
from matplotlib.patches import FancyBboxPatch

from electra_tutorial.objective import Objective
from electra_tutorial.views.picture import BLUE, GREEN, GREY, ORANGE, Picture, new_figure

# A sentence of our own: one lucky sample ("red", which is what stood there) and one fake ("has" -> "sold").
ORIGINAL = ["she", "has", "a", "red", "bicycle"]
HIDDEN = {1: "sold", 3: "red"}  # place -> what the generator puts there
COLUMNS = {"text": 0.0, "masked": 2.1, "corrupted": 6.7, "labels": 11.1}  # middles of the columns of words
GENERATOR, DISCRIMINATOR = 4.1, 8.9  # middles of the boxes between them
ARROWS = ((0.65, 1.45), (2.75, 3.1), (5.1, 6.05), (7.35, 7.9), (9.9, 10.3))  # from where to where
MIDDLE, TOP, ROW = 2.8, 4.6, 0.9


def data_flow(objective=None):
    """One step on a sentence, each function of the `Objective` marked yours or reference. A `Picture`."""
    objective = objective or Objective()
    figure = new_figure(11.5, 4.7)
    axes = figure.subplots()
    axes.set(xlim=(-0.7, 13.5), ylim=(-1.95, 6.0))
    axes.axis("off")
    draw_words(axes)
    box(axes, GENERATOR, MIDDLE, 1.9, 4.2, "generator\n(small)", ORANGE)
    box(axes, DISCRIMINATOR, MIDDLE, 1.9, 4.2, "discriminator\n(this one you keep)", BLUE)
    draw_arrows(axes)
    draw_losses(axes)
    for x, y, function in ((1.05, 5.65, objective.mask), (5.35, 5.65, objective.sample),
                           (6.9, 5.65, objective.corrupt), (11.1, 5.65, objective.label),
                           (6.5, -1.65, objective.loss)):
        colour = GREEN if owner(function) == "yours" else GREY
        words = f"{function.__name__}\n{owner(function)}"
        axes.text(x, y, words, ha="center", va="center", fontsize=8, color=colour)
    return Picture(figure, in_words(objective))


def owner(function):
    """Whose function this is: "yours" or "reference"."""
    return "reference" if (function.__module__ or "").startswith("electra_tutorial") else "yours"


def draw_words(axes):
    """The sentence in its four states, one column each."""
    for title, x in COLUMNS.items():
        axes.text(x, TOP + 0.5, title, ha="center", fontsize=9, weight="bold")
    for place, word in enumerate(ORIGINAL):
        y, hidden, sample = TOP - ROW * place, place in HIDDEN, HIDDEN.get(place, word)
        fake = sample != word
        box(axes, COLUMNS["text"], y, 1.2, 0.6, word, GREY)
        box(axes, COLUMNS["masked"], y, 1.2, 0.6, "[MASK]" if hidden else word, ORANGE if hidden else GREY)
        box(axes, COLUMNS["corrupted"], y, 1.2, 0.6, sample, ORANGE if hidden else GREY)
        box(axes, COLUMNS["labels"], y, 1.5, 0.6, "replaced" if fake else "original", BLUE if fake else GREY)
        if hidden and not fake:
            axes.text(COLUMNS["labels"] + 0.95, y, "a lucky sample\ncounts as original", va="center", fontsize=8,
                      color=GREY)


def draw_arrows(axes):
    """From column to column; behind the generator a bar that no gradient crosses."""
    for start, end in ARROWS:
        arrow = {"arrowstyle": "->", "color": GREY}
        axes.annotate("", (end, MIDDLE), (start, MIDDLE), arrowprops=arrow)
    axes.plot([5.55, 5.55], [2.2, 3.4], color="black", linewidth=2)
    axes.text(5.57, 1.95, "no gradient\nflows back", ha="center", va="top", fontsize=8)


def draw_losses(axes):
    """The two losses below, each with an arrow to the one model it teaches, and their sum."""
    for x, text, colour in ((GENERATOR, "masked language model loss", ORANGE),
                            (DISCRIMINATOR, "replaced token loss", BLUE)):
        box(axes, x, -0.7, 3.1, 0.6, text, colour)
        arrow = {"arrowstyle": "->", "color": colour, "linewidth": 2}
        axes.annotate("", (x, 0.65), (x, -0.35), arrowprops=arrow)
        axes.annotate("", (x, -1.05), (6.5, -1.35), arrowprops={"arrowstyle": "-", "color": GREY})


def box(axes, x, y, width, height, text, colour):
    """A box around its middle (x, y)."""
    corner = x - width / 2, y - height / 2
    axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle="round,pad=0.02", facecolor="white",
                                  edgecolor=colour, linewidth=1.5))
    axes.text(x, y, text, ha="center", va="center", fontsize=9)


def in_words(objective):
    """The picture's alt text."""
    functions = (objective.mask, objective.sample, objective.corrupt, objective.label, objective.loss)
    steps = ", ".join(f"{function.__name__} ({owner(function)})" for function in functions)
    return (f"Data flow of one step. Text: {' '.join(ORIGINAL)}. Masked: has and red are hidden. The "
            "generator fills in sold and red. The discriminator reads: she sold a red bicycle. Labels: sold is "
            "replaced, the others are original, red too, because it is what stood there. The masked language "
            "model loss teaches the generator, the replaced token loss the discriminator; no gradient flows "
            f"back through the draw. Functions: {steps}.")
