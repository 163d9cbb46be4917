"""The rivals of ELECTRA: what each learns from, who gets which gradient, and which switches make no sense."""
import math

import pytest
import torch
from conftest import toy_batch, toy_preset

from electra_tutorial import ablations
from electra_tutorial.ablations import (
    OBJECTIVES,
    AdversarialElectra,
    HiddenSurprise,
    as_large,
    build,
    chosen_loss,
    copy_loss,
    large_generator,
    mean_of_others,
    policy_loss,
    prediction_entropy,
    rewards,
)
from electra_tutorial.errors import UserError
from electra_tutorial.evaluation import log_original, mask_rows, pair_scores
from electra_tutorial.model import Electra
from electra_tutorial.probes import pseudo_log_likelihood
from electra_tutorial.training import clipping_groups, make_optimizer, train_step

each = pytest.mark.parametrize("objective", OBJECTIVES)


def rival(objective, seed=0, steps=4, **changes):
    """A toy model of this objective, of equal sizes where it needs them."""
    preset = toy_preset(**changes)
    if objective == "two-stage":
        preset = as_large(preset).with_changes(sharing="none")
    torch.manual_seed(seed)
    return build(objective, preset, steps).train()


def train(model, steps=1, batch=None):
    """Take steps on one batch; the mean of the two losses before and after."""
    optimizer, groups = make_optimizer(model, model.preset), clipping_groups(model)
    return torch.stack([train_step(model, optimizer, groups, batch or toy_batch([12] * 6), 3e-3, model.preset,
                                   torch.device("cpu"), "float32") for _ in range(steps)])


def reached(model, loss):
    """The names of the parameters that this loss gives a gradient that is not zero."""
    model.zero_grad()
    loss.backward(retain_graph=True)
    return {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}


# --- losses -------------------------------------------------------------------------------------------------
def test_only_the_chosen_places_teach():
    logits = torch.tensor([[0.0, 2.0, -1.0]], requires_grad=True)
    labels, chosen = torch.tensor([[False, True, True]]), torch.tensor([[False, True, False]])
    loss = chosen_loss(logits, labels, chosen)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-2)))
    loss.backward()
    assert logits.grad[0, [0, 2]].tolist() == [0, 0] and logits.grad[0, 1] < 0
    assert chosen_loss(logits, labels, torch.zeros_like(chosen)).item() == 0


def test_copying_pays_where_the_token_is_right_and_costs_where_it_is_not():
    log_p, copy = torch.tensor([0.2, 0.2]).log(), torch.tensor([0.7, 0.7]).logit()
    right, wrong = copy_loss(log_p, copy, torch.tensor([True, False])).tolist()
    assert right == pytest.approx(-math.log(0.7 + 0.3 * 0.2)) and wrong == pytest.approx(-math.log(0.3 * 0.2))


def test_the_reward_is_high_where_the_discriminator_was_sure_and_wrong():
    got = rewards(torch.tensor([3.0, -3.0, 3.0, 0.0]), torch.tensor([False, True, True, True]))
    low = math.log(1 + math.exp(-3))
    assert got.tolist() == pytest.approx([low + 3, low + 3, low, math.log(2)])


def test_a_baseline_leaves_the_own_reward_out():
    assert mean_of_others(torch.tensor([1.0, 2.0, 6.0])).tolist() == [4.0, 3.5, 1.5]
    assert mean_of_others(torch.tensor([5.0])).tolist() == [0.0]


def estimates(baseline, n=600):
    """n single-draw policy gradients of three logits, (n, 3), and the true gradient of the expected reward."""
    pay, logits = torch.tensor([5.0, 6.0, 8.0]), torch.tensor([0.5, 0.0, -0.5], requires_grad=True)
    (true,) = torch.autograd.grad(logits.softmax(0) @ pay, logits)
    torch.manual_seed(0)
    found = []
    for draw in torch.multinomial(logits.detach().softmax(0), n, replacement=True):
        loss = policy_loss(logits.log_softmax(0)[draw][None], pay[draw][None], baseline)
        found.append(-torch.autograd.grad(loss, logits)[0])
    return torch.stack(found), true


def test_the_policy_gradient_is_right_on_average_and_a_baseline_makes_it_calmer():
    (plain, true), (calmer, _) = estimates(0.0), estimates(6.0)
    for found in (plain, calmer):
        room = 4 * found.std(0) / len(found) ** 0.5
        assert ((found.mean(0) - true).abs() < room).all()
    assert calmer.var(0).sum() < plain.var(0).sum() / 10


def test_entropy_is_the_log_of_the_choices_and_impossible_tokens_count_as_none():
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, -torch.inf, -torch.inf], [50.0, 0.0, 0.0, -torch.inf]])
    assert prediction_entropy(logits).tolist() == pytest.approx([math.log(4), math.log(2), 0], abs=1e-6)


# --- the rivals -----------------------------------------------------------------------------------------------
@each
def test_every_objective_trains_in_the_same_loop_and_its_loss_falls(objective):
    losses = train(model := rival(objective, steps=40), 40)
    assert losses.isfinite().all() and all(p.isfinite().all() for p in model.parameters())
    main = 0 if objective == "bert" else 1
    late = losses[-5:, main].mean()
    start = losses[20, main] if objective == "two-stage" else losses[0, main]
    assert late < start


@each
def test_every_objective_says_of_each_token_how_suspect_it_is(objective):
    ids, mask = toy_batch()
    model = rival(objective).eval()
    scores = model.discriminator(ids, mask)
    assert scores.shape == ids.shape and scores.isfinite().all()
    assert model.discriminator.encoder(ids, mask)[0].shape == (*ids.shape, model.preset.width)
    alone = model.discriminator(ids[:1, :9])  # row 0 has nine tokens: padding changes nothing
    assert torch.allclose(scores[:1, :9], alone, atol=1e-5)


def test_fifteen_percent_differs_from_electra_in_its_second_loss_alone():
    batch = toy_batch()
    ours, theirs = rival("electra")(*batch), rival("electra-15")(*batch)
    assert torch.equal(ours.corrupted_ids, theirs.corrupted_ids) and ours.generator_loss == theirs.generator_loss
    assert torch.equal(ours.discriminator_logits, theirs.discriminator_logits)
    assert theirs.discriminator_loss == chosen_loss(ours.discriminator_logits, ours.labels, ours.chosen)


@pytest.mark.parametrize("objective", ["replace-mlm", "all-tokens"])
def test_the_naming_model_reads_fakes_and_teaches_the_generator_nothing(objective):
    model = rival(objective, sharing="none")
    step = model(*toy_batch([14] * 6))
    assert step.labels.any()
    names = reached(model, step.discriminator_loss)
    assert names and not any(name.startswith("generator.") for name in names)
    assert any(name.startswith("generator.") for name in reached(model, step.generator_loss))


@pytest.mark.parametrize("objective, everywhere", [("replace-mlm", False), ("all-tokens", True)])
def test_all_tokens_learns_at_places_that_nobody_chose_and_replace_mlm_does_not(objective, everywhere):
    model, (ids, mask) = rival(objective), toy_batch([14] * 6)
    model.discriminator.encoder.register_forward_hook(lambda module, _, out: vectors.append(out[0]))
    vectors = []
    step = model(ids, mask)
    (gradient,) = torch.autograd.grad(step.discriminator_loss, vectors[-1])  # (B, T, D)
    taught = gradient.any(dim=2)  # (B, T)
    assert taught[step.chosen].all() and taught[~step.chosen].any().item() is everywhere
    assert taught.all().item() is everywhere


def test_bert_is_one_model_and_reads_no_fakes():
    model = rival("bert")
    assert model.generator.encoder is model.discriminator.encoder
    step = model(*toy_batch())
    assert step.corrupted_ids is None and step.loss is step.generator_loss
    assert len(clipping_groups(model)[0]) == len(clipping_groups(model)[1]) == 0, "all of it is shared"
    assert sum(p.numel() for p in model.parameters()) < sum(p.numel() for p in as_electra(model).parameters())


def as_electra(model):
    return Electra(model.preset.with_changes(sharing="none"))


def test_what_bert_says_against_a_sentence_is_its_pseudo_log_likelihood():
    model, rows = rival("bert").eval(), [[2, 20, 30, 40, 3], [2, 50, 60, 3]]
    scores = pair_scores(model.discriminator, [rows])
    assert scores[0] == pytest.approx(pseudo_log_likelihood(model.generator, rows), abs=1e-4)
    assert isinstance(model.discriminator, HiddenSurprise)


def test_what_replace_mlm_says_against_a_token_is_how_unlikely_it_finds_it():
    model = rival("replace-mlm").eval()
    ids = torch.tensor([[2, 20, 30, 3]])
    log_p = -model.discriminator.namer.losses(ids, ids)[0, 1:-1].sum().item()
    assert log_original(model.discriminator(ids)[0].detach().numpy()) == pytest.approx(log_p, abs=1e-4)


def test_two_stages_train_one_model_after_the_other():
    model = rival("two-stage", steps=4)
    before = {name: p.clone() for name, p in model.named_parameters()}
    train(model, 2)
    assert moved(model, before) == {"generator"}
    copied = {name: p.clone() for name, p in model.generator.encoder.named_parameters()}
    model.eval()
    model(*toy_batch())
    assert model.taken == 2, "looking is no step"
    middle, model = {name: p.clone() for name, p in model.named_parameters()}, model.train()
    step = model(*toy_batch())
    for name, p in model.discriminator.encoder.named_parameters():
        assert torch.equal(p, copied[name]), "it starts as a copy of the generator"
    assert step.loss is step.discriminator_loss
    train(model, 1)
    assert moved(model, middle) == {"discriminator"}


def moved(model, before):
    return {name.split(".")[0] for name, p in model.named_parameters() if not torch.equal(p, before[name])}


def test_the_adversarial_generator_hears_of_the_discriminator_and_of_nothing_else(monkeypatch):
    model = rival("adversarial", sharing="none")
    step = model(*toy_batch([14] * 6))
    assert not any(name.startswith("generator.") for name in reached(model, step.discriminator_loss))
    assert any(name.startswith("generator.") for name in reached(model, step.loss))
    monkeypatch.setattr(ablations, "rewards", lambda logits, labels: torch.ones(len(labels)))
    step = model(*toy_batch([14] * 6))
    assert not any(name.startswith("generator.") for name in reached(model, step.loss)), "equal pay teaches nothing"


def test_the_adversarial_generator_learns_what_fools_a_fixed_discriminator():
    model = rival("adversarial", sharing="none", vocab_size=20, mask_rate=0.5, discriminator_weight=0.0)
    ids, mask = toy_batch([14] * 8, vocab_size=20)

    class Believer(torch.nn.Module):
        """Takes token 7 for an original, and all else for a fake."""
        encoder = model.discriminator.encoder

        def forward(self, ids, attention_mask=None):
            return torch.where(ids == 7, -4.0, 4.0)

    model.discriminator = Believer()
    ids = ids.masked_fill(ids == 7, 8)  # so that 7 is always a fake
    assert isinstance(model, AdversarialElectra)
    train(model, 60, (ids, mask))
    step = model(ids, mask)
    assert (step.corrupted_ids[step.chosen] == 7).float().mean() > 0.5


def test_random_fakes_follow_the_frequencies_and_have_no_network():
    counts = torch.zeros(120)
    counts[[10, 11]] = torch.tensor([3000.0, 1000.0])
    model = build("unigram", toy_preset(mask_rate=1.0), counts=counts)
    assert not list(model.generator.parameters())
    step = model(*toy_batch([40] * 20))
    drawn = step.corrupted_ids[step.chosen]
    assert (drawn == 10).float().mean() == pytest.approx(0.73, abs=0.05)
    assert (drawn == 11).float().mean() == pytest.approx(0.24, abs=0.05)


def test_sharing_all_is_one_encoder_with_two_heads():
    model = Electra(as_large(toy_preset()).with_changes(sharing="all"))
    assert model.generator.encoder is model.discriminator.encoder
    train(model)
    with pytest.raises(UserError, match=r"generator_width=16 is not width=32"):
        toy_preset(sharing="all")


def test_the_generator_is_asked_how_often_it_is_right_and_how_undecided_it_is():
    rows = [torch.arange(10, 22).numpy() for _ in range(4)]
    model = build("unigram", toy_preset(), counts=torch.tensor([0.0] * 10 + [1e9] + [0.0] * 109))
    figures = ablations.generator_figures(model, mask_rows(rows))
    assert figures["generator_entropy"] < 1e-3 and 0 <= figures["generator_accuracy"] <= 1


# --- switches that make no sense --------------------------------------------------------------------------------
LARGE = large_generator(toy_preset())


@pytest.mark.parametrize("objective, changes, says", [
    ("nonsense", {}, "no objective 'nonsense'.*electra, electra-15"),
    ("bert", {"generator_width": 8}, "generator_width=8 changes nothing.*'bert'.*one model"),
    ("bert", {"discriminator_weight": 10.0}, "discriminator_weight=10.0.*'bert'"),
    ("unigram", {"temperature": 0.5}, "temperature=0.5.*no generator"),
    ("all-tokens", {"discriminator_weight": 10.0}, "discriminator_weight=10.0.*added as they are"),
    ("two-stage", {"sharing": "none"}, "generator_width=16 with width=32.*copy"),
    ("two-stage", LARGE, "sharing='embeddings'.*stands still"),
    ("adversarial", {"temperature": 0.7}, "temperature=0.7.*gradient.*set temperature=1"),
    ("adversarial", {"odd_share": 0.2}, "odd_share=0.2.*set odd_share=0"),
    ("adversarial", {"sharing": "all", **LARGE}, "sharing='all'.*one encoder"),
    ("replace-mlm", {"sharing": "all", **LARGE}, "sharing='all'.*one encoder"),
])
def test_a_senseless_combination_says_which_and_why(objective, changes, says):
    with pytest.raises(UserError, match=says) as caught:
        build(objective, toy_preset(**changes), changes=changes)
    assert str(caught.value).count("\n") == 0
