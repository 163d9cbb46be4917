"""What rival objectives are made of, as exercises: the policy gradient, and what becomes of the generator."""
import math

import torch
import torch.nn.functional as F

from electra_tutorial import ablations
from electra_tutorial.course.exercise import Exercise, show

# --- rewards --------------------------------------------------------------------------------------

rewards = Exercise(
    ablations.rewards, lesson=10, difficulty=2, minutes=6,
    task="""
        What a generator would get for each of its N samples if its task were to fool the discriminator: -log
        of the probability that the discriminator gave to the *truth*. `discriminator_logits` (N,) are
        log-odds that the token was replaced; `labels` (N,) bool, True = replaced. Return (N,), in nats.
    """,
    hint="""
        P(replaced) is `torch.sigmoid(logit)`, and P(original) is `torch.sigmoid(-logit)`: so turn the sign of
        the logit where the truth is *original* (`torch.where`). `F.logsigmoid` is the log of the sigmoid, and
        stays a number where the sigmoid would be 0.
    """)


@rewards.cases
def some_judgements():
    yield torch.tensor([2.0, 2.0, -2.0, -2.0, 0.0]), torch.tensor([True, False, True, False, True])
    yield torch.tensor([-1.5]), torch.tensor([True])
    yield torch.randn(40) * 3, torch.rand(40) < 0.8


@rewards.mistake("You rewarded what the discriminator got right: the sign is wrong, a loss is never below 0.")
def the_sign(discriminator_logits, labels):
    return F.logsigmoid(torch.where(labels, discriminator_logits, -discriminator_logits))


@rewards.mistake("You have the labels the wrong way round: a positive logit says *replaced*, and True is *replaced*.")
def polarity(discriminator_logits, labels):
    return -F.logsigmoid(torch.where(labels, -discriminator_logits, discriminator_logits))


@rewards.mistake("You paid for the fakes alone: a lucky sample that is taken for a fake is an error of the "
                 "discriminator too.")
def fakes_alone(discriminator_logits, labels):
    return -F.logsigmoid(discriminator_logits) * labels


@rewards.mistake("You never asked what is true: where the label says *original*, the truth has probability 1 - P.")
def always_replaced(discriminator_logits, labels):
    return -F.logsigmoid(discriminator_logits)


@rewards.mistake("You gave the probability of an error, and not -log of the probability of the truth.")
def a_probability(discriminator_logits, labels):
    return torch.sigmoid(torch.where(labels, -discriminator_logits, discriminator_logits))


@rewards.rule
def a_sure_discriminator_costs_a_number(rewards):
    got = rewards(torch.tensor([200.0, -200.0]), torch.tensor([False, True]))
    assert torch.isfinite(got).all(), (
        f"For logits of 200 and -200, both wrong, it gives {show(got)}: the sigmoid is rounded to 0 or 1 there. Use "
        "`F.logsigmoid`, which takes log and sigmoid together.")


# --- mean_of_others -------------------------------------------------------------------------------

mean_of_others = Exercise(
    ablations.mean_of_others, lesson=10, difficulty=2, minutes=6,
    task="""
        A baseline for each of N rewards: the mean of the N - 1 *others*. A single reward has no others: its
        baseline is 0. `rewards` is (N,), and so is what you return.
    """,
    hint="""
        The sum of the others is the sum of all, less the one. `rewards.sum() - rewards` has it for every place
        at once. For N = 1 do not divide by 0.
    """)


@mean_of_others.cases
def some_rewards():
    yield (torch.tensor([1.0, 2.0, 6.0]),)
    yield (torch.tensor([3.0, -1.0]),)
    yield (torch.tensor([2.5]),)
    yield (torch.rand(30),)


@mean_of_others.mistake("You gave the mean of all: the own reward must not be in its own baseline.")
def mean_of_all(rewards):
    return rewards.mean().expand_as(rewards).clone()


@mean_of_others.mistake("You divided by N: there are N - 1 others.")
def by_all(rewards):
    return (rewards.sum() - rewards) / len(rewards)


@mean_of_others.mistake("All is well but for a single reward: it has no others, and its baseline is 0.")
def nothing_for_one(rewards):
    return (rewards.sum() - rewards) / (len(rewards) - 1)


@mean_of_others.mistake("You subtracted the baseline already: return the baseline itself.")
def subtracted(rewards):
    others = max(len(rewards) - 1, 1)
    return rewards - (rewards.sum() - rewards) / others


# --- policy_loss ----------------------------------------------------------------------------------

policy_loss = Exercise(
    ablations.policy_loss, lesson=10, difficulty=3, minutes=10,
    task="""
        A loss whose gradient is the policy gradient: the mean over N samples of -(reward - baseline) · log p.
        `log_p` (N,) is the log-probability of each sample that was drawn; it carries the generator's
        gradient. `rewards` and `baseline` count as plain numbers, even where they carry a gradient.
        `baseline` is a number or (N,). Return a tensor of one number.
    """,
    hint="""
        `.detach()` makes a plain number of what carries a gradient. Think of the sign: training goes *down*
        the loss, and a sample that got more than the baseline should become likelier.
    """)


def draws(n):
    """(log_p, rewards, baseline) with gradients on all three."""
    return tuple(numbers.requires_grad_() for numbers in (torch.rand(n).log(), torch.rand(n) * 3, torch.rand(n)))


@policy_loss.cases
def some_draws():
    yield torch.tensor([0.5, 0.25]).log(), torch.tensor([1.0, 3.0]), 2.0
    yield torch.tensor([0.1]).log(), torch.tensor([2.0])
    yield torch.rand(20).log(), torch.rand(20), torch.rand(20)
    yield torch.rand(20).log(), torch.rand(20), 0.5


@policy_loss.mistake("The sign is wrong: going down your loss makes well-paid samples rarer.")
def sign_of_the_loss(log_p, rewards, baseline=0.0):
    return ((rewards - baseline) * log_p).mean()


@policy_loss.mistake("You added over the samples; take the mean, so that a longer batch makes no longer step.")
def added(log_p, rewards, baseline=0.0):
    return -((rewards - baseline) * log_p).sum()


@policy_loss.mistake("You left the baseline out.")
def without_baseline(log_p, rewards, baseline=0.0):
    return -(rewards * log_p).mean()


@policy_loss.mistake("You took the probability, and the formula has its logarithm: `log_p` is one already.")
def a_probability_again(log_p, rewards, baseline=0.0):
    return -((rewards - baseline) * log_p.exp()).mean()


@policy_loss.mistake("You took the product of two means: each reward belongs to the log p of its own sample.")
def product_of_means(log_p, rewards, baseline=0.0):
    return -(rewards - baseline).mean() * log_p.mean()


@policy_loss.rule
def no_gradient_goes_to_the_rewards(policy_loss):
    log_p, reward, baseline = draws(8)
    loss = policy_loss(log_p, reward, baseline)
    assert isinstance(loss, torch.Tensor) and loss.requires_grad, (
        "No gradient reaches `log_p`: it is the generator's only way to learn. Do not detach it.")
    loss.backward()
    for name, given in (("rewards", reward), ("baseline", baseline)):
        assert given.grad is None or not given.grad.any(), (
            f"A gradient goes back into `{name}`: through it the discriminator would be trained to be fooled. Use "
            "`.detach()`.")


# --- prediction_entropy ---------------------------------------------------------------------------

prediction_entropy = Exercise(
    ablations.prediction_entropy, lesson=10, difficulty=2, minutes=8,
    task="""
        How undecided is a model? The entropy in nats of softmax(`logits`) over the last axis: the sum of
        -p log p. `logits` is (..., V), what you return (...). A logit of -inf is a token that is never
        drawn: it adds 0. Compute in float32.
    """,
    hint="""
        `logits.log_softmax(dim=-1)` gives log p, and its `.exp()` gives p. Where p is 0, log p is -inf, and 0
        times -inf is no number: bring log p up to some large negative number first (`clamp`).
    """)


@prediction_entropy.cases
def some_logits():
    yield (torch.tensor([[0.0, 0.0, 0.0, 0.0], [9.0, 0.0, 0.0, 0.0]]),)
    yield (torch.tensor([1.0, 2.0, float("-inf")]),)
    yield (torch.randn(3, 5, 20) * 4,)
    yield (torch.randn(6, 50),)


@prediction_entropy.mistake("The sign is missing: entropy is never below 0.")
def without_sign(logits):
    log_p = logits.float().log_softmax(dim=-1)
    return (log_p.exp() * log_p.clamp(min=-1e4)).sum(dim=-1)


@prediction_entropy.mistake("A token of probability 0 makes yours nan: 0 · log 0 counts as 0.")
def nan_at_zero(logits):
    log_p = logits.float().log_softmax(dim=-1)
    return -(log_p.exp() * log_p).sum(dim=-1)


@prediction_entropy.mistake("That is in bits: use the natural logarithm.")
def in_bits(logits):
    return ablations.prediction_entropy(logits) / math.log(2)


@prediction_entropy.mistake("You took the mean over the vocabulary: add, for each p already weighs its own term.")
def mean_over_tokens(logits):
    return ablations.prediction_entropy(logits) / logits.shape[-1]


@prediction_entropy.mistake("You gave -log of the likeliest token: entropy asks all of them, each by its weight.")
def of_the_likeliest(logits):
    return -logits.float().log_softmax(dim=-1).max(dim=-1).values
