"""Questions to a judgement as exercises."""
import numpy as np

from electra_tutorial import suspicion
from electra_tutorial.course.exercise import Exercise
from electra_tutorial.judgement import Judgement, judge


def made(words, p, before=None):
    """A `Judgement` of hand-made numbers. words: lists of pieces; p: P(replaced), those of [CLS] and [SEP] too."""
    pieces = [piece for word in words for piece in word]
    ends = np.cumsum([0] + [len(word) for word in words]).tolist()
    places = [list(range(start + 1, end + 1)) for start, end in zip(ends, ends[1:], strict=False)]
    texts = ["".join(word).replace("##", "") for word in words]
    pieces, ids = ["[CLS]", *pieces, "[SEP]"], [2, *range(10, 10 + len(pieces)), 3]
    whole = {"text": " ".join(texts), "pieces": pieces, "ids": ids, "words": places, "word_texts": texts,
             "corrupted": pieces, "corrupted_ids": ids, "labels": [False] * len(ids), "p_replaced": p,
             "p_unedited": before or p, "base_rate": 0.12, "temperature": 1.0, "seed": 0}
    lists = ("mask", "open", "samples", "sample_probabilities", "original_probabilities", "proposals", "notes")
    return Judgement(**whole, **{name: [] for name in lists})


def random_judgement(length):
    """A `Judgement` of words of one to four pieces, with random numbers."""
    words = [[f"w{n}", *(f"##x{k}" for k in range(np.random.randint(4)))] for n in range(length)]
    count = sum(map(len, words)) + 2
    return made(words, np.random.uniform(0.01, 0.99, count).round(3).tolist(),
                np.random.uniform(0.01, 0.99, count).round(3).tolist())


# --- suspected_word -------------------------------------------------------------------------------

suspected_word = Exercise(
    suspicion.suspected_word, lesson=7, difficulty=1, minutes=6,
    task="""
        Which word does the discriminator suspect most? A word is as suspect as the *most* suspect of its
        pieces; [CLS] and [SEP] are nobody's words. `judgement.words` holds for each word the list of the
        places of its pieces (an empty list for a word that was cut off), `judgement.p_replaced` the
        probability of each place, `judgement.corrupted_words()` the words as text. Return the word as text,
        of several equal ones the first.
    """,
    hint="""
        `zip(judgement.corrupted_words(), judgement.words)` gives each word with its places. Leave out words
        without places. Then `max(..., key=...)`.
    """)


@suspected_word.cases
def words_and_pieces():
    yield (made([["she"], ["have"], ["gone"]], [0.0, 0.1, 0.8, 0.3, 0.0]),)
    yield (made([["un", "##wrap"], ["the"], ["parcel"]], [0.1, 0.2, 0.9, 0.6, 0.7, 0.2]),)
    yield (made([["a"], ["tu", "##es", "##day"]], [0.95, 0.4, 0.1, 0.5, 0.1, 0.99]),)
    yield (made([["one"], ["two"], ["three"]], [0.0, 0.3, 0.3, 0.1, 0.0]),)
    yield (made([["long", "##er", "##er"], ["word"]], [0.0, 0.5, 0.5, 0.5, 0.6, 0.0]),)
    for length in (3, 5, 7, 9, 12, 15):
        yield (random_judgement(length),)


@suspected_word.mistake("You return a piece, and a word is asked for: its pieces joined, without ##.")
def a_piece(judgement):
    places = [place for word in judgement.words for place in word]
    return judgement.corrupted[max(places, key=lambda place: judgement.p_replaced[place])]


@suspected_word.mistake("You took the mean of a word's pieces: one bad piece is enough, take the highest.")
def the_mean(judgement):
    pairs = zip(judgement.corrupted_words(), judgement.words, strict=True)
    return max(pairs, key=lambda pair: np.mean([judgement.p_replaced[place] for place in pair[1]]))[0]


@suspected_word.mistake("You looked at the first piece of each word only: the highest of its pieces counts.")
def the_first_piece(judgement):
    pairs = zip(judgement.corrupted_words(), judgement.words, strict=True)
    return max(pairs, key=lambda pair: judgement.p_replaced[pair[1][0]])[0]


@suspected_word.mistake("You added up the pieces of a word: then long words are suspected for their length alone.")
def the_sum(judgement):
    pairs = zip(judgement.corrupted_words(), judgement.words, strict=True)
    return max(pairs, key=lambda pair: sum(judgement.p_replaced[place] for place in pair[1]))[0]


@suspected_word.mistake("You found the least suspected word: you took the lowest.")
def the_least(judgement):
    pairs = zip(judgement.corrupted_words(), judgement.words, strict=True)
    return min(pairs, key=lambda pair: max(judgement.p_replaced[place] for place in pair[1]))[0]


@suspected_word.rule
def a_word_that_was_cut_off_is_left_out(suspected_word):
    judgement = made([["the"], ["dog"]], [0.0, 0.2, 0.4, 0.0])
    judgement.words.append([])
    judgement.word_texts.append("barked")
    given = "[the 0.2, dog 0.4, barked: cut off, no pieces]"
    try:
        got = suspected_word(judgement)
    except (ValueError, IndexError) as error:
        raise AssertionError(f"Of {given} it stops: {error}. A word that was cut off has no places: leave it out.") \
            from None
    assert got == "dog", f"Of {given} it returns {got!r}, and should 'dog'."


# --- suspicion_gained -----------------------------------------------------------------------------

suspicion_gained = Exercise(
    suspicion.suspicion_gained, lesson=7, difficulty=2, minutes=8,
    task="""
        By how much did the replacements move the suspicion of each piece? `judgement.p_unedited` is
        P(replaced) of each piece of the sentence as it was typed, `judgement.p_replaced` after the
        replacements: two lists of T numbers. Return a numpy array `(T,)`: the log-odds after, minus the
        log-odds before, in nats. The log-odds of p are log(p / (1 - p)).
    """,
    hint="Make arrays of both lists first, `np.array(...)`: then the formula works on all places at once.")


@suspicion_gained.cases
def before_and_after():
    yield (made([["a"], ["dog"]], [0.5, 0.8, 0.5, 0.2], before=[0.5, 0.2, 0.5, 0.5]),)
    yield (made([["the"]], [0.01, 0.02, 0.99], before=[0.02, 0.01, 0.98]),)
    for length in (2, 6, 12):
        yield (random_judgement(length),)


@suspicion_gained.mistake("You took the difference of the probabilities: from .01 to .02 the odds double, as from "
                          ".50 to .67. Take log-odds.")
def difference_of_probabilities(judgement):
    return np.array(judgement.p_replaced) - np.array(judgement.p_unedited)


@suspicion_gained.mistake("You took the log of the probabilities: odds are p / (1 - p), so log(1 - p) is missing.")
def logs_of_probabilities(judgement):
    return np.log(judgement.p_replaced) - np.log(judgement.p_unedited)


@suspicion_gained.mistake("The sign is wrong: what became more suspect should be above 0, so after minus before.")
def the_other_way_round(judgement):
    return -suspicion.suspicion_gained(judgement)


@suspicion_gained.mistake("That is the log-odds after the replacements alone: subtract those of the unedited "
                          "sentence.")
def after_alone(judgement):
    after = np.array(judgement.p_replaced)
    return np.log(after / (1 - after))


@suspicion_gained.mistake("That is how far it lies above the base rate, as the colours of a strip: compare with the "
                          "unedited sentence, `p_unedited`.")
def above_the_base_rate(judgement):
    after, base = np.array(judgement.p_replaced), judgement.base_rate
    return np.log(after / (1 - after)) - np.log(base / (1 - base))


@suspicion_gained.mistake("That is the difference of the odds without the log: take the log of each first.")
def odds(judgement):
    before, after = np.array(judgement.p_unedited), np.array(judgement.p_replaced)
    return after / (1 - after) - before / (1 - before)


@suspicion_gained.mistake("That is in bits or decimal digits: log2 or log10. Nats are np.log.")
def bits(judgement):
    return suspicion.suspicion_gained(judgement) / np.log(2)


# --- unnoticed_fake -------------------------------------------------------------------------------

unnoticed_fake = Exercise(
    suspicion.unnoticed_fake, lesson=7, difficulty=2, minutes=10,
    task="""
        Find a change that goes unnoticed. Write a function without arguments that returns two English
        sentences as a tuple, `(before, after)`: the same but for one word, at least five words long. The
        course's own discriminator must suspect another word of `after` more than the one you exchanged, and
        that one with less than 50 %. The check runs the model. Best of all is a word that makes the sentence
        *wrong* and still passes; the check cannot tell, you can.
    """,
    hint="""
        Exchange a word for another of the same kind: a name for a name, a number for a number. The model knows
        what kind of word fits far better than which one is true. (The solution tries several cities in turn.)
    """)


@unnoticed_fake.rule
def it_returns_two_sentences(unnoticed_fake):
    got = unnoticed_fake()
    ask = "Return two sentences, `return before, after`."
    if got is None:
        raise AssertionError(f"It returns None. Is there a `return`? {ask}")
    good = isinstance(got, tuple) and len(got) == 2 and all(isinstance(text, str) for text in got)
    assert good, f"It returns {got!r:.60}, and not a tuple of two strings. {ask}"


@unnoticed_fake.rule
def one_word_is_exchanged(unnoticed_fake):
    before, after = (judge(text, mask=[]) for text in unnoticed_fake())
    old, new = ([word.lower() for word in one.word_texts] for one in (before, after))
    for one in (before, after):
        assert not one.notes, f"Of {one.text!r:.60} the model says: {one.notes[0]} Take plain English."
    assert sum(word[0].isalpha() for word in new) >= 5, f"{after.text!r:.60} has fewer than five words: add some."
    lengths = f"One sentence has {len(old)} words and the other {len(new)} (a full stop counts as one)"
    assert len(old) == len(new), f"{lengths}: exchange one word for one word."
    changed = [number for number, pair in enumerate(zip(old, new, strict=True)) if pair[0] != pair[1]]
    assert changed, "The two sentences are the same: exchange a word."
    assert len(changed) == 1, f"{len(changed)} words differ ({', '.join(new[n] for n in changed)}): exchange one."
    signs = [one[changed[0]] for one in (old, new) if not any(letter.isalnum() for letter in one[changed[0]])]
    assert not signs, f"Only the sign {signs[0]!r} was exchanged: exchange a word."


@unnoticed_fake.rule
def the_detector_does_not_notice(unnoticed_fake):
    before, after = (judge(text, mask=[]) for text in unnoticed_fake())
    pairs = zip(before.word_texts, after.word_texts, strict=True)
    number = next(n for n, (old, new) in enumerate(pairs) if old.lower() != new.lower())
    found = after.word_suspicion()
    word, p, most = after.word_texts[number], found[number], found.index(max(found))
    assert most != number, f"Noticed: it suspects {word!r} most of all, with {p:.0%}. Try a word of the same kind."
    assert p < suspicion.CAUGHT, f"Noticed: it gives {word!r} {p:.0%}, and less than 50 % is asked for. Try another."
