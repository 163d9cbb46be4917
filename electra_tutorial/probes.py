"""Probing with minimal pairs: does the model prefer "she knows" to "she know"?

The discriminator prefers the sentence it takes for less tampered with: the sum of log P(original) over its
pieces. The generator prefers the likelier one: the sum of log P(piece | all others), one piece masked at a
time (its pseudo-log-likelihood, Salazar et al. 2020). Beside them stands a `Bigram` model, which counts pairs
of neighbours in the same training text: what it gets right needs no network. All compare a few pieces in two
nearly equal sentences, so no length correction is made.
"""
from pathlib import Path

import numpy as np
import torch

from electra_tutorial.errors import UserError
from electra_tutorial.evaluation import (
    batches_by_length,
    pad,
    pair_accuracy,
    pair_loss,
    pair_scores,
    piece_logits,
    quietly,
    word_suspicion,
    words_of_pieces,
)
from electra_tutorial.metrics import wilson_interval
from electra_tutorial.tokens import MASK_ID


def read_pairs(path):
    """Minimal pairs from a UTF-8 text file, one `good<TAB>bad` a line: a list of (good, bad). Empty lines
    are passed over.

    Raises `UserError`, naming the line, for a missing or empty file, another number of columns, text that
    is not UTF-8, and two sentences that are the same.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no file {path}: give a text file of pairs, one good<TAB>bad a line.")
    pairs = []
    for number, line in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        if line.strip():
            pairs.append(read_pair(line, f"Line {number} of {path}"))
    if not pairs:
        raise UserError(f"{path} is empty: write one pair a line, the good sentence, a tab, the bad one.")
    return pairs


def read_pair(line, place):
    """(good, bad) from one line of bytes; `place` says which line in a message."""
    try:
        columns = [column.strip() for column in line.decode("utf-8").split("\t")]
    except UnicodeDecodeError as error:
        message = f"{place} is not UTF-8 text (at byte {error.start + 1}): save the file as UTF-8."
        raise UserError(message) from error
    filled = sum(map(bool, columns))
    if len(columns) != 2 or filled != 2:
        found = f"{filled} column{'s' * (filled != 1)} with text instead of 2"
        raise UserError(f"{place} has {found}: write the good sentence, a tab, the bad sentence.")
    if columns[0] == columns[1]:
        raise UserError(f"{place} has twice the same sentence, {columns[0]!r}: change a word in the bad one.")
    return tuple(columns)


def score_pairs(pairs, electra, tokenizer, with_="discriminator"):
    """Which sentence of each pair (good, bad) does the model prefer?

    `with_`: "discriminator" or "generator". Returns a dict: accuracy (ties count one half), interval (95 %,
    Wilson, [low, high]), n, with, and pairs: each a dict of good, bad, good_score, bad_score (nats).
    Raises `UserError` without a pair, for a sentence without a word, and for one longer than the model reads.
    """
    if with_ not in ("discriminator", "generator"):
        raise UserError(f"{with_!r} cannot score pairs: choose discriminator or generator.")
    if not pairs:
        raise UserError("There is no pair to score: give at least one (good, bad).")
    rows = [[row_of(text, tokenizer, electra.preset.max_length) for text in pair] for pair in pairs]
    score = pair_scores if with_ == "discriminator" else pair_likelihoods
    scores = score(getattr(electra, with_), rows)  # (number of pairs, 2)
    accuracy, n = pair_accuracy(scores), len(pairs)
    each = [
        {"good": good, "bad": bad, "good_score": float(g), "bad_score": float(b)}
        for (good, bad), (g, b) in zip(pairs, scores, strict=True)
    ]
    interval = list(wilson_interval(accuracy * n, n))
    return {"accuracy": accuracy, "interval": interval, "n": n, "with": with_, "pairs": each}


def row_of(sentence, tokenizer, max_length):
    """The ids of a sentence, [CLS] and [SEP] included."""
    ids = tokenizer.encode(sentence).ids
    if len(ids) == 2:
        raise UserError(f"The sentence {sentence!r} has no word in it: give one to score.")
    if len(ids) > max_length:
        size = f"{len(ids)} pieces where this model reads {max_length}"
        raise UserError(f"The sentence that begins {sentence[:40]!r} has {size}: shorten it.")
    return ids


def pair_likelihoods(generator, pairs):
    """The pseudo-log-likelihood in nats of both sentences of each pair: an array (number of pairs, 2)."""
    return pseudo_log_likelihood(generator, [row for pair in pairs for row in pair]).reshape(-1, 2)


def pseudo_log_likelihood(generator, rows):
    """The sum over a row's pieces of log P(piece | the rest), each masked in turn: (rows,), in nats."""
    places = [(number, place) for number, row in enumerate(rows) for place in range(1, len(row) - 1)]
    copies, totals = [rows[number] for number, _ in places], np.zeros(len(rows))
    with quietly(generator) as device:
        for batch in batches_by_length(copies):
            ids, attention_mask = pad([copies[n] for n in batch])  # (B, T)
            chosen = torch.zeros_like(ids, dtype=torch.bool)
            chosen[torch.arange(len(batch)), torch.tensor([places[n][1] for n in batch])] = True  # one a row
            masked = ids.masked_fill(chosen, MASK_ID).to(device)
            logits = generator(masked, attention_mask.to(device), chosen.to(device)).float().cpu()  # (B, V)
            log_p = logits.log_softmax(dim=-1).gather(1, ids[chosen][:, None]).squeeze(1)  # (B,)
            np.add.at(totals, [places[n][0] for n in batch], log_p.double().numpy())
    return totals


def score_by_phenomenon(questions, electra, tokenizer, bigram=None, limit=None):
    """How each judge does on each phenomenon: [{phenomenon, n, discriminator, generator, bigram}], "all" last.

    questions: the exam's `Pair`s (phenomenon, good, bad); limit: at most so many of each. Under each judge stand
    its accuracy and the 95 % interval: (accuracy, low, high); a `Bigram` that is not given is left out. Beside them
    "loss": the discriminator's `pair_loss`.
    """
    groups = {}
    for question in questions:
        groups.setdefault(question.phenomenon, []).append((question.good, question.bad))
    groups = {phenomenon: pairs[:limit] for phenomenon, pairs in groups.items()}
    judges = {"discriminator": lambda rows: pair_scores(electra.discriminator, rows),
              "generator": lambda rows: pair_likelihoods(electra.generator, rows)}
    judges |= {"bigram": bigram.pair_likelihoods} if bigram else {}
    encoded = {phenomenon: [[row_of(text, tokenizer, electra.preset.max_length) for text in pair] for pair in pairs]
               for phenomenon, pairs in groups.items()}
    scores = {phenomenon: {name: score(rows) for name, score in judges.items()}
              for phenomenon, rows in encoded.items()}
    scores["all"] = {name: np.concatenate([group[name] for group in scores.values()]) for name in judges}
    return [{"phenomenon": phenomenon, "n": len(group["discriminator"]), "loss": pair_loss(group["discriminator"]),
             **{name: with_interval(pairs) for name, pairs in group.items()}}
            for phenomenon, group in scores.items()]


def with_interval(scores):
    """(accuracy, low, high) of scores (pairs, 2): ties count one half; 95 %, Wilson."""
    accuracy, n = pair_accuracy(scores), len(scores)
    return accuracy, *wilson_interval(accuracy * n, n)


def moved_elsewhere(questions, discriminator, tokenizer, distance=3):
    """What one fake does to the suspicion of words that stand far from it: (mean, its standard error) over sentences.

    questions: the exam's `Replacement`s; `distance` or more words away is far. In nats of the log-odds that a word
    was replaced. 0: each word is judged for itself. Below 0: a fake acquits the others, as if a sentence had just so
    many to hide. nan where no question has a word so far away.
    """
    sides = [[question.before for question in questions], [question.after for question in questions]]
    encoded = [tokenizer.encode_batch(side) for side in sides]
    logits = [piece_logits(discriminator, [row.ids for row in side]) for side in encoded]
    moved = []
    for n, question in enumerate(questions):
        before, after = (word_suspicion(logits[i][n], words_of_pieces(encoded[i][n], sides[i][n])) for i in (0, 1))
        far = np.abs(np.arange(len(after)) - question.position) >= distance
        if far.any() and len(before) == len(after):
            moved.append((after - before)[far].mean())
    spread = np.std(moved, ddof=1) / len(moved) ** 0.5 if len(moved) > 1 else float("nan")
    return float(np.mean(moved)) if moved else float("nan"), float(spread)


class Bigram:
    """P(piece | the piece before it), counted: the classic language model that a network has to beat.

    ids (N,): the training rows one after the other, [CLS] and [SEP] included. A pair never seen falls back on the
    frequency of its second piece: P(b | a) = (count of ab + weight * P(b)) / (count of a + weight).
    """

    def __init__(self, ids, vocab_size, weight=1.0):
        ids = np.asarray(ids, dtype=np.int64)
        self.vocab_size, self.weight = vocab_size, weight
        self.first = np.bincount(ids, minlength=vocab_size)  # (V,)
        self.share = (self.first + 1) / (self.first + 1).sum()  # (V,), no piece has none
        self.pairs, self.counts = np.unique(ids[:-1] * vocab_size + ids[1:], return_counts=True)

    def log_likelihood(self, row):
        """log P of a row's pieces, each given the one before it, in nats: row (T,) -> a float."""
        before, piece = np.asarray(row[:-1]), np.asarray(row[1:])
        place = np.searchsorted(self.pairs, before * self.vocab_size + piece).clip(max=len(self.pairs) - 1)
        seen = np.where(self.pairs[place] == before * self.vocab_size + piece, self.counts[place], 0)
        p = (seen + self.weight * self.share[piece]) / (self.first[before] + self.weight)
        return float(np.log(p).sum())

    def pair_likelihoods(self, pairs):
        """The log-likelihood in nats of both sentences of each pair of rows: an array (number of pairs, 2)."""
        return np.array([[self.log_likelihood(row) for row in pair] for pair in pairs])
