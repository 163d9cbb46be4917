"""Measures of attention heads as exercises."""
import numpy as np

from electra_tutorial import heads
from electra_tutorial.course.exercise import Exercise

nan = float("nan")


def attention_of(T, seed=0):
    """A made-up head: (T, T), each row sums to 1."""
    return np.random.default_rng(seed).dirichlet(np.full(T, 0.6), T).round(4)


# --- attention_at ---------------------------------------------------------------------------------

attention_at = Exercise(
    heads.attention_at, lesson=8, difficulty=1, minutes=6,
    task="""
        How much does a head look `distance` places on? `attention` is `(T, T)`, row = who looks, column = who is
        looked at, each row sums to 1. Return the mean of the shares `attention[i, i + distance]`, as a float, over
        those i for which that place exists: distance -1 is the token before, 0 the token itself, 1 the next. If no
        token has such a neighbour, return nan.
    """,
    hint="""
        `np.diagonal(attention, offset=distance)` is the array of all `attention[i, i + distance]`. Its mean is
        what you need; an empty one has none.
    """)


@attention_at.cases
def small_heads():
    yield np.array([[0.7, 0.3], [0.6, 0.4]]), -1
    yield np.array([[0.1, 0.2, 0.7], [0.8, 0.1, 0.1], [0.3, 0.5, 0.2]]), -1
    yield np.array([[0.1, 0.2, 0.7], [0.8, 0.1, 0.1], [0.3, 0.5, 0.2]]), 1
    yield np.eye(4), 0
    yield attention_of(3), 5
    for T in (4, 6, 9):
        for distance in (-3, -2, -1, 0, 1, 2):
            yield attention_of(T, T), distance


@attention_at.mistake("You look the other way: the row is who looks, so the token before stands at column i - 1.")
def the_other_way(attention, distance):
    shares = np.diagonal(attention, offset=-distance)
    return float(shares.mean()) if len(shares) else nan


@attention_at.mistake("You divide by T, and tokens without such a neighbour must be left out of the mean.")
def divided_by_all(attention, distance):
    shares = np.diagonal(attention, offset=distance)
    return float(shares.sum() / len(attention)) if len(shares) else nan


@attention_at.mistake("You return the sum: take the mean.")
def the_sum(attention, distance):
    shares = np.diagonal(attention, offset=distance)
    return float(shares.sum()) if len(shares) else nan


@attention_at.mistake("At the edge you go round to the other end of the sentence: a token has no neighbour there.")
def round_the_end(attention, distance):
    T = len(attention)
    return float(np.mean([attention[i, (i + distance) % T] for i in range(T)])) if abs(distance) < T else nan


@attention_at.mistake("A negative index counts from the end: attention[0, -1] is the last column. The first token "
                      "has no token before it, so leave it out.")
def from_the_end(attention, distance):
    T = len(attention)
    shares = [attention[i, i + distance] for i in range(T) if -T <= i + distance < T]
    return float(np.mean(shares)) if shares else nan


@attention_at.mistake("Where no token has such a neighbour you return 0: there is nothing to average, so return nan.")
def zero_for_none(attention, distance):
    shares = np.diagonal(attention, offset=distance)
    return float(shares.mean()) if len(shares) else 0.0


# --- attention_entropy ----------------------------------------------------------------------------

attention_entropy = Exercise(
    heads.attention_entropy, lesson=8, difficulty=2, minutes=8,
    task="""
        How widely does a head look? For each row p of `attention` `(T, T)` compute the entropy, -sum of p log p, in
        nats (natural logarithm), and return the mean over the rows as a float. A share of 0 adds 0.
    """,
    hint="""
        log 0 is minus infinity, and 0 times that is nan. Put a 1 in the place of each 0 before you take the
        logarithm: `np.where(p > 0, p, 1)`; log 1 is 0.
    """)


@attention_entropy.cases
def sharp_and_wide_heads():
    yield (np.array([[0.5, 0.5], [0.25, 0.75]]),)
    yield (np.full((3, 3), 1 / 3),)
    yield (np.eye(4),)
    yield (np.array([[1.0, 0.0], [0.5, 0.5]]),)
    for T in (3, 5, 8):
        yield (attention_of(T, T),)


@attention_entropy.mistake("You use the logarithm to base 2, which gives bits: nats use the natural logarithm.")
def in_bits(attention):
    return heads.attention_entropy(attention) / np.log(2)


@attention_entropy.mistake("The sign is missing: log p is negative, so the entropy is minus the sum.")
def without_the_sign(attention):
    return -heads.attention_entropy(attention)


@attention_entropy.mistake("You add up the rows: take their mean, so that long sentences do not count more.")
def summed_up(attention):
    return heads.attention_entropy(attention) * len(attention)


@attention_entropy.mistake("You average over every entry: sum over each row first, then take the mean of the rows.")
def mean_of_all(attention):
    return heads.attention_entropy(attention) / len(attention)


@attention_entropy.mistake("A share of 0 makes yours nan: 0 times minus infinity. Such a share adds 0.")
def nan_at_zero(attention):
    with np.errstate(all="ignore"):
        return float(-(attention * np.log(attention)).sum(axis=-1).mean())


@attention_entropy.mistake("You add a small number inside the logarithm, which is right to some digits only: put a 1 "
                           "in the place of each 0 instead.")
def a_little_more_than_zero(attention):
    return float(-(attention * np.log(attention + 1e-9)).sum(axis=-1).mean())


# --- rollout --------------------------------------------------------------------------------------

rollout = Exercise(
    heads.rollout, lesson=8, difficulty=3, minutes=12,
    task="""
        Follow attention through all layers. `attentions` is a list with one array `(H, T, T)` a layer, the first
        layer first. Of each layer take the mean over its heads, and half of that plus half of the identity matrix:
        the other half of a token's vector passes the heads by. Multiply the layers so that row i of the result says
        from which tokens of the *input* the vector of token i in the *last* layer comes. Return `(T, T)`.
    """,
    hint="""
        Start with `np.eye(T)`: before the first layer each token is itself. A layer with mixing matrix A turns
        `sources` into `A @ sources`: what token i takes from token j is what token j was made of.
    """)


def layers_of(count, heads, T):
    return [np.stack([attention_of(T, 10 * layer + head) for head in range(heads)]) for layer in range(count)]


@rollout.cases
def few_layers():
    yield ([np.array([[[1.0, 0.0], [1.0, 0.0]]])],)
    yield ([np.array([[[1.0, 0.0], [1.0, 0.0]]]), np.array([[[0.0, 1.0], [0.0, 1.0]]])],)
    for count, number, T in ((1, 2, 3), (2, 2, 3), (3, 1, 4), (4, 4, 6)):
        yield (layers_of(count, number, T),)


@rollout.mistake("You multiply in the wrong order: the later layer stands on the left, `layer @ sources`.")
def wrong_order(attentions):
    sources = np.eye(attentions[0].shape[-1])
    for layer in attentions:
        sources = sources @ (layer.mean(axis=0) + np.eye(len(sources))) / 2
    return sources


@rollout.mistake("You left out the residual connection: half of each token passes the heads by.")
def no_residual(attentions):
    sources = np.eye(attentions[0].shape[-1])
    for layer in attentions:
        sources = layer.mean(axis=0) @ sources
    return sources


@rollout.mistake("You add the identity and do not halve: the rows must go on summing to 1.")
def not_halved(attentions):
    sources = np.eye(attentions[0].shape[-1])
    for layer in attentions:
        sources = (layer.mean(axis=0) + np.eye(len(sources))) @ sources
    return sources


@rollout.mistake("You added up the heads of a layer: take their mean, or the rows sum to more than 1.")
def heads_added_up(attentions):
    sources = np.eye(attentions[0].shape[-1])
    for layer in attentions:
        sources = (layer.sum(axis=0) + np.eye(len(sources))) / 2 @ sources
    return sources


@rollout.mistake("You multiply entry by entry, `*`: chain the layers by the product of matrices, `@`.")
def entry_by_entry(attentions):
    sources = np.eye(attentions[0].shape[-1])
    for layer in attentions:
        sources = (layer.mean(axis=0) + np.eye(len(sources))) / 2 * sources
    return sources


@rollout.mistake("You took the mean over layers: they come one after the other, so multiply them.")
def mean_of_layers(attentions):
    T = attentions[0].shape[-1]
    return np.mean([(layer.mean(axis=0) + np.eye(T)) / 2 for layer in attentions], axis=0)


@rollout.rule
def each_row_sums_to_one(rollout):
    sources = rollout(layers_of(3, 2, 5))
    rows = np.asarray(sources).sum(axis=-1).round(4).tolist()
    assert np.allclose(rows, 1, atol=1e-3), (
        f"The rows of your result sum to {rows}: all of a token comes from somewhere, so to 1.")
