"""Rows of unlike length in one tensor, as an exercise."""
import numpy as np
import torch

from electra_tutorial import evaluation
from electra_tutorial.course.exercise import Exercise
from electra_tutorial.tokens import PAD_ID

# --- pad ------------------------------------------------------------------------------------------

pad = Exercise(
    evaluation.pad, lesson=1, difficulty=2, minutes=8,
    task="""
        `rows` is a list of rows of ids, of unlike length, each a list or an array (the course keeps its rows as
        uint16, a kind that PyTorch hardly computes with: make int64 of it first). Return two tensors of shape
        `(B, T)`, where T is the length of the longest row: `ids` (long), each row from the left and filled up
        with `PAD_ID`; and `attention_mask` (bool), True at real tokens, False at padding.
    """,
    hint="""
        `torch.full((B, T), PAD_ID)` is the full page, and `ids[number, :len(row)] = torch.tensor(row)` writes
        one row (for an array of another kind of number: `torch.as_tensor(np.asarray(row, dtype=np.int64))`).
        The mask needs no loop: `torch.arange(T)` is `(T,)`, the lengths are `(B, 1)`; compare them.
    """)


@pad.cases
def unlike_rows():
    yield ([[2, 10, 11, 12, 3], [2, 10, 3], [2, 3]],)
    yield ([[2, 7, 3], [2, 8, 9, 3]],)
    yield ([[2, 5, 3]],)
    yield ([np.array([2, 9, 3], dtype=np.uint16), np.array([2, 9, 9, 9, 3], dtype=np.uint16)],)
    yield ([np.random.randint(5, 99, length) for length in (4, 9, 1, 6)],)


def lengths_of(rows):
    return torch.tensor([len(row) for row in rows])


@pad.mistake("Your mask is the wrong way round: True means a real token, False padding.")
def mask_upside_down(rows):
    ids, attention_mask = evaluation.pad(rows)
    return ids, ~attention_mask


@pad.mistake("Your rows end at the right edge, with the padding in front: write each from the left, so that place 1 "
             "is the first piece in every row.")
def from_the_right(rows):
    width = max(len(row) for row in rows)
    ids = torch.tensor([[PAD_ID] * (width - len(row)) + [int(i) for i in row] for row in rows])
    return ids, torch.arange(width).flip(0) < lengths_of(rows)[:, None]


@pad.mistake("You cut every row to the shortest: no token may be lost, so fill up to the longest.")
def cut_to_the_shortest(rows):
    width = min(len(row) for row in rows)
    ids = torch.tensor([[int(i) for i in row][:width] for row in rows])
    return ids, torch.ones_like(ids, dtype=torch.bool)


@pad.mistake("Your mask is True everywhere: the model would read the padding as if somebody had written it.")
def all_is_real(rows):
    ids, _ = evaluation.pad(rows)
    return ids, torch.ones_like(ids, dtype=torch.bool)


@pad.mistake("Your mask takes the last token of each row for padding: `torch.arange(T)` begins at 0, so the places "
             "of a row of 5 are those below 5.")
def one_too_few(rows):
    ids, attention_mask = evaluation.pad(rows)
    return ids, torch.arange(ids.shape[1]) < lengths_of(rows)[:, None] - 1


@pad.mistake("You filled up with the last token of the row, not with [PAD].")
def last_token_again(rows):
    width = max(len(row) for row in rows)
    ids = torch.tensor([[int(i) for i in row] + [int(row[-1])] * (width - len(row)) for row in rows])
    return ids, evaluation.pad(rows)[1]


@pad.mistake("Both parts are right and in the wrong order: first `ids`, then `attention_mask`.")
def the_other_way_round(rows):
    return evaluation.pad(rows)[::-1]
