"""The token strip: a sentence as it was typed, as it was masked, as the generator filled it, and how suspect each piece is."""
import html
import math
import os
import shutil
import unicodedata

FULL = 4.0  # nats of log-odds away from the base rate at which a colour is full: odds 55 times as high


class Strip:
    """A picture made of HTML with inline styles only, and the same in characters for where there is no page."""

    def __init__(self, markup, text, alt):
        self.html, self.text, self.alt = markup, text, alt

    def _repr_html_(self):
        return self.html

    def __repr__(self):
        return self.text


def suspicion(p, base_rate):
    """Log-odds of p against the base rate, in nats: 0 = no more suspect than any token."""
    p, base_rate = (min(max(x, 1e-6), 1 - 1e-6) for x in (p, base_rate))
    return math.log(p / (1 - p)) - math.log(base_rate / (1 - base_rate))


def colour_of(nats):
    """White at 0, orange above, blue below; black letters stay readable on all of them."""
    share = min(abs(nats) / FULL, 1)
    full = (245, 133, 24) if nats > 0 else (120, 180, 230)
    return "#" + "".join(f"{round(255 + (c - 255) * share):02x}" for c in full)


def percent(p):
    """A probability in at most four characters."""
    return f"{100 * p:.1f}%" if p < 0.0995 else f"{100 * p:.0f}%"


def truth(judgement, place):
    """What is known of a piece, in a word."""
    if place not in judgement.mask:
        return "replaced" if judgement.labels[place] else ""
    if place in judgement.open:
        return "filled"
    return "replaced" if judgement.labels[place] else "same"


def summary(judgement):
    """The strip in a sentence or two."""
    fakes = [place for place, fake in enumerate(judgement.labels) if fake]
    ordinary = [place for place, special in enumerate(judgement.special) if not special]
    most = max(ordinary, key=lambda place: judgement.p_replaced[place])
    return (f"{len(ordinary)} pieces, {len(fakes)} replaced. Most suspected: {judgement.corrupted[most]} at place {most} with "
            f"{percent(judgement.p_replaced[most])}.")


def token_strip(judgement):
    """The strip of one `Judgement`: a `Strip`."""
    columns = []
    for place, piece in enumerate(judgement.pieces):
        p = judgement.p_replaced[place]
        rows = [str(place), piece, judgement.masked[place], judgement.corrupted[place]]
        cells = "".join(f"<bdi>{html.escape(row)}</bdi><br>" for row in rows)
        columns.append(
            f'<span style="display:inline-block;text-align:center;padding:2px 4px;margin:2px;vertical-align:top">{cells}'
            f'<span style="background-color:{colour_of(suspicion(p, judgement.base_rate))};padding:1px 3px">{percent(p)}</span>'
            f"<br><b>{truth(judgement, place)}</b></span>")
    alt = summary(judgement)
    markup = (f'<figure aria-label="{html.escape(alt)}" style="margin:0;padding:8px;background-color:#ffffff;color:#111111">'
              f"<figcaption>{html.escape(alt)}</figcaption>{''.join(columns)}</figure>")
    return Strip(markup, strip_text(judgement), alt)


def wide(text):
    """Columns a text takes on a terminal: Chinese characters take two."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def strip_text(judgement, colour=False, width=None):
    """The strip for a terminal: aligned columns, wrapped at the terminal's width; ANSI colours only if asked for."""
    width = width or shutil.get_terminal_size((100, 24)).columns
    rows = [[str(place), judgement.pieces[place], judgement.masked[place], judgement.corrupted[place],
             percent(judgement.p_replaced[place]), truth(judgement, place)] for place in range(len(judgement.pieces))]
    names = ["place", "original", "masked", "sampled", "P(fake)", "truth"]
    lines, left = [], max(map(len, names)) + 1
    while rows:
        used, chunk = left, []
        while rows and (not chunk or used + max(map(wide, rows[0])) + 1 <= width):
            used += max(map(wide, rows[0])) + 1
            chunk.append(rows.pop(0))
        for number, name in enumerate(names):
            cells = (row[number] + " " * (max(map(wide, row)) - wide(row[number])) for row in chunk)
            lines.append((name.ljust(left) + " ".join(cells)).rstrip())
        lines.append("")
    return os.linesep.join([*lines, summary(judgement), *judgement.notes])


def compare_strips(judged):
    """Several models on the same fakes: judged, a list of (name, `Judgement`). A `Strip`."""
    parts = [(name, token_strip(judgement)) for name, judgement in judged]
    markup = "".join(f'<div style="margin:4px 0"><b>{html.escape(name)}</b>{strip.html}</div>' for name, strip in parts)
    return Strip(markup, "\n\n".join(f"{name}\n{strip.text}" for name, strip in parts), " ".join(f"{n}: {s.alt}" for n, s in parts))
