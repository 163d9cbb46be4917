"""The measures: equal to their plain definitions, ties and all, and a trivial predictor gets the trivial
score.
"""
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_tutorial.metrics import (
    average_precision,
    bootstrap_interval,
    loss_floor,
    recall,
    roc_auc,
    unigram_loss,
    wilson_interval,
)

QUICK = settings(max_examples=60, deadline=None)
# Few different scores, so that ties are the rule.
JUDGED = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=40)


def columns(judged):
    scores, labels = zip(*judged, strict=True)
    return np.array(scores, dtype=float), np.array(labels)


@QUICK
@given(JUDGED)
def test_auc_is_the_share_of_pairs_in_the_right_order_with_ties_as_half(judged):
    scores, labels = columns(judged)
    pairs = [(r > o) + 0.5 * (r == o) for r in scores[labels] for o in scores[~labels]]
    if pairs:
        assert roc_auc(scores, labels) == pytest.approx(np.mean(pairs), abs=1e-12)
    else:
        assert math.isnan(roc_auc(scores, labels))


@QUICK
@given(st.lists(st.booleans(), min_size=2, max_size=50).filter(lambda labels: 0 < sum(labels) < len(labels)))
def test_a_constant_predictor_gets_an_auc_of_exactly_one_half(labels):
    assert roc_auc(np.full(len(labels), 0.123), labels) == 0.5


@QUICK
@given(JUDGED)
def test_auc_asks_for_the_order_and_for_nothing_else(judged):
    scores, labels = columns(judged)
    assert roc_auc(scores, labels) == pytest.approx(roc_auc(np.exp(scores) * 7 - 2, labels), nan_ok=True)


@QUICK
@given(JUDGED)
def test_average_precision_is_the_precision_at_each_threshold_weighted_by_what_it_finds(judged):
    scores, labels = columns(judged)
    expected, before = 0.0, 0
    for threshold in sorted(set(scores), reverse=True):
        called = scores >= threshold
        found = (called & labels).sum()
        expected += (found - before) * found / called.sum()
        before = found
    if labels.any():
        assert average_precision(scores, labels) == pytest.approx(expected / labels.sum(), abs=1e-12)
    else:
        assert math.isnan(average_precision(scores, labels))


def test_the_average_precision_of_a_constant_predictor_is_the_replaced_share():
    assert average_precision(np.zeros(8), [True] * 2 + [False] * 6) == 0.25


def test_recall_counts_the_replaced_tokens_above_even_odds_and_no_others():
    assert recall([0.1, -0.1, 0.0, 5.0], [True, True, True, False]) == pytest.approx(1 / 3)
    assert math.isnan(recall([1.0], [False]))


@QUICK
@given(st.floats(0.01, 0.99), st.floats(0.001, 0.999))
def test_no_constant_predictor_has_a_lower_loss_than_the_floor(share, said):
    assert loss_floor(share) <= -share * math.log(said) - (1 - share) * math.log(1 - said) + 1e-9


def test_the_floor_is_zero_when_nothing_or_everything_is_replaced():
    assert loss_floor(0.0) == loss_floor(1.0) == 0.0


@pytest.mark.parametrize(("right", "floor"), [(0, 0.42), (0.1, 0.40), (0.3, 0.34), (0.6, 0.23)])
def test_the_floor_has_the_known_values_at_15_percent_masked(right, floor):
    assert loss_floor(0.15 * (1 - right)) == pytest.approx(floor, abs=0.006)


def test_the_unigram_loss_adds_one_to_each_count():
    assert unigram_loss([0, 3], [0, 1, 1]) == pytest.approx(-(math.log(1 / 5) + 2 * math.log(4 / 5)) / 3)
    assert unigram_loss(np.zeros(100), [5, 7]) == pytest.approx(math.log(100))


def test_wilson_gives_the_published_values():
    low, high = wilson_interval(81, 263)  # Newcombe 1998, table I: .2553 to .3662
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert wilson_interval(0, 20)[1] == pytest.approx(0.1611, abs=1e-4)
    assert wilson_interval(0, 0) == (0.0, 1.0)


@QUICK
@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_stays_within_zero_and_one(counts):
    low, high = wilson_interval(*counts)
    assert 0 <= low <= counts[0] / counts[1] + 1e-12 and counts[0] / counts[1] <= high + 1e-12 and high <= 1


def test_the_bootstrap_interval_is_the_textbook_one_for_a_mean_and_the_same_each_time():
    values = np.random.default_rng(1).normal(5, 2, size=400)
    low, high = bootstrap_interval(np.mean, values, repeats=2000)
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.1)
    assert low < values.mean() < high
    assert (low, high) == bootstrap_interval(np.mean, values, repeats=2000)


def test_the_bootstrap_keeps_scores_and_labels_together():
    labels = np.arange(60) % 2 == 0
    assert bootstrap_interval(roc_auc, labels * 1.0, labels) == (1.0, 1.0)
