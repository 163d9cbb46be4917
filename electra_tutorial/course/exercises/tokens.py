"""Cutting words into pieces as an exercise."""
from electra_tutorial import tokens
from electra_tutorial.course.exercise import Exercise

# --- longest_match --------------------------------------------------------------------------------

longest_match = Exercise(
    tokens.longest_match, lesson=1, difficulty=2, minutes=10, later=True,
    task="""
        Cut `word`, a string, into pieces of `vocabulary`, a set of strings. Begin at the left. Take the
        longest piece that fits there, then go on behind it. Any piece but the first is looked up, and
        returned, with `##` in front. Return the pieces as a list. Where nothing fits, the *whole* word is
        lost: return `["[UNK]"]`.
    """,
    hint="""
        Keep a number `start`, 0 at first. In a `while start < len(word)` try every `end` from `len(word)`
        down to `start + 1`: is `word[start:end]`, with `##` in front unless `start` is 0, in the vocabulary?
        At the first that is, keep it, set `start = end`, and leave the inner loop with `break`. A `for` can
        have an `else`: it runs when no `break` did.
    """)

THING = frozenset(["t", "th", "thi", "win", "##h", "##i", "##n", "##g", "##in", "##ing", "ing"])


@longest_match.cases
def some_words():
    for word in ("thing", "win", "winning", "t", "thinking"):
        yield word, set(THING)
    yield "thing", {"th", "thi", "##ing"}
    yield "wing", {"w", "win", "ing", "g"}
    yield "banana", {"ban", "b", "##a", "##an", "##ana", "##n"}
    yield "aaaaaaa", {"a", "aa", "##a", "##aaa"}
    yield "unwrapped", {"un", "unw", "u", "##wr", "##rap", "##app", "##ed", "##ped", "##r"}


@longest_match.mistake("You took the shortest piece that fits: try the longest first.")
def shortest_first(word, vocabulary):
    pieces, start = [], 0
    while start < len(word):
        mark = "##" if start else ""
        ends = range(start + 1, len(word) + 1)
        end = next((end for end in ends if mark + word[start:end] in vocabulary), None)
        if end is None:
            return ["[UNK]"]
        pieces.append(mark + word[start:end])
        start = end
    return pieces


@longest_match.mistake("You looked the later pieces up without `##`: `ing` at the start of a word and `##ing` "
                       "inside one are two pieces.")
def without_the_mark(word, vocabulary):
    pieces, start = [], 0
    while start < len(word):
        end = next((end for end in range(len(word), start, -1) if word[start:end] in vocabulary), None)
        if end is None:
            return ["[UNK]"]
        pieces.append(("##" if start else "") + word[start:end])
        start = end
    return pieces


@longest_match.mistake("The later pieces lost their `##`: return them as they stand in the vocabulary.")
def mark_not_returned(word, vocabulary):
    return [piece.removeprefix("##") for piece in tokens.longest_match(word, vocabulary)]


@longest_match.mistake("Where nothing fits you keep the pieces found so far: the whole word is [UNK], and nothing "
                       "else.")
def keeps_the_beginning(word, vocabulary):
    pieces, start = [], 0
    while start < len(word):
        mark = "##" if start else ""
        ends = range(len(word), start, -1)
        end = next((end for end in ends if mark + word[start:end] in vocabulary), None)
        if end is None:
            return [*pieces, "[UNK]"]
        pieces.append(mark + word[start:end])
        start = end
    return pieces


@longest_match.mistake("Where nothing fits you put [UNK] for one letter and go on behind it: the whole word is "
                       "[UNK], and nothing else.")
def skips_a_letter(word, vocabulary):
    pieces, start = [], 0
    while start < len(word):
        mark = "##" if start else ""
        ends = range(len(word), start, -1)
        end = next((end for end in ends if mark + word[start:end] in vocabulary), None)
        pieces.append("[UNK]" if end is None else mark + word[start:end])
        start = end or start + 1
    return pieces


@longest_match.mistake("You looked for the fewest pieces. That is another rule: take the longest piece at the left, "
                       "even if it leads nowhere.")
def fewest_pieces(word, vocabulary):
    best = {0: []}
    for end in range(1, len(word) + 1):
        for start in range(end):
            piece = ("##" if start else "") + word[start:end]
            if start in best and piece in vocabulary and len(best[start]) + 1 < len(best.get(end, [0] * 99)):
                best[end] = [*best[start], piece]
    return best.get(len(word), ["[UNK]"])
