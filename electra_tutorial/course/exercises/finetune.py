"""Parts of fine-tuning as exercises."""
from collections import Counter

import torch

from electra_tutorial import finetune
from electra_tutorial.course.exercise import Exercise

# --- word_log_odds --------------------------------------------------------------------------------

word_log_odds = Exercise(
    finetune.word_log_odds, lesson=9, difficulty=2, minutes=8,
    task="""
        Naive Bayes counts. `counts` is `(2, V)`, long: how often each of V words was counted in class 0 (row 0) and
        in class 1 (row 1). Add one to each count, so that none is 0. What share of all counts of its class does each
        word then have? Return how much each word speaks for class 1, `(V,)`: the logarithm of its share in class 1
        minus that of its share in class 0.
    """,
    hint="""
        Dividing by `.sum(dim=1, keepdim=True)` makes shares of a table: each row then sums to 1. Add one before you
        sum. `.log()` is the natural logarithm.
    """)


@word_log_odds.cases
def few_words():
    yield (torch.tensor([[1, 0, 1], [0, 2, 1]]),)
    yield (torch.tensor([[5, 5], [5, 5]]),)
    yield (torch.tensor([[0, 0, 9], [3, 1, 1]]),)
    for seed in range(4):
        yield (torch.randint(0, 30, (2, 6), generator=torch.Generator().manual_seed(seed)),)


@word_log_odds.mistake("The sign is turned round: a word that stands in class 1 alone should get a positive number.")
def turned_round(counts):
    return -finetune.word_log_odds(counts)


@word_log_odds.mistake("You add one after you have summed: then the shares of a class do not sum to 1.")
def one_added_late(counts):
    shares = (counts + 1) / counts.sum(dim=1, keepdim=True)
    return shares[1].log() - shares[0].log()


@word_log_odds.mistake("Add one to each count first: a word that a class never had would have a share of 0 there, "
                       "and log 0 is minus infinity.")
def nothing_added(counts):
    shares = counts / counts.sum(dim=1, keepdim=True)
    return shares[1].log() - shares[0].log()


@word_log_odds.mistake("You compare counts, and a class with more words would always win: take shares of each row.")
def without_shares(counts):
    return (counts[1] + 1).log() - (counts[0] + 1).log()


@word_log_odds.mistake("You return ratios: take the logarithm, so that the words of a text can be added up.")
def ratios(counts):
    return finetune.word_log_odds(counts).exp()


# --- layer_scales ---------------------------------------------------------------------------------

layer_scales = Exercise(
    finetune.layer_scales, lesson=9, difficulty=1, minutes=5,
    task="""
        The lower a part lies, the more slowly it should learn. Return what the learning rate of each part is
        multiplied by, from the bottom up: first the embeddings, then `layers` layers, last the head. The head gets
        1, and each step down costs one more factor `decay`. A list of `layers` + 2 numbers.
    """,
    hint="""
        Number the parts from 0 (embeddings) to `layers` + 1 (head). The head's power of `decay` is 0; how many steps
        below it lies part `level`?
    """)


@layer_scales.cases
def few_layers():
    yield 1, 0.5
    yield 2, 0.5
    yield 4, 0.8
    yield 3, 1.0
    yield 2, 0.0
    yield 12, 0.9


@layer_scales.mistake("The list runs from the top down: begin with the embeddings.")
def from_the_top(layers, decay):
    return finetune.layer_scales(layers, decay)[::-1]


@layer_scales.mistake("The head should get 1: the power of `decay` begins at 0 there.")
def one_step_too_far(layers, decay):
    return [scale * decay for scale in finetune.layer_scales(layers, decay)]


@layer_scales.mistake("The embeddings are missing: they lie below the first layer and learn most slowly.")
def without_embeddings(layers, decay):
    return finetune.layer_scales(layers, decay)[1:]


@layer_scales.mistake("The head and the layer below it get the same: the head has 1, the top layer `decay`.")
def head_like_the_top(layers, decay):
    return [decay ** max(0, layers - level) for level in range(layers + 2)]


@layer_scales.mistake("You take a factor away for each step: multiply by `decay` instead, 1, decay, decay ** 2, ...")
def in_equal_steps(layers, decay):
    return [1 - (1 - decay) * (layers + 1 - level) for level in range(layers + 2)]


# --- should_stop ----------------------------------------------------------------------------------

should_stop = Exercise(
    finetune.should_stop, lesson=9, difficulty=1, minutes=5,
    task="""
        Early stopping. `losses` are losses (or other numbers that should fall) on examples held out, one a look, the
        newest last. Return True if the
        last `patience` of them have all failed to go below the least of those before, else False. While there are no
        more than `patience` of them: False. `patience` 0 means never stop: False.
    """,
    hint="""
        `losses[-patience:]` are the last ones, `losses[:-patience]` those before. Compare the least of both. Mind
        that `losses[-0:]` is the whole list.
    """)


@should_stop.cases
def short_curves():
    yield [0.7, 0.5, 0.4, 0.45, 0.5], 2
    yield [0.7, 0.5, 0.4, 0.45, 0.5], 3
    yield [0.7, 0.5, 0.6, 0.55, 0.52], 2
    yield [0.7, 0.5, 0.6, 0.4], 2
    yield [0.7, 0.5, 0.5, 0.5], 2
    yield [0.3, 0.6, 0.55, 0.5], 2
    yield [0.9, 0.8], 2
    yield [0.5, 0.6, 0.7], 0
    yield [], 3


@should_stop.mistake("You compare neighbours: what counts is the least loss so far, and a curve may go up and down.")
def by_neighbours(losses, patience):
    last = losses[-patience - 1:]
    return 0 < patience < len(losses) and all(b >= a for a, b in zip(last, last[1:], strict=False))


@should_stop.mistake("An equal loss is no gain: it must go *below* the least one before.")
def equal_is_a_gain(losses, patience):
    return 0 < patience < len(losses) and min(losses[-patience:]) > min(losses[:-patience])


@should_stop.mistake("With `patience` 0 it must never stop.")
def at_once(losses, patience):
    return finetune.should_stop(losses, patience) if patience else bool(losses)


@should_stop.mistake("With `patience` 0 it must never stop: `losses[:-0]` is an empty list, and has no least one.")
def no_word_of_zero(losses, patience):
    return len(losses) > patience and min(losses[-patience:]) >= min(losses[:-patience])


@should_stop.mistake("You look at the newest loss alone: stop only if none of the last `patience` was a gain.")
def newest_alone(losses, patience):
    return 0 < patience < len(losses) and losses[-1] >= min(losses[:-1])


# --- best_span ------------------------------------------------------------------------------------

best_span = Exercise(
    finetune.best_span, lesson=9, difficulty=3, minutes=12, later=True,
    task="""
        `start` and `end` are logits `(T,)`: how likely the answer begins, and ends, at each place. Return the places
        `(first, last)`, two int, with the largest `start[first] + end[last]`. The answer must not end before it
        begins, and it has at most `longest` pieces (first = last is one piece).
    """,
    hint="""
        Make a table `(T, T)` of all sums, `start[:, None] + end[None, :]`, set what is not allowed to minus infinity
        with `masked_fill`, and take its `argmax`. It counts through the table row by row: `divmod` by T gives row
        and column.
    """)


@best_span.cases
def small_contexts():
    yield torch.tensor([0.0, 3.0, 0.0]), torch.tensor([0.0, 0.0, 2.0]), 3
    yield torch.tensor([0.0, 0.0, 5.0]), torch.tensor([4.0, 1.0, 0.0]), 3
    yield torch.tensor([4.0, 0.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0, 6.0]), 2
    yield torch.tensor([1.0]), torch.tensor([1.0]), 5
    for seed, longest in enumerate((1, 2, 3, 8, 20)):
        rng = torch.Generator().manual_seed(seed)
        yield torch.randn(10, generator=rng), torch.randn(10, generator=rng), longest


@best_span.mistake("You take the best start and the best end apart: together they may be no span at all.")
def apart(start, end, longest):
    return start.argmax().item(), end.argmax().item()


@best_span.mistake("The answer may be too long: it has at most `longest` pieces.")
def of_any_length(start, end, longest):
    return finetune.best_span(start, end, len(start))


@best_span.mistake("An answer from first to last has last - first + 1 pieces: yours may be one too long.")
def one_too_long(start, end, longest):
    return finetune.best_span(start, end, longest + 1)


@best_span.mistake("One piece is an answer too: last may equal first.")
def never_one_piece(start, end, longest):
    scores = start[:, None] + end[None, :]
    places = torch.arange(len(start))
    pieces = places[None, :] - places[:, None] + 1
    scores = scores.masked_fill((pieces < 2) | (pieces > longest), float("-inf"))
    return divmod(scores.argmax().item(), len(start))


@best_span.mistake("You take the best start first and then the best end behind it: a weaker start may have the "
                   "larger sum, so look at all pairs.")
def start_first(start, end, longest):
    first = start.argmax().item()
    return first, first + end[first:first + longest].argmax().item()


# --- span_f1 --------------------------------------------------------------------------------------

span_f1 = Exercise(
    finetune.span_f1, lesson=9, difficulty=2, minutes=8, later=True,
    task="""
        An answer can be nearly right. `said` and `right` are lists of words. Count the words that both have, a word
        that stands twice on both sides twice. Precision is their share of `said`, recall their share of `right`.
        Return the harmonic mean of the two, 2 * precision * recall / (precision + recall), as a float; 0.0 if no
        word is common.
    """,
    hint="""
        `Counter(said) & Counter(right)` keeps of each word the smaller count. Sum its values; if that is 0, return
        before you divide.
    """)


@span_f1.cases
def nearly_right_answers():
    yield ["port", "louis"], ["port", "louis"]
    yield ["louis"], ["port", "louis"]
    yield ["in", "port", "louis", "since", "1968"], ["port", "louis"]
    yield ["lima"], ["quito"]
    yield ["pago", "pago"], ["pago"]
    yield ["pago", "pago"], ["pago", "pago"]
    yield [], ["lima"]


@span_f1.mistake("A word that stands twice on both sides counts twice: sets forget that.")
def with_sets(said, right):
    common = len(set(said) & set(right))
    return 2 * common / (len(said) + len(right)) if common else 0.0


@span_f1.mistake("You return precision alone: a very short answer would then always do.")
def precision_alone(said, right):
    return sum((Counter(said) & Counter(right)).values()) / len(said) if said else 0.0


@span_f1.mistake("You return recall alone: to answer with the whole context would then always do.")
def recall_alone(said, right):
    return sum((Counter(said) & Counter(right)).values()) / len(right)


@span_f1.mistake("You take the ordinary mean of precision and recall: take the harmonic one.")
def ordinary_mean(said, right):
    return (precision_alone(said, right) + recall_alone(said, right)) / 2


@span_f1.mistake("You count every word of `said` that `right` has: one that stands once in `right` counts once.")
def without_counting_twice(said, right):
    common = sum(word in right for word in said)
    return 2 * common / (len(said) + len(right)) if common else 0.0


# --- window_starts --------------------------------------------------------------------------------

window_starts = Exercise(
    finetune.window_starts, lesson=9, difficulty=2, minutes=8, later=True,
    task="""
        A context has `length` pieces, and the model has room for `room`. So it reads several windows: the first
        begins at 0, each next one `step` further on, and with the first that reaches the end it is over. Return where
        they begin, a list of int: for 41, 20, 10 it is [0, 10, 20, 30]. Where everything fits there is one, [0].
    """,
    hint="""
        What does not fit into the first window is `max(0, length - room)` pieces, and each further window covers
        `step` of them: round up with `math.ceil`.
    """)


@window_starts.cases
def short_and_long_contexts():
    yield 10, 20, 10
    yield 20, 20, 10
    yield 21, 20, 10
    yield 40, 20, 10
    yield 41, 20, 10
    yield 100, 30, 7
    yield 5, 4, 1


@window_starts.mistake("The end is never read: the last window must reach it.")
def without_the_end(length, room, step):
    return [step * n for n in range(max(0, length - room) // step + 1)]


@window_starts.mistake("`range` up to length - room ends too soon: it is empty where everything fits, and else the "
                       "end is never read.")
def up_to_the_rest(length, room, step):
    return list(range(0, length - room, step))


@window_starts.mistake("You go on after a window has reached the end: stop at the first that does.")
def to_the_very_end(length, room, step):
    return list(range(0, length, step))


@window_starts.mistake("The windows do not overlap: move on by `step`, or an answer at an edge is cut in two.")
def side_by_side(length, room, step):
    return list(range(0, length, room))
