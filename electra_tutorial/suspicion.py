"""Questions to a judgement (lesson 07): which word is suspected, what a change did to that, and what goes unnoticed.

A word is as suspect as the most suspect of its pieces. P(replaced) answers one question, whether a token looks
put in by a small generator; a low one says neither that a sentence is right nor that a person wrote it.

    T pieces of the sentence with [CLS] and [SEP]
"""
from dataclasses import dataclass

import numpy as np
import torch

from electra_tutorial.errors import UserError
from electra_tutorial.judgement import find_model, judge
from electra_tutorial.model import Electra

CAUGHT = 0.5  # P(replaced) from which a word counts as caught
# Sentences of our own for a game: put another word in place of the named one. With nearly any other word there
# the sentence is wrong, or false.
FOOL = (
    ("The children are playing in the garden.", "are"),
    ("She has lived in this house for ten years.", "has"),
    ("He is taller than his older brother.", "than"),
    ("There are twelve months in a year.", "months"),
    ("The sun rises in the east every morning.", "sun"),
    ("If it rains tomorrow, we will stay at home.", "rains"),
    ("My grandmother was born in a small village.", "born"),
    ("I gave her my book because she had lost hers.", "because"),
    ("Fish live in the water and birds fly in the sky.", "water"),
    ("You can buy bread and milk at the shop.", "buy"),
)


# --- one judgement --------------------------------------------------------------------------------------------
def suspected_word(judgement):
    """The word that is suspected most, as the discriminator read it.

    A word is as suspect as the most suspect of its pieces; [CLS] and [SEP] belong to no
    word. Of several equal ones the first.
    """
    p, pairs = judgement.p_replaced, zip(judgement.corrupted_words(), judgement.words, strict=True)
    found = [(word, max(p[place] for place in places)) for word, places in pairs if places]
    return max(found, key=lambda pair: pair[1])[0]


def suspicion_gained(judgement):
    """By how many nats the replacements moved each piece's log-odds: an array (T,).

    Above 0: more suspect than in the sentence as it was typed. The log-odds of p are
    log(p / (1 - p)).
    """
    before, after = np.array(judgement.p_unedited), np.array(judgement.p_replaced)  # (T,) both
    return np.log(after / (1 - after)) - np.log(before / (1 - before))


# --- what goes unnoticed --------------------------------------------------------------------------------------
def unnoticed_fake():
    """(before, after): two English sentences one word apart, unnoticed.

    The discriminator that comes with the course suspects another word of `after` more,
    and the exchanged one with less than one half.
    """
    before, number = "My sister lives in London with her two small cats.", 4
    for city in ("Paris", "Boston", "Rome", "Germany", "Tokyo"):
        after = before.replace("London", city)
        suspicion = judge(after, mask=[]).word_suspicion()
        if suspicion[number] < min(0.5, max(suspicion)):
            break
    return before, after


@dataclass(frozen=True)
class Exchange:
    """One word of a sentence exchanged for another, and both sentences judged as they are."""

    before: object  # `Judgement`
    after: object
    number: int  # which word, from 0
    suspicion: float  # P(replaced) of the new word
    caught: bool  # it is suspected most, or with at least one half


def exchange(text, word, new, model=None, tokenizer=None):
    """Put a new word in the place where `word` first stands, and ask the discriminator: an `Exchange`.

    Raises `UserError` when the word does not stand there, when what is put in is not one other word, and as
    `judge` does.
    """
    before = judge(text, model, tokenizer, mask=[])
    if word not in before.word_texts:
        raise UserError(f"{word!r} is no word of {text!r}: choose from {' | '.join(before.word_texts)}.")
    number, new = before.word_texts.index(word), new.strip() if isinstance(new, str) else ""
    if not new or new.lower() == word.lower():
        raise UserError(f"Nothing was exchanged: type another word than {word!r}.")
    words = [*before.word_texts[:number], new, *before.word_texts[number + 1:]]
    after = judge(spaced_as(text, before.word_texts, words), model, tokenizer, mask=[])
    if len(after.word_texts) != len(words):
        raise UserError(f"{new!r} is read as {len(after.word_texts) - len(words) + 1} words: type one.")
    suspicion = after.word_suspicion()
    p = suspicion[number]
    return Exchange(before, after, number, p, p >= CAUGHT or suspicion.index(max(suspicion)) == number)


def spaced_as(text, words, new):
    """The new words with what stands between the old ones in the text."""
    found, end = "", 0
    for old, word in zip(words, new, strict=True):
        start = max(text.find(old, end), end)  # "[SEP]" is read as "[ SEP ]", so it may not stand there
        found, end = found + text[end:start] + word, start + len(old)
    return found + text[end:]


# --- many rounds ----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Duel:
    """Generator against discriminator: places hidden, draws that were the original, fakes, and those caught."""

    hidden: int
    lucky: int
    fakes: int
    caught: int  # with P(replaced) of at least one half
    alarms: int  # untouched pieces that got as much
    untouched: int
    mean_fake: float  # P(replaced), the mean over fakes
    mean_original: float  # the mean over all other ordinary pieces


def duel(judgements):
    """Count what the two models did to one another in a list of judgements: a `Duel`."""
    tokens = [(p, label, place in one.mask) for one in judgements
              for place, (p, label, special) in enumerate(zip(one.p_replaced, one.labels, one.special, strict=True))
              if not special and place not in one.open]
    fakes = [p for p, label, _ in tokens if label]
    originals = [p for p, label, _ in tokens if not label]
    untouched = [p for p, _, hidden in tokens if not hidden]
    hidden = sum(hidden for _, _, hidden in tokens)
    return Duel(hidden, hidden - len(fakes), len(fakes), count(fakes), count(untouched), len(untouched),
                mean(fakes), mean(originals))


def count(suspicions):
    """How many of them count as caught."""
    return sum(p >= CAUGHT for p in suspicions)


def mean(numbers):
    """Their mean; nan if there are none."""
    return sum(numbers) / len(numbers) if numbers else float("nan")


# --- a model that knows nothing -------------------------------------------------------------------------------
def untrained(model=None, seed=0):
    """A model that learned nothing, of the same size as a trained one: (`Electra`, its tokenizer).

    No random stream of yours moves. Raises `UserError` as `judge` does.
    """
    with torch.random.fork_rng(devices=[]):
        electra, tokenizer, _ = find_model(model, None)  # to load one is to make one first, at random
        torch.manual_seed(seed)
        return Electra(electra.preset).eval(), tokenizer
