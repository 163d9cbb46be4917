"""An exercise: what is asked of a student, and how an answer is tried. The exercises stand in `exercises/`.

    corrupt = Exercise(objective.corrupt, lesson=5, difficulty=1, minutes=5, task="...", hint="...")

    @corrupt.cases             inputs, hand-made ones first: an answer must give what the reference gives
    @corrupt.mistake("words")  a wrong answer that people write: whoever gives the same is told these words
    @corrupt.rule              what must hold of any right answer: asserts whose messages are sentences
"""
import ast
import ctypes
import inspect
import io
import random
import re
import textwrap
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, is_dataclass

import numpy as np
import torch

LONGEST = 10.0  # seconds for all that a check tries; the references take less than a tenth of one
SHOWN = 24  # numbers of a tensor that are shown in full


class NotYet(Exception):
    """Why an answer does not pass: a sentence for whoever wrote it."""


class TooLong(BaseException):
    """Ends an answer that does not end by itself. No `except Exception` of a student's catches it."""


@dataclass
class Exercise:
    """One function to write. draws: it draws at random, so cases compare the form alone of what it returns.

    later: it stands in a section for a second reading.
    """

    reference: Callable
    lesson: int
    difficulty: int  # dots, one to three
    minutes: int
    task: str
    hint: str
    draws: bool = False
    later: bool = False
    make_cases: Callable = lambda: ()
    mistakes: list = field(default_factory=list)  # [(sentence, function)]
    rules: list = field(default_factory=list)

    @property
    def name(self):
        return self.reference.__name__

    def inputs(self):
        """The arguments of every case, new and the same each time."""
        with own_random_streams():
            return list(self.make_cases())

    def cases(self, function):
        self.make_cases = function
        return function

    def mistake(self, sentence):
        def add(function):
            self.mistakes.append((sentence, function))
            return function
        return add

    def rule(self, function):
        self.rules.append(function)
        return function

    def words(self, arguments):
        """Arguments as a student would write them: "ids = [[5, 6]], rate = 0.15"."""
        names = inspect.signature(self.reference).parameters
        return ", ".join(f"{name} = {show(value, self.task)}" for name, value in zip(names, arguments, strict=False))


# --- the verdict ----------------------------------------------------------------------------------

def verdict(exercise, function):
    """Why this answer does not pass, in a sentence or two; "" if it does. No random stream of yours moves."""
    if inspect.isclass(function) or not callable(function):
        what = "a class" if inspect.isclass(function) else show(function)
        return f"`{exercise.name}` is {what}, and should be a function: begin with `def {exercise.name}(...)`."
    if is_empty(function):
        return "It is still empty: write its body in the cell above, run that cell, then this one."
    printed = io.StringIO()
    try:
        with (own_random_streams(), redirect_stdout(printed), warnings.catch_warnings(action="ignore"),
              time_limit(LONGEST)):
            compare(exercise, function)
            for rule in exercise.rules:
                rule(watched(exercise, function))
    except (NotYet, AssertionError) as why:
        return str(why)
    except TooLong as late:
        where = f"For {late} it" if late.args else "It"
        return (f"{where} was stopped after {LONGEST:g} seconds, where the reference takes a small part of one: "
                "look for a loop that never ends, one inside another, or one over every number of a tensor.")
    except KeyboardInterrupt:
        return "You stopped it before it came to an end: look for a loop that never ends."
    except Exception as error:  # a rule could not make use of an answer
        return f"What it returns cannot be used ({type(error).__name__}: {error})."
    if said := printed.getvalue():
        said = textwrap.shorten(said.splitlines()[0], 40, placeholder=" ...")
        return f"It returns what it should, but it prints ({said!r}); training calls it often: take that out."
    return ""


def is_empty(function):
    """True for a stub: no statement besides a docstring, `...`, `pass` and `raise NotImplementedError`."""
    try:
        node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, TypeError, SyntaxError):  # no source to look into, or a part of a statement
        return False
    return isinstance(node, ast.FunctionDef) and all(
        isinstance(one, ast.Pass) or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
        or (isinstance(one, ast.Raise) and "NotImplementedError" in ast.unparse(one)) for one in node.body)


def watched(exercise, function):
    """The same function; when it raises, that is a sentence with the arguments it was given."""
    def call(*arguments):
        given = exercise.words(arguments)  # before it can change them
        try:
            return function(*arguments)
        except (Exception, SystemExit) as error:
            said = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(".")
            raise NotYet(f"For {given}\nit raises {said}.{advice(error)}") from None
        except TooLong:
            raise TooLong(textwrap.shorten(given, 300, placeholder=" ...")) from None
    return call


def advice(error):
    """What to do about an error that students often meet, as a sentence behind it; "" for any other."""
    if isinstance(error, NameError):
        return " Have you run the cells above since the kernel started?"
    if isinstance(error, TypeError) and re.search(r"ints?\b.*float", str(error)):
        return " A size is a whole number: `//` divides without a rest."
    if "two bool tensors" in str(error) or "Found dtype Bool" in str(error):
        return " True and False are no numbers yet: `.float()` makes 1 and 0 of them."
    return ""


def compare(exercise, function):
    """Try an answer on every case. Raises `NotYet` at the first in which it differs from the reference."""
    ask = watched(exercise, function)
    try:
        for mine, before, arguments in zip(*(exercise.inputs() for _ in range(3)), strict=True):
            got, right = ask(*mine), exercise.reference(*arguments)
            if problem := difference(got, right, exercise.draws):
                raise NotYet(f"For {exercise.words(before)}\n{problem}")
            refuse_changed(exercise, before, mine)
    except NotYet as why:
        raise NotYet("\n".join(part for part in (recognised(exercise, function), str(why)) if part)) from None


def refuse_changed(exercise, before, after):
    for name, old, new in zip(inspect.signature(exercise.reference).parameters, before, after, strict=False):
        if not same(old, new):
            copied = f"{name}.clone()" if isinstance(new, torch.Tensor) else f"{name}.copy()"
            if isinstance(new, list) and any(isinstance(part, list | np.ndarray) for part in new):
                copied = f"[part.copy() for part in {name}]"  # the list's own copy would hold the same parts
            raise NotYet(f"It changes its input: `{name}` was {show(old)} and is {show(new)} afterwards. Work on "
                         f"a copy, `{copied}`.")


def recognised(exercise, function):
    """The sentence of the mistake that this function makes, going by its answers; "" if it is none we know.

    The two agree in the first case that is wrong, and in most of all cases: of two mistakes it names one.
    """
    right, given = answers(exercise, exercise.reference), answers(exercise, function)
    first = next((number for number, pair in enumerate(zip(given, right, strict=True)) if not same(*pair)), 0)
    best, found = 0.7 * len(given), ""
    for sentence, wrong in exercise.mistakes:
        alike = [same(*pair) for pair in zip(given, answers(exercise, wrong), strict=True)]
        if alike[first] and sum(alike) > best:
            best, found = sum(alike), sentence
    return found


def answers(exercise, function):
    """What a function returns in each case; in its place the error, where it raises one."""
    found = []
    for arguments in exercise.inputs():
        try:
            found.append(function(*arguments))
        except (Exception, SystemExit) as error:
            found.append(repr(error))
    return found


# --- comparing and showing values -----------------------------------------------------------------

def same(a, b):
    """Equal in kind and value; numbers with a point to about five digits, nan equals nan."""
    if isinstance(a, torch.Tensor | np.ndarray) and kind(a) == kind(b):
        return np.allclose(numbers(a), numbers(b), rtol=1e-4, atol=1e-6, equal_nan=True)
    if isinstance(a, tuple | list) and type(a) is type(b):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, torch.Generator):
        return isinstance(b, torch.Generator)  # it must move
    if kind(a) == kind(b) == "a number":
        return bool(np.isclose(a, b, rtol=1e-4, atol=1e-9, equal_nan=True))
    return type(a) is type(b) and not isinstance(a, torch.Tensor | np.ndarray) and a == b


def difference(got, right, draws=False):
    """How an answer differs from the right one, as the end of a sentence; "" if it does not."""
    if form(got) != form(right) and not (is_plain(got) and is_plain(right)):
        missing = " Is there a `return`?" if got is None else ""
        return f"it returns {form(got)},\nand should return {form(right)}.{missing}"
    if draws or same(got, right):
        return ""
    return f"it returns {show(got)},\nand should return {show(right)}."


def is_plain(value):
    """True for a list of strings and numbers, where what is in it says more than how many there are."""
    return isinstance(value, list) and all(isinstance(part, str | int | float) for part in value)


def form(value):
    """What kind of thing a value is, the parts of a tuple one by one."""
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)} ({', '.join(map(form, value))})"
    return kind(value)


def kind(value):
    """Tensors with shape and dtype, numbers alike whether Python's or numpy's; else the name of the type."""
    if isinstance(value, torch.Tensor | np.ndarray):
        what = "a tensor" if isinstance(value, torch.Tensor) else "an array"
        return f"{what} of {str(value.dtype).removeprefix('torch.')} and shape {tuple(value.shape)}"
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        return "a number"
    return "None" if value is None else f"a {type(value).__name__}"


def numbers(array):
    return array.detach().double().numpy() if isinstance(array, torch.Tensor) else array.astype(float)


def show(value, task=""):
    """A value in the words of an answer: small tensors number by number, large ones by their kind.

    Of an object with many parts those that `task` names, as in "judgement.words".
    """
    if isinstance(value, torch.Tensor | np.ndarray):
        if np.prod(value.shape) > SHOWN:
            return kind(value)
        unusual = isinstance(value, np.ndarray) and value.dtype not in (np.int64, np.float64, bool)
        return f"array({show(value.tolist())}, {value.dtype})" if unusual else show(value.tolist())
    if isinstance(value, list):
        return "[" + ", ".join(map(show, value)) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(show, value)) + ")"
    if isinstance(value, float | np.floating):
        return f"{value:.1f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"  # 11540.0, not 1.154e+04
    if isinstance(value, torch.Generator):
        return "a generator"
    if is_dataclass(value) and (parts := [name for name in vars(value) if re.search(rf"\.{name}\b", task)]):
        said = ", ".join(f"{name}={show(getattr(value, name))}" for name in parts)
        return f"{type(value).__name__}({said})"
    return textwrap.shorten(repr(value), 120, placeholder=" ...")


# --- while an answer is tried ---------------------------------------------------------------------

def seconds(function, *arguments):
    """Processor seconds that a call takes in this thread: other programs do not count."""
    started = time.thread_time()
    function(*arguments)
    return time.thread_time() - started


@contextmanager
def own_random_streams():
    """Inside, the random streams of Python, numpy and PyTorch begin at a fixed place; outside they never moved."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(0), np.random.seed(0), torch.default_generator.manual_seed(0)
    try:
        yield
    finally:
        random.setstate(before[0]), np.random.set_state(before[1]), torch.set_rng_state(before[2])


@contextmanager
def time_limit(seconds):
    """Raise `TooLong` inside when the time is up: on any system, between two steps of Python's own.

    Seconds are the processor's, so that a busy machine fails nobody; by the clock it may take six times as long.
    """
    here, end = ctypes.c_ulong(threading.get_ident()), ctypes.pythonapi.PyThreadState_SetAsyncExc
    over, clock, worked = threading.Event(), time.monotonic(), time.process_time()

    def watch():
        while not over.wait(seconds / 20):
            if time.process_time() - worked > seconds or time.monotonic() - clock > 6 * seconds:
                return end(here, ctypes.py_object(TooLong))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()  # so that it ends what runs in here or nothing
