"""Parts of a training step as exercises."""
import torch

from electra_tutorial import training
from electra_tutorial.course.exercise import Exercise

# --- learning_rate --------------------------------------------------------------------------------

learning_rate = Exercise(
    training.learning_rate, lesson=4, difficulty=2, minutes=8, later=True,
    task="""
        The learning rate of step `step` = 0, 1, 2 ... of `total`. The first `warmup` share of the steps
        (rounded, at least one step) goes up in a straight line and ends at `peak`; the first step is
        already above 0. The rest begins at `peak` once more, so that two steps have it, and goes down in a
        straight line that would reach 0 at step `total`.
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


# --- update ---------------------------------------------------------------------------------------

update = Exercise(
    training.update, lesson=4, difficulty=2, minutes=5,
    task="""
        The forward pass is done, and `loss` is what came of it: a tensor of one number. Write the other four
        verbs: send the loss back, clip the gradients with `clip_gradients(groups, limit)`, take a step of
        `optimizer`, and leave no gradient behind for the next call. `groups` is a list of lists of parameters.
        Return nothing.
    """,
    hint="""
        A line a verb. `backward` is a method of the loss, `step` and `zero_grad` are methods of the optimiser.
        Which order? A step needs a gradient, and it should be the clipped one.
    """)


class Descent:
    """An optimiser of rate 1 without memory. PyTorch's own take seconds to load at their first step."""

    def __init__(self, weights):
        self.weights, self.param_groups = weights, [{"params": weights, "lr": 1.0}]

    def step(self):
        with torch.no_grad():
            for w in self.weights:
                w -= 0 if w.grad is None else w.grad

    def zero_grad(self, set_to_none=True):
        for w in self.weights:
            w.grad = None


def after(update, gradients, limit=1.0, times=1):
    """Where weights [1, 1] stand, a list each, after updates at rate 1 from losses with these gradients."""
    weights = [torch.nn.Parameter(torch.ones(2)) for _ in gradients]
    optimizer = Descent(weights)
    for _ in range(times):
        loss = sum((w * torch.tensor(g)).sum() for w, g in zip(weights, gradients, strict=True))
        got = update(loss, optimizer, [[w] for w in weights], limit)
        assert got is None, f"It returns {got!r:.40}: return nothing, the weights change where they are."
    return [[round(number, 3) for number in w.tolist()] for w in weights]


@update.rule
def the_weights_move(update):
    (got,) = after(update, [[0.3, 0.4]])
    assert got != [1.0, 1.0], (
        "Weights [1, 1] stay where they are at a gradient of [0.3, 0.4]. `backward` makes the gradient, `step` uses "
        "it, `zero_grad` throws it away: is one of them missing, or too early?")
    assert got == [0.7, 0.6], (
        f"Weights [1, 1] go to {got} at a gradient of [0.3, 0.4], rate 1 and limit 1: they should go to [0.7, 0.6].")


@update.rule
def no_gradient_stays_behind(update):
    (got,) = after(update, [[0.3, 0.4]], times=2)
    assert got == [0.4, 0.2], (
        f"After two calls with a gradient of [0.3, 0.4] weights [1, 1] stand at {got}, and should stand at [0.4, "
        "0.2]: `backward` adds to the gradients that are there. Set them to zero.")
    weight = torch.nn.Parameter(torch.ones(2))
    update((weight * torch.tensor([0.3, 0.4])).sum(), Descent([weight]), [[weight]], 1.0)
    assert weight.grad is None or not weight.grad.any(), (
        "The weights are right, but the gradient stays there when the call is over: `zero_grad` comes last.")


@update.rule
def a_long_gradient_is_clipped_before_the_step(update):
    (got,) = after(update, [[3.0, 4.0]])
    assert got == [0.4, 0.2], (
        f"At a gradient of [3, 4], which is 5 long, and limit 1, weights [1, 1] go to {got}, and should go to [0.4, "
        "0.2]: clip after `backward` and before `step`.")
    (got,) = after(update, [[3.0, 4.0]], limit=2.5)
    assert got == [-0.5, -1.0], (
        f"At a gradient of [3, 4] and limit 2.5 weights [1, 1] go to {got}, and should go to [-0.5, -1]: use "
        "`limit`.")


@update.rule
def each_group_is_clipped_for_itself(update):
    got = after(update, [[30.0, 40.0], [0.3, 0.4]])
    assert got[1] == [0.7, 0.6], (
        f"Of two groups one had a gradient 50 long, and the other, of [0.3, 0.4], went from [1, 1] to {got[1]}: it "
        "should go to [0.7, 0.6]. Hand all groups to `clip_gradients`: it clips each for itself.")


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
