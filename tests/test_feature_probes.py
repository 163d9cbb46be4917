"""Linear probes: they find what lies in the vectors, and are judged on what they never saw."""
import numpy as np
import pytest
import torch
from conftest import toy_batch, toy_preset
from torch import nn

from electra_tutorial.evaluation import PreparedExam
from electra_tutorial.feature_probes import (
    fit_logistic,
    probe_exam,
    probe_pairs,
    probe_texts,
    probe_words,
    row_vectors,
    word_vectors,
)
from electra_tutorial.model import Electra

FAKE = 99  # a token that stands only where a word was replaced, and in bad sentences


class Seer(nn.Module):
    """An encoder whose vectors tell the fake token from all others in number 3; the other numbers mean nothing."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, ids, attention_mask=None):
        x = torch.sin(ids[..., None] * torch.arange(1.0, 6.0))  # (B, T, 5)
        x[..., 3] = (ids == FAKE).float()
        return x, []


class Blind(Seer):
    """Its vectors are all the same."""

    def forward(self, ids, attention_mask=None):
        return torch.ones(*ids.shape, 5), []


def questions(n=80, seed=0):
    """Rows of five words with [CLS] and [SEP]; one word, in two pieces, was replaced, its second piece by FAKE."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(n):
        row, place = rng.integers(10, 60, 8), int(rng.integers(0, 5))
        words = np.insert(np.arange(5), place, place)  # (6,) word `place` has two pieces
        row[0], row[-1], row[1 + place + 1] = 2, 3, FAKE
        found.append((row.tolist(), np.concatenate([[-1], words, [-1]]), place))
    return found


def test_a_probe_finds_the_replaced_word_if_the_vectors_tell_it_and_else_not():
    assert probe_words(Seer(), questions()) > 0.99
    assert probe_words(Blind(), questions()) == 0.5


def test_a_probe_prefers_the_good_sentence_of_a_pair_if_the_vectors_tell_it():
    rows = [row for row, _, _ in questions(60)]
    pairs = [([30 if token == FAKE else token for token in row], row) for row in rows]
    assert probe_pairs(Seer(), pairs) == 1.0
    assert probe_pairs(Blind(), pairs) == 0.5, "equal vectors: a tie counts one half"


def test_texts_are_told_apart_by_their_mean_vector():
    rows = [row for row, _, _ in questions(60)]
    labels = [number % 2 for number in range(60)]
    rows = [row if label else [30 if token == FAKE else token for token in row]
            for row, label in zip(rows, labels, strict=True)]
    assert probe_texts(Seer(), (rows[:40], labels[:40]), (rows[40:], labels[40:])) == 1.0


def test_a_probe_cannot_learn_the_answers_by_heart():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(60, 200)).astype(np.float32), rng.random(60) < 0.5
    score = fit_logistic(x[:30], labels[:30])
    assert ((score(x[:30]) > 0) == labels[:30]).mean() == 1.0, "what it learned from it knows,"
    assert 0.2 < ((score(x[30:]) > 0) == labels[30:]).mean() < 0.8, "and of the rest it knows nothing."


def test_a_feature_that_never_changes_and_one_of_another_scale_do_no_harm():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)).astype(np.float32) * [1.0, 1e4, 0.0]
    labels = x[:, 1] > 0
    score = fit_logistic(x.astype(np.float32), labels)
    assert ((score(x) > 0) == labels).mean() > 0.97
    assert np.array_equal(score(x), fit_logistic(x.astype(np.float32), labels)(x)), "no random number"


def test_vectors_do_not_depend_on_the_rows_beside_them_and_the_encoder_stays_as_it_was():
    torch.manual_seed(0)
    encoder = Electra(toy_preset(dropout=0.5)).train().discriminator.encoder
    ids, mask = toy_batch()
    rows = [row[real].tolist() for row, real in zip(ids, mask, strict=True)]
    vectors = row_vectors(encoder, rows)
    alone = row_vectors(encoder, rows[:1])[0]
    assert [x.shape for x in vectors] == [(len(row), 32) for row in rows]
    assert np.allclose(vectors[0], alone, atol=1e-5) and encoder.training


def test_an_exam_without_questions_is_no_score():
    exam = PreparedExam({"easy": questions(), "medium": []}, [])
    found = probe_exam(Seer(), exam)
    assert found["probe_easy_auc"] > 0.99 and found["probe_medium_auc"] is found["probe_pairs"] is None


@pytest.mark.parametrize("place", [0, 4])
def test_the_vector_of_a_word_is_the_mean_of_its_pieces(place):
    (one,) = [q for q in questions() if q[2] == place][:1]
    features, labels = word_vectors(Seer(), [one])
    assert features.shape == (5, 5) and labels.tolist() == [word == place for word in range(5)]
    assert features[place, 3] == 0.5 and features[:, 3].sum() == 0.5
