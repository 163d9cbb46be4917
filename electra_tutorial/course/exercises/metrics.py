"""Measures of a judgement as exercises."""
import numpy as np

from electra_tutorial import metrics
from electra_tutorial.course.exercise import Exercise

nan = float("nan")

# --- roc_auc --------------------------------------------------------------------------------------

roc_auc = Exercise(
    metrics.roc_auc, lesson=5, difficulty=3, minutes=15,
    task="""
        The chance that a replaced token scores higher than an original one, over all pairs of the two; a
        tie counts one half. `scores` `(N,)` are numbers, `labels` `(N,)` bool, True = replaced. Return a
        float, and `float("nan")` where there is no pair to compare.
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


@roc_auc.mistake("Yours is the wrong way round, 1 minus the right one: a replaced token should score "
                 "higher.")
def upside_down(scores, labels):
    return 1 - metrics.roc_auc(scores, labels)


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


# --- recall ---------------------------------------------------------------------------------------

recall = Exercise(
    metrics.recall, lesson=5, difficulty=1, minutes=5,
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


@recall.mistake("Where nothing was replaced you return 0: there is nothing to find there, return nan.")
def zero_of_none(scores, labels, threshold=0.0):
    return float((scores[labels] > threshold).mean()) if labels.any() else 0.0


# --- loss_floor -----------------------------------------------------------------------------------

loss_floor = Exercise(
    metrics.loss_floor, lesson=5, difficulty=2, minutes=5,
    task="""
        A detector that knows nothing always says P(replaced) = `share`, the share of tokens that are
        replaced. What is its mean loss, in nats? A replaced token costs -log(share), an original one -log(1
        - share). Return a float; at share 0 and 1 it is 0.
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


@loss_floor.mistake("Share 0 or 1 gives nan or an error: 0 times log(0) counts as 0, for what never "
                    "occurs costs nothing.")
def nan_at_the_ends(share):
    with np.errstate(all="ignore"):
        return float(-share * np.log(share) - (1 - share) * np.log(1 - np.float64(share)))


@loss_floor.mistake("That is the mean of the two costs: weigh each with how often it occurs.")
def unweighted(share):
    return float(-(np.log(share) + np.log(1 - share)) / 2) if 0 < share < 1 else 0.0


@loss_floor.mistake("The sign is wrong: logs of probabilities are negative, and a loss is not.")
def negative(share):
    return -metrics.loss_floor(share)
