"""What lessons say about themselves: what must have been learned, and how large their numbers are.

The tests run every lesson with ELECTRA_TUTORIAL_FAST=1. That makes numbers smaller and nothing else: the same
cells run, and what only a real training can show is not judged.
"""
import os


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
