"""Questions to a judgement (lesson 07): which word is suspected, what a change did to that, and what goes unnoticed.

A word is as suspect as the most suspect of its pieces. P(replaced) answers one question, whether a token looks
put in by a small generator; a low one says neither that a sentence is right nor that a person wrote it.

    T pieces of the sentence with [CLS] and [SEP]
"""
from dataclasses import dataclass, replace

import numpy as np
import torch

from electra_tutorial.errors import UserError
from electra_tutorial.judgement import Sentence, find_model, judge, open_notes, play
from electra_tutorial.model import Electra
from electra_tutorial.tokens import MASK_ID, SPECIAL_TOKENS, word_groups

CAUGHT = 0.5  # P(replaced) from which a word counts as caught
# Sentences of our own for a game: put another word in place of the named one. With most other words there
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


# --- words of your own ----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Slot:
    """One piece of a sentence in which words were exchanged, and what stood there before."""

    origin: int  # the place it comes from; of a word of yours, one of the word that went out
    piece: str  # as typed; "" where the word that went out had fewer pieces
    original: int  # its id; that of [MASK] if there is no one piece to compare with
    id: int  # what stands there now
    yours: bool


def put_words(judgement, words, model=None, tokenizer=None):
    """Put whole words of your own into a round: words, {a place: the word to stand there}.

    The word that holds the place goes out with all its pieces, and yours comes in with as many as the vocabulary
    cuts it into, so places behind it may move. All else stays as it was drawn. The generator reads [MASK] for each
    piece of yours. Returns the `Judgement`, and a `Slot` for each of its pieces. Raises `UserError` for what is not
    one known word, for a place in no word, and when the sentence grows longer than the model reads.
    """
    electra, tokenizer, _ = find_model(model, tokenizer)
    slots = exchanged(judgement, words, tokenizer)
    if not words:
        return judgement, slots
    if len(slots) > electra.preset.max_length:
        raise UserError(f"With {' and '.join(words.values())} the sentence has {len(slots)} pieces, and this model "
                        f"reads {electra.preset.max_length} at once: take a shorter word or sentence.")
    mask = [n for n, slot in enumerate(slots) if slot.yours or slot.origin in judgement.mask]
    opened = [n for n in mask if slots[n].origin in judgement.open and not slots[n].yours]
    sentence = Sentence(judgement.text, [slot.piece for slot in slots], [slot.original for slot in slots],
                        [[n for n, slot in enumerate(slots) if slot.origin in word] for word in judgement.words],
                        judgement.word_texts, notes_with(judgement, words, opened, tokenizer))
    judged = play(sentence, mask, [slots[n].id for n in mask], electra, tokenizer, judgement.base_rate,
                  judgement.temperature, judgement.seed, top=max(map(len, judgement.proposals), default=5))
    nothing = float("nan")  # the likelihood of an original that is no single piece
    likely = [nothing if slots[n].yours and slots[n].original == MASK_ID else p
              for n, p in zip(mask, judged.original_probabilities, strict=True)]
    unedited = [judgement.p_unedited[slot.origin] for slot in slots]
    return replace(judged, open=opened, notes=sentence.notes, original_probabilities=likely,
                   p_unedited=unedited), slots


def exchanged(judgement, words, tokenizer):
    """A `Slot` for each piece of the sentence with the words put in."""
    new = {}  # first place of a word that goes out -> ids that come in
    for place, word in words.items():
        group = next((group for group in judgement.words if place in group), None)
        if group is None:
            raise UserError(f"Place {place} belongs to no word: choose one of {choices_of(judgement)}.")
        new[group[0]] = group, ids_of_word(word, tokenizer)
    slots, out = [], set()
    for place, piece in enumerate(judgement.pieces):
        if place in new:
            slots += slots_of(judgement, *new[place])
            out.update(new[place][0])
        elif place not in out:
            slots.append(Slot(place, piece, judgement.ids[place], judgement.corrupted_ids[place], False))
    return slots


def slots_of(judgement, group, ids):
    """The slots of one word of yours: piece for piece if it has as many as the other, else the word as a whole."""
    if len(ids) == len(group):
        return [Slot(place, judgement.pieces[place], judgement.ids[place], i, True)
                for place, i in zip(group, ids, strict=True)]
    whole = judgement.word_texts[judgement.words.index(group)]
    most = max(group, key=lambda place: judgement.p_unedited[place])
    return [Slot(most, "" if n else whole, MASK_ID, i, True) for n, i in enumerate(ids)]


def ids_of_word(word, tokenizer):
    """The ids of one word, one for each of its pieces. Raises `UserError` for what is none."""
    encoding = tokenizer.encode(word.strip(), add_special_tokens=False)
    many = len(word_groups(encoding))
    if many != 1:
        raise UserError(f"{word!r} is read as {many} words: type one.")
    if min(encoding.ids) < len(SPECIAL_TOKENS):
        raise UserError(f"{word!r} is a special token, or has characters that this vocabulary lacks: type another.")
    return encoding.ids


def choices_of(judgement):
    """The words and the places where each begins, for a message."""
    pairs = zip(judgement.words, judgement.word_texts, strict=True)
    return " | ".join(f"{group[0]} {text}" for group, text in pairs if group)


def notes_with(judgement, words, opened, tokenizer):
    """The notes of a round, and one for each word of yours that the vocabulary cuts."""
    kept = [note for note in judgement.notes if note not in open_notes(judgement.open)]
    cut = {word: tokenizer.encode(word.strip(), add_special_tokens=False).tokens for word in words.values()}
    return kept + open_notes(opened) + [f"“{word.strip()}” is not one piece of this vocabulary, which cuts it: "
                                        f"{' '.join(pieces)}." for word, pieces in cut.items() if len(pieces) > 1]


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
