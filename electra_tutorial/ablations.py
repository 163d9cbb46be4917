"""What the paper compares ELECTRA with: rival objectives, as models that `pretrain` trains in the same loop.

Clark et al. 2020: section 3.4 (between BERT and ELECTRA), 3.2 (two stages), appendix F (adversarial training).

    electra        the generator is trained to be right, the discriminator on every token
    electra-15     the same, but the discriminator learns from the chosen places alone
    replace-mlm    the large model says what stood at the chosen places; they hold the generator's samples
    all-tokens     the large model says what stood at every place; it may copy what it sees
    bert           the large model says what stood at the chosen places; they hold [MASK]. No generator
    two-stage      first the generator alone; then a discriminator that starts as a copy of it, alone
    adversarial    the generator is trained to make the discriminator fail, by policy gradient
    unigram        no generator: fakes are drawn by how often tokens stand in the text

Each is an `Electra` with a `generator` and a `discriminator`, so that all can sit the same exam. A large model that
names tokens has no head for "replaced"; its suspicion of a token is how unlikely it finds that one (`Surprise`).

    B batch, T tokens in a row, V vocabulary, N chosen places of the whole batch
"""
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

from electra_tutorial.errors import UserError
from electra_tutorial.evaluation import quietly
from electra_tutorial.model import Electra, Generator, forbid_special
from electra_tutorial.tokens import MASK_ID, SPECIAL_TOKENS

SIZES = ("width", "layers", "heads", "feed_forward")


# --- losses -------------------------------------------------------------------------------------------------
def chosen_loss(discriminator_logits, labels, chosen):
    """Replaced token detection that learns from the chosen places alone ("ELECTRA 15 %", paper 3.4).

    discriminator_logits (B, T), labels and chosen (B, T) bool. Returns a tensor of one number, nats a chosen
    place; 0 where none was chosen.
    """
    each = F.binary_cross_entropy_with_logits(discriminator_logits, labels.float(), reduction="none")  # (B, T)
    return each[chosen].sum() / chosen.sum().clamp(min=1)


def copy_loss(log_p, copy_logits, same):
    """The loss of a model that may copy a token or name one: -log(c [same] + (1 - c) p) (paper, 3.4).

    log_p (N,): log of p, which the naming part gives the true token; copy_logits (N,): the log-odds of c, the
    probability to copy; same (N,) bool: copying what stands there would be right. Returns (N,) nats.
    """
    log_copy, log_name = F.logsigmoid(copy_logits), F.logsigmoid(-copy_logits) + log_p  # (N,)
    return -torch.where(same, torch.logaddexp(log_copy, log_name), log_name)


def rewards(discriminator_logits, labels):
    """What a fooling generator gets for each of its samples: -log of what the discriminator gave to the truth.

    discriminator_logits (N,), labels (N,) bool, True = replaced. Returns (N,) nats: high where the discriminator
    was sure and wrong. A fake taken for an original pays, and so does an original taken for a fake.
    """
    truth = torch.where(labels, discriminator_logits, -discriminator_logits)  # log-odds of the truth
    return -F.logsigmoid(truth)


def mean_of_others(rewards):
    """For each reward the mean of all others, (N,) -> (N,); 0 for a single one.

    A baseline must not depend on the draw that it is subtracted from: so the reward itself is left out.
    """
    others = len(rewards) - 1
    return (rewards.sum() - rewards) / max(others, 1) * (others > 0)


def policy_loss(log_p, rewards, baseline=0.0):
    """A loss whose gradient is the policy gradient: -mean of (reward - baseline) log p (Williams 1992, REINFORCE).

    log_p (N,): log-probability of each sample that was drawn, with its gradient; rewards (N,) nats. Going down
    this loss makes samples likelier that got more than the baseline, and others less likely.
    """
    advantage = (rewards - baseline).detach()  # a number like any other: no gradient goes this way
    return -(advantage * log_p).mean()


def prediction_entropy(logits):
    """How undecided a model is: the entropy in nats of softmax(logits), (..., V) -> (...). -inf counts as never."""
    log_p = logits.float().log_softmax(dim=-1)
    return -(log_p.exp() * log_p.clamp(min=-1e4)).sum(dim=-1)  # 0 times -inf would be no number


# --- a model that names tokens, as a detector -----------------------------------------------------------------
def log_odds_against(log_p):
    """log((1 - p) / p) of log p: a suspicion. What it calls original with probability p, it calls fake with 1 - p."""
    log_p = log_p.clamp(max=-1e-6)
    return torch.log(-torch.expm1(log_p)) - log_p


class Surprise(nn.Module):
    """A detector made of a model that names tokens and sees them: a token it finds unlikely is suspect."""

    def __init__(self, namer):
        super().__init__()
        self.namer = namer

    @property
    def encoder(self):
        return self.namer.encoder

    def forward(self, ids, attention_mask=None):
        """ids (B, T) -> log-odds (B, T) that a token is not what should stand there."""
        return log_odds_against(-self.namer.losses(ids, ids, attention_mask))


class HiddenSurprise(Surprise):
    """The same of a model that was never shown a fake: it has to guess each token with that one hidden."""

    def forward(self, ids, attention_mask=None):
        """ids (B, T) -> log-odds (B, T); T passes."""
        columns = []
        for place in range(ids.shape[1]):
            chosen = torch.zeros_like(ids, dtype=torch.bool)
            chosen[:, place] = True
            logits = self.namer(ids.masked_fill(chosen, MASK_ID), attention_mask, chosen).float()  # (B, V)
            log_p = logits.log_softmax(dim=-1).gather(1, ids[:, place, None])  # (B, 1)
            columns.append(log_odds_against(log_p))
        return torch.cat(columns, dim=1)


class Namer(Generator):
    """The large model with a head that names tokens; with `copying` it may also keep what it sees."""

    def __init__(self, preset, encoder, copying=False):
        super().__init__(as_large(preset))
        self.encoder = encoder
        self.copy = nn.Linear(preset.width, 1) if copying else None

    def losses(self, ids, truth, attention_mask=None):
        """ids (B, T): what it reads; truth (B, T): what stood there -> (B, T) nats a token."""
        x, _ = self.encoder(ids, attention_mask)  # (B, T, D)
        vectors = self.norm(F.gelu(self.dense(x)))  # (B, T, E)
        logits = F.linear(vectors, self.encoder.embeddings.token.weight, self.bias).float()  # (B, T, V)
        log_p = -F.cross_entropy(logits.flatten(0, 1), truth.flatten(), reduction="none").view(truth.shape)  # (B, T)
        if self.copy is None:
            return -log_p
        return copy_loss(log_p, self.copy(x).squeeze(-1).float(), ids == truth)


# --- the rivals -----------------------------------------------------------------------------------------------
class ChosenOnly(Electra):
    """ELECTRA whose discriminator learns from the chosen places alone."""

    def forward(self, ids, attention_mask=None):
        step = super().forward(ids, attention_mask)
        step.discriminator_loss = chosen_loss(step.discriminator_logits, step.labels, step.chosen)
        weight = self.preset.discriminator_weight
        step.loss = self.objective.loss(step.generator_loss, step.discriminator_loss, weight)
        return step


class ReplaceMLM(Electra):
    """The large model reads the generator's samples and says what stood at the chosen places."""

    copying = False

    def __init__(self, preset, objective=None):
        super().__init__(preset, objective)
        namer = Namer(preset, nn.Identity(), self.copying).apply(self.initialise)
        namer.encoder = self.discriminator.encoder
        self.discriminator = Surprise(namer)

    def forward(self, ids, attention_mask=None):
        step = self.guess(ids, attention_mask)
        self.replace(ids, step)
        namer = self.discriminator.namer
        logits = namer(step.corrupted_ids, attention_mask, step.chosen).float()  # (N, V)
        step.discriminator_loss = F.cross_entropy(logits, ids[step.chosen], reduction="sum") / max(len(logits), 1)
        step.loss = step.generator_loss + step.discriminator_loss  # nats a chosen place, both: weighed alike
        return step


class AllTokensMLM(ReplaceMLM):
    """The large model says what stood at every place, and may copy what it sees."""

    copying = True

    def forward(self, ids, attention_mask=None):
        step = self.guess(ids, attention_mask)
        self.replace(ids, step)
        each = self.discriminator.namer.losses(step.corrupted_ids, ids, attention_mask)  # (B, T)
        step.discriminator_loss = each[step.real].mean()
        chosen = step.chosen.sum().clamp(min=1)
        step.loss = step.generator_loss + each[step.real].sum() / chosen  # most of it comes from the replaced places
        return step


class MaskedLM(Electra):
    """BERT's objective in our architecture: one large model, and it names what is hidden. No fakes."""

    def __init__(self, preset, objective=None):
        super().__init__(preset.with_changes(**large_generator(preset), sharing="all"), objective)
        self.discriminator = HiddenSurprise(self.generator)

    def forward(self, ids, attention_mask=None):
        step = self.guess(ids, attention_mask)
        step.discriminator_loss = torch.zeros((), device=ids.device)
        step.loss = step.generator_loss
        return step


class TwoStage(Electra):
    """The generator alone for half the steps; then the discriminator, which starts as its copy, alone."""

    def __init__(self, preset, objective=None, steps=2):
        super().__init__(preset, objective)
        self.register_buffer("taken", torch.zeros((), dtype=torch.long))  # steps; in the checkpoint, as weights are
        self.first = steps // 2

    def forward(self, ids, attention_mask=None):
        if self.training and self.taken == self.first:
            self.discriminator.encoder.load_state_dict(self.generator.encoder.state_dict())
        step = super().forward(ids, attention_mask)
        step.loss = step.generator_loss if self.taken < self.first else step.discriminator_loss
        self.taken += self.training
        return step


class AdversarialElectra(Electra):
    """The generator is rewarded for what the discriminator gets wrong, and never told what was right.

    The sample is a whole number: no gradient comes back through it. So the generator gets the policy gradient
    (paper, appendix F). As there, a sample answers for its own place alone. The paper learns a baseline; here
    it is the mean reward of the other samples of the batch.
    """

    def forward(self, ids, attention_mask=None):
        step = super().forward(ids, attention_mask)
        chosen = step.chosen
        reward = rewards(step.discriminator_logits[chosen].detach(), step.labels[chosen])  # (N,)
        log_p = forbid_special(step.generator_logits).log_softmax(dim=-1)  # (N, V)
        log_p = log_p.gather(1, step.corrupted_ids[chosen][:, None]).squeeze(1)  # (N,), of what was drawn
        fooling = policy_loss(log_p, reward, mean_of_others(reward)) if len(reward) else log_p.sum()
        step.loss = self.objective.loss(fooling, step.discriminator_loss, self.preset.discriminator_weight)
        return step


class UnigramGenerator(nn.Module):
    """Not a network: the same guess everywhere, how often each token stands in the text."""

    def __init__(self, counts):
        super().__init__()
        counts = torch.as_tensor(counts, dtype=torch.float).clone()
        counts[: len(SPECIAL_TOKENS)] = 0
        self.register_buffer("log_p", ((counts + 1) / (counts + 1).sum()).log())  # (V,)
        self.encoder = SimpleNamespace(blocks=())

    def forward(self, ids, attention_mask=None, chosen=None):
        """ids (B, T) -> (B, T, V); with chosen (B, T) bool, at those N places: (N, V)."""
        places = ids.shape if chosen is None else (int(chosen.sum()),)
        return self.log_p.expand(*places, -1)


class UnigramElectra(Electra):
    """Replaced token detection against random tokens, drawn by their frequency."""

    def __init__(self, preset, objective=None, counts=None):
        super().__init__(preset, objective)
        self.generator = UnigramGenerator(torch.ones(preset.vocab_size) if counts is None else counts)


# --- choosing one -----------------------------------------------------------------------------------------------
def large_generator(preset):
    """The changes to a preset that make its generator as large as its discriminator."""
    return {f"generator_{name}": getattr(preset, name) for name in SIZES}


def as_large(preset):
    """The same preset with a generator as large as the discriminator."""
    return preset.with_changes(**large_generator(preset))


OBJECTIVES = {
    "electra": Electra, "electra-15": ChosenOnly, "replace-mlm": ReplaceMLM, "all-tokens": AllTokensMLM,
    "bert": MaskedLM, "two-stage": TwoStage, "adversarial": AdversarialElectra, "unigram": UnigramElectra,
}
GENERATOR = tuple(f"generator_{name}" for name in (*SIZES, "rate"))
DRAWING = ("temperature", "odd_share", "odd_temperature")
UNUSED = {  # switches that an objective has no use for, and why
    "bert": ((*GENERATOR, *DRAWING, "discriminator_weight", "sharing"), "it has one model and draws no fakes"),
    "unigram": ((*GENERATOR, *DRAWING, "sharing", "unigram_start"), "it has no generator network"),
    "replace-mlm": (("discriminator_weight",), "both of its losses name tokens and are added as they are"),
    "all-tokens": (("discriminator_weight",), "both of its losses name tokens and are added as they are"),
    "two-stage": (("discriminator_weight",), "its two losses are never added"),
}


def check_switches(objective, preset, changes=()):
    """Raise `UserError`, saying which and why, when an objective and the switches of a preset make no sense.

    changes: the names of the switches that were set on purpose: one that would change nothing is refused.
    """
    if objective not in OBJECTIVES:
        raise UserError(f"There is no objective {objective!r}: choose one of {', '.join(OBJECTIVES)}.")
    unused, why = UNUSED.get(objective, ((), ""))
    for name in changes:
        if name in unused:
            refuse(f"{name}={getattr(preset, name)!r} changes nothing for", objective, f"for {why}: leave it out.")
    if objective in ("replace-mlm", "all-tokens", "adversarial") and preset.sharing == "all":
        refuse("sharing='all' goes badly with", objective, "whose two models have tasks that one encoder cannot do "
               "at once: share the embeddings or nothing.")
    if objective == "two-stage":
        check_two_stage(preset)
    if objective == "adversarial" and (preset.temperature != 1 or preset.odd_share):
        name = "temperature" if preset.temperature != 1 else "odd_share"
        refuse(f"{name}={getattr(preset, name)} goes badly with", objective, "which needs the gradient of the very "
               f"distribution that was drawn from: set {name}={1 if name == 'temperature' else 0}.")


def check_two_stage(preset):
    """The second model starts as a copy of the first, and the first then stands still."""
    for name in SIZES:
        small, large = getattr(preset, f"generator_{name}"), getattr(preset, name)
        if small != large:
            refuse(f"generator_{name}={small} with {name}={large} goes badly with", "two-stage", "where the "
                   "discriminator starts as a copy of the generator: give both the same sizes.")
    if preset.sharing != "none":
        refuse(f"sharing={preset.sharing!r} goes badly with", "two-stage", "where the generator stands still in the "
               "second stage: set sharing='none'.")


def refuse(what, objective, why):
    """Raise the `UserError` for a switch that makes no sense."""
    raise UserError(f"{what} the objective {objective!r}, {why}")


def build(objective, preset, steps=2, counts=None, changes=()):
    """The model that trains this objective: an `Electra`, for `pretrain(model=...)`. Weights by torch's own seed.

    steps: of the whole run ("two-stage" changes over in the middle); counts (V,): how often each piece stands in
    the training rows ("unigram"). Raises `UserError` as `check_switches` does.
    """
    check_switches(objective, preset, changes)
    more = {"two-stage": {"steps": steps}, "unigram": {"counts": counts}}
    return OBJECTIVES[objective](preset, **more.get(objective, {}))


# --- looking at the generator -------------------------------------------------------------------------------------
def generator_figures(electra, batches):
    """How often the generator's likeliest token is right, and how undecided it is, at fixed masks.

    batches: from `mask_rows`. Returns generator_accuracy (a share) and generator_entropy (nats a masked place).
    """
    right, entropy = [], []
    with quietly(electra) as device:
        for ids, attention_mask, chosen, _ in batches:
            masked_ids = ids.masked_fill(chosen, MASK_ID).to(device)
            logits = electra.generator(masked_ids, attention_mask.to(device), chosen.to(device)).float().cpu()
            logits = forbid_special(logits)  # (N, V)
            right.append(logits.argmax(dim=-1) == ids[chosen])
            entropy.append(prediction_entropy(logits))
    return {"generator_accuracy": torch.cat(right).float().mean().item(),
            "generator_entropy": torch.cat(entropy).mean().item()}
