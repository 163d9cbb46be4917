"""The two encoders and how they hang together; presets."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import toy_batch, toy_preset
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_tutorial.errors import UserError
from electra_tutorial.model import (
    Block,
    Discriminator,
    Electra,
    Encoder,
    Generator,
    attention_weights,
    layer_parameters,
    merge_heads,
    position_waves,
    rotate,
    some_flatter,
    spared,
    split_heads,
)
from electra_tutorial.objective import Objective
from electra_tutorial.presets import PRESETS, Preset

VARIANTS = [(positions, norm) for positions in ("learned", "rotary", "none") for norm in ("post", "pre")]
lengths = st.lists(st.integers(2, 24), min_size=1, max_size=5)


def toy(seed=0, objective=None, **changes):
    """An `Electra` in evaluation mode whose norms and biases are not at their start: none can hide."""
    torch.manual_seed(seed)
    electra = Electra(toy_preset(**changes), objective).eval()
    with torch.no_grad():
        for parameter in electra.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return electra


# --- attention ------------------------------------------------------------------------------------
@pytest.mark.parametrize("positions, norm", VARIANTS)
@given(lengths=lengths, padded=st.booleans(), seed=st.integers(0, 1000))
@settings(max_examples=10)
def test_fused_attention_equals_written_out_attention(positions, norm, lengths, padded, seed):
    electra = toy(seed, positions=positions, norm=norm)
    ids, mask = toy_batch(lengths if padded else [max(lengths)] * 2, seed=seed)
    mask = mask if padded else None
    with torch.no_grad():
        for half in (electra.generator, electra.discriminator):
            fused = half(ids, mask)
            written, _ = half(ids, mask, return_attention=True)
            real = slice(None) if mask is None else mask
            torch.testing.assert_close(fused[real], written[real], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("positions", ["learned", "rotary", "none"])
def test_attention_is_a_distribution_over_real_tokens_for_each_layer_and_head(positions):
    electra, (ids, mask) = toy(positions=positions), toy_batch()
    for half, layers, heads in ((electra.generator, 1, 2), (electra.discriminator, 2, 4)):
        _, attentions = half(ids, mask, return_attention=True)
        assert [tuple(a.shape) for a in attentions] == [(4, heads, 12, 12)] * layers
        for attention in attentions:
            torch.testing.assert_close(attention.sum(-1), torch.ones(4, heads, 12))
            assert not attention.movedim(-1, 1)[~mask].any(), "padding was looked at"


@pytest.mark.parametrize("positions, norm", VARIANTS)
def test_what_stands_in_the_padding_changes_nothing(positions, norm):
    electra, (ids, mask) = toy(positions=positions, norm=norm), toy_batch()
    with torch.no_grad():
        before = electra.discriminator(ids, mask)
        after = electra.discriminator(ids.masked_fill(~mask, 77), mask)
        alone = electra.discriminator(ids[1:2, :5])
    torch.testing.assert_close(before[mask], after[mask], atol=1e-6, rtol=0)
    torch.testing.assert_close(before[1, :5], alone[0], atol=1e-5, rtol=0)


def test_an_attention_mask_of_ones_and_zeros_is_as_good_as_one_of_bools():
    electra, (ids, mask) = toy(), toy_batch()
    with torch.no_grad():
        assert torch.equal(electra.discriminator(ids, mask), electra.discriminator(ids, mask.long()))
        assert torch.equal(electra.generator(ids, mask), electra.generator(ids, mask.float()))


def test_a_head_has_its_own_part_of_every_token_and_merging_undoes_the_cut():
    x = torch.randn(2, 5, 12)
    for heads in (1, 2, 3, 4, 6):
        cut = split_heads(x, heads)
        assert all(torch.equal(cut[:, h], part) for h, part in enumerate(x.chunk(heads, dim=-1)))
        assert torch.equal(merge_heads(cut), x)


@given(st.integers(1, 9), st.sampled_from([1, 3, 16]), st.integers(0, 1000))
@settings(max_examples=20)
def test_attention_weights_are_those_of_the_fused_attention(T, d, seed):
    rng = torch.Generator().manual_seed(seed)
    query, key, value = torch.randn(3, 2, 3, T, d, generator=rng)
    visible = (torch.rand(2, 1, 1, T, generator=rng) < 0.6).index_fill(-1, torch.tensor(0), True)
    for mask in (None, visible):
        weights = attention_weights(query, key, mask)
        fused = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        torch.testing.assert_close(weights @ value, fused, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, T))
    assert not weights.masked_select(~visible).any()


# --- positions ------------------------------------------------------------------------------------
@given(st.integers(0, 40), st.integers(0, 20), st.integers(0, 20), st.integers(0, 1000))
@settings(max_examples=40)
def test_rotary_scores_depend_on_distance_only(shift, i, j, seed):
    rng = torch.Generator().manual_seed(seed)
    query, key = torch.randn(2, 8, generator=rng, dtype=torch.float64)
    T = max(i, j) + shift + 1

    def score(m, n):  # of this query at place m and this key at place n
        queries, keys = (rotate(vector.expand(1, 1, T, 8)) for vector in (query, key))
        return queries[0, 0, m] @ keys[0, 0, n]

    torch.testing.assert_close(score(i, j), score(i + shift, j + shift), atol=1e-6, rtol=0)


def test_rotary_tells_distances_apart():
    vector = torch.randn(16, generator=torch.Generator().manual_seed(0))
    turned = rotate(vector.expand(1, 1, 12, 16))[0, 0]
    scores = turned[0] @ turned.T
    assert len(set(scores.mul(1e4).round().tolist())) == 12


def test_rotation_keeps_lengths():
    x = torch.randn(2, 3, 7, 8)
    torch.testing.assert_close(rotate(x).norm(dim=-1), x.norm(dim=-1))


@pytest.mark.parametrize("positions", ["learned", "rotary", "none"])
def test_without_positions_and_only_then_the_order_of_words_is_unseen(positions):
    electra, (ids, _) = toy(positions=positions), toy_batch([10])
    order = torch.tensor([0, 5, 2, 8, 1, 4, 7, 3, 6, 9])
    with torch.no_grad():
        straight, shuffled = electra.discriminator(ids), electra.discriminator(ids[:, order])
    same = torch.allclose(straight[:, order], shuffled, atol=1e-5)
    assert same == (positions == "none")


@given(st.integers(1, 40), st.integers(1, 33), st.sampled_from([100.0, 1000.0, 10000.0]))
@settings(max_examples=30)
def test_a_place_s_waves_are_those_of_the_formula(length, width, base):
    table, waves = position_waves(length, width, base), (width + 1) // 2
    assert table.shape == (length, width)
    for place, column in ((0, 0), (length - 1, width - 1), (length // 2, width // 2)):
        angle = torch.tensor(place * base ** (-2 * (column % waves) / width))
        wanted = angle.sin() if column < waves else angle.cos()
        torch.testing.assert_close(table[place, column], wanted, atol=1e-4, rtol=0)


@given(st.integers(0, 40), st.integers(0, 20), st.integers(0, 20))
@settings(max_examples=30)
def test_products_of_position_waves_depend_on_distance_only(shift, i, j):
    table = position_waves(max(i, j) + shift + 1, 16).double()
    torch.testing.assert_close(table[i] @ table[j], table[i + shift] @ table[j + shift], atol=1e-4, rtol=0)


def test_a_position_table_begins_as_waves_as_strong_as_the_token_embeddings():
    torch.manual_seed(0)
    table = Electra(toy_preset(embedding_std=0.05)).discriminator.encoder.embeddings.position.weight
    torch.testing.assert_close(table, position_waves(48, 16) * 2**0.5 * 0.05)
    random = Electra(toy_preset(embedding_std=0.05, position_start="random")).discriminator.encoder.embeddings
    assert abs(random.position.weight.std() / 0.05 - 1) < 0.1
    assert not torch.allclose(random.position.weight, table)


def test_a_row_longer_than_the_model_has_positions_for_is_refused():
    ids, _ = toy_batch([49])
    with pytest.raises(UserError, match="49.*48"):
        toy().discriminator(ids)


# --- the two models -------------------------------------------------------------------------------
def test_the_discriminator_gives_one_logit_a_token_and_the_generator_one_for_each_word():
    electra, (ids, mask) = toy(), toy_batch()
    assert electra.discriminator(ids, mask).shape == (4, 12)
    assert electra.generator(ids, mask).shape == (4, 12, 120)


@given(lengths, st.integers(0, 1000))
@settings(max_examples=15)
def test_logits_at_chosen_places_are_those_of_the_full_table(lengths, seed):
    electra, (ids, mask) = toy(seed), toy_batch(lengths, seed=seed)
    chosen = (torch.rand(ids.shape, generator=torch.Generator().manual_seed(seed)) < 0.4) & mask
    with torch.no_grad():
        full, some = electra.generator(ids, mask), electra.generator(ids, mask, chosen)
    assert some.shape == (int(chosen.sum()), 120)
    torch.testing.assert_close(full[chosen], some, atol=1e-5, rtol=1e-5)


def shapes(module):
    return {name: tuple(p.shape) for name, p in module.named_parameters()}


def test_the_generator_is_built_from_its_own_sizes():
    preset = toy_preset(
        generator_width=20,
        generator_layers=3,
        generator_heads=5,
        generator_feed_forward=28,
        width=24,
        layers=1,
        heads=3,
        feed_forward=44,
    )
    sizes = (20, 3, 5, 28), (24, 1, 3, 44)
    halves = Generator(preset), Discriminator(preset)
    for half, (width, layers, heads, feed_forward) in zip(halves, sizes, strict=True):
        assert len(half.encoder.blocks) == layers
        for block in half.encoder.blocks:
            assert tuple(block.attention.output.weight.shape) == (width, width)
            assert tuple(block.up.weight.shape) == (feed_forward, width)
            assert block.attention.heads == heads


def test_both_models_are_encoders_of_the_same_kind():
    for half in (toy().generator, toy().discriminator):
        assert type(half.encoder) is Encoder


def test_the_embeddings_are_projected_only_where_their_width_differs():
    names = shapes(toy(embedding=16, width=32, generator_width=16))
    assert "discriminator.encoder.project.weight" in names and "generator.encoder.project.weight" not in names


def test_sharing_the_embeddings_shares_these_tables_and_nothing_else():
    for positions, tables in (("learned", 2), ("rotary", 1)):
        electra = toy(positions=positions)
        generator = {id(p) for p in electra.generator.parameters()}
        shared = [p for p in electra.discriminator.parameters() if id(p) in generator]
        assert len(shared) == tables
        assert electra.generator.encoder.embeddings.token is electra.discriminator.encoder.embeddings.token


def test_without_sharing_the_models_have_nothing_in_common():
    electra = toy(sharing="none")
    generator = {p.data_ptr() for p in electra.generator.parameters()}
    assert generator.isdisjoint(p.data_ptr() for p in electra.discriminator.parameters())


@pytest.mark.parametrize("positions, norm", VARIANTS)
@pytest.mark.parametrize("sharing", ["embeddings", "none"])
def test_one_step_gives_every_parameter_a_gradient(positions, norm, sharing):
    electra, (ids, mask) = toy(positions=positions, norm=norm, sharing=sharing).train(), toy_batch([12] * 8)
    electra(ids, mask).loss.backward()
    without = [name for name, p in electra.named_parameters() if p.grad is None or not p.grad.any()]
    assert not without


@given(st.integers(1, 8), st.integers(1, 40), st.integers(1, 4))
@settings(max_examples=20)
def test_a_layer_has_as_many_parameters_as_arithmetic_says(width, inside, heads):
    block = Block(width * heads, heads, inside)
    assert sum(p.numel() for p in block.parameters()) == layer_parameters(width * heads, inside)


def test_the_block_s_network_works_on_each_token_alone_and_bends():
    block, x = Block(8, 2, 12), torch.randn(2, 5, 8)
    together = block.feed_forward(x)
    alone = torch.stack([torch.stack([block.feed_forward(token) for token in row]) for row in x])
    torch.testing.assert_close(together, alone)
    straight = block.feed_forward(2 * x) - block.down.bias, 2 * (together - block.down.bias)
    assert not torch.allclose(*straight, atol=1e-3), "two linear layers and nothing between them"


def test_layers_start_so_that_signals_keep_their_size():
    torch.manual_seed(0)
    electra = Electra(toy_preset(width=128, feed_forward=512, heads=4, embedding=128))
    block = electra.discriminator.encoder.blocks[0]
    assert abs(block.up.weight.std() * 128**0.5 - 1) < 0.05 and not block.up.bias.any()
    assert abs(block.down.weight.std() * 512**0.5 - 1) < 0.05
    small = Electra(toy_preset(width=128, feed_forward=512, heads=4, embedding=128, initial_std=0.02))
    assert abs(small.discriminator.encoder.blocks[0].down.weight.std() / 0.02 - 1) < 0.05


def test_dropout_is_at_work_in_training_and_absent_in_evaluation():
    electra, (ids, mask) = toy(dropout=0.3), toy_batch()
    torch.manual_seed(0)
    with torch.no_grad():
        assert torch.equal(electra.discriminator(ids, mask), electra.discriminator(ids, mask))
        electra.train()
        assert not torch.equal(electra.discriminator(ids, mask), electra.discriminator(ids, mask))


# --- the step -------------------------------------------------------------------------------------
def test_a_step_returns_all_that_was_computed_on_the_way():
    electra, (ids, mask) = toy(discriminator_weight=7.0), toy_batch()
    step = electra(ids, mask)
    assert step.loss.shape == step.generator_loss.shape == step.discriminator_loss.shape == ()
    torch.testing.assert_close(step.loss, step.generator_loss + 7.0 * step.discriminator_loss)
    for name in ("masked_ids", "chosen", "corrupted_ids", "labels", "discriminator_logits"):
        assert getattr(step, name).shape == ids.shape, name
    assert step.chosen.dtype == step.labels.dtype == torch.bool
    assert (step.masked_ids == 4)[step.chosen].all()


def test_the_losses_are_those_of_the_paper_written_out():
    electra, (ids, mask) = toy(), toy_batch()
    with torch.no_grad():
        step = electra(ids, mask)
        log_p = electra.generator(step.masked_ids, mask).log_softmax(-1)  # (B, T, V)
    mlm = [-log_p[b, t, ids[b, t]] for b, t in step.chosen.nonzero().tolist()]
    rtd = []
    for b, t in mask.nonzero().tolist():
        p = torch.sigmoid(step.discriminator_logits[b, t])
        rtd.append(-torch.log(p if step.labels[b, t] else 1 - p))
    torch.testing.assert_close(step.generator_loss, torch.stack(mlm).mean(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(step.discriminator_loss, torch.stack(rtd).mean(), atol=1e-5, rtol=1e-5)


def test_the_discriminator_s_logits_are_those_of_the_corrupted_text():
    electra, (ids, mask) = toy(), toy_batch()
    with torch.no_grad():
        step = electra(ids, mask)
        torch.testing.assert_close(step.discriminator_logits, electra.discriminator(step.corrupted_ids, mask))


def test_electra_s_rng_alone_decides_masks_and_samples():
    electra, (ids, mask) = toy(), toy_batch()
    steps = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        before = torch.get_rng_state()
        electra.rng.manual_seed(11)
        steps.append(electra(ids, mask))
        assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(steps[0].chosen, steps[1].chosen)
    assert torch.equal(steps[0].corrupted_ids, steps[1].corrupted_ids)
    again = electra(ids, mask)
    assert not torch.equal(steps[0].corrupted_ids, again.corrupted_ids), "each step draws anew"


def test_a_copy_of_a_model_has_a_random_stream_of_its_own():
    electra, (ids, mask) = toy(), toy_batch()
    before = electra.rng.get_state()
    copy.deepcopy(electra)(ids, mask)
    assert torch.equal(electra.rng.get_state(), before)


@pytest.mark.parametrize("name", ["mask", "sample", "corrupt", "label", "loss"])
def test_each_part_of_your_objective_is_really_used(name):
    called = []
    reference = getattr(Objective(), name)

    def spy(*args, **kwargs):
        called.append(name)
        return reference(*args, **kwargs)

    ids, mask = toy_batch()
    toy(objective=Objective(**{name: spy}))(ids, mask)
    assert called == [name]


def test_the_step_uses_what_your_functions_return():
    ids, mask = toy_batch()
    everywhere = Objective(
        mask=lambda ids, special, *_: (ids.masked_fill(~special, 4), ~special),
        sample=lambda logits, *_: torch.full((len(logits),), 99),
        label=lambda ids, corrupted_ids: torch.ones_like(ids, dtype=torch.bool),
        loss=lambda mlm, rtd, weight: 3 * mlm,
    )
    step = toy(objective=everywhere)(ids, mask)
    ordinary = ids >= 5
    assert (step.corrupted_ids[ordinary] == 99).all() and torch.equal(step.chosen, ordinary)
    assert step.labels.all()
    torch.testing.assert_close(step.loss, 3 * step.generator_loss)


# --- presets --------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_bears_its_name_and_survives_json(name):
    assert PRESETS[name].name == name
    assert Preset(**PRESETS[name].to_dict()) == PRESETS[name]


def test_the_paper_s_size_builds_and_takes_a_step():
    electra, (ids, mask) = Electra(PRESETS["paper"]), toy_batch([16, 11], vocab_size=30522)
    step = electra(ids, mask)
    step.loss.backward()
    assert torch.isfinite(step.loss)
    assert 13e6 < sum(p.numel() for p in electra.discriminator.parameters()) < 14.5e6  # published: 14 M


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 30, "heads": 4},
        {"generator_width": 15, "generator_heads": 2},
        {"heads": 0},
        {"layers": 0},
        {"positions": "sideways"},
        {"norm": "batch"},
        {"sharing": "half"},
        {"mask_rate": 1.5},
        {"mask_rate": -0.1},
        {"keep": 2},
        {"dropout": -1},
        {"warmup": 7},
        {"layers": -2},
        {"width": 0},
        {"width": "wide"},
        {"vocab_size": -5},
        {"embedding": 1.5},
        {"max_length": 0},
        {"batch_tokens": 0},
        {"accumulate": 0},
        {"temperature": -1.0},
        {"odd_temperature": 0.0},
        {"odd_share": 1.5},
        {"mask_by_lot": 0.6},
        {"learning_rate": -1e-3},
        {"learning_rate": float("nan")},
        {"clip": 0.0},
        {"tokens": 0},
        {"mask_rate": "many"},
        {"positions": "rotary", "width": 36, "heads": 12},
    ],
)
def test_nonsense_in_a_preset_is_refused_in_one_sentence_that_names_it(changes):
    with pytest.raises(UserError) as refused:
        toy_preset(**changes)
    assert any(name in str(refused.value) for name in changes)
    assert "\n" not in str(refused.value)


def test_a_preset_with_changes_refuses_a_name_that_there_is_none_of():
    with pytest.raises(UserError, match="depth"):
        PRESETS["tiny"].with_changes(depth=3)
    assert PRESETS["tiny"].with_changes(layers=3).layers == 3
    assert PRESETS["tiny"].layers != 3


# --- how many places to hide --------------------------------------------------------------------------------
def hidden_of_twenty(by_lot, batches=400, rate=0.25):
    """How many of its 20 ordinary places each row has hidden: (batches x 3,)."""
    electra = toy(mask_rate=rate, mask_by_lot=by_lot)
    ids, mask = toy_batch([22] * 3)
    return np.concatenate([electra.guess(ids, mask).chosen.sum(1).numpy() for _ in range(batches)])


def test_in_the_paper_s_way_every_row_hides_as_many_and_no_lot_is_drawn(monkeypatch):
    monkeypatch.setattr("electra_tutorial.model.spared", None)
    assert (hidden_of_twenty(by_lot=False, batches=20) == 5).all()


def test_by_lot_each_place_is_hidden_for_itself_so_that_numbers_are_binomial():
    counts = hidden_of_twenty(by_lot=True)
    assert counts.mean() == pytest.approx(20 * 0.25, abs=0.2)
    assert counts.var() == pytest.approx(20 * 0.25 * 0.75, rel=0.2)  # as many each time: 0; a share a row: far more
    assert min(counts) <= 1 and max(counts) >= 9


def test_by_lot_what_one_place_is_says_nothing_of_its_neighbour_nor_of_another_row():
    special = torch.zeros(20_000, 2, dtype=torch.bool)
    left, right = (~spared(special, 0.3, torch.Generator().manual_seed(0))).float().T
    assert left.mean().item() == pytest.approx(0.3, abs=0.015)
    for one, other in ((left, right), (left[1:], left[:-1])):
        assert abs(torch.corrcoef(torch.stack([one, other]))[0, 1].item()) < 0.03


def test_by_lot_special_places_are_spared_a_rate_of_1_hides_all_others_and_0_none():
    electra, batch = toy(mask_rate=1.0, mask_by_lot=True), toy_batch([22, 9, 3])
    step = electra.guess(*batch)
    assert torch.equal(step.chosen, (batch[0] >= 5) & batch[1].bool())
    step = toy(mask_rate=0.0, mask_by_lot=True)(*batch)
    assert not step.chosen.any() and step.generator_loss == 0 and torch.isfinite(step.loss)


def test_the_lot_is_drawn_from_the_model_s_own_stream_alone():
    electra, batch = toy(mask_rate=0.4, mask_by_lot=True), toy_batch()
    first = [electra.guess(*batch).chosen for _ in range(2)]
    electra.rng.manual_seed(electra.rng.initial_seed())
    torch.manual_seed(99)
    assert torch.equal(electra.guess(*batch).chosen, first[0]) and not torch.equal(*first)


def test_every_preset_for_real_text_but_the_paper_s_draws_lots():
    assert {name for name, preset in PRESETS.items() if preset.mask_by_lot} == {"laptop", "gpu"}


# --- odd fakes ----------------------------------------------------------------------------------------------
def test_a_share_of_the_draws_is_flatter_and_the_others_are_as_they_were():
    logits = torch.randn(4000, 7)
    mixed = some_flatter(logits, 0.25, 2.0, torch.Generator().manual_seed(0))
    odd = (mixed != logits).all(dim=1)
    assert 0.2 < odd.float().mean() < 0.3
    torch.testing.assert_close(mixed[odd], logits[odd] / 2.0)
    assert torch.equal(mixed[~odd], logits[~odd])


def test_no_odd_share_draws_no_random_number_and_special_tokens_stay_forbidden():
    rng = torch.Generator().manual_seed(0)
    before, logits = rng.get_state(), torch.tensor([[float("-inf"), 1.0, 2.0]])
    assert some_flatter(logits, 0.0, 1.5, rng) is logits
    assert torch.equal(rng.get_state(), before)
    assert some_flatter(logits, 1.0, 1.5, rng)[0, 0] == float("-inf")


def test_odd_fakes_are_what_the_discriminator_of_a_preset_is_shown():
    """At a temperature of a million all 60 tokens are alike: a generator sure of one is then hardly ever right."""
    seen = {}
    for share in (0.0, 1.0):
        electra = toy(odd_share=share, odd_temperature=1e6)
        with torch.no_grad():
            electra.generator.bias[7] = 1e3
        ids, mask = toy_batch([24] * 8)
        step = electra(ids.masked_fill(ids > 4, 7), mask)
        seen[share] = step.labels[step.chosen].float().mean().item()
    assert seen[0.0] == 0.0 and seen[1.0] > 0.9
