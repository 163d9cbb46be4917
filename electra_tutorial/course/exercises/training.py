"""Parts of a training step as exercises."""
import torch

from electra_tutorial import training
from electra_tutorial.course.exercise import Exercise

# --- learning_rate --------------------------------------------------------------------------------

learning_rate = Exercise(
    training.learning_rate, lesson=4, difficulty=2, minutes=8,
    task="""
        The learning rate of step `step` = 0, 1, 2 ... of `total`. The first `warmup` share of the steps
        (rounded, at least one step) goes up in a straight line and ends at `peak`; the first step is
        already above 0. The rest goes down in a straight line that would reach 0 at step `total`.
    """,
    hint="""
        Call the number of rising steps `rising`. While `step < rising` the rate is `peak` times (step + 1)
        / rising. After that: of the total - rising steps, which share is still to come?
    """)


@learning_rate.cases
def some_steps():
    for step in (0, 1, 2, 9, 10, 11, 55, 99):
        yield step, 100, 1e-3, 0.1
    for step in (0, 1, 2):
        yield step, 10, 0.5, 0.0
    yield 9, 10, 0.5, 1.0
    for step in (0, 5, 36):
        yield step, 37, 2e-3, 0.15


@learning_rate.mistake("Your first step has the rate 0, so it teaches nothing: the rate of step 0 is peak "
                       "/ rising.")
def starts_at_zero(step, total, peak, warmup):
    rising = max(1, round(total * warmup))
    return peak * step / rising if step < rising else peak * (total - step) / max(1, total - rising)


@learning_rate.mistake("You took `warmup` for a number of steps: it is a share of `total`.")
def warmup_in_steps(step, total, peak, warmup):
    return peak * (step + 1) / warmup if step < warmup else peak * (total - step) / max(1, total - warmup)


@learning_rate.mistake("After the warm-up your rate stays at the peak: it should fall in a straight line.")
def no_fall(step, total, peak, warmup):
    return peak * min(1.0, (step + 1) / max(1, round(total * warmup)))


@learning_rate.mistake("Your falling line starts from step 0, so it jumps down after the warm-up: it "
                       "starts at `peak` there.")
def falls_from_the_start(step, total, peak, warmup):
    rising = max(1, round(total * warmup))
    return peak * (step + 1) / rising if step < rising else peak * (total - step) / total


@learning_rate.mistake("Without a warm-up (warmup = 0) one step still counts as rising: `max(1, ...)`.")
def no_rising_step(step, total, peak, warmup):
    rising = round(total * warmup)
    return peak * (step + 1) / rising if step < rising else peak * (total - step) / max(1, total - rising)


@learning_rate.mistake("You cut the number of rising steps off, `int(...)` or `//`: round it.")
def rounds_down(step, total, peak, warmup):
    rising = max(1, int(total * warmup))
    return peak * (step + 1) / rising if step < rising else peak * (total - step) / max(1, total - rising)


# --- clip_gradients -------------------------------------------------------------------------------

clip_gradients = Exercise(
    training.clip_gradients, lesson=4, difficulty=2, minutes=5,
    task="""
        `groups` is a list of lists of parameters whose `.grad` is filled; a list may be empty. Take the
        gradients of a group as one long vector: if it is longer than `limit`, scale it down to that length,
        else leave it. Each group is clipped for itself. Return nothing: the gradients change where they
        are.
    """,
    hint="`torch.nn.utils.clip_grad_norm_(parameters, limit)` does it for one list of parameters.")


def groups_with_gradients(*groups):
    """Lists of parameters with these gradients."""
    made = [[torch.nn.Parameter(torch.zeros(len(gradient))) for gradient in group] for group in groups]
    for parameters, gradients in zip(made, groups, strict=True):
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = torch.tensor(gradient)
    return made


def gradients(groups):
    return [[[round(number, 3) for number in p.grad.tolist()] for p in group] for group in groups]


@clip_gradients.rule
def nothing_is_returned(clip_gradients):
    got = clip_gradients(groups_with_gradients([[3.0, 4.0]]), 1.0)
    assert got is None, f"It returns {got!r}: return nothing, the gradients change where they are."


@clip_gradients.rule
def a_short_gradient_is_left_alone(clip_gradients):
    groups = groups_with_gradients([[0.3, 0.4]])
    clip_gradients(groups, 1.0)
    assert gradients(groups) == [[[0.3, 0.4]]], (
        f"A gradient [0.3, 0.4] of length 0.5 became {gradients(groups)[0][0]}: it is shorter than the limit 1, "
        "so leave it.")


@clip_gradients.rule
def a_long_gradient_keeps_its_direction(clip_gradients):
    groups = groups_with_gradients([[3.0, 4.0]])
    clip_gradients(groups, 1.0)
    assert gradients(groups) == [[[0.6, 0.8]]], (
        f"A gradient [3, 4] of length 5 became {gradients(groups)[0][0]} at limit 1: it should be [0.6, 0.8], "
        "shorter and in the same direction. Cutting each number off (clamp, clip_grad_value_) turns it.")


@clip_gradients.rule
def a_group_is_one_vector(clip_gradients):
    groups = groups_with_gradients([[3.0], [4.0]])
    clip_gradients(groups, 1.0)
    assert gradients(groups) == [[[0.6], [0.8]]], (
        f"A group with the gradients [3] and [4] became {gradients(groups)[0]} at limit 1: together they are one "
        "vector of length 5, so [0.6] and [0.8].")


@clip_gradients.rule
def each_group_for_itself(clip_gradients):
    groups = groups_with_gradients([[30.0, 40.0]], [[0.3, 0.4]], [])
    clip_gradients(groups, 1.0)
    assert gradients(groups)[1] == [[0.3, 0.4]], (
        f"One group's gradient was 50 long, and the other's [0.3, 0.4] became {gradients(groups)[1][0]}: an "
        "outburst of one model must not damp the other. Clip each group for itself.")
    assert gradients(groups)[0] == [[0.6, 0.8]], (
        f"The first of two groups became {gradients(groups)[0][0]} and should be [0.6, 0.8].")


# --- steps_in -------------------------------------------------------------------------------------

steps_in = Exercise(
    training.steps_in, lesson=6, difficulty=1, minutes=4,
    task="""
        A step takes `seconds`. How many whole steps fit into `minutes`, if the share `spared` of the time
        goes into exams and checkpoints? Return a whole number, never less than 2: one step to warm up, one
        to come down.
    """,
    hint="""
        Turn the minutes into seconds, keep the share `1 - spared` of them, divide. `int` cuts off what is no
        whole step; `max(2, ...)` is the least.
    """)


@steps_in.cases
def some_lengths():
    yield 10, 0.05
    yield 10, 0.05, 0.0
    yield 0.5, 0.7, 0.1
    yield 3, 0.0613, 0.04
    yield 0.01, 2.0
    yield 1, 100.0, 0.5
    yield 2.5, 0.33, 0.25


@steps_in.mistake("You took the minutes for seconds: there are 60 of these in each.")
def minutes_for_seconds(minutes, seconds, spared=0.04):
    return max(2, int(minutes * (1 - spared) / seconds))


@steps_in.mistake("You left out what goes into exams and checkpoints: the share `1 - spared` remains for steps.")
def nothing_spared(minutes, seconds, spared=0.04):
    return max(2, int(60 * minutes / seconds))


@steps_in.mistake("You kept the share that is spared, and it is the other part that is left for steps.")
def the_other_share(minutes, seconds, spared=0.04):
    return max(2, int(60 * minutes * spared / seconds))


@steps_in.mistake("You round: a step that does not fit in whole must not be counted, so cut off with `int`.")
def rounded(minutes, seconds, spared=0.04):
    return max(2, round(60 * minutes * (1 - spared) / seconds))


@steps_in.mistake("All is well but for very short times: a run has at least 2 steps.")
def fewer_than_two(minutes, seconds, spared=0.04):
    return int(60 * minutes * (1 - spared) / seconds)


@steps_in.mistake("You multiply by the seconds of a step: the longer a step takes, the fewer there are. Divide.")
def multiplied(minutes, seconds, spared=0.04):
    return max(2, int(60 * minutes * (1 - spared) * seconds))


@steps_in.mistake("The number is right, but it is no whole number (an `int`): nobody takes half a step.")
def no_whole_number(minutes, seconds, spared=0.04):
    return max(2.0, 60 * minutes * (1 - spared) / seconds)


@steps_in.rule
def whole_steps(steps_in):
    got = steps_in(1, 0.7)
    assert isinstance(got, int), f"In a minute you have {got!r} steps of 0.7 s: return a whole number, an `int`."
