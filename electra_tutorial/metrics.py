"""How good is a judgement? Each measure stands beside its trivial floor; each is short enough to read in
full.

Scores and labels are flat arrays: one entry for each token (or word), label True = replaced. All losses are
in nats. Most tokens are originals, so accuracy says little: "all original" is right about nine times in
ten. Hence the ROC AUC, which a constant predictor cannot move from .5, and the loss of the best constant
predictor (`loss_floor`).
"""
import numpy as np


def roc_auc(scores, labels):
    """The chance that a replaced token scores higher than an original one; a tie counts one half.

    scores (N,) numbers, labels (N,) bool. Returns a float in [0, 1]: a constant predictor gets .5 exactly.
    Returns nan when all labels are the same: there is then no pair to compare.
    """
    scores, labels = np.asarray(scores), np.asarray(labels, dtype=bool)
    positives, negatives = labels.sum(), (~labels).sum()
    if positives == 0 or negatives == 0:
        return float("nan")
    _, group, size = np.unique(scores, return_inverse=True, return_counts=True)
    rank = size.cumsum() - (size - 1) / 2  # from 1; equal scores share the mean of their ranks
    below = rank[group][labels].sum() - positives * (positives + 1) / 2
    return float(below / (positives * negatives))


def average_precision(scores, labels):
    """The mean precision met while the threshold falls past each replaced token; its floor is the replaced
    share.

    scores (N,) numbers, labels (N,) bool. Tokens of equal score pass the threshold together. nan without a
    replaced token.
    """
    scores, labels = np.asarray(scores), np.asarray(labels, dtype=bool)
    if not labels.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    scores, labels = scores[order], labels[order]
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))  # where a score ends
    found = labels.cumsum()[last]
    precision = found / (last + 1)
    return float((np.diff(found, prepend=0) * precision).sum() / labels.sum())


def recall(scores, labels, threshold=0.0):
    """The share of replaced tokens whose score is above the threshold. Logits: 0 is P(replaced) = .5. nan
    without any.
    """
    scores, labels = np.asarray(scores), np.asarray(labels, dtype=bool)
    return float((scores[labels] > threshold).mean()) if labels.any() else float("nan")


def found(suspicions, positions):
    """The share of sentences in which the replaced word is the most suspect one of all.

    suspicions: a list of arrays (W,), one number for each word of a sentence; positions: which word of each was
    replaced, from 0. If k words tie for the most suspect and the replaced one is among them, it counts 1/k. nan
    without any sentence.
    """
    shares = []
    for suspicion, position in zip(suspicions, positions, strict=True):
        most = np.asarray(suspicion) == np.max(suspicion)
        shares.append(most[position] / most.sum())
    return float(np.mean(shares)) if shares else float("nan")


def loss_floor(share):
    """The loss in nats of always saying P(replaced) = share, when that is the replaced share: its binary
    entropy.
    """
    return float(sum(-p * np.log(p) for p in (share, 1 - share) if p > 0))


def unigram_loss(counts, targets):
    """The masked-language-model loss in nats of a model that knows word frequencies and nothing else.

    counts (V,): how often each piece stands in the training text (one is added to each); targets (N,): the
    true pieces.
    """
    log_p = np.log(np.asarray(counts, dtype=float) + 1)
    log_p -= np.log(np.exp(log_p).sum())
    return float(-log_p[np.asarray(targets)].mean()) if len(targets) else float("nan")


def wilson_interval(right, n, z=1.96):
    """The 95 % interval (low, high) of a share, `right` out of n (Wilson 1927). It never leaves [0, 1]; n =
    0: (0, 1).
    """
    if n == 0:
        return 0.0, 1.0
    share, room = right / n, z * z / n
    middle = (share + room / 2) / (1 + room)
    half = z * np.sqrt(share * (1 - share) / n + room / (4 * n)) / (1 + room)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def bootstrap_interval(statistic, *arrays, repeats=500, seed=0):
    """The 95 % interval (low, high) of any statistic, from samples drawn with replacement (percentile
    bootstrap).

    `statistic(*arrays)` returns a number: `np.mean`, `roc_auc`, ... Entries at the same place are drawn
    together.
    """
    arrays, rng = [np.asarray(a) for a in arrays], np.random.default_rng(seed)
    n = len(arrays[0])
    values = [statistic(*(a[picks] for a in arrays)) for picks in rng.integers(0, n, size=(repeats, n))]
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
