"""Thirty mistakes that stood in public ELECTRA code, T1 to T30: each is kept out, each is seen to be caught.

A claim is a function `check_...`. It must hold for this package, and it must fail, for the reason it names,
when the mistake is put in: `caught` asserts this, so no check here can turn into one that never fails.
"""

import copy
import threading
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from conftest import toy_batch, toy_preset
from test_objective import check_draws_follow_softmax, chi_square_limit
from torch import nn

from electra_tutorial import evaluation, model, training
from electra_tutorial.checkpoint import STATE, read_tensors, write_tensors
from electra_tutorial.evaluation import Evaluation, fixed_losses, mask_rows
from electra_tutorial.model import Electra, Generator
from electra_tutorial.objective import Objective, corrupt, mask_tokens, replaced_labels, sample_tokens
from electra_tutorial.tokens import MASK_ID, PAD_ID, SPECIAL_TOKENS, make_rows, train_tokenizer


def caught(words, check, *args):
    """Assert that the check fails on a mistake, with these words."""
    with pytest.raises(AssertionError, match=words):
        check(*args)


def toy(objective=None, **changes):
    torch.manual_seed(0)
    return Electra(toy_preset(**changes), objective)


class FixedOdds(nn.Module):
    """A generator that knows no context: the same odds over the vocabulary at each place."""

    def __init__(self, row):
        super().__init__()
        self.row = nn.Parameter(row)

    def forward(self, ids, attention_mask=None, chosen=None):
        return self.row.expand(int(chosen.sum()), -1)


class Judge(nn.Module):
    """A discriminator whose logits are a given function of the ids it sees; it remembers its input."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, ids, attention_mask=None):
        self.seen = ids.clone(), None if attention_mask is None else attention_mask.clone()
        return self.logits(ids)


class WithMemory:
    """What some wrong objectives need: a mask step that remembers the masked text and the chosen places."""

    def mask(self, *args):
        self.masked_ids, self.chosen = mask_tokens(*args)
        return self.masked_ids, self.chosen

    def hidden(self, chosen):
        return chosen & (self.masked_ids == MASK_ID)


# A vocabulary of three words: a third of all samples are lucky.
def lucky_game(objective, **changes):
    electra = toy(objective, vocab_size=8, mask_rate=0.5, **changes)
    ids, mask = toy_batch([14] * 20, vocab_size=8)
    return electra, ids, mask


# --- T1, T2, T3: labels ---------------------------------------------------------------------------
def check_labels_compare_with_the_original(objective):
    electra, ids, mask = lucky_game(objective)
    step = electra(ids, mask)
    lucky = step.chosen & (step.corrupted_ids == ids)
    assert lucky.any() and (step.chosen & ~lucky).any()
    assert not step.labels[lucky].any(), "a lucky sample was called fake"
    assert torch.equal(step.labels, step.corrupted_ids != ids), (
        "labels are not 'another token than the original'"
    )


def test_t01_labels_compare_with_the_original_text():
    """T1: labels against the masked input, or every masked place labelled 1."""
    check_labels_compare_with_the_original(Objective())

    memory = WithMemory()
    against_masked = Objective(
        memory.mask, label=lambda ids, corrupted_ids: corrupted_ids != memory.masked_ids
    )
    caught("lucky", check_labels_compare_with_the_original, against_masked)
    every_place = Objective(memory.mask, label=lambda ids, corrupted_ids: memory.chosen)
    caught("lucky", check_labels_compare_with_the_original, every_place)


def check_positive_means_replaced(objective):
    electra, ids, mask = lucky_game(objective)
    electra.discriminator = Judge(lambda seen: torch.where(seen != ids, 30.0, -30.0))
    step = electra(ids, mask)
    assert step.discriminator_loss < 1e-6, "a discriminator that is right with 'positive = replaced' pays"


def test_t02_a_positive_logit_means_replaced():
    """T2: polarity, 1 = replaced as in `transformers`."""
    check_positive_means_replaced(Objective())
    upside_down = Objective(label=lambda ids, corrupted_ids: corrupted_ids == ids)
    caught("pays", check_positive_means_replaced, upside_down)


def check_discriminator_sees_text_and_nothing_else(objective):
    electra, ids, mask = lucky_game(objective, keep=0.3)
    electra.discriminator = Judge(lambda seen: seen * 0.0)
    step = electra(ids, mask)
    seen, seen_mask = electra.discriminator.seen
    assert not (seen == MASK_ID).any(), "the discriminator sees where a mask was"
    assert ((seen >= 0) & (seen < 8)).all(), "the discriminator sees what is no token"
    assert torch.equal(seen, step.corrupted_ids) and torch.equal(seen[~step.chosen], ids[~step.chosen])
    assert torch.equal(seen_mask, mask), "the attention mask says more than where the padding is"


def test_t03_the_discriminator_s_input_does_not_give_the_labels_away():
    """T3: labels leaking into the discriminator's input."""
    check_discriminator_sees_text_and_nothing_else(Objective())

    memory = WithMemory()

    def only_the_wrong(ids, chosen, samples):  # lucky places stay [MASK]: whatever else was chosen is fake
        full = corrupt(ids, chosen, samples)
        return torch.where(full == ids, memory.masked_ids, full)

    caught(
        "where a mask was",
        check_discriminator_sees_text_and_nothing_else,
        Objective(memory.mask, corrupt=only_the_wrong),
    )

    def marked(ids, chosen, samples):
        full = corrupt(ids, chosen, samples)
        return full + 8 * (full != ids)

    caught("no token", check_discriminator_sees_text_and_nothing_else, Objective(corrupt=marked))


# --- T4, T5, T6, T30: sampling --------------------------------------------------------------------
def likeliest(logits, temperature, rng):
    return logits.argmax(-1)


def gumbel(shape, rng, dtype=torch.float32):
    return -torch.log(-torch.log(torch.rand(shape, generator=rng).to(dtype)))


def gumbel_in_half_precision(logits, temperature, rng):
    return (logits.bfloat16() / temperature + gumbel(logits.shape, rng, torch.bfloat16)).argmax(-1)


def noise_on_probabilities(logits, temperature, rng):
    return (torch.softmax(logits.float() / temperature, -1) + gumbel(logits.shape, rng)).argmax(-1)


def temperature_after_noise(logits, temperature, rng):
    return ((logits.float() + gumbel(logits.shape, rng)) / temperature).argmax(-1)


def check_training_draws_follow_softmax(sample, temperature=1.0):
    """End to end, under bf16 autocast: do the tokens that `Electra.forward` writes follow softmax?"""
    electra = toy(
        Objective(sample=sample), vocab_size=40, max_length=66, mask_rate=1.0, temperature=temperature
    )
    row = torch.linspace(2, -4, 40)
    electra.generator, electra.discriminator = FixedOdds(row.bfloat16()), Judge(lambda ids: ids * 0.0)
    ids, mask = toy_batch([66] * 64, vocab_size=40)
    counts = torch.zeros(40, dtype=torch.double)
    for _ in range(8):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            step = electra(ids, mask)
        counts += torch.bincount(step.corrupted_ids[step.chosen], minlength=40)
    row = row.bfloat16().double()
    row[: len(SPECIAL_TOKENS)] = -torch.inf
    expected = counts.sum() * torch.softmax(row / temperature, -1)
    some = expected > 5
    statistic = ((counts - expected)[some] ** 2 / expected[some]).sum()
    limit = chi_square_limit(int(some.sum()) - 1)
    assert statistic < limit, (
        f"training does not draw from softmax: chi-square {statistic:.0f}, limit {limit:.0f}"
    )


def test_t04_samples_are_drawn_and_not_the_likeliest():
    """T4: argmax for sampling (chi-square of draws against softmax)."""
    check_draws_follow_softmax(sample_tokens)
    check_training_draws_follow_softmax(sample_tokens)
    caught("do not follow softmax", check_draws_follow_softmax, likeliest)
    caught("does not draw from softmax", check_training_draws_follow_softmax, likeliest)


def test_t05_samples_are_drawn_in_single_precision():
    """T5: Gumbel noise in half precision."""
    check_draws_follow_softmax(sample_tokens, 1.0, torch.bfloat16, True)
    check_training_draws_follow_softmax(sample_tokens)
    caught(
        "do not follow softmax",
        check_draws_follow_softmax,
        gumbel_in_half_precision,
        1.0,
        torch.bfloat16,
        True,
    )
    caught("does not draw from softmax", check_training_draws_follow_softmax, gumbel_in_half_precision)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_t06_temperature_divides_the_logits_before_anything_random(temperature):
    """T6: noise on probabilities, or temperature after noise."""
    check_draws_follow_softmax(sample_tokens, temperature)
    check_training_draws_follow_softmax(sample_tokens, temperature)
    for mistake in (noise_on_probabilities, temperature_after_noise):
        caught("do not follow softmax", check_draws_follow_softmax, mistake, temperature)
        caught("does not draw from softmax", check_training_draws_follow_softmax, mistake, temperature)


# --- T7: who gets which gradient ------------------------------------------------------------------
def check_discriminator_loss_spares_the_generator(electra):
    ids, mask = toy_batch([14] * 6)
    electra(ids, mask).discriminator_loss.backward()
    tables = [
        electra.discriminator.encoder.embeddings.token,
        electra.discriminator.encoder.embeddings.position,
    ]
    shared = {id(table.weight) for table in tables} if electra.preset.sharing == "embeddings" else set()
    reached = [
        name for name, p in electra.generator.named_parameters() if p.grad is not None and id(p) not in shared
    ]
    assert not reached, f"the discriminator's loss reaches the generator's {reached[0]}"
    assert all(p.grad is not None for p in electra.discriminator.parameters()), (
        "the discriminator learns nothing"
    )


class Adversarial(Electra):
    """A generator trained to fool the discriminator, as in a GAN: what ELECTRA is often said to be."""

    def forward(self, ids, attention_mask=None):
        step = super().forward(ids, attention_mask)
        step.discriminator_loss = step.discriminator_loss - 0.1 * step.generator_loss
        return step


@pytest.mark.parametrize("sharing", ["embeddings", "none"])
def test_t07_the_discriminator_s_loss_reaches_of_the_generator_the_shared_tables_alone(sharing):
    """T7: discriminator loss reaching the generator's body (untied: every generator gradient None)."""
    same = dict(generator_width=32, generator_heads=4, generator_feed_forward=48, sharing=sharing)
    check_discriminator_loss_spares_the_generator(toy(sharing=sharing))
    check_discriminator_loss_spares_the_generator(toy(**same))

    caught(
        "reaches the generator",
        check_discriminator_loss_spares_the_generator,
        Adversarial(toy_preset(sharing=sharing)),
    )
    one_body = toy(**same)
    one_body.generator.encoder.blocks[0] = one_body.discriminator.encoder.blocks[0]
    caught("reaches the generator", check_discriminator_loss_spares_the_generator, one_body)


# --- T8, T12, T28: the optimiser ------------------------------------------------------------------
def check_each_parameter_once(groups, electra):
    held = [id(p) for group in groups for p in group["params"]]
    assert not {id(p) for p in electra.parameters()} - set(held), "some parameters never train"
    assert len(held) == len(set(held)), "a tied table is updated twice a step"
    assert set(held) <= {id(p) for p in electra.parameters()}, "the optimiser trains what is not in the model"


def check_every_parameter_moves(make_optimizer, electra):
    """End to end: after one step no parameter is what it was."""
    before = {name: p.detach().clone() for name, p in electra.named_parameters()}
    optimizer = make_optimizer(electra, electra.preset)
    take_step(electra, optimizer)
    still = [name for name, p in electra.named_parameters() if torch.equal(p, before[name])]
    assert not still, f"some parameters never train: {still}"


def take_step(electra, optimizer, batch=None, rate=1e-2):
    batch = batch or toy_batch([24] * 8)
    groups = training.clipping_groups(electra)
    training.train_step(
        electra, optimizer, groups, batch, rate, electra.preset, torch.device("cpu"), "float32"
    )


def filtered_twice(electra, preset):
    """As in a popular script: one list by name from the generator, filtered again for the discriminator."""
    some = [
        p for name, p in electra.generator.named_parameters() if "embeddings" not in name and "norm" in name
    ]
    return torch.optim.AdamW([{"params": some + list(electra.discriminator.parameters()), "scale": 1.0}])


@pytest.mark.parametrize("sharing", ["embeddings", "none"])
def test_t08_the_optimiser_holds_every_parameter(sharing):
    """T8: parameters missing from the optimiser."""
    electra = toy(sharing=sharing)
    check_each_parameter_once(training.make_optimizer(electra, electra.preset).param_groups, electra)
    check_every_parameter_moves(training.make_optimizer, electra)
    caught("never train", check_each_parameter_once, filtered_twice(electra, None).param_groups, electra)
    caught("never train", check_every_parameter_moves, filtered_twice, electra)


def test_t12_a_tied_table_is_in_the_optimiser_once():
    """T12: a tied tensor twice in the optimiser."""
    electra = toy()
    check_each_parameter_once(training.make_optimizer(electra, electra.preset).param_groups, electra)
    both = [{"params": list(half.parameters())} for half in (electra.generator, electra.discriminator)]
    caught("twice", check_each_parameter_once, both, electra)


def check_only_matrices_decay(groups, electra):
    names = {id(p): name for name, p in electra.named_parameters()}
    for group in groups:
        for p in group["params"]:
            plain = "norm" in names[id(p)] or names[id(p)].endswith("bias")
            decay = group["weight_decay"]
            assert (decay == 0) == plain, f"{names[id(p)]} has weight decay {decay}"


def test_t28_norms_and_biases_do_not_decay():
    """T28: weight decay on norms and biases."""
    for changes in ({}, {"sharing": "none"}, {"norm": "pre", "positions": "rotary"}):
        electra = toy(weight_decay=0.1, **changes)
        check_only_matrices_decay(training.make_optimizer(electra, electra.preset).param_groups, electra)
    caught(
        "weight decay 0.1",
        check_only_matrices_decay,
        [{"params": list(electra.parameters()), "weight_decay": 0.1}],
        electra,
    )


# --- T9, T10, T11: how the models hang together ---------------------------------------------------
def check_output_table_is_the_embedding_table(electra):
    ids, mask = toy_batch()
    for change in (lambda e: e, copy.deepcopy):
        changed = change(electra)
        take_step(changed, training.make_optimizer(changed, changed.preset))
        with torch.no_grad():
            changed.generator.encoder.embeddings.token.weight.zero_()
            logits = changed.generator(ids, mask)
        bias = changed.generator.bias.expand_as(logits)
        assert torch.allclose(logits, bias), "the output head keeps a table of its own"
        electra.generator.zero_grad()
        electra.generator(ids, mask).log_softmax(-1)[..., 7].sum().backward()
        table = electra.generator.encoder.embeddings.token.weight
        assert table.grad.any(1).all(), "what the head learns does not reach the table"


class OwnHead(Generator):
    """Begins with a copy of the embedding table, and goes its own way from there."""

    def __init__(self, preset):
        super().__init__(preset)
        self.table = nn.Parameter(self.encoder.embeddings.token.weight.detach().clone())

    def forward(self, ids, attention_mask=None, chosen=None):
        x = self.encoder(ids, attention_mask)[0]
        x = x if chosen is None else x[chosen]
        return F.linear(self.norm(F.gelu(self.dense(x))), self.table, self.bias)


@pytest.mark.parametrize("sharing", ["embeddings", "none"])
def test_t09_the_output_table_is_the_embedding_table(sharing):
    """T9: a tie that leaves the output head behind."""
    check_output_table_is_the_embedding_table(toy(sharing=sharing))
    left_behind = toy(sharing=sharing)
    left_behind.generator = OwnHead(left_behind.preset)
    caught("table of its own", check_output_table_is_the_embedding_table, left_behind)


def check_tables_stay_one(electra):
    """Both models have the same tables after a move, a copy, loading, and a step after each of these."""
    state = copy.deepcopy(electra.state_dict())

    def loaded(e):
        e.load_state_dict(state)
        return e

    for name, change in (
        ("start", lambda e: e),
        (".to()", lambda e: e.to(torch.float64)),
        (".to() back", lambda e: e.to(torch.float32)),
        ("loading", loaded),
        ("deepcopy", copy.deepcopy),
    ):
        electra = change(electra)
        if name != ".to()":
            take_step(electra, training.make_optimizer(electra, electra.preset))
        ours, theirs = electra.generator.encoder.embeddings, electra.discriminator.encoder.embeddings
        for table in ("token", "position"):
            one, other = getattr(ours, table).weight, getattr(theirs, table).weight
            assert torch.equal(one, other), f"the {table} tables went apart after {name}"
            assert one is other, f"the {table} tables are two parameters after {name}"


def test_t10_the_shared_tables_stay_one():
    """T10: `.weight.data =` ties lost after `.to()`, load, or a step."""
    check_tables_stay_one(toy())

    tied_by_data = toy(sharing="none")
    ours, theirs = tied_by_data.generator.encoder.embeddings, tied_by_data.discriminator.encoder.embeddings
    ours.token.weight.data = theirs.token.weight.data
    ours.position.weight.data = theirs.position.weight.data
    caught("went apart|two parameters", check_tables_stay_one, tied_by_data)


def check_generator_has_its_own_sizes(electra):
    preset, generator = electra.preset, electra.generator
    block = generator.encoder.blocks[0]
    found = (len(generator.encoder.blocks), *block.up.weight.shape, block.attention.heads)
    wanted = (
        preset.generator_layers,
        preset.generator_feed_forward,
        preset.generator_width,
        preset.generator_heads,
    )
    assert found == wanted, f"the generator is built as {found}, its preset says {wanted}"


def test_t11_the_generator_is_built_from_its_own_sizes():
    """T11: generator built from the discriminator's config."""
    electra = toy()
    check_generator_has_its_own_sizes(electra)
    p = electra.preset
    electra.generator = Generator(
        p.with_changes(
            generator_width=p.width,
            generator_layers=p.layers,
            generator_heads=p.heads,
            generator_feed_forward=p.feed_forward,
        )
    )
    caught("is built as", check_generator_has_its_own_sizes, electra)


# --- T13 to T17: masking --------------------------------------------------------------------------
def check_special_places_are_left_alone(mask):
    electra = toy(Objective(mask=mask), mask_rate=0.8)
    ids, attention_mask = toy_batch()
    ids[~attention_mask] = 77  # whatever stands there: the attention mask says that it is padding
    ids[0, 3] = 1  # [UNK]
    special = (ids < len(SPECIAL_TOKENS)) | ~attention_mask
    for _ in range(20):
        step = electra(ids, attention_mask)
        assert not (step.chosen & special).any(), "a special token or padding was masked"
        assert torch.equal(step.corrupted_ids[special], ids[special])
        assert not step.labels[special].any()


def test_t13_special_tokens_and_padding_are_never_masked():
    """T13: special tokens or padding masked."""
    check_special_places_are_left_alone(mask_tokens)

    def anywhere(ids, special, *rest):
        return mask_tokens(ids, torch.zeros_like(special), *rest)

    caught("was masked", check_special_places_are_left_alone, anywhere)

    def padding_too(ids, special, *rest):
        return mask_tokens(ids, ids < len(SPECIAL_TOKENS), *rest)

    caught("was masked", check_special_places_are_left_alone, padding_too)


def check_places_are_distinct(mask):
    electra = toy(Objective(mask=mask), mask_rate=0.5)
    ids, attention_mask = toy_batch([12] * 30)
    chosen = electra(ids, attention_mask).chosen
    assert (chosen.sum(1) == 5).all(), "fewer places than wanted: some were drawn twice"


def test_t14_places_are_drawn_without_replacement():
    """T14: positions drawn with replacement."""
    check_places_are_distinct(mask_tokens)

    def with_replacement(ids, special, rate, mask_id, keep, rng):
        wanted = round(rate * (ids.shape[1] - 2))
        places = torch.randint(1, ids.shape[1] - 1, (len(ids), wanted), generator=rng)
        chosen = torch.zeros_like(special).scatter(1, places, True)
        return ids.masked_fill(chosen, mask_id), chosen

    caught("drawn twice", check_places_are_distinct, with_replacement)


def check_text_without_a_word_is_no_accident():
    electra = toy()
    ids, attention_mask = toy_batch([2, 2])  # [CLS] [SEP], twice
    step = electra(ids, attention_mask)
    assert torch.isfinite(step.loss), "the loss of a batch without a maskable token is no number"
    assert not step.chosen.any() and step.generator_loss == 0
    step.loss.backward()
    assert all(p.grad.isfinite().all() for p in electra.parameters() if p.grad is not None)


def test_t15_a_batch_without_a_maskable_token_has_a_finite_loss(monkeypatch):
    """T15: no maskable token -> NaN."""
    check_text_without_a_word_is_no_accident()
    whole = F.cross_entropy
    monkeypatch.setattr(
        F, "cross_entropy", lambda logits, ids, reduction: whole(logits, ids)
    )  # the mean over nothing
    caught("is no number", check_text_without_a_word_is_no_accident)


def check_kept_places_are_chosen_like_all_others(objective):
    """A kept place is visible to the generator, and in all else what a hidden one is."""
    parts = {name: getattr(objective, name) for name in ("mask", "corrupt", "label")}
    electra = toy(
        Objective(**parts, sample=lambda logits, *_: torch.full((len(logits),), 99)), keep=0.5, mask_rate=0.4
    )
    electra.generator = FixedOdds(torch.linspace(-3, 3, 120))
    ids, attention_mask = toy_batch([22] * 100)
    step = electra(ids, attention_mask)
    assert (step.chosen.sum(1) == 8).all(), "kept places do not count as chosen"
    kept = step.chosen & (step.masked_ids != MASK_ID)
    assert 0.4 < kept.sum() / step.chosen.sum() < 0.6, "the kept share is another"
    log_p = torch.linspace(-3, 3, 120).log_softmax(-1)
    torch.testing.assert_close(step.generator_loss, -log_p[ids[step.chosen]].mean(), atol=1e-5, rtol=1e-5)
    assert (step.corrupted_ids[step.chosen] == 99).all(), "no sample was written into a kept place"
    assert torch.equal(step.labels, step.chosen & (ids != 99)), (
        "a replaced token at a kept place is called original"
    )


def test_t16_kept_places_are_predicted_like_all_chosen_places():
    """T16: the kept 15 % handled inconsistently, on the generator's side."""
    check_kept_places_are_chosen_like_all_others(Objective())

    def chosen_means_hidden(*args):
        masked_ids, chosen = mask_tokens(*args)
        return masked_ids, chosen & (masked_ids == MASK_ID)

    caught(
        "do not count as chosen",
        check_kept_places_are_chosen_like_all_others,
        Objective(mask=chosen_means_hidden),
    )

    def never_kept(ids, special, rate, mask_id, keep, rng):
        return mask_tokens(ids, special, rate, mask_id, 0.0, rng)

    caught("kept share", check_kept_places_are_chosen_like_all_others, Objective(mask=never_kept))


def test_t17_kept_places_are_sampled_and_labelled_like_all_chosen_places():
    """T17: the kept 15 % handled inconsistently, on the discriminator's side."""
    check_kept_places_are_chosen_like_all_others(Objective())
    memory = WithMemory()

    def only_the_hidden(ids, chosen, samples):
        return torch.where(memory.hidden(chosen), corrupt(ids, chosen, samples), ids)

    caught(
        "no sample was written",
        check_kept_places_are_chosen_like_all_others,
        Objective(memory.mask, corrupt=only_the_hidden),
    )

    def kept_is_original(ids, corrupted_ids):
        return replaced_labels(ids, corrupted_ids) & memory.hidden(memory.chosen)

    caught(
        "called original",
        check_kept_places_are_chosen_like_all_others,
        Objective(memory.mask, label=kept_is_original),
    )


# --- T18, T19, T23: the losses --------------------------------------------------------------------
def check_zero_is_a_label_like_any_other():
    """Token id 0, place 0 and label 0 all count."""
    ids = torch.tensor([[0, 7, 8], [1, 9, 0], [2, 6, 7]])
    chosen = torch.tensor([[True, False, False], [True, True, True], [True, False, False]])
    electra = toy(
        Objective(mask=lambda ids, *_: (ids, chosen), sample=lambda logits, *_: ids[chosen] * 0 + 7)
    )
    row = torch.linspace(-3, 3, 120)
    electra.generator, electra.discriminator = FixedOdds(row), Judge(lambda seen: torch.full(seen.shape, 1.5))
    step = electra(ids)
    mlm = -row.log_softmax(-1)[ids[chosen]].mean()
    assert torch.allclose(step.generator_loss, mlm, atol=1e-5), "places whose token has id 0 were left out"
    replaced = step.labels.float().mean()
    rtd = replaced * F.softplus(torch.tensor(-1.5)) + (1 - replaced) * F.softplus(torch.tensor(1.5))
    assert torch.allclose(step.discriminator_loss, rtd), "tokens with label 0, the originals, were left out"


def test_t18_id_zero_and_label_zero_are_labels(monkeypatch):
    """T18: id 0 treated as "no label"."""
    check_zero_is_a_label_like_any_other()
    cross_entropy, binary = F.cross_entropy, F.binary_cross_entropy_with_logits
    with monkeypatch.context() as patch:
        patch.setattr(F, "cross_entropy", lambda *a, **k: cross_entropy(*a, ignore_index=0, **k))
        caught("id 0 were left out", check_zero_is_a_label_like_any_other)
    with monkeypatch.context() as patch:
        patch.setattr(
            F,
            "binary_cross_entropy_with_logits",
            lambda logits, labels, **k: labels * binary(logits, labels, **k),
        )
        caught("label 0.* were left out", check_zero_is_a_label_like_any_other)


def fixed_objective():
    """Places and samples of a row do not depend on its batch: every third word, the likeliest."""

    def every_third(ids, special, rate, mask_id, keep, rng):
        chosen = (torch.arange(ids.shape[1]) % 3 == 1).expand_as(ids) & ~special
        return ids.masked_fill(chosen, mask_id), chosen

    return Objective(mask=every_third, sample=lambda logits, *_: logits.argmax(-1))


def check_padding_leaves_both_losses_as_they_are(kind):
    torch.manual_seed(0)
    electra = kind(toy_preset(), fixed_objective()).eval()
    ids, attention_mask = toy_batch([10] * 6)
    wider = F.pad(ids, (0, 9), value=PAD_ID), F.pad(attention_mask, (0, 9), value=False)
    with torch.no_grad():
        plain, padded = electra(ids, attention_mask), electra(*wider)
        without_mask = electra(ids)
        rows = [electra(row[None], m[None]) for row, m in zip(*wider, strict=True)]
    for other in (padded, without_mask):
        for loss in ("generator_loss", "discriminator_loss"):
            gap = abs(getattr(plain, loss) - getattr(other, loss)).item()
            assert gap < 1e-6, f"padding moved the {loss} by {gap:.6f}"
    mean = torch.stack([row.discriminator_loss for row in rows]).mean()
    assert abs(mean - plain.discriminator_loss) < 1e-6, "padding moved the loss of a single row"


class CountsPadding(Electra):
    """Divides by B x T."""

    def forward(self, ids, attention_mask=None):
        step = super().forward(ids, attention_mask)
        each = F.binary_cross_entropy_with_logits(
            step.discriminator_logits, step.labels.float(), reduction="none"
        )
        step.discriminator_loss = each.mean()
        return step


class ForgetsTheMask(Electra):
    def forward(self, ids, attention_mask=None):
        return super().forward(ids)


def test_t19_padding_a_batch_leaves_both_losses_unchanged():
    """T19: loss normalised over padding."""
    check_padding_leaves_both_losses_as_they_are(Electra)
    caught(
        "padding moved the discriminator_loss", check_padding_leaves_both_losses_as_they_are, CountsPadding
    )
    caught("padding moved", check_padding_leaves_both_losses_as_they_are, ForgetsTheMask)


def check_sigmoid_is_applied_once(electra):
    """A discriminator that is sure and right pays nothing, one that is sure and wrong pays its logit."""
    ids, attention_mask = toy_batch()
    with torch.no_grad():
        electra.discriminator.output.weight.zero_()
        for logit, loss in ((-20.0, 0.0), (20.0, 20.0)):
            electra.discriminator.output.bias.fill_(logit)
            step = electra(ids, attention_mask)
            gap = abs(step.discriminator_loss.item() - loss)
            assert gap < 1e-4, (
                f"logit {logit:.0f} on originals: the loss should be {loss:.0f} and is off by {gap:.2f}"
            )


def test_t23_logits_pass_one_sigmoid():
    """T23: sigmoid twice."""
    nothing_chosen = Objective(mask=lambda ids, special, *_: (ids, torch.zeros_like(special)))
    check_sigmoid_is_applied_once(toy(nothing_chosen))

    twice = toy(nothing_chosen)
    logits_of = twice.discriminator.forward
    twice.discriminator.forward = lambda *args: torch.sigmoid(logits_of(*args))
    caught("off by", check_sigmoid_is_applied_once, twice)


# --- T20, T21, T24: evaluation --------------------------------------------------------------------
@pytest.fixture(scope="module")
def evaluated(corpus):
    """(tokenizer, training rows, fixed batches of rows of many lengths, counts) of the toy corpus."""
    tokenizer = train_tokenizer(corpus.train["toy"], 120)
    rows = make_rows(corpus.train["toy"], tokenizer, 24)
    return tokenizer, rows, mask_rows(list(rows)[:60]), evaluation.unigram_counts(rows, 120)


def one_by_one(batches):
    """The same rows with the same masks, each in a batch of its own, without padding."""
    for ids, attention_mask, chosen, special in batches:
        for n, length in enumerate(attention_mask.sum(1)):
            yield tuple(x[n : n + 1, :length] for x in (ids, attention_mask, chosen, special))


def check_padding_is_not_scored(batches, alone, counts):
    electra = toy()
    together, apart = fixed_losses(electra, batches, counts), fixed_losses(electra, list(alone), counts)
    for name in ("replaced_share", "rtd_loss", "rtd_auc", "rtd_average_precision", "mlm_loss"):
        assert together[name] == pytest.approx(apart[name], abs=1e-5), f"padding changes {name}"


def test_t20_padding_is_no_true_negative(evaluated):
    """T20: AUC with padding as true negatives."""
    _, _, batches, counts = evaluated
    assert any(not attention_mask.all() for _, attention_mask, _, _ in batches)
    check_padding_is_not_scored(batches, one_by_one(batches), counts)
    padding_counts = [(ids, mask, chosen, special & mask) for ids, mask, chosen, special in batches]
    caught("padding changes", check_padding_is_not_scored, padding_counts, one_by_one(batches), counts)


def check_who_always_says_original_scores_half(batches, counts):
    electra = toy()
    with torch.no_grad():
        electra.discriminator.output.weight.zero_()
        electra.discriminator.output.bias.fill_(-2.0)
    result = fixed_losses(electra, batches, counts)
    assert result["rtd_auc"] == 0.5, f"a constant predictor scores {result['rtd_auc']:.2f}"
    assert result["rtd_recall"] == 0 and result["rtd_average_precision"] == pytest.approx(
        result["replaced_share"]
    )
    assert result["rtd_loss"] >= result["rtd_loss_floor"], (
        "the floor lies above what a constant predictor reaches"
    )


def test_t21_a_constant_predictor_scores_what_nothing_learned_is_worth(evaluated, monkeypatch):
    """T21: accuracy without its floor (a constant predictor must get AUC .5)."""
    _, _, batches, counts = evaluated
    check_who_always_says_original_scores_half(batches, counts)
    monkeypatch.setattr(evaluation, "roc_auc", lambda scores, labels: float(((scores > 0) == labels).mean()))
    caught(r"constant predictor scores 0\.[89]", check_who_always_says_original_scores_half, batches, counts)


def check_evaluation_repeats_itself(run):
    """Twice the same figures, from a model in training mode with dropout, which is left as it was."""
    electra = toy(dropout=0.3).train()
    electra.generator.eval()
    modes = [part.training for part in electra.modules()]
    torch.manual_seed(3)
    streams = torch.get_rng_state(), electra.rng.get_state()
    first, second = run(electra), run(electra)
    assert first == second, "two evaluations of one model differ"
    assert modes == [part.training for part in electra.modules()], "evaluation left the model in another mode"
    assert torch.equal(streams[0], torch.get_rng_state()), (
        "evaluation took numbers from torch's random stream"
    )
    assert torch.equal(streams[1], electra.rng.get_state()), (
        "evaluation took numbers from the model's random stream"
    )


def test_t24_an_evaluation_repeats_itself(corpus, evaluated, data, monkeypatch):
    """T24: evaluation with dropout, or fresh masks each time."""
    tokenizer, rows, batches, counts = evaluated
    evaluate = Evaluation.make(corpus, tokenizer, rows, 24)
    check_evaluation_repeats_itself(lambda electra: evaluate.run(electra, limit=30))

    def fresh_masks(electra):
        return fixed_losses(electra, mask_rows(list(rows)[:60], seed=int(torch.randint(1000, ()))), counts)

    caught("differ", check_evaluation_repeats_itself, fresh_masks)

    @contextmanager
    def with_dropout(electra):
        with torch.no_grad():
            yield torch.device("cpu")

    monkeypatch.setattr(evaluation, "quietly", with_dropout)
    caught("differ", check_evaluation_repeats_itself, lambda electra: evaluate.run(electra, limit=30))

    @contextmanager
    def for_good(electra):
        with torch.no_grad():
            electra.eval()
            yield torch.device("cpu")

    monkeypatch.setattr(evaluation, "quietly", for_good)
    caught("another mode", check_evaluation_repeats_itself, lambda electra: evaluate.run(electra, limit=30))


# --- T22: nothing is changed behind your back -----------------------------------------------------
def check_input_is_left_as_it_was(objective):
    electra, (ids, attention_mask) = toy(objective), toy_batch()
    before = ids.clone(), attention_mask.clone()
    step = electra(ids, attention_mask)
    assert torch.equal(ids, before[0]) and torch.equal(attention_mask, before[1]), (
        "the batch was changed in place"
    )
    assert (step.masked_ids == MASK_ID).any() and not (step.corrupted_ids == MASK_ID).any()


def test_t22_the_batch_is_left_as_it_was():
    """T22: inputs changed in place."""
    check_input_is_left_as_it_was(Objective())

    def mask_in_place(ids, *rest):
        masked_ids, chosen = mask_tokens(ids, *rest)
        ids[chosen] = MASK_ID
        return ids, chosen

    def corrupt_in_place(ids, chosen, samples):
        ids[chosen] = samples
        return ids

    for mistake in (Objective(mask=mask_in_place), Objective(corrupt=corrupt_in_place)):
        caught("changed in place", check_input_is_left_as_it_was, mistake)


# --- T25: attention -------------------------------------------------------------------------------
def check_picture_equals_forward_pass(attend):
    """Did the forward pass mix its values with these weights? `attend(half, ids, mask) -> (logits, list)`."""
    electra, (ids, mask) = toy().eval(), toy_batch()
    half = electra.discriminator
    inputs = []
    for block in half.encoder.blocks:
        block.attention.register_forward_hook(
            lambda module, args, out: inputs.append((module, args[0], out[0]))
        )
    with torch.no_grad():
        fused = half(ids, mask)
        taken, inputs = inputs, []
        logits, attentions = attend(half, ids, mask)
    assert len(attentions) == len(half.encoder.blocks), "there is not one attention a layer"
    torch.testing.assert_close(logits[mask], fused[mask], atol=1e-5, rtol=1e-5)
    for attention, (module, x, mixed) in zip(attentions, taken, strict=True):
        B, T, D = x.shape
        value = (
            module.query_key_value(x)[..., 2 * D :].view(B, T, module.heads, -1).transpose(1, 2)
        )  # (B, H, T, D/H)
        again = module.output((attention @ value).transpose(1, 2).reshape(B, T, D))
        gap = (again - mixed)[mask].abs().max().item()
        assert gap < 1e-5, f"the picture is not what the forward pass used: off by {gap:.4f}"


def test_t25_the_attention_shown_is_the_attention_used():
    """T25: attention asked of the fused path (empty); the picture must equal the forward pass."""
    check_picture_equals_forward_pass(lambda half, ids, mask: half(ids, mask, return_attention=True))
    caught(
        "one attention a layer",
        check_picture_equals_forward_pass,
        lambda half, ids, mask: (half(ids, mask), ()),
    )
    caught(
        "not what the forward pass used",
        check_picture_equals_forward_pass,
        lambda half, ids, mask: (half(ids, mask), half(ids, return_attention=True)[1]),
    )


# --- T26: resume ----------------------------------------------------------------------------------
def run_in_two_parts(corpus, folder, preset, half):
    """Train 2 x `half` steps with a break in the middle; returns the second part's `Run`."""
    stop = threading.Event()
    settings = dict(dtype="float32", device="cpu", quiet=True, evaluations=2)

    def stop_halfway(run):
        if run.step == half:
            stop.set()

    first = training.pretrain(
        preset, corpus, folder, steps=2 * half, stop=stop, watch=stop_halfway, **settings
    )
    assert not first.finished and first.metrics["steps"] == half
    torch.manual_seed(99)  # another process would begin with other random numbers
    return training.pretrain(preset, corpus, folder, resume=True, **settings)


def without_clock(history):
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in history]


def check_resumed_equals_straight(corpus, folder, straight):
    resumed = run_in_two_parts(corpus, folder, toy_preset(dropout=0.2, keep=0.15, mask_by_lot=True), half=8)
    one, other = (read_tensors(run.folder / STATE)[0] for run in (straight, resumed))
    assert set(one) == set(other)
    apart = [name for name in one if not torch.equal(one[name], other[name])]
    assert not apart, f"the run in two parts ended elsewhere: {apart[:3]}"
    assert without_clock(straight.history) == without_clock(resumed.history), "the histories differ"
    assert straight.timelapse == resumed.timelapse


def forgets_optimizer(run):
    run.optimizer.state.clear()


def forgets_dropout(run):
    torch.manual_seed(0)


def forgets_masks(run):
    run.electra.rng.manual_seed(0)


def forgets_schedule(run):
    run.step = 0


FORGETFUL = [forgets_optimizer, forgets_dropout, forgets_masks, forgets_schedule]


def test_t26_two_half_runs_are_one_run_bit_for_bit(corpus, data, tmp_path, monkeypatch):
    """T26: resume without RNG, data position or schedule (2N steps = N + resume + N, bit for bit)."""
    straight = training.pretrain(
        toy_preset(dropout=0.2, keep=0.15, mask_by_lot=True),
        corpus,
        tmp_path / "straight",
        steps=16,
        dtype="float32",
        device="cpu",
        quiet=True,
        evaluations=2,
    )
    check_resumed_equals_straight(corpus, tmp_path / "resumed", straight)

    restore, batch_stream = training.Training.restore, training.batch_stream
    for forget in FORGETFUL:

        def mistake(run, forget=forget):
            restore(run)
            forget(run)

        with monkeypatch.context() as patch:
            patch.setattr(training.Training, "restore", mistake)
            caught(
                "ended elsewhere", check_resumed_equals_straight, corpus, tmp_path / forget.__name__, straight
            )
    with monkeypatch.context() as patch:
        patch.setattr(
            training,
            "batch_stream",
            lambda rows, tokens, seed, start=0, *rest: batch_stream(rows, tokens, seed),
        )
        caught("ended elsewhere", check_resumed_equals_straight, corpus, tmp_path / "data", straight)


# --- T27: export ----------------------------------------------------------------------------------
def check_transformers_reads_the_same_model(electra, folder):
    transformers = pytest.importorskip("transformers")
    ids, mask = toy_batch()
    for half, name in (("generator", "ElectraForMaskedLM"), ("discriminator", "ElectraForPreTraining")):
        theirs, info = getattr(transformers, name).from_pretrained(folder / half, output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"], (
            f"{half}: keys are missing or unknown: {info}"
        )
        with torch.no_grad():
            ours = getattr(electra, half)(ids, mask)
            gap = (
                (theirs.eval()(input_ids=ids, attention_mask=mask.long()).logits - ours)[mask]
                .abs()
                .max()
                .item()
            )
        assert gap < 1e-5, f"{half}: logits are off by {gap:.4f}"


def test_t27_an_exported_model_reloads_whole_and_equal(evaluated, tmp_path):
    """T27: export with missing keys; logits equal after reload; safetensors refuses aliased tensors."""
    from electra_tutorial.hub import export

    electra = toy().eval()
    with torch.no_grad():
        for parameter in electra.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # no norm at 1, no bias at 0
    folder = tmp_path / "exported"
    export(electra, evaluated[0], folder)
    check_transformers_reads_the_same_model(electra, folder)

    path = folder / "discriminator" / "model.safetensors"
    tensors, metadata = read_tensors(path)
    lost = next(name for name in tensors if name.endswith("query.weight"))
    write_tensors(path, {name: t for name, t in tensors.items() if name != lost}, metadata)
    caught("missing or unknown", check_transformers_reads_the_same_model, electra, folder)
    write_tensors(path, tensors | {lost: tensors[lost].flip(0)}, metadata)
    caught("logits are off", check_transformers_reads_the_same_model, electra, folder)


# --- T29: accumulation ----------------------------------------------------------------------------
def gradient_step(accumulate, model_of=lambda electra: electra):
    """The update of gradient descent on 32 rows that go through in `accumulate` parts: {name: change}."""
    electra = toy(fixed_objective(), accumulate=accumulate, clip=1e9)
    optimizer = training.make_optimizer(electra, electra.preset)
    descent = torch.optim.SGD([{**group, "weight_decay": 0.0} for group in optimizer.param_groups], lr=1.0)
    before = {name: p.detach().clone() for name, p in electra.named_parameters()}
    groups, batch = training.clipping_groups(electra), toy_batch([12] * 32)
    training.train_step(
        model_of(electra), descent, groups, batch, 0.1, electra.preset, torch.device("cpu"), "float32"
    )
    return {name: p.detach() - before[name] for name, p in electra.named_parameters()}


def check_four_times_eight_is_thirty_two(model_of=lambda electra: electra):
    whole, parts = gradient_step(1), gradient_step(4, model_of)
    for name in whole:
        torch.testing.assert_close(
            whole[name], parts[name], atol=1e-6, rtol=1e-3, msg=f"4 x 8 is not 32 for {name}"
        )


def summed(electra):
    """Parts whose gradients add up without being averaged."""

    def forward(ids, mask):
        step = electra(ids, mask)
        step.loss = 4 * step.loss
        return step

    return forward


def test_t29_four_parts_of_eight_rows_make_the_update_of_thirty_two():
    """T29: accumulation (4 x 8 = 32)."""
    check_four_times_eight_is_thirty_two()
    caught("is not 32", check_four_times_eight_is_thirty_two, summed)


# --- T30 ------------------------------------------------------------------------------------------
def check_special_tokens_are_never_sampled():
    for temperature in (0.0, 1.0):
        electra = toy(mask_rate=1.0, temperature=temperature)
        row = torch.zeros(120)
        row[: len(SPECIAL_TOKENS)] = 10.0  # a generator that likes nothing better
        electra.generator = FixedOdds(row)
        ids, attention_mask = toy_batch([24] * 10)
        step = electra(ids, attention_mask)
        assert (step.corrupted_ids[step.chosen] >= len(SPECIAL_TOKENS)).all(), "a special token was sampled"
        assert torch.isfinite(step.loss)


def test_t30_the_generator_never_writes_a_special_token(monkeypatch):
    """T30: the generator sampling [PAD], [CLS], [MASK]: forbid it and test it."""
    check_special_tokens_are_never_sampled()
    monkeypatch.setattr(model, "forbid_special", lambda logits: logits)
    caught("was sampled", check_special_tokens_are_never_sampled)


# --- the list is complete -------------------------------------------------------------------------
def test_each_of_the_thirty_traps_has_a_test_that_names_it():
    tests = {
        name: test for name, test in globals().items() if name.startswith("test_t") and name[6:8].isdigit()
    }
    assert sorted(int(name[6:8]) for name in tests) == list(range(1, 31))
    for name, test in tests.items():
        assert test.__doc__.startswith(f"T{int(name[6:8])}: ")
