"""The five steps of replaced token detection, as claims and properties."""

import math

import pytest
import torch
from conftest import toy_batch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from electra_tutorial.objective import (
    Objective,
    corrupt,
    electra_loss,
    mask_tokens,
    replaced_labels,
    sample_tokens,
)
from electra_tutorial.tokens import CLS_ID, MASK_ID, PAD_ID, SEP_ID, SPECIAL_TOKENS

VOCABULARY = 50
lengths = st.lists(st.integers(2, 20), min_size=1, max_size=6)  # of rows, [CLS] and [SEP] included
seeds = st.integers(0, 2**32 - 1)
rates = st.floats(0.01, 1.0)


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def special_of(ids):
    return ids < len(SPECIAL_TOKENS)


# --- mask_tokens ----------------------------------------------------------------------------------
@given(lengths, rates, st.sampled_from([0.0, 0.15, 1.0]), seeds)
@settings(max_examples=60)
def test_special_tokens_and_padding_are_never_masked(lengths, rate, keep, seed):
    ids, _ = toy_batch(lengths, VOCABULARY, seed % 1000)
    masked_ids, chosen = mask_tokens(ids, special_of(ids), rate, MASK_ID, keep, stream(seed))
    assert not (chosen & special_of(ids)).any()
    assert torch.equal(masked_ids[special_of(ids)], ids[special_of(ids)])


@given(lengths, rates, seeds)
@settings(max_examples=60)
def test_each_row_gets_its_rounded_share_of_distinct_places_and_at_least_one(lengths, rate, seed):
    ids, _ = toy_batch(lengths, VOCABULARY, seed % 1000)
    _, chosen = mask_tokens(ids, special_of(ids), rate, MASK_ID, rng=stream(seed))
    for row, length in zip(chosen, lengths, strict=True):
        ordinary = length - 2
        exact = ordinary * rate
        assume(abs(exact % 1 - 0.5) > 1e-4)  # a half may be rounded either way
        assert row.sum() == (max(1, round(exact)) if ordinary else 0)


@given(lengths, seeds)
@settings(max_examples=30)
def test_without_keep_every_chosen_place_is_hidden_and_no_other(lengths, seed):
    ids, _ = toy_batch(lengths, VOCABULARY, seed % 1000)
    masked_ids, chosen = mask_tokens(ids, special_of(ids), 0.4, MASK_ID, rng=stream(seed))
    assert torch.equal(masked_ids == MASK_ID, chosen)
    assert torch.equal(masked_ids[~chosen], ids[~chosen])


def test_a_rate_of_zero_masks_nothing():
    ids, _ = toy_batch()
    masked_ids, chosen = mask_tokens(ids, special_of(ids), 0.0, MASK_ID, rng=stream())
    assert not chosen.any() and torch.equal(masked_ids, ids)


def test_keep_leaves_its_share_of_the_chosen_places_visible_and_all_of_them_chosen():
    ids, _ = toy_batch([202] * 200, VOCABULARY)
    _, without = mask_tokens(ids, special_of(ids), 0.15, MASK_ID, 0.0, stream())
    masked_ids, chosen = mask_tokens(ids, special_of(ids), 0.15, MASK_ID, 0.15, stream())
    visible = (masked_ids == ids)[chosen].float().mean().item()
    deviation = math.sqrt(0.15 * 0.85 / chosen.sum().item())
    assert chosen.sum() == 200 * 30, "kept places still count as chosen"
    assert torch.equal(chosen, without), "keep decides what is visible, not what is chosen"
    assert abs(visible - 0.15) < 5 * deviation
    assert torch.equal(masked_ids[~chosen], ids[~chosen])


def test_every_ordinary_place_is_chosen_equally_often():
    ids, _ = toy_batch([12] * 4000, VOCABULARY)
    _, chosen = mask_tokens(ids, special_of(ids), 0.2, MASK_ID, rng=stream())
    counts = chosen.sum(0)[1:-1].double()
    assert counts.sum() == 4000 * 2
    # A count's variance is 4000 * .2 * .8; counts that must add up to 8000 share a tenth less among them.
    statistic = ((counts - 800) ** 2 / (4000 * 0.2 * 0.8) * 9 / 10).sum().item()
    assert statistic < chi_square_limit(9)


def test_places_in_one_row_say_nothing_about_those_in_the_next():
    ids, _ = toy_batch([22] * 500, VOCABULARY)
    _, chosen = mask_tokens(ids, special_of(ids), 0.5, MASK_ID, rng=stream())
    assert len({tuple(row.tolist()) for row in chosen}) > 490


# --- who decides, and what is left alone ----------------------------------------------------------
def draws(rng, logits):
    ids, _ = toy_batch([15] * 8, VOCABULARY)
    masked_ids, chosen = mask_tokens(ids, special_of(ids), 0.3, MASK_ID, 0.5, rng)
    return masked_ids, chosen, sample_tokens(logits, 1.0, rng)


@given(seeds, seeds)
@settings(max_examples=25)
def test_rng_alone_decides(seed, other):
    logits = torch.zeros(30, VOCABULARY)
    torch.manual_seed(1)
    first, after = draws(stream(seed), logits), torch.get_rng_state()
    torch.manual_seed(2)
    second = draws(stream(seed), logits)
    third = draws(stream(other), logits)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True)), "one stream, two results"
    assert seed == other or not torch.equal(first[2], third[2]), "another stream, other draws"
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), after), "torch's own stream was used"


def test_without_rng_torch_s_own_stream_decides():
    logits = torch.zeros(30, VOCABULARY)
    torch.manual_seed(5)
    first = draws(None, logits)
    torch.manual_seed(5)
    assert all(torch.equal(a, b) for a, b in zip(first, draws(None, logits), strict=True))


@given(lengths, seeds)
@settings(max_examples=25)
def test_nothing_that_goes_in_is_changed(lengths, seed):
    ids, _ = toy_batch(lengths, VOCABULARY, seed % 1000)
    special, rng = special_of(ids), stream(seed)
    ids_before, special_before = ids.clone(), special.clone()
    masked_ids, chosen = mask_tokens(ids, special, 0.5, MASK_ID, 0.2, rng)
    logits = torch.randn(int(chosen.sum()), VOCABULARY, generator=rng)
    logits_before, chosen_before = logits.clone(), chosen.clone()
    samples = sample_tokens(logits, 0.7, rng)
    samples_before = samples.clone()
    corrupted_ids = corrupt(ids, chosen, samples)
    corrupted_before = corrupted_ids.clone()
    replaced_labels(ids, corrupted_ids)
    for name, before, after in (
        ("ids", ids_before, ids),
        ("special", special_before, special),
        ("logits", logits_before, logits),
        ("chosen", chosen_before, chosen),
        ("samples", samples_before, samples),
        ("corrupted_ids", corrupted_before, corrupted_ids),
    ):
        assert torch.equal(before, after), f"{name} was changed in place"
    assert masked_ids.data_ptr() != ids.data_ptr() and corrupted_ids.data_ptr() != ids.data_ptr()


# --- sample_tokens --------------------------------------------------------------------------------
def chi_square_limit(freedom, z=4.75):
    """What a chi-square statistic exceeds once in a million times (Wilson and Hilferty 1931)."""
    return freedom * (1 - 2 / (9 * freedom) + z * math.sqrt(2 / (9 * freedom))) ** 3


def check_draws_follow_softmax(sample, temperature=1.0, dtype=torch.float32, autocast=False, n=40_000):
    """Do the draws of `sample(logits, temperature, rng)` follow softmax(logits / temperature)?

    The row has what tells wrong sampling apart: a dominant token, rivals, a long tail, a forbidden token.
    """
    head = torch.tensor([2.0, 1.5, 1.4, -math.inf, 0.0])
    row = torch.cat([head, torch.linspace(-1, -5, 35)]).to(dtype)  # (V,)
    logits = row.expand(n, -1)  # (N, V)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        drawn = sample(logits, temperature, stream(3))
    assert drawn.shape == (n,) and drawn.dtype == torch.long, "one long id a row"
    counts = torch.bincount(drawn, minlength=len(row)).double()
    assert counts[3] == 0, "draws do not follow softmax: a forbidden token was drawn"
    expected = n * torch.softmax(row.double() / temperature, -1)
    common = expected >= 10  # the tail is counted as one
    counts = torch.cat([counts[common], counts[~common].sum()[None]])
    expected = torch.cat([expected[common], expected[~common].sum()[None]])
    groups = expected > 1
    statistic = ((counts - expected)[groups] ** 2 / expected[groups]).sum().item()
    limit = chi_square_limit(int(groups.sum()) - 1)
    assert statistic < limit, f"draws do not follow softmax: chi-square {statistic:.0f}, limit {limit:.0f}"


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(
    "dtype, autocast",
    [
        (torch.float32, False),
        (torch.float32, True),
        (torch.float16, False),
        (torch.bfloat16, False),
        (torch.bfloat16, True),
    ],
)
def test_draws_follow_softmax_in_every_precision(temperature, dtype, autocast):
    check_draws_follow_softmax(sample_tokens, temperature, dtype, autocast)


def test_draws_follow_softmax_over_a_real_vocabulary():
    rng = stream(1)
    row = torch.randn(8192, generator=rng) * 2
    drawn = sample_tokens(row.expand(2000, -1), 1.0, rng)
    p = torch.softmax(row.double(), -1)
    order = p.argsort(descending=True)
    height = torch.empty_like(p)
    height[order] = p[order].cumsum(0) - p[order] / 2  # uniform between 0 and 1 if the draws are right
    counts = torch.histc(height[drawn].float(), 20, 0, 1).double()
    assert ((counts - 100) ** 2 / 100).sum() < chi_square_limit(19)


@given(st.integers(1, 40), seeds, st.floats(0.01, 20))
@settings(max_examples=40)
def test_what_is_minus_infinity_is_never_drawn(allowed, seed, temperature):
    rng = stream(seed)
    logits = torch.full((200, 40), -math.inf)
    places = torch.rand(200, 40, generator=rng).argsort(1)[:, :allowed]
    logits.scatter_(1, places, torch.randn(200, allowed, generator=rng) * 5)
    drawn = sample_tokens(logits, temperature, rng)
    assert logits.gather(1, drawn[:, None]).isfinite().all()


@given(seeds)
@settings(max_examples=20)
def test_temperature_zero_takes_the_likeliest_and_draws_nothing(seed):
    rng = stream(seed)
    logits = torch.randn(20, VOCABULARY, generator=rng)
    before = rng.get_state()
    assert torch.equal(sample_tokens(logits, 0, rng), logits.argmax(-1))
    assert torch.equal(rng.get_state(), before)


def test_a_low_temperature_comes_close_to_the_likeliest():
    logits = torch.randn(500, VOCABULARY, generator=stream(2))
    assert (sample_tokens(logits, 1e-4, stream()) == logits.argmax(-1)).float().mean() > 0.99


def test_a_high_temperature_comes_close_to_all_alike():
    drawn = sample_tokens(torch.linspace(-3, 3, 10).expand(20_000, -1), 1e4, stream())
    counts = torch.bincount(drawn, minlength=10).double()
    assert ((counts - 2000) ** 2 / 2000).sum() < chi_square_limit(9)


def test_a_negative_temperature_is_refused():
    with pytest.raises(ValueError, match="-1"):
        sample_tokens(torch.zeros(2, 3), -1)


def test_no_row_gives_no_sample():
    for temperature in (0, 1.0):
        samples = sample_tokens(torch.zeros(0, VOCABULARY), temperature, stream())
        assert samples.shape == (0,) and samples.dtype == torch.long


@pytest.mark.parametrize("temperature", [0, 1.0])
def test_from_nan_comes_some_token_and_not_an_index_beyond_the_vocabulary(temperature):
    drawn = sample_tokens(torch.full((50, VOCABULARY), math.nan), temperature, stream())
    assert ((drawn >= 0) & (drawn < VOCABULARY)).all()


def test_rows_are_drawn_independently_of_each_other():
    drawn = sample_tokens(torch.zeros(40_000, 4), 1.0, stream()).view(-1, 2)  # pairs of neighbouring rows
    counts = torch.bincount(drawn[:, 0] * 4 + drawn[:, 1], minlength=16).double()
    assert ((counts - 1250) ** 2 / 1250).sum() < chi_square_limit(15)


# --- corrupt and replaced_labels ------------------------------------------------------------------
@given(lengths, seeds)
@settings(max_examples=30)
def test_samples_are_written_into_the_chosen_places_in_reading_order(lengths, seed):
    ids, _ = toy_batch(lengths, VOCABULARY, seed % 1000)
    chosen = (torch.rand(ids.shape, generator=stream(seed)) < 0.5) & ~special_of(ids)
    samples = torch.arange(100, 100 + int(chosen.sum()))
    corrupted_ids = corrupt(ids, chosen, samples)
    assert corrupted_ids[chosen].tolist() == samples.tolist()
    assert torch.equal(corrupted_ids[~chosen], ids[~chosen])


def test_a_lucky_sample_counts_as_original():
    ids = torch.tensor([[CLS_ID, 7, 8, 9, SEP_ID, PAD_ID]])
    chosen = torch.tensor([[False, True, False, True, False, False]])
    corrupted_ids = corrupt(ids, chosen, torch.tensor([7, 20]))
    assert corrupted_ids.tolist() == [[CLS_ID, 7, 8, 20, SEP_ID, PAD_ID]]
    assert replaced_labels(ids, corrupted_ids).tolist() == [[False, False, False, True, False, False]]


@given(lengths, seeds)
@settings(max_examples=30)
def test_labels_are_bool_and_true_exactly_where_the_token_is_another(lengths, seed):
    ids, _ = toy_batch(lengths, VOCABULARY, seed % 1000)
    other, _ = toy_batch(lengths, VOCABULARY, seed % 997 + 1)
    labels = replaced_labels(ids, other)
    assert labels.dtype == torch.bool
    pairs = zip(ids.flatten().tolist(), other.flatten().tolist(), strict=True)
    assert labels.flatten().tolist() == [a != b for a, b in pairs]


# --- electra_loss and the seam --------------------------------------------------------------------
@given(st.floats(0, 20), st.floats(0, 5), st.floats(0, 100))
def test_the_joint_loss_is_a_weighted_sum(mlm, rtd, weight):
    assert electra_loss(mlm, rtd, weight) == mlm + weight * rtd


def test_the_weight_is_the_paper_s_by_default():
    assert electra_loss(torch.tensor(6.0), torch.tensor(0.5)).item() == 31.0


def test_an_objective_holds_the_reference_unless_given_your_own():
    def mine(ids, corrupted_ids):
        return ids != corrupted_ids

    objective = Objective(label=mine)
    assert objective.label is mine
    assert (objective.mask, objective.sample, objective.corrupt, objective.loss) == (
        mask_tokens,
        sample_tokens,
        corrupt,
        electra_loss,
    )
