"""What stands in a token strip, column by column, before it is drawn on a page or in a terminal.

P(replaced) is small nearly everywhere, so what counts is how far it lies from what a detector says that knows
nothing: the base rate. That distance, in nats of log-odds, is what colours show.
"""
import math
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from electra_tutorial.errors import UserError

THRESHOLD = 0.5  # above it a piece counts as called a fake
ROWS = {
    "place": "place", "original": "original", "masked": "masked", "sampled": "sampled",
    "before": "P unedited", "p": "P(replaced)", "truth": "truth", "verdict": "verdict",
}


@dataclass(frozen=True)
class Column:
    """One piece: the words of each row, and what decides how the number looks."""

    rows: dict  # row name -> text
    nats: float  # decides the colour
    p: float
    known: str  # "replaced", "same" (a lucky sample), "filled" (there was no original) or ""
    piece: str


def log_odds_above(p, reference):
    """How far the odds of p lie above those of a reference probability, in nats; 0 = no more suspect."""
    p, reference = (min(max(x, 1e-6), 1 - 1e-6) for x in (p, reference))
    return math.log(p / (1 - p)) - math.log(reference / (1 - reference))


def probability_at(nats, reference):
    """The probability that lies so many nats above a reference: the inverse of `log_odds_above`."""
    odds = math.exp(nats) * reference / (1 - reference)
    return odds / (1 + odds)


def percent(p):
    """A probability as a person reads it: <0.1%, 0.4%, 7.2%, 98%, >99%."""
    if p < 0.0005:
        return "<0.1%"
    return f"{100 * p:.1f}%" if p < 0.0995 else f"{100 * p:.0f}%" if p < 0.995 else ">99%"


def truth_of(judgement, place):
    """What is known of a piece: "replaced", "same" (the sample was the original), "filled" or ""."""
    if place in judgement.open:
        return "filled"
    if judgement.labels[place]:
        return "replaced"
    return "same" if place in judgement.mask else ""


def verdict(p, known):
    """What the detector made of it, at the threshold: "caught", "missed", "false alarm" or ""."""
    if known == "filled":
        return ""
    if known == "replaced":
        return "caught" if p > THRESHOLD else "missed"
    return "false alarm" if p > THRESHOLD else ""


def columns_of(judgement, against):
    """One `Column` for each piece. against: what colours compare with, "base rate" or "unedited"."""
    if against not in ("base rate", "unedited"):
        raise UserError(f"A strip cannot compare with {against!r}: choose 'base rate' or 'unedited'.")
    masked = judgement.masked
    columns = []
    for place, p in enumerate(judgement.p_replaced):
        before = judgement.p_unedited[place]
        known = truth_of(judgement, place)
        rows = {
            "place": str(place), "original": judgement.pieces[place], "masked": masked[place],
            "sampled": judgement.corrupted[place], "before": percent(before), "p": percent(p),
            "truth": known, "verdict": verdict(p, known),
        }
        nats = log_odds_above(p, judgement.base_rate if against == "base rate" else before)
        columns.append(Column(rows, nats, p, known, judgement.corrupted[place]))
    return columns


def rows_shown(judgement, columns, against):
    """The names of the rows that say something for this judgement."""
    hidden = set() if judgement.mask else {"masked", "sampled"}
    hidden |= set() if against == "unedited" else {"before"}
    hidden |= {name for name in ("truth", "verdict") if not any(c.rows[name] for c in columns)}
    if not any(column.known == "replaced" for column in columns):  # nothing was planted: an alarm may be right
        hidden.add("verdict")
    return [name for name in ROWS if name not in hidden]


def summary(judgement):
    """The strip in words: what was replaced by what, whether it was caught, and what is most suspected."""
    most = judgement.most_suspect
    found = replacements(judgement)
    parts = [replacement_in_words(judgement, places) for places in found[:4]]
    if len(found) > 4:
        parts.append(f"and {len(found) - 4} more")
    if not parts:
        parts = ["nothing was replaced" if judgement.mask else "read as it is, nothing hidden"]
    pieces = judgement.special.count(False)
    return (f"{pieces} piece{'s' * (pieces != 1)}: {', '.join(parts)}. "
            f"Most suspected: {judgement.corrupted[most]} (place {most}), {percent(judgement.p_replaced[most])}; "
            f"the base rate is {percent(judgement.base_rate)}.")


def replacements(judgement):
    """The places of each replaced piece; all places of a whole word that went in for one of more or fewer pieces."""
    found = []
    for place in judgement.mask:
        if truth_of(judgement, place) == "replaced":
            if judgement.pieces[place]:
                found.append([])
            found[-1].append(place)
    return found


def replacement_in_words(judgement, places):
    """One replacement, such as "are -> is at place 3 (72%, caught)"."""
    p, (first, *others) = max(judgement.p_replaced[place] for place in places), places
    new = "".join([judgement.corrupted[first], *(judgement.corrupted[place].removeprefix("##") for place in others)])
    at = f"places {first}-{places[-1]}" if others else f"place {first}"
    return f"{judgement.pieces[first]} → {new} at {at} ({percent(p)}, {verdict(p, 'replaced')})"


def word_columns(judgement, words):
    """One `Column` for each word."""
    columns = []
    for word, p, fake in zip(words, judgement.word_suspicion(), judgement.word_labels(), strict=True):
        rows = {"sampled": word, "p": "–" if p is None else percent(p), "truth": "replaced" if fake else ""}
        p = judgement.base_rate if p is None else p
        columns.append(Column(rows, log_odds_above(p, judgement.base_rate), p, rows["truth"], word))
    return columns


def marked(columns, places):
    """The same columns; those at these places say that their word is new."""
    return [replace(column, known="replaced", rows=column.rows | {"truth": "changed"}) if place in places else column
            for place, column in enumerate(columns)]


def changes(before, after):
    """What turned one list of words into another: the places of the new words, and a sentence about it."""
    edits = [edit for edit in SequenceMatcher(None, before, after, False).get_opcodes() if edit[0] != "equal"]
    new = {place for _, _, _, start, end in edits for place in range(start, end)}
    told = [f"{' '.join(before[a:b]) or 'nothing'} → {' '.join(after[c:d]) or 'nothing'}" for _, a, b, c, d in edits]
    return new, f"Changed: {', '.join(told)}." if edits else "Nothing was changed."


def best_guess(judgement, words, judged=True):
    """The most suspected word, and, if that is to be judged, whether it was really replaced, in a sentence."""
    suspicion = [-1 if p is None else p for p in judgement.word_suspicion()]
    most = suspicion.index(max(suspicion))
    if not judged:
        return f"suspects “{words[most]}” most, {percent(suspicion[most])}."
    right = "really replaced" if judgement.word_labels()[most] else "not replaced"
    right = right if any(judgement.word_labels()) else "nothing was replaced"
    return f"suspects “{words[most]}” most, {percent(suspicion[most])} ({right})."


def drawn_in_words(judgement, number):
    """Which piece was put in, how likely it was, and how likely the original."""
    place = judgement.mask[number]
    drawn = f"put in: {judgement.samples[number]} ({percent(judgement.sample_probabilities[number])})"
    if place in judgement.open or math.isnan(judgement.original_probabilities[number]):
        return drawn  # there is no one piece to compare with
    original = f"{judgement.pieces[place]} ({percent(judgement.original_probabilities[number])})"
    return f"{drawn}; the original: {original}"
