"""The picture at the head of the README: the mini ELECTRA, asked for the wrong word of six sentences.

    python -m electra_tutorial.views.cover        writes data/mini-electra/picture.png
"""
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from electra_tutorial.checkpoint import model_folder, read_json
from electra_tutorial.judgement import PROBES, judge
from electra_tutorial.views.columns import log_odds_above, percent
from electra_tutorial.views.curves import draw_exam
from electra_tutorial.views.picture import FONTS, GREY, Picture
from electra_tutorial.views.strip import FULL
from electra_tutorial.views.timelapse import SUSPICION


def cover(folder=None):
    """Six sentences with a wrong word each, coloured by a model's suspicion, and how its exam went. A `Picture`."""
    folder = model_folder(folder)
    judged = [judge(text, folder, mask=[]) for text, false in PROBES if false][:6]
    figure = Figure(figsize=(13, 4.6), facecolor="white")  # laid out by hand: words are placed by their width
    sentences, exam = figure.add_axes((0.01, 0.02, 0.6, 0.88)), figure.add_axes((0.68, 0.12, 0.3, 0.78))
    sentences.set(xlim=(0, 1), ylim=(len(judged) - 0.4, -0.6))
    sentences.axis("off")
    sentences.set_title("Which word is wrong? P(replaced), asked of the discriminator", loc="left", fontsize=12)
    for line, judgement in enumerate(judged):
        draw_sentence(sentences, line, judgement)
    draw_exam(exam, read_json(folder / "history.json"))
    exam.set_title("While it learned: the exam", loc="left", fontsize=12)
    return Picture(figure, " ".join(map(in_words, judged)))


def draw_sentence(axes, line, judgement):
    """The words of one sentence side by side, each in the colour of its suspicion, the number below."""
    renderer, to_data = FigureCanvasAgg(axes.figure).get_renderer(), axes.transData.inverted()
    x = 0.0
    for text, p in suspicions(judgement):
        colour = SUSPICION(0.5 + 0.5 * max(-1, min(1, log_odds_above(p, judgement.base_rate) / FULL)))
        box = {"facecolor": (*colour[:3], 0.75), "edgecolor": "none", "boxstyle": "round,pad=0.25"}
        word = axes.text(x, line, text, fontsize=13, fontfamily=FONTS, bbox=box, va="center")
        extent = to_data.transform_bbox(word.get_window_extent(renderer))
        middle = (extent.x0 + extent.x1) / 2
        number = axes.text(middle, line + 0.38, percent(p), fontsize=8.5, color=GREY, ha="center", va="center")
        wide = to_data.transform_bbox(number.get_window_extent(renderer)).width - extent.width  # below a comma
        shift = max(0, wide / 2)
        word.set_x(x + shift), number.set_x(middle + shift)
        x = extent.x1 + 2 * shift + 0.02


def suspicions(judgement):
    """(word as typed, P(replaced) of its most suspect piece) for each word of a `Judgement`."""
    return [(text, max(judgement.p_replaced[place] for place in word))
            for text, word in zip(judgement.word_texts, judgement.words, strict=True)]


def in_words(judgement):
    """The sentence and the word most suspected, for who cannot see the picture."""
    word, p = max(suspicions(judgement), key=lambda pair: pair[1])
    return f"{judgement.text} Most suspected: {word}, {percent(p)}."


if __name__ == "__main__":
    folder = model_folder()
    print(cover(folder).save(folder / "picture.png"))
