"""Looking inside gives the numbers of the pass that predicts; heads are summed up and switched off as said."""
import math

import numpy as np
import pytest
import torch
from conftest import toy_preset

from electra_tutorial.errors import UserError
from electra_tutorial.heads import (
    KINDS,
    attention_at,
    attention_entropy,
    head_summary,
    kinds_of,
    look_inside,
    rollout,
    without_heads,
)
from electra_tutorial.judgement import judge
from electra_tutorial.model import Electra, attention_weights
from electra_tutorial.tokens import train_tokenizer

SENTENCES = ["The dog sees the small letter today.", "The cats find the old garden again.", "A girl likes the river."]


@pytest.fixture(scope="module", params=["learned", "rotary"])
def model(request, corpus):
    tokenizer = train_tokenizer(corpus.train["toy"], 120)
    torch.manual_seed(0)
    size = toy_preset(positions=request.param, vocab_size=tokenizer.get_vocab_size(), dropout=0.2)
    return Electra(size).train(), tokenizer


# --- one pass -------------------------------------------------------------------------------------
@pytest.mark.parametrize("which", ["discriminator", "generator"])
def test_what_is_shown_is_what_the_prediction_was_made_with(model, which):
    electra, tokenizer = model
    look = look_inside(SENTENCES[0], electra, tokenizer, which)
    half = getattr(electra, which)
    half.eval()
    ids = torch.tensor([look.ids])
    with torch.no_grad():
        plain = half(ids, torch.ones_like(ids, dtype=torch.bool))[0]
    half.train()
    torch.testing.assert_close(torch.from_numpy(look.logits), plain, atol=1e-5, rtol=1e-5)
    assert look.pieces == tokenizer.encode(SENTENCES[0]).tokens
    for attention, query, key in zip(look.attentions, look.queries, look.keys, strict=True):
        np.testing.assert_allclose(attention.sum(-1), 1, atol=1e-5)
        rebuilt = attention_weights(torch.from_numpy(query), torch.from_numpy(key))
        np.testing.assert_allclose(rebuilt, attention, atol=1e-5)
    assert electra.training and half.training


def test_padding_changes_nothing_of_what_a_sentence_shows(model):
    electra, tokenizer = model
    look = look_inside(SENTENCES[0], electra, tokenizer)
    T = len(look.ids)
    ids = torch.tensor([[*look.ids, 0, 0, 0]])
    electra.eval()
    with torch.no_grad():
        logits, attentions = electra.discriminator(ids, ids != 0, return_attention=True)
    electra.train()
    np.testing.assert_allclose(logits[0, :T], look.logits, atol=1e-5)
    for padded, plain in zip(attentions, look.attentions, strict=True):
        np.testing.assert_allclose(padded[0, :, :T, :T], plain, atol=1e-6)
        assert not padded[0, :, :, T:].any()


def test_of_a_judgement_each_model_is_shown_with_what_it_read(model):
    electra, tokenizer = model
    judged = judge(SENTENCES[0], electra, tokenizer, mask=[2, 4])
    found, guessed = (look_inside(judged, electra, tokenizer, which) for which in ("discriminator", "generator"))
    assert found.pieces == judged.corrupted
    assert judged.p_replaced == pytest.approx(1 / (1 + np.exp(-found.logits)), abs=1e-6)
    assert guessed.pieces == judged.masked and guessed.pieces[2] == "[MASK]"
    electra.eval()
    with torch.no_grad():
        for look, half in ((found, electra.discriminator), (guessed, electra.generator)):
            expected = half(torch.tensor([look.ids]), return_attention=True)[1]
            for layer, theirs in zip(look.attentions, expected, strict=True):
                np.testing.assert_allclose(layer, theirs[0].numpy(), atol=1e-6)
    electra.train()


def test_there_are_two_models_to_look_into(model):
    with pytest.raises(UserError, match="'both'"):
        look_inside(SENTENCES[0], *model, which="both")


# --- one head -------------------------------------------------------------------------------------
def test_a_head_that_looks_one_back_is_found_by_its_distance():
    back = np.roll(np.eye(5), -1, axis=1)  # row i looks at i - 1
    assert attention_at(back, -1) == 1 and attention_at(back, 1) == 0 and attention_at(np.eye(5), 0) == 1
    assert attention_at(np.full((4, 4), 0.25), -2) == 0.25 and math.isnan(attention_at(np.eye(3), 3))


def test_entropy_is_zero_for_one_place_and_log_t_for_all():
    assert attention_entropy(np.eye(6)) == 0
    assert attention_entropy(np.full((6, 6), 1 / 6)) == pytest.approx(math.log(6))
    assert attention_entropy([[0.5, 0.5], [1, 0]]) == pytest.approx(math.log(2) / 2)


def test_rollout_by_hand():
    """One layer whose two heads look at 0 and at 1: half of each token is itself, a quarter each head's."""
    heads = np.zeros((2, 2, 2))
    heads[0, :, 0] = heads[1, :, 1] = 1
    np.testing.assert_allclose(rollout([heads]), [[0.75, 0.25], [0.25, 0.75]])
    two = np.array([[0.75, 0.25], [0.25, 0.75]])
    np.testing.assert_allclose(rollout([heads, heads]), two @ two)
    first, second = np.array([[[1.0, 0], [1, 0]]]), np.array([[[0, 1.0], [0, 1]]])
    np.testing.assert_allclose(rollout([first, second]), [[0.75, 0.25], [0.5, 0.5]])  # the order of layers matters


# --- many sentences -------------------------------------------------------------------------------
def test_each_place_is_of_one_kind_to_each_other():
    kinds = kinds_of([2, 7, 8, 7, 9, 3])
    assert set(kinds) == set(KINDS)
    assert (sum(kind.astype(int) for kind in kinds.values()) == 1).all()
    assert kinds["previous"][4, 3] and kinds["next"][3, 4] and kinds["itself"][2, 2]
    assert kinds["same piece"][1, 3] and kinds["same piece"][3, 1] and not kinds["same piece"][1, 1]
    assert kinds["[CLS]"][1, 0] and kinds["[SEP]"][4, 5] and kinds["the rest"][1, 4]


def test_a_summary_shares_out_all_attention_and_counts_each_token_alike(model):
    electra, tokenizer = model
    summary = head_summary(SENTENCES, electra, tokenizer)
    np.testing.assert_allclose(sum(summary.values()), 1, atol=1e-5)
    assert all(share.shape == (2, 4) for share in summary.values())
    looks = [look_inside(one, electra, tokenizer) for one in SENTENCES]
    rows = [look.attentions[1][3][place, place - 1] for look in looks for place in range(2, len(look.ids) - 1)]
    tokens = sum(len(look.ids) - 2 for look in looks)  # the first looks back at [CLS], which is a kind of its own
    assert summary["previous"][1, 3] == pytest.approx(sum(rows) / tokens, abs=1e-6)


def test_there_must_be_a_sentence(model):
    with pytest.raises(UserError, match="no sentence"):
        head_summary([], *model)


# --- switching off --------------------------------------------------------------------------------
def test_a_head_switched_off_says_nothing_and_is_back_afterwards(model):
    electra, tokenizer = model
    before = look_inside(SENTENCES[0], electra, tokenizer)
    with without_heads(electra.discriminator, [(0, 1)]):
        quiet = look_inside(SENTENCES[0], electra, tokenizer)
    after = look_inside(SENTENCES[0], electra, tokenizer)
    np.testing.assert_array_equal(before.logits, after.logits)
    assert np.abs(before.logits - quiet.logits).max() > 1e-4
    np.testing.assert_array_equal(before.attentions[0], quiet.attentions[0])  # it still looks, and is not heard


def test_switching_a_head_off_is_zeroing_its_columns_of_the_output_projection(model):
    electra, tokenizer = model
    block = electra.discriminator.encoder.blocks[1].attention
    with without_heads(electra.discriminator, [(1, 2)]):
        quiet = look_inside(SENTENCES[0], electra, tokenizer).logits
    kept = block.output.weight.detach().clone()
    with torch.no_grad():
        block.output.weight[:, 16:24] = 0  # width 32, 4 heads: head 2
        by_hand = look_inside(SENTENCES[0], electra, tokenizer).logits
        block.output.weight.copy_(kept)
    np.testing.assert_allclose(quiet, by_hand, atol=1e-6)


def test_a_head_that_fails_in_between_is_switched_on_again(model):
    electra, tokenizer = model
    before = look_inside(SENTENCES[0], electra, tokenizer).logits
    with pytest.raises(ZeroDivisionError), without_heads(electra.discriminator, [(0, 0)]):
        raise ZeroDivisionError
    np.testing.assert_array_equal(before, look_inside(SENTENCES[0], electra, tokenizer).logits)


@pytest.mark.parametrize("head", [(2, 0), (0, 4), (-1, 0)])
def test_a_head_that_there_is_not_is_named(model, head):
    with pytest.raises(UserError, match="layers 0 to 1 with the heads 0 to 3"), \
            without_heads(model[0].discriminator, [head]):
        pass
