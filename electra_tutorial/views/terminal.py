"""The token strip as text, for a terminal: aligned columns, wrapped, in colour only if asked for."""
import shutil
import textwrap
import unicodedata

from electra_tutorial.views.columns import (
    ROWS,
    Column,
    columns_of,
    drawn_in_words,
    percent,
    rows_shown,
    summary,
    word_columns,
)

ANSI = {-2: 75, -1: 153, 0: 231, 1: 223, 2: 208}  # blue, white, orange; one for each two nats


def strip_text(judgement, colour=False, width=None, against="base rate"):
    """The strip as text in aligned columns, wrapped at `width` characters (None: as wide as the terminal).

    colour=True puts terminal colours behind the numbers. What was replaced says so, in colour or without.
    """
    width = max(40, width or shutil.get_terminal_size((100, 24)).columns)
    columns = columns_of(judgement, against)
    names = rows_shown(judgement, columns, against)
    margin = max(len(ROWS[name]) for name in names) + 1
    blocks = [block_text(line, names, margin, colour) for line in lines_of(columns, names, width - margin)]
    words = [summary(judgement), *judgement.notes, *proposals_text(judgement)]
    return "\n".join([*blocks, *(textwrap.fill(line, width, subsequent_indent="  ") for line in words)])


def lines_of(columns, names, room):
    """Columns in as many lines as they need: a list of lists."""
    lines, used = [[]], 0
    for column in columns:
        needed = column_width(column, names) + 1
        if lines[-1] and used + needed > room:
            lines.append([])
            used = 0
        lines[-1].append(column)
        used += needed
    return lines


def column_width(column, names):
    """Terminal cells the widest row of a column takes."""
    return max(text_width(column.rows[name]) for name in names)


def text_width(text):
    """Terminal cells a text takes: Chinese characters and emoji two, marks on other letters none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
               for c in text)


def block_text(columns, names, margin, coloured):
    """One line of the strip: a row of text for each name, and an empty one."""
    rows = []
    for name in names:
        cells = (text_cell(column, name, column_width(column, names), coloured) for column in columns)
        rows.append((ROWS[name].ljust(margin) + " ".join(cells)).rstrip())
    return "\n".join([*rows, ""])


def text_cell(column, name, width, coloured):
    """One cell, filled up to its width; right-to-left text is kept from turning its neighbours around."""
    text = column.rows[name]
    fill = " " * (width - text_width(text))
    if any(unicodedata.bidirectional(c) in ("R", "AL") for c in text):
        text = f"\u2068{text}\u2069"
    if coloured and name == "p":
        background = ANSI[max(-2, min(2, round(column.nats / 2)))]
        return f"\x1b[30;48;5;{background}m{text}\x1b[0m{fill}"
    if coloured and name in ("truth", "verdict") and text:
        return f"\x1b[1m{text}\x1b[0m{fill}"
    return text + fill


def proposals_text(judgement):
    """The proposals at each hidden place as lines of text."""
    return [
        f"place {place}: " + ", ".join(f"{piece} {percent(p)}" for piece, p in row)
        + f" | {drawn_in_words(judgement, number)}"
        for number, (place, row) in enumerate(zip(judgement.mask, judgement.proposals, strict=False))
    ]


def compared_text(judged, words):
    """The comparison as text: a row of words, and one of numbers for each model."""
    names = {"sampled": "", **{f"model {n}": name for n, (name, _) in enumerate(judged)}, "truth": "truth"}
    each = [word_columns(judgement, words) for _, judgement in judged]
    columns = []
    for column in zip(*each, strict=True):
        rows = {"sampled": column[0].rows["sampled"], "truth": column[0].rows["truth"]}
        rows |= {f"model {n}": c.rows["p"] for n, c in enumerate(column)}
        columns.append(Column(rows, 0.0, 0.0, "", ""))
    return table_text(columns, names)


def words_text(columns):
    """A sentence as text: a row of words, and one of numbers below."""
    rows = {"sampled": "", "p": ROWS["p"], "truth": ""}
    return table_text(columns, {name: label for name, label in rows.items() if any(c.rows[name] for c in columns)})


def table_text(columns, names):
    """Columns below one another in as many lines as they need. names: {row: what stands at its left}."""
    width, margin = shutil.get_terminal_size((100, 24)).columns, max(map(text_width, names.values())) + 1
    lines = lines_of(columns, names, max(40, width) - margin)
    return "\n".join("\n".join(
        (label + " " * (margin - text_width(label)) +
         " ".join(text_cell(c, row, column_width(c, names), False) for c in line)).rstrip()
        for row, label in names.items()) + "\n" for line in lines)
