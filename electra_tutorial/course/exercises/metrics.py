"""Measures of a judgement as exercises."""
import math

import numpy as np

from electra_tutorial import metrics
from electra_tutorial.course.exercise import Exercise, seconds

nan = float("nan")

# --- roc_auc --------------------------------------------------------------------------------------

roc_auc = Exercise(
    metrics.roc_auc, lesson=5, difficulty=3, minutes=12,
    task="""
        The chance that a replaced token scores higher than an original one, over all pairs of the two; a
        tie counts one half. `scores` `(N,)` are numbers, `labels` `(N,)` bool, True = replaced. Return a
        float, and `float("nan")` where there is no pair to compare. There may be millions of pairs: no loop
        over them.
    """,
    hint="""
        Begin with `scores[labels]` and `scores[~labels]`. `a[:, None] > b[None, :]` compares each with
        each; the mean of a bool array is a share. Ties: add half the share of `==`. (The course's own
        counts ranks, which takes less memory.)
    """)


@roc_auc.cases
def eight_tokens():
    yield np.array([0.9, 0.1, 0.4, 0.3]), np.array([True, False, True, False])
    yield np.array([0.9, 0.8, 0.1, 0.2]), np.array([True, False, True, False])
    yield np.array([0.5, 0.5, 0.5]), np.array([True, False, False])
    yield np.array([2.0, 1.0, 1.0, 0.0]), np.array([True, True, False, False])
    yield np.array([-3.0, -1.0, -2.0, -5.0]), np.array([False, True, False, False])
    yield np.array([0.3, 0.2]), np.array([False, False])
    yield np.array([0.3, 0.2]), np.array([True, True])
    for places in (0, 1, 2):
        yield np.random.normal(size=60).round(places), np.random.random(60) < 0.2


@roc_auc.mistake("A tie counts for nothing with you: it should count one half, so that saying the same of "
                 "all tokens scores 0.5.")
def ties_lost(scores, labels):
    if labels.all() or not labels.any():
        return nan
    return float((scores[labels][:, None] > scores[~labels][None, :]).mean())


@roc_auc.mistake("A tie counts as won with you: it should count one half, so that saying the same of all "
                 "tokens scores 0.5.")
def ties_won(scores, labels):
    if labels.all() or not labels.any():
        return nan
    return float((scores[labels][:, None] >= scores[~labels][None, :]).mean())


@roc_auc.mistake("Equal scores get different ranks with you, going by where they stand: they share the mean of "
                 "their ranks.")
def ranks_by_place(scores, labels):
    n, m = labels.sum(), (~labels).sum()
    ranks = scores.argsort().argsort() + 1
    return float((ranks[labels].sum() - n * (n + 1) / 2) / (n * m)) if n and m else nan


@roc_auc.mistake("Yours is the wrong way round, 1 minus the right one: a replaced token should score "
                 "higher.")
def upside_down(scores, labels):
    return 1 - metrics.roc_auc(scores, labels)


@roc_auc.mistake("You return how many pairs are won: the AUC is their share, so divide by the number of pairs, fakes "
                 "times originals.")
def pairs_won(scores, labels):
    return metrics.roc_auc(scores, labels) * labels.sum() * (~labels).sum()


@roc_auc.mistake("That is the accuracy at threshold 0.5, and the AUC has no threshold: it compares pairs.")
def accuracy_at_half(scores, labels):
    return float(((scores > 0.5) == labels).mean())


@roc_auc.mistake("That is the accuracy at threshold 0, and the AUC has no threshold: it compares pairs.")
def accuracy_at_zero(scores, labels):
    return float(((scores > 0) == labels).mean())


@roc_auc.mistake("All is well but where no pair is to be compared: return nan there, for 0.5 would claim "
                 "a result.")
def half_without_pairs(scores, labels):
    value = metrics.roc_auc(scores, labels)
    return 0.5 if np.isnan(value) else value


def one_by_one(others):
    """What a loop does at least, a thousand times: it compares a number with each of the others."""
    for x in [0.5] * 1000:
        for y in others:
            x > y  # noqa: B015 - only its time is wanted


@roc_auc.rule
def many_pairs_take_no_minutes(roc_auc):
    many = np.random.normal(size=12_000), np.arange(12_000) % 6 == 0  # 2,000 fakes, 10,000 originals
    took = min(seconds(roc_auc, *many) for _ in range(2))  # the first call also fetches memory
    loop = 20 * min(seconds(one_by_one, [0.25] * 1000) for _ in range(3))  # on this machine, be it fast or slow
    assert took < loop, (
        f"It is right, and 20 million pairs take it {took:.1f} seconds of computing: the real game has about as "
        "many. Compare all at once, `a[:, None] > b[None, :]`, or count ranks.")


# --- recall ---------------------------------------------------------------------------------------

recall = Exercise(
    metrics.recall, lesson=5, difficulty=1, minutes=4,
    task="""
        Of the tokens that were replaced, which share is found, that is: has a score above `threshold`?
        `scores` `(N,)`, `labels` `(N,)` bool. Return a float, and `float("nan")` where nothing was
        replaced.
    """,
    hint="Look at the replaced tokens alone, `scores[labels]`. The mean of a bool array is a share.")


@recall.cases
def found_and_missed():
    yield np.array([2.0, -1.0, -3.0, 1.0]), np.array([True, True, False, False])
    yield np.array([0.0, 1.0, 2.0]), np.array([True, False, True])
    yield np.array([0.2, 0.6, 0.9, 0.4]), np.array([True, True, True, False]), 0.5
    yield np.array([1.0, 2.0]), np.array([False, False])
    for _ in range(3):
        yield np.random.normal(size=40), np.random.random(40) < 0.3


@recall.mistake("That is the precision, the share of your alarms that are right: recall is the share of "
                "the replaced tokens that raise one.")
def precision(scores, labels, threshold=0.0):
    alarms = scores > threshold
    return float(labels[alarms].mean()) if alarms.any() else nan


@recall.mistake("That is the accuracy, over all tokens: recall looks at the replaced ones alone.")
def accuracy(scores, labels, threshold=0.0):
    return float(((scores > threshold) == labels).mean())


@recall.mistake("You divide by the number of all tokens: divide by the number of replaced ones.")
def share_of_all(scores, labels, threshold=0.0):
    return float(((scores > threshold) & labels).mean()) if labels.any() else nan


@recall.mistake("You count scores that equal the threshold as found: only those above it are.")
def at_the_threshold(scores, labels, threshold=0.0):
    return float((scores[labels] >= threshold).mean()) if labels.any() else nan


@recall.mistake("You ignore `threshold` and always compare with 0.")
def always_zero(scores, labels, threshold=0.0):
    return float((scores[labels] > 0).mean()) if labels.any() else nan


@recall.mistake("You compare with 0.5: scores are logits, and a logit of 0 is a probability of one half. What to "
                "compare with is given, `threshold`.")
def above_one_half(scores, labels, threshold=0.0):
    return float((scores[labels] > 0.5).mean()) if labels.any() else nan


@recall.mistake("Where nothing was replaced you return 0: there is nothing to find there, return nan.")
def zero_of_none(scores, labels, threshold=0.0):
    return float((scores[labels] > threshold).mean()) if labels.any() else 0.0


# --- loss_floor -----------------------------------------------------------------------------------

loss_floor = Exercise(
    metrics.loss_floor, lesson=5, difficulty=2, minutes=5,
    task="""
        A detector that knows nothing always says P(replaced) = `share`, the share of tokens that are
        replaced. What is its mean loss, in nats? A replaced token costs `-log(share)`, an original one
        `-log(1 - share)`. Return a float; at share 0 and 1 it is 0.
    """,
    hint="""
        A mean weighs each cost with how often it occurs. `np.log(0)` is -inf: leave out what never occurs.
    """)


@loss_floor.cases
def some_shares():
    yield (0.5,)
    yield (0.1,)
    yield (0.0,)
    yield (1.0,)
    for share in np.random.random(4):
        yield (float(share),)


@loss_floor.mistake("That is in bits: log2. Losses here are in nats, so take np.log.")
def bits(share):
    return float(sum(-p * np.log2(p) for p in (share, 1 - share) if p > 0))


@loss_floor.mistake("You forgot the original tokens: they are the most, and each costs -log(1 - share).")
def replaced_only(share):
    return float(-share * np.log(share)) if share > 0 else 0.0


@loss_floor.mistake("You forgot the replaced tokens: each costs -log(share).")
def originals_only(share):
    return float(-(1 - share) * np.log(1 - share)) if share < 1 else 0.0


AT_THE_ENDS = "Share 0 or 1 gives nan or an error: 0 times log(0) counts as 0, for what never occurs costs nothing."


@loss_floor.mistake(AT_THE_ENDS)
def an_error_at_the_ends(share):
    return -share * math.log(share) - (1 - share) * math.log(1 - share)


@loss_floor.mistake("You added up the two costs: weigh each with how often it occurs.")
def both_in_full(share):
    return float(-np.log(share) - np.log(1 - share)) if 0 < share < 1 else 0.0


@loss_floor.mistake(AT_THE_ENDS)
def nan_at_the_ends(share):
    with np.errstate(all="ignore"):
        return float(-share * np.log(share) - (1 - share) * np.log(1 - np.float64(share)))


@loss_floor.mistake("That is the mean of the two costs: weigh each with how often it occurs.")
def unweighted(share):
    return float(-(np.log(share) + np.log(1 - share)) / 2) if 0 < share < 1 else 0.0


@loss_floor.mistake("The sign is wrong: logs of probabilities are negative, and a loss is not.")
def negative(share):
    return -metrics.loss_floor(share)

# --- unigram_loss ---------------------------------------------------------------------------------

unigram_loss = Exercise(
    metrics.unigram_loss, lesson=1, difficulty=2, minutes=8,
    task="""
        The loss in nats of a model that knows how often each piece occurs, and nothing else. `counts` `(V,)`:
        how often each piece stood in the training text. Add one to every count, so that no probability is 0,
        and divide by the new sum. `targets` `(N,)`: the ids of the pieces that really stood at N places.
        Return the mean of -log P(target), a float.
    """,
    hint="""
        `p = (counts + 1) / (counts + 1).sum()` is `(V,)`. `p[targets]`, an array used as an index, picks N
        numbers from it, `(N,)`, one for each target. `np.log` is the natural logarithm.
    """)


@unigram_loss.cases
def toy_counts():
    yield np.array([3, 1, 0, 0]), np.array([0, 0, 1, 2])
    yield np.array([0, 0, 0, 0]), np.array([3])
    yield np.array([9, 0]), np.array([1, 1, 0])
    for size in (5, 40):
        yield np.random.randint(0, 50, size), np.random.randint(0, size, 3 * size)


@unigram_loss.mistake("You did not add one to the counts: a piece that was never seen would cost infinitely much.")
def without_one(counts, targets):
    return float(-np.log(counts / max(1, counts.sum()))[targets].mean())


@unigram_loss.mistake("You added one to the counts and divide by the old sum: your probabilities add up to "
                      "more than 1.")
def the_old_sum(counts, targets):
    return float(-np.log((counts + 1) / max(1, counts.sum()))[targets].mean())


@unigram_loss.mistake("You added one to each count, and only one to their sum: divide by the sum of the new counts.")
def one_to_the_sum(counts, targets):
    return float(-np.log((counts + 1) / (counts.sum() + 1))[targets].mean())


@unigram_loss.mistake("That is in bits: `np.log` gives nats, `np.log2` bits.")
def in_bits(counts, targets):
    return metrics.unigram_loss(counts, targets) / float(np.log(2))


@unigram_loss.mistake("The sign is wrong: a logarithm of a probability is below 0, and a loss is minus that.")
def wrong_sign(counts, targets):
    return -metrics.unigram_loss(counts, targets)


@unigram_loss.mistake("You added the losses up: return their mean.")
def summed(counts, targets):
    return metrics.unigram_loss(counts, targets) * len(targets)


@unigram_loss.mistake("You took the mean over the vocabulary: what is asked for is the mean over the `targets`, "
                      "`p[targets]`.")
def over_the_vocabulary(counts, targets):
    p = (counts + 1) / (counts + 1).sum()
    return float(-np.log(p).mean())


@unigram_loss.mistake("That is the entropy of the training text, and it does not look at `targets`: the loss "
                      "is on other text.")
def entropy(counts, targets):
    p = (counts + 1) / (counts + 1).sum()
    return float(-(p * np.log(p)).sum())


@unigram_loss.mistake("You took the logarithm of the mean probability: take the mean of the logarithms.")
def log_of_the_mean(counts, targets):
    p = (counts + 1) / (counts + 1).sum()
    return float(-np.log(p[targets].mean()))


@unigram_loss.mistake("That is the perplexity, e to the power of the loss.")
def perplexity(counts, targets):
    return float(np.exp(metrics.unigram_loss(counts, targets)))


# --- found ----------------------------------------------------------------------------------------

found = Exercise(
    metrics.found, lesson=6, difficulty=2, minutes=8,
    task="""
        In each sentence one word was replaced. `suspicions` is a list of arrays `(W,)`, one for each sentence:
        how suspect each of its words is. `positions` says which word was the replaced one, counted from 0.
        Return the share of sentences in which that word is the most suspect of all, a float. If k words tie
        for the most suspect and the replaced word is one of them, the sentence counts 1/k. Without any
        sentence return `float("nan")`.
    """,
    hint="""
        For one sentence: `most = suspicion == suspicion.max()` marks the most suspect words, nearly always
        one. `most[position] / most.sum()` is 0, 1 or 1/k. The answer is the mean over the sentences.
    """)


@found.cases
def three_sentences():
    yield [np.array([0.1, 0.9, 0.2]), np.array([0.5, 0.4])], [1, 1]
    yield [np.array([3.0, -1.0, 3.0, 0.0]), np.array([0.2, 0.1, 0.3])], [2, 2]
    yield [np.array([-4.0, -2.0, -3.0])], [1]
    yield [np.array([0.0, 0.0, 0.0, 0.0])], [3]
    yield [np.array([0.9, 0.9, 0.1])], [2]
    yield [], []
    for _ in range(3):
        lengths = np.random.randint(2, 9, 30)
        yield ([np.random.normal(size=length).round(1) for length in lengths],
               [int(np.random.randint(length)) for length in lengths])


@found.mistake("Ties all count as found with you, so a model that says the same of every word would find all: "
               "with k words on top it counts 1/k.")
def all_ties_found(suspicions, positions):
    pairs = zip(suspicions, positions, strict=True)
    return float(np.mean([s[p] == s.max() for s, p in pairs])) if positions else nan


@found.mistake("With a tie you take the first word alone: the replaced one may be another of the k, and "
               "counts 1/k.")
def first_of_the_tied(suspicions, positions):
    pairs = zip(suspicions, positions, strict=True)
    return float(np.mean([s.argmax() == p for s, p in pairs])) if positions else nan


@found.mistake("You ask whether the replaced word is above 0.5: the question is whether it is above the other "
               "words of its sentence.")
def above_half(suspicions, positions):
    pairs = zip(suspicions, positions, strict=True)
    return float(np.mean([s[p] > 0.5 for s, p in pairs])) if positions else nan


@found.mistake("You look for the least suspect word: it is the most suspect that counts.")
def the_least(suspicions, positions):
    return metrics.found([-s for s in suspicions], positions)


@found.mistake("You return a number of sentences: divide by how many there are.")
def a_count(suspicions, positions):
    return metrics.found(suspicions, positions) * len(positions)


@found.mistake("That is the share of pairs of words in the right order, the AUC within a sentence: here only "
               "the most suspect word counts.")
def within_sentences(suspicions, positions):
    pairs = zip(suspicions, positions, strict=True)
    return float(np.mean([metrics.roc_auc(s, np.arange(len(s)) == p) for s, p in pairs])) if positions else nan


@found.mistake("All is well but where there is no sentence: return nan there, for 0 would claim a result.")
def zero_of_nothing(suspicions, positions):
    return metrics.found(suspicions, positions) if positions else 0.0
