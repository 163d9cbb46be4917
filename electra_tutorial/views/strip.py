"""The token strip: a sentence as typed, as masked, as the generator filled it, and how suspect each piece is.

Orange is more suspect than the base rate, blue less, and the number stands beside it; what was really
replaced has a ring and says so in a word. Inline styles only, which is what an untrusted notebook keeps; in a
terminal the same as text. Both are drawn from a `Judgement` and nothing else.
"""
import math
from html import escape

from electra_tutorial.errors import UserError
from electra_tutorial.views.columns import (
    ROWS,
    best_guess,
    changes,
    columns_of,
    drawn_in_words,
    marked,
    percent,
    probability_at,
    rows_shown,
    summary,
    word_columns,
)
from electra_tutorial.views.terminal import compared_text, strip_text, words_text

FULL = 4.0  # nats of log-odds at which a colour is full: 55 times the odds of the base rate
ORANGE, BLUE = (245, 133, 24), (110, 175, 235)  # black letters keep a contrast above 7 on both
INK, PALE_INK = "color:#111111;", "color:#595959;"
PAPER = f"background-color:#ffffff;{INK}"  # both are set, so that no theme can hide a letter


class Strip:
    """The strip as HTML and as text, with what it shows in words: `html`, `text`, `alt`."""

    def __init__(self, html, text, alt):
        self.html, self.text, self.alt = html, text, alt

    def _repr_html_(self):
        return self.html

    def __repr__(self):
        return self.text


# --- one sentence -------------------------------------------------------------------------------------------
def token_strip(judgement, against="base rate"):
    """The strip of one `Judgement`: a `Strip`, shown as HTML by a notebook and as text by a terminal.

    against: "base rate" colours how far P(replaced) lies from the share of fakes in training;
    "unedited", how far the replacements moved it. Raises `UserError` for another.
    """
    columns = columns_of(judgement, against)
    names = rows_shown(judgement, columns, against)
    boxes = [word_box([columns[place] for place in group], names) for group in groups_of(judgement)]
    reference = judgement.base_rate if against == "base rate" else None
    alt = summary(judgement)
    html = figure_box(alt, [
        wrapped([label_box(names), *boxes]), legend(reference), *map(note_box, judgement.notes),
        proposals_box(judgement),
    ])
    return Strip(html, strip_text(judgement, against=against), alt)


def groups_of(judgement):
    """The places of each word, [CLS] and [SEP] as words of their own, in order."""
    special = [[place] for place, is_special in enumerate(judgement.special) if is_special]
    return sorted([*(word for word in judgement.words if word), *special])


def span(content, style, title=""):
    """A piece of HTML with its style; the title is what a pointer shows."""
    title = f' title="{escape(title)}"' if title else ""
    return f'<span style="{style}"{title}>{content}</span>'


def figure_box(alt, parts):
    """The frame of a strip; its caption is visible, because an untrusted notebook drops hidden labels."""
    style = (f"margin:0;padding:8px 10px;border:1px solid #c4c4c4;border-radius:6px;{PAPER}"
             "font-size:14px;line-height:20px;text-align:left")
    caption = f'<figcaption style="margin:0 0 8px 0;{INK}"><bdi>{escape(alt)}</bdi></figcaption>'
    return f'<figure dir="ltr" style="{style}">{caption}{"".join(parts)}</figure>'


def wrapped(boxes):
    """Boxes side by side, going on in the next line where the page ends."""
    return f'<div style="display:flex;flex-wrap:wrap;align-items:flex-start">{"".join(boxes)}</div>'


def label_box(names):
    """The names of the rows, at the left of the first line."""
    short = ("place", "before", "truth", "verdict")
    heights = {name: 16 if name in short else 22 if name == "p" else 20 for name in names}
    lines = "".join(span(ROWS[name], f"display:block;line-height:{heights[name]}px") for name in names)
    return span(lines, f"display:inline-block;{PALE_INK}border-top:2px solid #ffffff;margin:0 8px 8px 0;"
                       "text-align:right;font-size:12px")


def word_box(columns, names):
    """One word: its pieces side by side under one line, which is how pieces of one word are told."""
    line = "#595959" if len(columns) > 1 else "#ffffff"
    return span("".join(column_box(column, names) for column in columns),
                f"display:inline-block;white-space:nowrap;border-top:2px solid {line};margin:0 5px 8px 0")


def column_box(column, names):
    """One piece: a cell for each row, one below the other."""
    last = ("truth", "verdict")  # left out where they are empty, so that a line without any is not taller
    cells = "".join(cell(column, name) for name in names if column.rows[name] or name not in last)
    style = "display:inline-block;vertical-align:top;text-align:center;padding:0 3px;min-width:28px"
    return span(cells, style)


def cell(column, name):
    """One row of a piece. Each is text in its own direction, whatever script it is in."""
    content = f"<bdi>{escape(column.rows[name])}</bdi>" if column.rows[name] else "&nbsp;"
    if name == "p":
        return number_cell(column, content)
    small = "" if name in ("original", "masked", "sampled") else "font-size:12px;line-height:16px;"
    told = name in ("truth", "verdict") or (name in ("masked", "sampled") and column.known)
    ink = f"{INK}font-weight:bold;" if told else INK if name == "original" else PALE_INK
    return span(content, f"display:block;white-space:pre;{small}{ink}")


def number_cell(column, content):
    """P(replaced) on its colour; a ring around what was replaced, a dotted one if it was only hidden."""
    background = shade(column.nats)
    ring = {"": f"solid {background}", "replaced": "solid #111111"}.get(column.known, "dotted #111111")
    title = f"{column.piece}: P(replaced) = {column.p:.4f}, {column.nats:+.2f} nats"
    style = f"display:block;background-color:{background};{INK}border:2px {ring};border-radius:4px;"
    return span(content, style + "padding:0 2px;line-height:18px", title)


def shade(nats):
    """White at 0 nats, orange above, blue below, full from 4 on: a hexadecimal colour."""
    share = min(abs(nats) / FULL, 1)
    full = ORANGE if nats > 0 else BLUE
    return "#" + "".join(f"{round(255 + (c - 255) * share):02x}" for c in full)


def legend(reference, rings="Ring: really replaced; dotted: hidden, but no fake."):
    """What the colours mean: five of them with their probabilities, or by how much the odds moved."""
    swatches = "".join(swatch(colour, label) for colour, label in scale(reference))
    said = f"Colour: how far from {compared_with(reference)}. {swatches}<br>{rings}"
    return f'<div style="font-size:12px;{PALE_INK}margin:0 0 4px 0">{said}</div>'


def scale(reference):
    """Five colours and what each stands for: P(replaced) around a reference; without one, a factor of the odds."""
    steps = (-4, -2, 0, 2, 4)
    labels = [percent(probability_at(n, reference)) if reference else f"odds ×{math.exp(n):.2g}" for n in steps]
    return [(shade(n), label) for n, label in zip(steps, labels, strict=True)]


def compared_with(reference):
    """What the colours compare with, in words."""
    return f"the base rate, {percent(reference)}" if reference else "the unedited sentence"


def swatch(colour, label):
    """One colour of the scale with what it stands for."""
    style = f"display:inline-block;background-color:{colour};{INK}padding:0 6px;margin:0 1px"
    return span(label, style)


def note_box(note):
    """A sentence to read beside the numbers."""
    return f'<p style="margin:4px 0;{INK}"><b>Note.</b> <bdi>{escape(note)}</bdi></p>'


def proposals_box(judgement):
    """What the generator proposed at each hidden place, folded; nothing if no place was hidden."""
    if not any(judgement.proposals):
        return ""
    lines = "".join(proposal_line(judgement, n) for n in range(len(judgement.mask)))
    title = f"What the generator proposed at each [MASK] (temperature {judgement.temperature:g})"
    return (f'<details style="margin:4px 0 0 0;{PAPER}"><summary style="{INK}">{title}</summary>'
            f"{lines}</details>")


def proposal_line(judgement, number):
    """The proposals at one hidden place, and how likely the drawn piece and the original were."""
    place = judgement.mask[number]
    chips = "".join(chip(piece, p) for piece, p in judgement.proposals[number])
    return (f'<div style="margin:6px 0 0 0;{INK}"><b>Place {place}</b>: {chips}<br>'
            f"{escape(drawn_in_words(judgement, number))}</div>")


def chip(piece, p):
    """One proposal, with a bar under it as long as it is likely."""
    width = f"width:{max(1, round(100 * p))}%"
    bar = span("&nbsp;", f"display:block;height:4px;line-height:4px;{width};background-color:#0072b2")
    style = f"display:inline-block;min-width:64px;margin:0 12px 2px 0;{INK}vertical-align:top"
    return span(f"<bdi>{escape(piece)}</bdi> {percent(p)}{bar}", style)


# --- several models -----------------------------------------------------------------------------------------
def compare_strips(judged):
    """Several models' opinions of the same fakes, word by word: judged, a list of (name, `Judgement`).

    A word is as suspect as the most suspect of its pieces, so models with different vocabularies can be
    compared. Make the first judgement with `judge`, the others with `rejudge`. Returns a `Strip`. Raises
    `UserError` when there is none, or they are of different sentences.
    """
    if not judged:
        raise UserError("There is nothing to compare: give a list of (name, judgement).")
    first = judged[0][1]
    words, fakes = first.corrupted_words(), sum(first.word_labels())
    for name, judgement in judged:
        if judgement.corrupted_words() != words:
            raise UserError(f"{name!r} read another sentence than {judged[0][0]!r}: use rejudge.")
    alt = " ".join(f"{name} {best_guess(judgement, words)}" for name, judgement in judged)
    rows = [compared_row(name, judgement, words) for name, judgement in judged]
    caption = f"One sentence, {fakes} of {len(words)} words replaced, read by {len(judged)} models."
    html = figure_box(caption, [*rows, legend(first.base_rate)])
    return Strip(html, compared_text(judged, words) + f"\n{caption} {alt}", f"{caption} {alt}")


def compared_row(name, judgement, words):
    """One model: its name, what it suspects most, and the words with their numbers."""
    boxes = [word_box([column], ["sampled", "p", "truth"]) for column in word_columns(judgement, words)]
    guess = escape(best_guess(judgement, words))
    head = f'<div style="margin:0 0 4px 0;{INK}"><b><bdi>{escape(name)}</bdi></b> <bdi>{guess}</bdi></div>'
    return head + wrapped(boxes) + "".join(map(note_box, judgement.notes))


# --- two sentences ------------------------------------------------------------------------------------------
def twin_strip(before, after):
    """One model's opinion of a sentence before and after you changed it, word by word: a `Strip`.

    before, after: `Judgement`s of the two, made with `mask=[]`. Words of the second that the first has not carry
    a ring and the word "changed".
    """
    words = before.corrupted_words(), after.corrupted_words()
    new, change = changes(*words)
    columns = word_columns(before, words[0]), marked(word_columns(after, words[1]), new)
    alt = f"{change} Of the first sentence it {best_guess(before, words[0], False)} " \
          f"Of the second it {best_guess(after, words[1], False)} The base rate is {percent(before.base_rate)}."
    rows = [wrapped([word_box([column], ["sampled", "p", "truth"]) for column in line]) for line in columns]
    notes = map(note_box, dict.fromkeys([*before.notes, *after.notes]))
    html = figure_box(alt, [*rows, legend(before.base_rate, "Ring: a word that is new."), *notes])
    return Strip(html, "\n".join([*map(words_text, columns), alt]), alt)
