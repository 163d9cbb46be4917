"""What lessons say of your answers, and of themselves: what must have been learned, how large numbers are.

`check` tries an exercise. Nothing it finds ends a lesson: an answer that is not right yet is replaced by the
reference, so that the cells below run.

The tests run every lesson with ELECTRA_TUTORIAL_FAST=1. That makes numbers smaller and nothing else: the same
cells run, and what only a real training can show is not judged.
"""
import ast
import os
import re
import sys
import textwrap

from electra_tutorial.course.exercise import verdict
from electra_tutorial.course.exercises import find
from electra_tutorial.course.mine import FILE, keep, yours
from electra_tutorial.course.source import times_defined
from electra_tutorial.errors import UserError


def check(name):
    """Try the function of this name in the notebook that calls, and print a sentence or two about it.

    A right one is kept in my_electra.py. In place of any other the notebook gets the reference, and goes on.
    """
    namespace = sys._getframe(1).f_globals  # the notebook's, or the script's
    try:
        exercise = find(name)
    except UserError as why:
        return say(str(why))
    function = namespace.get(name)
    why = not_there(exercise, function, namespace.get("In", ())) or verdict(exercise, function)
    twice = times_defined(name, function) > 1
    twice = " Your cell defines it twice, and Python keeps the last." if twice else ""
    if why:
        namespace[name] = exercise.reference
        say(f"{name}: not yet. {why}{twice}\nUntil yours is right, the lesson goes on with the reference.")
    else:
        say(f"{name}: right, and the lesson goes on with yours. {keep(name, function)}{twice}")


def say(sentences):
    """Print in lines that fit below a cell, where JupyterLab would break a long one in the middle of a word."""
    for line in sentences.splitlines():
        print(textwrap.fill(line, 90, break_long_words=False, break_on_hyphens=False))


def not_there(exercise, function, cells):
    """Why there is nothing of the student's to try, as a sentence; "" if there is. cells: the text of all run."""
    defining = [cell for cell in cells if re.search(rf"^\s*\w+ +{exercise.name}\b", cell, re.M)]
    try:
        ast.parse(defining[-1] if defining else "")
    except SyntaxError as error:
        line = (error.text or "").strip()
        return f"Python cannot read your cell ({error.msg}, line {error.lineno}: {line!r}): mend it and run it."
    if function is None:
        return ("There is no function of that name: run the cell above, and see whether it ends with an error."
                + f" (One that passed before is safe in {FILE}.)" * (exercise.name in yours()[0]))
    if function is exercise.reference:
        return "This is still the reference: run your cell first."
    return ""


def is_fast():
    """True in the fast mode of the tests, where numbers are small and nothing is learned."""
    return os.environ.get("ELECTRA_TUTORIAL_FAST", "") not in ("", "0")


def full_or_fast(full, fast):
    """The number a lesson works with: the first for students, the second in the tests."""
    return fast if is_fast() else full


def expect(condition, sentence):
    """Check that something has been learned, and print the sentence that says what.

    In the fast mode nothing is learned, so it prints that this is not judged. Raises AssertionError otherwise
    when the condition does not hold: an `assert` is for what must hold always.
    """
    if is_fast():
        print(f"Not judged here, for the numbers were small: {sentence}")
        return
    if not condition:
        raise AssertionError(f"This should hold after training, and does not: {sentence} Train longer, or "
                             "read the section on what usually goes wrong.")
    print(f"As it should be: {sentence}")
