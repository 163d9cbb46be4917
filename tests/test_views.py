"""The static pictures: they show the numbers they were given, in words too, and survive an untrusted page."""
import re
import subprocess
import sys
import threading
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import toy_preset, toy_sentences
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_tutorial.corpus import Corpus
from electra_tutorial.errors import UserError
from electra_tutorial.heads import look_inside
from electra_tutorial.judgement import judge, rejudge
from electra_tutorial.model import Electra
from electra_tutorial.tokens import train_tokenizer
from electra_tutorial.training import pretrain
from electra_tutorial.views import curves
from electra_tutorial.views.attention import attention_grid, attention_map
from electra_tutorial.views.columns import log_odds_above, percent, probability_at
from electra_tutorial.views.curves import LiveCurves, curves_of, training_curves
from electra_tutorial.views.dashboard import Dashboard, dashboard_figure
from electra_tutorial.views.panels import line_panels
from electra_tutorial.views.picture import FONTS, Picture, new_figure
from electra_tutorial.views.strip import compare_strips, shade, strip_text, token_strip
from electra_tutorial.views.terminal import text_width
from electra_tutorial.views.timelapse import timelapse_picture

LETTERS = ["The quick brown fox jumps over the lazy dog's bed: don't they?", '<b> & "x" <b> & "x"'] * 3
TOKENIZER = train_tokenizer([*toy_sentences(400), *LETTERS], 320)
torch.manual_seed(0)
MODEL = Electra(toy_preset(vocab_size=TOKENIZER.get_vocab_size(), max_length=64)).eval()
TEXT = "The small dogs see the apple near the elephant."
JUDGED = judge(TEXT, MODEL, TOKENIZER, mask=[3, 6], samples=["river", "apple"])  # one fake, one lucky sample

# What JupyterLab keeps of a page it does not trust (its sanitizer's lists), as far as we use it.
TAGS = {"figure", "figcaption", "div", "span", "bdi", "b", "p", "br", "details", "summary"}
ATTRIBUTES = {"style", "title", "dir"}
STYLES = {
    "background-color", "color", "margin", "padding", "border", "border-top", "border-radius", "font-size",
    "font-weight", "line-height", "text-align", "display", "flex-wrap", "align-items", "vertical-align",
    "white-space", "min-width", "height", "width",
}


class Page(HTMLParser):
    """The tags, styles and text of some HTML; fails on a tag left open."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.styles, self.text, self.open = [], [], "", []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        assert tag in TAGS and {name for name, _ in attributes} <= ATTRIBUTES, (tag, attributes)
        style = dict(attributes).get("style") or ""
        self.styles.append(dict(part.split(":", 1) for part in style.split(";") if part))
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


# --- the strip on a page ------------------------------------------------------------------------------------
@settings(max_examples=25)
@given(st.text(max_size=60))
def test_whatever_is_typed_is_shown_as_text(text):
    try:
        judged = judge(f"<script>alert('x')</script> &lt; \"{text}\"", MODEL, TOKENIZER)
    except UserError:
        return
    page = Page(token_strip(judged)._repr_html_())
    assert "script" not in page.tags
    for piece in judged.pieces + judged.corrupted:
        assert piece in page.text


def test_everything_in_a_judgement_is_escaped():
    bad = "<script src='x'>&quot;\"</script>"
    everywhere = dict.fromkeys(("pieces", "corrupted"), [bad] * len(JUDGED.pieces))
    judged = replace(JUDGED, **everywhere, samples=[bad] * 2, proposals=[[(bad, 0.5)]] * 2, notes=[bad],
                     word_texts=[bad] * len(JUDGED.words))
    for html in (token_strip(judged).html, compare_strips([(bad, judged)]).html):
        page = Page(html)
        assert "script" not in page.tags and bad in page.text
        assert "<script" not in html


def test_a_strip_uses_only_what_an_untrusted_notebook_keeps():
    for html in (token_strip(JUDGED).html, token_strip(JUDGED, against="unedited").html,
                 compare_strips([("one", JUDGED), ("<two>", JUDGED)]).html):
        page = Page(html)
        assert {name for style in page.styles for name in style} <= STYLES
        assert not re.search(r"url\(|expression|position|javascript", html)


def test_every_background_brings_its_own_ink():
    page = Page(token_strip(JUDGED).html)
    assert page.styles[0]["background-color"] == "#ffffff" and page.styles[0]["color"] == "#111111"
    for style in page.styles:
        if "background-color" in style and style.get("height") != "4px":  # the bars hold no text
            assert "color" in style


def test_the_numbers_on_the_page_are_the_judgements():
    page = Page(token_strip(JUDGED).html)
    for p in JUDGED.p_replaced:
        assert percent(p) in page.text
    for proposals in JUDGED.proposals:
        for piece, p in proposals:
            assert f"{piece} {percent(p)}" in page.text
    titles = re.findall(r"P\(replaced\) = ([\d.]+)", token_strip(JUDGED).html)
    assert [float(title) for title in titles] == pytest.approx(JUDGED.p_replaced, abs=1e-4)


def test_truth_is_told_by_a_ring_and_by_a_word():
    assert JUDGED.labels[3] and not JUDGED.labels[6]
    html = token_strip(JUDGED).html
    assert html.count("2px solid #111111") == 1 and html.count("2px dotted #111111") == 1
    text = Page(html).text
    assert text.count("same") == 1 and re.search("replaced(missed|caught)", text)


def test_nothing_replaced_is_said_and_needs_fewer_rows():
    strip = token_strip(judge(TEXT, MODEL, TOKENIZER, mask=[]))
    assert "nothing hidden" in strip.alt and "masked" not in Page(strip.html).text
    assert "solid #111111" not in strip.html


def test_pieces_of_one_word_stand_under_one_line():
    words = [word for word in JUDGED.words if len(word) > 1]
    assert words and token_strip(JUDGED).html.count("border-top:2px solid #595959") == len(words)


def test_sixty_four_pieces_wrap_and_are_all_there():
    judged = judge("The dog sees the tree. " * 20, MODEL, TOKENIZER)
    strip = token_strip(judged)
    assert len(judged.pieces) == 64 and "flex-wrap:wrap" in strip.html
    assert strip.html.count("P(replaced) =") == 64
    assert "The text was cut" in Page(strip.html).text and len(strip.html) < 100_000


def test_the_summary_says_what_was_replaced_and_what_is_suspected():
    alt = token_strip(JUDGED).alt
    most = max(range(1, len(JUDGED.pieces) - 1), key=lambda place: JUDGED.p_replaced[place])
    assert f"{JUDGED.pieces[3]} → river at place 3" in alt and "apple →" not in alt
    assert f"{JUDGED.corrupted[most]} (place {most}), {percent(JUDGED.p_replaced[most])}" in alt
    assert alt in Page(token_strip(JUDGED).html).text, "a reader without the picture needs it on the page"


def test_a_strip_against_the_unedited_sentence_shows_both_numbers():
    strip = token_strip(JUDGED, against="unedited")
    assert "P unedited" in strip.text and all(percent(p) in strip.text for p in JUDGED.p_unedited)
    nats = log_odds_above(JUDGED.p_replaced[3], JUDGED.p_unedited[3])
    assert f"{nats:+.2f} nats" in strip.html
    with pytest.raises(UserError, match="'zero'"):
        token_strip(JUDGED, against="zero")


def luminance(colour):
    """The relative luminance of #rrggbb, as WCAG 2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_letters_keep_their_contrast_on_every_colour():
    for nats in np.linspace(-6, 6, 49):
        assert (luminance(shade(nats)) + 0.05) / (luminance("#111111") + 0.05) >= 7
    assert 1.05 / (luminance("#595959") + 0.05) >= 7
    assert shade(0) == "#ffffff" and shade(4) == shade(40) != shade(-4)


def test_grey_and_colour_agree_more_suspect_is_further_from_white_on_its_side():
    orange, blue = [[luminance(shade(sign * n)) for n in (1, 2, 3, 4)] for sign in (1, -1)]
    assert orange == sorted(orange, reverse=True) and blue == sorted(blue, reverse=True)


@given(st.floats(0.001, 0.999), st.floats(0.01, 0.9))
def test_log_odds_and_probabilities_are_inverses(p, reference):
    assert probability_at(log_odds_above(p, reference), reference) == pytest.approx(p)
    assert (log_odds_above(p, reference) > 0) == (p > reference) or p == pytest.approx(reference)


@pytest.mark.parametrize(("p", "shown"), [
    (0, "<0.1%"), (0.0004, "<0.1%"), (0.004, "0.4%"), (0.0994, "9.9%"), (0.0996, "10%"), (0.5, "50%"),
    (0.994, "99%"), (0.9951, ">99%"), (1, ">99%"),
])
def test_a_probability_is_never_shown_as_certain(p, shown):
    assert percent(p) == shown


# --- the strip in a terminal ----------------------------------------------------------------------------------
@settings(max_examples=30)
@given(st.integers(40, 160), st.sampled_from([TEXT, "The dog sees it. " * 8, "李华去了北京 and the dog", "dog"]))
def test_columns_stand_under_one_another_and_fit(width, text):
    judged = judge(text, MODEL, TOKENIZER)
    lines = strip_text(judged, width=width).split("\n")
    assert max(map(text_width, lines)) <= width
    for places, p in zip(rows_of(lines, "place"), rows_of(lines, "P(replaced)"), strict=True):
        assert [m.start() for m in re.finditer(r"\S+", places)] == [m.start() for m in re.finditer(r"\S+", p)]
    assert " ".join(rows_of(lines, "place")).split() == [str(n) for n in range(len(judged.pieces))]


def rows_of(lines, name):
    """What stands in the lines of one row, the name left out."""
    return [line.removeprefix(name).rjust(len(line)) for line in lines if line.startswith(name) and ":" not in line]


def test_wide_characters_take_two_cells():
    assert text_width("dog") == 3 and text_width("李华") == 4 and text_width("é") == 1
    judged = SimpleNamespace(**{**vars(JUDGED), "pieces": ["[CLS]", "李华", *JUDGED.pieces[2:]],
                                "masked": JUDGED.masked, "special": JUDGED.special,
                                "most_suspect": JUDGED.most_suspect})
    original, masked = (next(line for line in strip_text(judged, width=100).split("\n") if line.startswith(name))
                        for name in ("original", "masked"))
    assert text_width(original[: original.index("small")]) == masked.index("small")


def test_colour_is_there_only_if_asked_for_and_changes_no_letter():
    plain, coloured = strip_text(JUDGED, width=80), strip_text(JUDGED, colour=True, width=80)
    assert "\x1b" not in plain and "\x1b[30;48;5;" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain
    assert repr(token_strip(JUDGED)).startswith("place")


def test_the_terminal_needs_neither_torch_nor_matplotlib():
    code = ("import sys, electra_tutorial.views.strip\n"
            "print([name for name in ('torch', 'matplotlib') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- several models ---------------------------------------------------------------------------------------------
def test_models_are_compared_on_the_same_words():
    torch.manual_seed(1)
    other = Electra(toy_preset(vocab_size=TOKENIZER.get_vocab_size(), max_length=64))
    second = rejudge(JUDGED, other, TOKENIZER)
    strip = compare_strips([("first", JUDGED), ("second", second)])
    for judged in (JUDGED, second):
        assert all(percent(p) in strip.text and percent(p) in strip.html for p in judged.word_suspicion())
    assert "1 of 10 words replaced" in strip.alt and strip.text.count("replaced") >= 2
    with pytest.raises(UserError, match="'third' read another sentence"):
        compare_strips([("first", JUDGED), ("third", judge("The dog.", MODEL, TOKENIZER))])
    with pytest.raises(UserError, match="nothing to compare"):
        compare_strips([])


# --- drawn pictures ---------------------------------------------------------------------------------------------
def history(n=4, **changes):
    """A run's history of n evaluations."""
    return [{
        "step": 100 * i, "tokens_seen": 50_000 * i, "exam_easy_auc": 0.5 + 0.1 * i, "exam_medium_auc": 0.5 + 0.08 * i,
        "exam_pairs": 0.5 + 0.09 * i, "mlm_loss": 7 - 0.3 * i, "mlm_loss_unigram": 6.5, "rtd_loss": 0.7 - 0.1 * i,
        "rtd_loss_floor": 0.4, "rtd_auc": 0.5 + 0.05 * i, "rtd_recall": 0.1 * i, "replaced_share": 0.14, **changes,
    } for i in range(n)]


def lines_in(picture):
    """The y values of every line of a picture, a list for each pair of axes."""
    return [[list(line.get_ydata()) for line in axes.get_lines()] for axes in picture.figure.axes]


def words_in(picture):
    """All text of a picture."""
    picture.figure.draw_without_rendering()
    return [text.get_text() for text in picture.figure.findobj(lambda o: hasattr(o, "get_text"))]


PICTURES = {
    "curves": lambda: training_curves(history(), "A run"),
    "runs": lambda: curves_of([("one", history()), ("two", history(3))], "exam_pairs"),
    "map": lambda: attention_map(*one_head(), title="Layer 0, head 1"),
    "grid": lambda: attention_grid(*heads_of()),
    "timelapse": lambda: timelapse_picture(timelapse(), 0.2),
    "timelapse and exam": lambda: timelapse_picture(timelapse(), 0.2, history=history()),
    "panels": lambda: line_panels({"one": {"a": [1, 2], "b": [2, 1]}, "two": {"a": [3, 3]}}, "2 panels. " * 8, "x"),
}


def heads_of():
    """Pieces and all heads of the toy model."""
    look = look_inside(TEXT, MODEL, TOKENIZER)
    return look.pieces, look.attentions


def one_head():
    """Pieces and one head of the toy model."""
    pieces, attentions = heads_of()
    return pieces, attentions[0][1]


def timelapse():
    """A time-lapse of two sentences and three moments."""
    sentences = [{"text": "A dog.", "pieces": ["[CLS]", "a", "dog", ".", "[SEP]"], "replaced": []},
                 {"text": "A 李 is.", "pieces": ["[CLS]", "a", "李", "is", "[SEP]"], "replaced": [3]}]
    moments = [{"step": step, "tokens_seen": step * 10, "probabilities": [[p] * 5, [p, p, p, 2 * p, p]]}
               for step, p in ((0, 0.4), (10, 0.2), (100, 0.1))]
    return {"sentences": sentences, "moments": moments}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_shows_itself_with_alt_text_that_says_something(name):
    picture = PICTURES[name]()
    html = picture._repr_html_()
    alt = re.search(r'^<img src="data:image/png;base64,[\w+/=]+" alt="([^"]+)" width="\d+"', html)[1]
    assert len(alt) > 60 and re.search(r"\d", alt)
    assert picture.png()[:8] == b"\x89PNG\r\n\x1a\n" and len(html) < 120_000


def test_the_same_data_gives_the_same_bytes_and_leaves_nothing_behind():
    assert PICTURES["timelapse"]().png() == PICTURES["timelapse"]().png()
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_alt_text_is_escaped():
    html = Picture(new_figure(1, 1), '<script>"x"</script>')._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;&quot;" in html


def test_curves_draw_the_history_and_its_floors():
    exam, generator, discriminator = lines_in(training_curves(history()))
    for key, line in zip(("exam_easy_auc", "exam_medium_auc", "exam_pairs"), exam, strict=False):
        assert line == [row[key] for row in history()]
    assert exam[3] == [0.5, 0.5]
    assert generator == [[row["mlm_loss"] for row in history()], [6.5] * 4]
    assert discriminator == [[row["rtd_loss"] for row in history()], [0.4] * 4]


def test_curves_say_what_they_mean():
    words = " ".join(words_in(training_curves(history())))
    for expected in ("chance 0.50", "thousand tokens seen", "Generator (MLM): loss in nats a hidden token",
                     "loss in nats a token", "baseline: guesses by frequency alone", "easy: a random word 0.80"):
        assert expected in words


@pytest.mark.parametrize("rows", [1, 2])
def test_curves_of_a_run_that_has_hardly_begun(rows):
    assert "chance 0.50" in training_curves(history(rows)).alt
    with pytest.raises(UserError, match="no evaluation"):
        training_curves([])


def test_a_part_of_the_exam_that_was_not_taken_is_left_out():
    picture = training_curves(history(exam_easy_auc=None, exam_pairs=None))
    assert len(lines_in(picture)[0]) == 2 and "easy" not in picture.alt and "medium" in picture.alt
    assert "not taken" in training_curves(history(exam_easy_auc=None, exam_medium_auc=None, exam_pairs=None)).alt


def test_runs_are_compared_by_any_figure():
    picture = curves_of([("one", history()), ("two", history(3))], "mlm_loss")
    assert lines_in(picture)[0][:2] == [[row["mlm_loss"] for row in history(n)] for n in (4, 3)]
    assert "one 7.00 to 6.10" in picture.alt
    with pytest.raises(UserError, match="No run has 'speed' to draw: choose from exam_easy_auc"):
        curves_of([("one", history())], "speed")
    with pytest.raises(UserError, match="nothing yet"):
        curves_of([])


def test_panels_draw_each_line_and_give_one_label_one_style():
    drawn = line_panels({"up": {"a": [1, 2], "b": [3, 9]}, "down": {"a": [2, 1]}}, "words", "step", x=[5, 10],
                        log=True, floor=(2.0, "floor"))
    assert lines_in(drawn) == [[[1, 2], [3, 9], [2.0, 2.0]], [[2, 1], [2.0, 2.0]]]
    up, down = drawn.figure.axes
    assert up.get_lines()[0].get_color() == down.get_lines()[0].get_color() != up.get_lines()[1].get_color()
    assert list(up.get_lines()[0].get_xdata()) == [5, 10] and up.get_yscale() == "log"
    assert {"up", "down", "step", "a", "b", "floor"} <= set(words_in(drawn))


def test_attention_is_drawn_as_it_is():
    pieces, head = one_head()
    picture = attention_map(pieces, head, marked=[3])
    np.testing.assert_array_equal(picture.figure.axes[0].images[0].get_array(), head.astype(float))
    assert "▶ " + pieces[3] in words_in(picture)
    with pytest.raises(UserError, match=r"does not fit 3 pieces: give one head of shape \(3, 3\)"):
        attention_map(pieces[:3], head)


def test_the_grid_has_every_head_on_one_scale():
    pieces, attentions = heads_of()
    images = [axes.images[0] for axes in attention_grid(pieces, attentions).figure.axes if axes.images]
    assert len(images) == 2 * 4
    for image, head in zip(images, np.concatenate(attentions), strict=True):
        np.testing.assert_array_equal(image.get_array(), head.astype(float))
        assert image.get_clim() == (0, 1)


def test_chinese_labels_are_drawn_with_a_font_that_has_them():
    if len(FONTS) == 1:
        pytest.skip("this machine has no Chinese font; `electra-tutorial doctor` says so")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of a missing glyph
        timelapse_picture(timelapse(), 0.2, 1).png()
        attention_map(["李", "华"], np.eye(2)).png()


def test_the_timelapse_is_drawn_in_log_odds_from_the_base_rate():
    picture = timelapse_picture(timelapse(), 0.2, "A 李 is.")
    drawn = picture.figure.axes[0].images[0].get_array()
    assert drawn[1, 1] == pytest.approx(0) and drawn[3, 0] == pytest.approx(log_odds_above(0.8, 0.2))
    assert "The false word, is: 80% at first, 20% at last" in picture.alt
    assert "▶ is" in words_in(picture)


@pytest.mark.parametrize(("data", "sentence", "says"), [
    ({}, 0, "no time-lapse"), ({"sentences": [], "moments": []}, 0, "no time-lapse"),
    (timelapse(), 2, "choose from 0 to 1"), (timelapse(), "Something else.", "'Something else.'"),
])
def test_a_timelapse_that_is_not_there_is_said(data, sentence, says):
    with pytest.raises(UserError, match=says):
        timelapse_picture(data, 0.2, sentence)


# --- live -------------------------------------------------------------------------------------------------------
class FakePage:
    """Stands in for a notebook's page: counts what is shown and what is updated."""

    def __init__(self, monkeypatch):
        self.shown, self.updated, self.clock = [], [], 0.0
        monkeypatch.setattr(curves, "in_notebook", lambda: True)
        monkeypatch.setattr("IPython.display.display", self.display)
        monkeypatch.setattr(curves.time, "monotonic", lambda: self.clock)

    def display(self, picture, display_id):
        self.shown.append(picture)
        return SimpleNamespace(update=self.updated.append)


def test_live_curves_are_updated_in_one_place(monkeypatch):
    page, live = FakePage(monkeypatch), LiveCurves("Mine")
    for n in (1, 2, 3):
        live(SimpleNamespace(history=history(n), step=n, total=3))
    assert len(page.shown) == 1 and len(page.updated) == 2
    assert page.updated[-1].alt.startswith("Mine. Exam over 100,000 tokens")


def test_live_curves_cost_little_but_never_miss_the_end(monkeypatch):
    page, live = FakePage(monkeypatch), LiveCurves()
    draw = live.draw

    def drawing_takes_a_second(*given):
        page.clock += 1
        return draw(*given)

    live.draw = drawing_takes_a_second
    for step in range(101):
        page.clock += 1
        live(SimpleNamespace(history=history(2), step=step, total=100))
    assert len(page.updated) <= 5
    live(SimpleNamespace(history=history(3), step=100, total=100))
    assert "100,000 tokens" in page.updated[-1].alt


def test_a_slow_first_picture_does_not_hold_up_the_next_ones(monkeypatch):
    page, live = FakePage(monkeypatch), LiveCurves()
    draw, costs = live.draw, iter([20, 1, 1, 1, 1, 1])  # seconds: the first has the drawing library to load

    def drawing_takes_a_while(*given):
        page.clock += next(costs)
        return draw(*given)

    live.draw = drawing_takes_a_while
    for step in range(4):
        page.clock += 100
        live(SimpleNamespace(history=history(2), step=step, total=100))
    assert len(page.updated) == 3


def test_live_curves_do_nothing_outside_a_notebook():
    live = LiveCurves()
    assert live(SimpleNamespace(history=history(), step=1, total=1)) is None and live.handle is None


# --- the dashboard ----------------------------------------------------------------------------------------------
class Bench(FakePage):
    """A page that remembers whole bundles, for `display(..., raw=True)`."""

    def display(self, what, display_id, raw=False):
        return super().display(what, display_id)


def play_history(rows=4, step=3, total=3):
    return SimpleNamespace(history=history(rows), step=step, total=total, seconds=3.0, tokens_seen=3000,
                           losses=torch.tensor([5.0, 0.4]))


def test_the_dashboard_draws_the_exam_first_then_losses_auc_recall_and_the_share_of_fakes():
    exam, mlm, rtd, auc, shares = lines_in(dashboard_figure(history()))
    assert exam[0] == [row["exam_easy_auc"] for row in history()]
    for lines, key, baseline in ((mlm, "mlm_loss", 6.5), (rtd, "rtd_loss", 0.4)):
        assert lines == [[row[key] for row in history()], [baseline] * 4]
    assert auc == [[row["rtd_auc"] for row in history()], [0.5, 0.5]]
    assert shares == [[row["rtd_recall"] for row in history()], [row["replaced_share"] for row in history()]]
    assert "In its own game" in dashboard_figure(history()).alt


def test_the_button_sets_an_event_from_any_thread_and_does_nothing_else(monkeypatch):
    page, board = Bench(monkeypatch), Dashboard("Mine")
    board.open(play_history(step=0))
    shown, streams = len(page.shown), torch.get_rng_state()
    presses = threading.Thread(target=board.button.click)
    presses.start()
    presses.join()
    assert board.stop.is_set() and len(page.shown) == shown and not page.updated
    assert torch.equal(streams, torch.get_rng_state())


WAITING = """
import time
from types import SimpleNamespace
from electra_tutorial.views.dashboard import Dashboard
board = Dashboard()
board.open(SimpleNamespace(step=0))
print("comm", board.button.comm.comm_id, "end")
print("heard", board.stop.wait(30), time.sleep(0.1))
"""


def test_a_press_that_the_page_sends_to_a_subshell_is_heard_while_the_cell_runs():
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    try:
        client.execute(WAITING)
        words = ""
        while "heard" not in words or not words.endswith("\n"):  # a line may come in parts
            message = client.get_iopub_msg(timeout=60)
            assert message["msg_type"] != "error", message["content"]
            words += message["content"].get("text", "") if message["msg_type"] == "stream" else ""
            if words.endswith("end\n"):
                client.shell_channel.send(press(client, words.split()[-2]))
        assert "heard True" in words
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def press(client, comm):
    """What JupyterLab sends when a button is pressed: a message to a subshell, which it has asked for."""
    client.control_channel.send(client.session.msg("create_subshell_request"))
    reply = client.get_control_msg(timeout=60)["content"]
    message = client.session.msg("comm_msg", {"comm_id": comm, "data": {
        "method": "custom", "content": {"event": "click"}}})
    message["header"]["subshell_id"] = reply["subshell_id"]
    return message


def test_a_saved_notebook_keeps_a_picture_and_words_and_no_dead_button(monkeypatch):
    page, board = Bench(monkeypatch), Dashboard("Mine")
    board(play_history(1, step=0))
    button = next(one for one in page.shown if isinstance(one, dict))
    assert "text/html" in button and "application/vnd.jupyter.widget-view+json" in button
    board(play_history(4, step=3))
    assert "finished" in page.updated[-1].data and board.button is None
    stopped = Dashboard("Mine")
    stopped(play_history(1, step=0))
    stopped.stop.set()
    stopped(play_history(2, step=1))
    assert "Stopped after step 1" in page.updated[-1].data
    assert any(getattr(one, "alt", "").startswith("Mine. Exam") for one in page.updated)


def test_pressed_in_another_thread_the_button_ends_a_run_with_a_checkpoint_that_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("ELECTRA_TUTORIAL_DATA", str(tmp_path / "data"))
    settings = dict(steps=12, dtype="float32", device="cpu", quiet=True, evaluations=2)
    corpus = Corpus("toy", {"toy": toy_sentences(400)}, {"toy": toy_sentences(460)[400:]})
    whole = pretrain(toy_preset(), corpus, **settings)
    Bench(monkeypatch)
    board = Dashboard()

    def press_at_five(training):
        if training.step == 5:
            presses = threading.Thread(target=board.button.click)
            presses.start()
            presses.join()
        Dashboard.progress(board, training)

    board.progress = press_at_five
    half = pretrain(toy_preset(), corpus, tmp_path / "run", watch=board, stop=board.stop, **settings)
    assert not half.finished and half.metrics["steps"] == 5 and (tmp_path / "run" / "checkpoint").is_dir()
    again = Dashboard()
    rest = pretrain(toy_preset(), corpus, tmp_path / "run", resume=True, watch=again, stop=again.stop, **settings)
    assert rest.finished
    pairs = zip(whole.electra.parameters(), rest.electra.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_outside_a_notebook_a_watched_run_shows_the_plain_bar(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("ELECTRA_TUTORIAL_DATA", str(tmp_path / "data"))
    corpus = Corpus("toy", {"toy": toy_sentences(400)}, {"toy": toy_sentences(460)[400:]})
    board, more = Dashboard(), dict(steps=3, dtype="float32", device="cpu", evaluations=1)
    pretrain(toy_preset(), corpus, watch=board, stop=board.stop, **more)
    assert "3/3" in capfd.readouterr().err
    assert board.handle is None and board.button is None


def test_watching_costs_at_most_three_percent_of_a_run_the_last_picture_included(monkeypatch):
    page, board = Bench(monkeypatch), Dashboard()
    picture, drawn = board.draw(history(2), None), []

    def drawing_takes_a_second(rows, title):
        page.clock += 1
        drawn.append(page.clock)
        return picture

    monkeypatch.setattr("electra_tutorial.views.dashboard.time.monotonic", lambda: page.clock)
    board.draw = drawing_takes_a_second
    for step in range(601):
        page.clock += 1
        board(play_history(2, step=step, total=600))
    assert drawn[-1] == page.clock and 10 < len(drawn) <= 18
    assert board.cost() == pytest.approx(len(drawn) / page.clock, rel=0.05) and board.cost() <= 0.03


def test_on_the_cover_no_two_words_or_numbers_of_a_sentence_overlap():
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from electra_tutorial.views.cover import cover

    axes = cover().figure.axes[0]
    renderer, lines = FigureCanvasAgg(axes.figure).get_renderer(), {}
    for text in axes.texts:
        lines.setdefault(text.get_position()[1], []).append(text.get_window_extent(renderer))
    assert len(lines) == 12, "six sentences, and the numbers below each"
    for boxes in lines.values():
        assert all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:], strict=False))
