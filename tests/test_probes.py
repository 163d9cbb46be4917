"""Minimal pairs of one's own: read with errors that name the line, scored as the definitions say."""
import math

import numpy as np
import pytest
import torch
from torch import nn

from electra_tutorial.errors import UserError
from electra_tutorial.evaluation import pair_accuracy, pair_loss
from electra_tutorial.exam import Pair, Replacement
from electra_tutorial.grammar import sentences
from electra_tutorial.metrics import wilson_interval
from electra_tutorial.model import Electra
from electra_tutorial.presets import Preset
from electra_tutorial.probes import (
    Bigram,
    moved_elsewhere,
    pseudo_log_likelihood,
    read_pairs,
    score_by_phenomenon,
    score_pairs,
)
from electra_tutorial.tokens import MASK_ID, train_tokenizer

TEXT = sentences(300, seed=0)
PAIRS = [(TEXT[i], TEXT[i].replace(TEXT[i].split()[0], "Zebra", 1)) for i in range(12)]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXT, 400)


@pytest.fixture(scope="module")
def electra(tokenizer):
    torch.manual_seed(0)
    sizes = dict(
        vocab_size=tokenizer.get_vocab_size(), max_length=64, embedding=16,
        width=16, layers=1, heads=2, feed_forward=32,
        generator_width=16, generator_layers=1, generator_heads=2, generator_feed_forward=32,
    )
    return Electra(Preset().with_changes(**sizes, dropout=0.3)).train()


# --- reading ------------------------------------------------------------------------------------------------
def test_pairs_are_read_a_line_each_and_empty_lines_passed_over(tmp_path):
    file = tmp_path / "pairs.tsv"
    file.write_bytes("\ufeffShe knows.\tShe know.\r\n\n  Él es.\tÉl soy. \n".encode())
    assert read_pairs(file) == [("She knows.", "She know."), ("Él es.", "Él soy.")]


@pytest.mark.parametrize(("content", "said"), [
    (b"She knows.\tShe know.\nonly one column\n", "Line 2 .* 1 column with text instead of 2.*a tab"),
    (b"\n\na\tb\tc\n", "Line 3 .* 3 columns"),
    (b"good\t \n", "Line 1 .* 1 column "),
    (b"a\tb\n\xff\xfe\tc\n", "Line 2 .* not UTF-8 .*save"),
    (b"a b\tc\nShe knows.\tShe knows.\n", "Line 2 .* twice the same sentence, 'She knows.'"),
    (b"", "empty: write one pair a line"),
    (b" \n\n", "empty"),
])
def test_a_bad_file_is_refused_with_the_line_and_the_remedy(tmp_path, content, said):
    file = tmp_path / "pairs.tsv"
    file.write_bytes(content)
    with pytest.raises(UserError, match=said):
        read_pairs(file)


def test_a_missing_file_or_a_folder_is_refused_by_name(tmp_path):
    for path in (tmp_path / "nowhere.tsv", tmp_path):
        with pytest.raises(UserError, match=path.name):
            read_pairs(path)


# --- scoring ------------------------------------------------------------------------------------------------
def test_a_tie_counts_one_half():
    assert pair_accuracy(np.array([[1.0, 0.0], [2.0, 2.0], [0.0, 3.0], [-1.0, -1.0]])) == 0.5


def test_a_bet_on_the_good_sentence_costs_what_the_difference_of_scores_says():
    assert pair_loss(np.array([[2.0, 2.0], [-7.0, -7.0]])) == pytest.approx(math.log(2))
    assert pair_loss(np.array([[math.log(3), 0.0]])) == pytest.approx(math.log(4 / 3))  # three to one for it
    assert pair_loss(np.array([[0.0, 3000.0]])) == 3000 and pair_loss(np.array([[3000.0, 0.0]])) == 0


def test_a_model_that_cannot_tell_gets_one_half_and_a_wide_interval(tokenizer, electra):
    class Blind(nn.Module):
        preset = electra.preset

        def __init__(self):
            super().__init__()
            self.discriminator = Constant()

    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, ids, attention_mask):
            return torch.zeros(ids.shape)

    same_length = [(text, text.replace(".", "?")) for text in TEXT if text.endswith(".")][:20]
    result = score_pairs(same_length, Blind(), tokenizer)
    assert result["accuracy"] == 0.5 and result["n"] == 20 and result["with"] == "discriminator"
    assert result["interval"] == list(wilson_interval(10, 20))
    assert len(result["pairs"]) == 20 and result["pairs"][3]["good"] == same_length[3][0]


def test_the_discriminator_scores_by_log_p_original_without_special_tokens(electra, tokenizer):
    result = score_pairs(PAIRS, electra, tokenizer)
    electra.eval()
    for pair, scored in zip(PAIRS, result["pairs"], strict=True):
        for text, key in zip(pair, ("good_score", "bad_score"), strict=True):
            ids = torch.tensor([tokenizer.encode(text).ids])
            logits = electra.discriminator(ids, torch.ones_like(ids))[0, 1:-1]
            assert scored[key] == pytest.approx(torch.sigmoid(-logits).log().sum().item(), abs=1e-4)
    electra.train()


def test_the_generator_scores_by_masking_one_piece_at_a_time(electra, tokenizer):
    result = score_pairs(PAIRS, electra, tokenizer, with_="generator")
    electra.eval()
    for (good, _), scored in zip(PAIRS, result["pairs"], strict=True):
        ids, total = torch.tensor([tokenizer.encode(good).ids]), 0.0
        for place in range(1, ids.shape[1] - 1):
            masked = ids.clone()
            masked[0, place] = MASK_ID
            total += electra.generator(masked)[0, place].log_softmax(-1)[ids[0, place]].item()
        assert scored["good_score"] == pytest.approx(total, abs=1e-3)
    electra.train()
    wins = [pair["good_score"] > pair["bad_score"] for pair in result["pairs"]]
    assert result["accuracy"] == pytest.approx(np.mean(wins))


def test_scoring_leaves_the_model_in_its_mode_and_gives_the_same_twice(electra, tokenizer):
    for with_ in ("discriminator", "generator"):
        assert score_pairs(PAIRS, electra, tokenizer, with_) == score_pairs(PAIRS, electra, tokenizer, with_)
        assert electra.training and electra.generator.training


def test_a_fair_die_gives_each_piece_log_one_in_v(tokenizer):
    class Die(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, ids, attention_mask, chosen):
            assert (ids[chosen] == MASK_ID).all() and chosen.sum() == len(ids)
            return torch.zeros(len(ids), 50)

    totals = pseudo_log_likelihood(Die(), [[2, 7, 8, 9, 3], [2, 30, 3]])
    np.testing.assert_allclose(totals, [-3 * math.log(50), -math.log(50)], rtol=1e-6)


@pytest.mark.parametrize(("pairs", "with_", "said"), [
    ([], "discriminator", "no pair"),
    (PAIRS, "both", "'both' cannot score pairs: choose"),
    ([("", "a")], "discriminator", "no word in it"),
    ([("a", "word " * 200)], "generator", "pieces where this model reads 64: shorten"),
])
def test_what_cannot_be_scored_is_refused_in_one_sentence(pairs, with_, said, electra, tokenizer):
    with pytest.raises(UserError, match=said):
        score_pairs(pairs, electra, tokenizer, with_)


# --- what one fake does to the others -----------------------------------------------------------------------
class Judge(nn.Module):
    """Suspects a piece by its id; `others` times that is added to the pieces at most `reach` away from it."""

    def __init__(self, others=0.0, reach=64):
        super().__init__()
        self.others, self.reach = others, reach
        self.weight, self.encoder = nn.Parameter(torch.zeros(1)), nn.Module()
        self.encoder.max_length = 64

    def forward(self, ids, attention_mask):
        suspicion = ids.float() / 400
        places = torch.arange(ids.shape[1])
        away = (places[:, None] - places).abs()  # (T, T)
        return suspicion + self.others * suspicion @ ((away > 0) & (away <= self.reach)).float()


def exchanged(tokenizer):
    """Questions in which one word of one piece gives way to another of one piece."""
    one_piece = [word for word, n in tokenizer.get_vocab().items() if word.isalpha() and n > 100]
    for number, text in enumerate(TEXT[:60]):
        words = text.rstrip(".?!").split()
        position = number % len(words)
        if words[position].lower() in one_piece:
            yield Replacement(text, position, words[position], one_piece[number % len(one_piece)])


def test_words_judged_each_for_itself_are_not_moved_by_a_fake(tokenizer):
    mean, error = moved_elsewhere(list(exchanged(tokenizer)), Judge(), tokenizer)
    assert mean == pytest.approx(0, abs=1e-6) and error == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("reach", "distance", "moves"), [(64, 3, True), (2, 3, False), (2, 1, True)])
def test_only_words_far_from_the_fake_are_asked(reach, distance, moves, tokenizer):
    id_of = tokenizer.token_to_id
    questions = [one for one in exchanged(tokenizer) if id_of(one.replacement) > id_of(one.original.lower())]
    acquits, error = moved_elsewhere(questions, Judge(-0.5, reach), tokenizer, distance)
    assert (acquits < -0.01) == moves and (error > 0) == moves
    accuses, _ = moved_elsewhere(questions, Judge(0.5, reach), tokenizer, distance)
    assert (accuses > 0.01) == moves


def test_where_no_word_is_far_nothing_is_said(tokenizer):
    assert np.isnan(moved_elsewhere(list(exchanged(tokenizer)), Judge(), tokenizer, distance=50)).all()
    assert np.isnan(moved_elsewhere([], Judge(), tokenizer)).all()


# --- the counting model ---------------------------------------------------------------------------
def test_a_bigram_model_by_hand():
    """Row 2 7 8 3 twice and 2 7 9 3 once: after 7 comes 8 in two cases of three."""
    bigram = Bigram([2, 7, 8, 3, 2, 7, 8, 3, 2, 7, 9, 3], vocab_size=10, weight=0.5)
    share = (2 + 1) / (12 + 10)  # of piece 8, with one added to each of 10
    assert bigram.log_likelihood([7, 8]) == pytest.approx(math.log((2 + 0.5 * share) / (3 + 0.5)))
    unseen = math.log(0.5 * share / (1 + 0.5))  # 8 never follows 9
    assert bigram.log_likelihood([9, 8]) == pytest.approx(unseen)
    assert bigram.log_likelihood([7, 9, 8]) == pytest.approx(bigram.log_likelihood([7, 9]) + unseen)


def test_the_chances_of_all_pieces_after_one_sum_to_one():
    bigram = Bigram(np.random.default_rng(0).integers(0, 30, 500), vocab_size=40)
    for before in (0, 7, 35):
        assert sum(np.exp(bigram.log_likelihood([before, piece])) for piece in range(40)) == pytest.approx(1)


def test_a_bigram_model_prefers_the_sentence_whose_neighbours_it_has_seen(tokenizer):
    rows = [tokenizer.encode(text).ids for text in TEXT]
    bigram = Bigram([piece for row in rows for piece in row], tokenizer.get_vocab_size())
    pairs = [(row, [*row[:2], *row[2:-1][::-1], row[-1]]) for row in rows[:40]]
    scores = bigram.pair_likelihoods(pairs)
    assert scores.shape == (40, 2) and (scores[:, 0] >= scores[:, 1]).mean() > 0.9


# --- by phenomenon ------------------------------------------------------------------------------------------
def test_each_phenomenon_is_scored_by_each_judge_as_its_pairs_alone_are(electra, tokenizer):
    questions = [Pair("first word" if n % 3 else "every third", *pair) for n, pair in enumerate(PAIRS)]
    bigram = Bigram(sum((tokenizer.encode(text).ids for text in TEXT), []), electra.preset.vocab_size)
    rows = score_by_phenomenon(questions, electra, tokenizer, bigram)
    assert [(row["phenomenon"], row["n"]) for row in rows] == [("every third", 4), ("first word", 8), ("all", 12)]
    for row, some in zip(rows, (PAIRS[::3], [pair for n, pair in enumerate(PAIRS) if n % 3], PAIRS), strict=True):
        for name in ("discriminator", "generator"):
            alone = score_pairs(some, electra, tokenizer, name)
            assert row[name] == (alone["accuracy"], *alone["interval"])
    assert rows[-1]["bigram"][0] > 0.9  # it has seen the good sentences
    assert [row["n"] for row in score_by_phenomenon(questions, electra, tokenizer, limit=2)] == [2, 2, 4]
    assert all(0 < row["loss"] < 20 for row in rows) and len({row["loss"] for row in rows}) == len(rows)
