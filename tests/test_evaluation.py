"""Evaluation: fixed, blind to special tokens and padding, and without a trace in the run that it looks at.

Traps of the field that stand here: special tokens judged (T13), padding in a loss (T19) or an AUC (T20),
accuracy without its floor (T21), a sigmoid too many (T23), dropout or fresh masks in evaluation (T24).
"""
import random

import numpy as np
import pytest
import torch
from torch import nn

from electra_tutorial import evaluation
from electra_tutorial import exam as exam_module
from electra_tutorial.corpus import Corpus
from electra_tutorial.evaluation import (
    Evaluation,
    PreparedExam,
    find_replaced,
    fixed_losses,
    heldout_rows,
    mask_rows,
    pair_scores,
    piece_logits,
    play,
    spread,
    take_exam,
    unigram_counts,
    word_suspicion,
    words_of_pieces,
)
from electra_tutorial.exam import Exam, Pair, Replacement
from electra_tutorial.grammar import sentences
from electra_tutorial.metrics import roc_auc
from electra_tutorial.model import Electra
from electra_tutorial.presets import Preset
from electra_tutorial.tokens import (
    CLS_ID,
    MASK_ID,
    PAD_ID,
    SEP_ID,
    SPECIAL_TOKENS,
    make_rows,
    train_tokenizer,
)

TEXT = sentences(600, seed=0)
CORPUS = Corpus("grammar", {"one": TEXT[:400]}, {"one": TEXT[400:500], "two": TEXT[500:]})


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXT, 400)


def build(tokenizer, **changes):
    torch.manual_seed(0)
    sizes = dict(
        vocab_size=tokenizer.get_vocab_size(), max_length=64, embedding=16,
        width=16, layers=2, heads=2, feed_forward=32,
        generator_width=16, generator_layers=1, generator_heads=2, generator_feed_forward=32,
    )
    return Electra(Preset().with_changes(**sizes | changes))


@pytest.fixture(scope="module")
def electra(tokenizer):
    return build(tokenizer)


@pytest.fixture(scope="module")
def exam():
    """Sixty questions of each part; the word that does not belong is always "zebra"."""
    replaced = []
    for number, text in enumerate(TEXT[400:460]):
        words = text.rstrip(".?!").split()
        position = number % len(words)
        replaced.append(Replacement(text, position, words[position], "zebra"))
    pairs = [Pair("zebra", question.before, question.after) for question in replaced]
    return Exam("zebras", replaced[:30], replaced[30:], pairs)


@pytest.fixture(scope="module")
def rows(tokenizer):
    return make_rows(CORPUS.train["one"], tokenizer, 64)


@pytest.fixture(scope="module")
def ready(tokenizer, rows, exam):
    return Evaluation.make(CORPUS, tokenizer, rows, 64, exam)


class Fake(nn.Module):
    """A discriminator that scores by a function of ids (B, T) and attention_mask (B, T)."""

    def __init__(self, score, max_length=64):
        super().__init__()
        self.score, self.weight, self.encoder = score, nn.Parameter(torch.zeros(1)), nn.Module()
        self.encoder.max_length = max_length

    def forward(self, ids, attention_mask):
        return self.score(ids, attention_mask).float()


class FakeElectra(nn.Module):
    """A generator, called with (masked_ids, attention_mask, chosen), and a discriminator, both fakes."""

    def __init__(self, generate, judge):
        super().__init__()
        self.generate, self.discriminator = generate, Fake(judge)

    def generator(self, masked_ids, attention_mask, chosen):
        return self.generate(masked_ids, attention_mask, chosen)


def constant(ids, attention_mask):
    return torch.full(ids.shape, -1.7)


def uniform(size):
    return lambda masked_ids, attention_mask, chosen: torch.zeros(int(chosen.sum()), size)


# --- floors -----------------------------------------------------------------------------------------------
def test_a_constant_judge_gets_the_scores_of_chance(exam, tokenizer):
    result = take_exam(Fake(constant), tokenizer, exam)
    assert result["exam_easy_auc"] == result["exam_medium_auc"] == 0.5
    chance = np.mean([1 / len(evaluation.word_spans(question.after)) for question in exam.easy])
    assert result["exam_easy_found"] == pytest.approx(chance)


def test_a_judge_that_knows_the_intruder_gets_full_marks(exam, tokenizer):
    zebra = set(tokenizer.encode("zebra").ids) - {CLS_ID, SEP_ID}

    def judge(ids, attention_mask):  # sure of one piece of the word, as word suspicion asks for the highest
        return torch.isin(ids, torch.tensor(max(zebra))) * 9.0 - 4

    only = [n for n, q in enumerate(exam.easy) if max(zebra) not in tokenizer.encode(q.before).ids]
    assert len(only) > 10
    easy = [exam.easy[n] for n in only]
    pairs = [Pair("", question.before, question.after) for question in easy]
    result = take_exam(Fake(judge), tokenizer, Exam("", easy, [], pairs))
    assert result == {"exam_easy_auc": 1.0, "exam_easy_found": 1.0, "exam_medium_auc": None,
                      "exam_medium_found": None, "exam_pairs": 1.0}


def test_a_constant_judge_gets_an_auc_of_one_half_and_no_less_loss_than_the_floor(ready, tokenizer):
    size = tokenizer.get_vocab_size()
    share = fixed_losses(FakeElectra(uniform(size), constant), ready.batches, ready.counts)["replaced_share"]

    def best_constant(ids, attention_mask):
        return torch.full(ids.shape, float(np.log(share / (1 - share))))

    result = fixed_losses(FakeElectra(uniform(size), best_constant), ready.batches, ready.counts)
    assert result["rtd_auc"] == 0.5
    assert result["rtd_average_precision"] == pytest.approx(share)
    assert result["rtd_loss"] == pytest.approx(result["rtd_loss_floor"], abs=1e-5)
    assert result["rtd_recall"] == 0.0


def test_a_generator_that_knows_nothing_has_the_loss_of_a_fair_die(ready, tokenizer):
    size = tokenizer.get_vocab_size()
    result = fixed_losses(FakeElectra(uniform(size), constant), ready.batches, ready.counts)
    assert result["mlm_loss"] == pytest.approx(np.log(size), abs=1e-4)
    assert result["replaced_share"] == pytest.approx(0.15, abs=0.02)


def test_the_unigram_floor_is_what_word_frequencies_alone_reach(ready, tokenizer, rows):
    counts = np.bincount(rows.ids, minlength=tokenizer.get_vocab_size()) + 1.0
    counts[: len(SPECIAL_TOKENS)] = 1

    def frequencies(masked_ids, attention_mask, chosen):
        return torch.tensor(np.log(counts)).float().expand(int(chosen.sum()), -1)

    result = fixed_losses(FakeElectra(frequencies, constant), ready.batches, ready.counts)
    assert result["mlm_loss"] == pytest.approx(result["mlm_loss_unigram"], abs=1e-4)


def test_samples_that_equal_the_original_count_as_original(ready, tokenizer):
    truth = iter([ids[chosen] for ids, _, chosen, _ in ready.batches])

    def oracle(masked_ids, attention_mask, chosen):
        return 100.0 * nn.functional.one_hot(next(truth), tokenizer.get_vocab_size())

    result = fixed_losses(FakeElectra(oracle, constant), ready.batches, ready.counts)
    assert result["replaced_share"] == 0.0 and result["mlm_loss"] == pytest.approx(0, abs=1e-6)
    assert np.isnan(result["rtd_auc"])


# --- special tokens and padding -----------------------------------------------------------------------------
def shouting_at(places):
    """The score of each piece is its id, but at some places it is absurd."""
    def judge(ids, attention_mask):
        return torch.where(places(ids, attention_mask), 1e4 * (1 + ids % 2), ids / 100.0)
    return judge


def ends(ids, attention_mask):
    return (ids == CLS_ID) | (ids == SEP_ID)


def padding(ids, attention_mask):
    return (ids == PAD_ID) | ~attention_mask


@pytest.mark.parametrize("places", [ends, padding])
def test_what_is_said_of_special_tokens_changes_no_score(places, exam, ready, tokenizer):
    nowhere = shouting_at(lambda ids, attention_mask: torch.zeros_like(attention_mask))
    assert take_exam(Fake(shouting_at(places)), tokenizer, exam) == take_exam(Fake(nowhere), tokenizer, exam)
    size = tokenizer.get_vocab_size()
    results = [
        fixed_losses(FakeElectra(uniform(size), judge), ready.batches, ready.counts)
        for judge in (shouting_at(places), nowhere)
    ]
    assert results[0] == results[1]


def test_padding_changes_no_score(electra, exam, ready, monkeypatch):
    padded = ready.run(electra)
    rows = [ids[i][mask[i]] for ids, mask, _, _ in ready.batches for i in range(len(ids))]
    chosen = [c[i][mask[i]] for _, mask, c, _ in ready.batches for i in range(len(c))]
    alone = [
        (row[None], torch.ones(1, len(row), dtype=torch.bool), c[None], row[None] < len(SPECIAL_TOKENS))
        for row, c in zip(rows, chosen, strict=True)
    ]
    assert sum(not mask.all() for _, mask, _, _ in ready.batches) > 0  # there was padding to begin with
    together, single = play(electra, ready.batches), play(electra, alone)
    for one, other in zip(together, single, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)
    monkeypatch.setattr(evaluation.batches_by_length, "__defaults__", (1,))  # one row a batch
    again = take_exam(electra.discriminator, None, ready.exam)
    assert again == pytest.approx({key: padded[key] for key in again}, abs=1e-6)


def test_only_ordinary_tokens_are_masked_and_15_percent_of_them(ready):
    special = torch.cat([special[chosen] for _, _, chosen, special in ready.batches])
    assert not special.any()
    ordinary = sum(int((~special).sum()) for *_, special in ready.batches)
    masked = sum(int(chosen.sum()) for _, _, chosen, _ in ready.batches)
    assert masked / ordinary == pytest.approx(0.15, abs=0.02)
    for ids, attention_mask, _, special in ready.batches:
        assert torch.equal(special, (ids < len(SPECIAL_TOKENS)) | ~attention_mask)


def test_all_chosen_places_are_hidden_from_the_generator_and_no_other(ready, tokenizer):
    shown = []

    def remember(masked_ids, attention_mask, chosen):
        shown.append(masked_ids)
        return uniform(tokenizer.get_vocab_size())(masked_ids, attention_mask, chosen)

    play(FakeElectra(remember, constant), ready.batches)
    for masked_ids, (ids, _, chosen, _) in zip(shown, ready.batches, strict=True):
        assert (masked_ids[chosen] == MASK_ID).all() and torch.equal(masked_ids[~chosen], ids[~chosen])


def test_special_tokens_are_never_drawn(ready, tokenizer):
    seen = []

    def fond_of_special(masked_ids, attention_mask, chosen):
        logits = torch.zeros(int(chosen.sum()), tokenizer.get_vocab_size())
        logits[:, : len(SPECIAL_TOKENS)] = 50.0
        return logits

    def remember(ids, attention_mask):
        seen.append(ids)
        return constant(ids, attention_mask)

    play(FakeElectra(fond_of_special, remember), ready.batches)
    for corrupted, (_, _, chosen, _) in zip(seen, ready.batches, strict=True):
        assert (corrupted[chosen] >= len(SPECIAL_TOKENS)).all()


# --- the same each time, and no trace -----------------------------------------------------------------------
def test_two_evaluations_of_one_model_are_equal_to_the_last_bit(electra, ready, tokenizer, rows, exam):
    first = ready.run(electra)
    torch.manual_seed(99)
    assert ready.run(electra) == first
    assert Evaluation.make(CORPUS, tokenizer, rows, 64, exam).run(electra) == first


def test_dropout_is_off_and_every_part_is_back_in_its_mode(ready, tokenizer):
    quiet, noisy = build(tokenizer), build(tokenizer, dropout=0.5)
    noisy.load_state_dict(quiet.state_dict())
    noisy.train()
    noisy.generator.encoder.embeddings.eval()  # a part that someone has frozen
    before = [part.training for part in noisy.modules()]
    assert ready.run(noisy) == ready.run(quiet.eval())
    assert [part.training for part in noisy.modules()] == before
    assert torch.is_grad_enabled()


def test_the_mode_is_restored_also_when_the_model_fails(tokenizer):
    def fail(ids, attention_mask):
        raise RuntimeError("no")

    fake = Fake(fail).train()
    with pytest.raises(RuntimeError):
        piece_logits(fake, [[2, 7, 3]])
    assert fake.training and torch.is_grad_enabled()


def test_evaluation_takes_no_random_number_from_the_training(electra, tokenizer, rows, exam):
    def states():
        return [torch.get_rng_state().tolist(), electra.rng.get_state().tolist(), random.getstate(),
                str(np.random.get_state())]

    before = states()
    Evaluation.make(CORPUS, tokenizer, rows, 64, exam).run(electra)
    assert states() == before


def test_evaluation_leaves_no_gradient(electra, ready):
    ready.run(electra)
    assert all(parameter.grad is None for parameter in electra.parameters())


def test_evaluation_computes_in_float32_inside_a_bfloat16_run(electra, ready):
    plain = ready.run(electra)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ready.run(electra) == plain


def test_training_settings_do_not_change_the_evaluation(electra, ready, tokenizer):
    other = build(tokenizer, mask_rate=0.4, temperature=3.0, keep=0.5, discriminator_weight=1.0)
    other.load_state_dict(electra.state_dict())
    assert ready.run(other) == ready.run(electra)


def test_the_samples_do_not_depend_on_the_generator_as_far_as_they_can(ready, tokenizer):
    """The same numbers are drawn: a generator a little better changes some samples, not all."""
    size = tokenizer.get_vocab_size()
    tilted = torch.linspace(0, 0.05, size)
    labels = [play(FakeElectra(generate, constant), ready.batches)[3] for generate in (
        uniform(size), lambda masked_ids, attention_mask, chosen: tilted.expand(int(chosen.sum()), -1))]
    assert (labels[0] == labels[1]).mean() > 0.99


# --- the parts ----------------------------------------------------------------------------------------------
def test_logits_come_back_in_the_order_of_the_rows_and_at_their_length(electra):
    rows = [[2, 9, 8, 3], [2, 30, 3], [2, 9, 8, 7, 6, 5, 3], [2, 11, 3]]
    together = piece_logits(electra.discriminator, rows)
    for row, logits in zip(rows, together, strict=True):
        alone = electra.discriminator(torch.tensor([row]), torch.ones(1, len(row), dtype=torch.bool))[0]
        np.testing.assert_allclose(logits, alone.detach().numpy(), atol=1e-5)
        assert logits.dtype == np.float32


def test_pieces_belong_to_words_and_punctuation_to_none(tokenizer):
    text = "Isn't he, Anna?"
    encoding = tokenizer.encode(text)
    words = words_of_pieces(encoding, text)
    named = {}
    for token, word in zip(encoding.tokens, words, strict=True):
        named.setdefault(int(word), []).append(token.removeprefix("##"))
    none = named.pop(-1)
    assert set(none) >= {"[CLS]", "[SEP]"} and len(none) == 4  # and the comma, and the question mark
    assert set(named) == {0, 1, 2} and len(named[0]) >= 3  # isn ' t


def test_a_word_is_as_suspect_as_its_most_suspect_piece():
    logits, words = np.array([9.0, 1, 3, 2, 8, 9], dtype=np.float32), np.array([-1, 0, 0, 1, -1, -1])
    assert word_suspicion(logits, words).tolist() == [3.0, 2.0]


def test_found_means_the_most_suspect_word_and_a_tie_is_shared():
    row, words = [2, 10, 11, 12, 3], np.array([-1, 0, 1, 2, -1])

    def judge(ids, attention_mask):
        return torch.where(ids >= 11, 5.0, 0.0)

    auc, found = find_replaced(Fake(judge), [(row, words, 1), (row, words, 0)])
    assert found == pytest.approx((0.5 + 0) / 2)
    assert auc == pytest.approx(roc_auc([0, 5, 5, 0, 5, 5], [0, 1, 0, 1, 0, 0]))


def test_a_pair_is_scored_by_the_sum_of_log_p_original_of_its_pieces():
    scores = pair_scores(Fake(lambda ids, attention_mask: ids - 10.0), [([2, 9, 3], [2, 12, 10, 3])])

    def log_original(logit):
        return np.log(1 - 1 / (1 + np.exp(-logit)))

    np.testing.assert_allclose(scores, [[log_original(-1), log_original(2) + log_original(0)]], rtol=1e-6)


def test_the_loss_is_the_cross_entropy_of_the_logits(electra, ready):
    _, _, scores, labels = play(electra, ready.batches)
    p = 1 / (1 + np.exp(-scores.astype(float)))
    expected = -np.log(np.where(labels, p, 1 - p)).mean()
    assert fixed_losses(electra, ready.batches, ready.counts)["rtd_loss"] == pytest.approx(expected, abs=1e-6)


def test_a_prepared_exam_gives_the_same_scores(electra, exam, tokenizer):
    prepared = PreparedExam.make(exam, tokenizer)
    plain = take_exam(electra.discriminator, tokenizer, exam)
    assert take_exam(electra.discriminator, None, prepared) == plain


def test_a_run_is_asked_what_chooses_on_its_way_and_what_reports_at_its_end(electra, exam, tokenizer, rows,
                                                                            monkeypatch):
    monkeypatch.setattr(exam_module, "SMALLEST_SPLIT", 1)
    split = Evaluation.make(CORPUS, tokenizer, rows, 64, exam)
    for limit, part in ((10**6, "choose"), (None, "report")):
        alone = take_exam(electra.discriminator, tokenizer, exam.part(part))
        assert {key: split.run(electra, limit)[key] for key in alone} == alone
        assert alone != take_exam(electra.discriminator, tokenizer, exam)
    whole = Evaluation.make(CORPUS, tokenizer, rows, 64, exam, parts=("all", "all")).run(electra)
    assert whole["exam_pairs"] == take_exam(electra.discriminator, tokenizer, exam)["exam_pairs"]


def test_a_limited_exam_is_spread_over_the_whole_and_fixed(electra, exam, tokenizer):
    assert spread(list(range(10)), 4) == [0, 2, 5, 7] and spread([1, 2], 5) == [1, 2]
    thinned = Exam("", exam.easy[::3], exam.medium[::3], exam.hard[::6])
    assert take_exam(electra.discriminator, tokenizer, exam, limit=10) == \
        take_exam(electra.discriminator, tokenizer, thinned)


def test_questions_longer_than_the_model_reads_are_left_out(tokenizer, exam):
    long = Replacement("zebra " * 50 + "end", 0, "zebra", "ox")
    mixed = Exam("", [*exam.easy, long], [long], [*exam.hard, Pair("", long.before, long.after)])
    result = take_exam(Fake(constant, 40), tokenizer, mixed)
    assert result == take_exam(Fake(constant, 40), tokenizer, Exam("", exam.easy, [], exam.hard))
    assert result["exam_medium_auc"] is None


def test_the_held_out_text_comes_half_from_each_source(tokenizer):
    heldout = {"long": [" ".join(TEXT[i : i + 4]) for i in range(0, 400, 4)], "short": TEXT[400:]}
    rows = heldout_rows(heldout, tokenizer, 64, tokens=3000)
    long = {tuple(row) for row in make_rows(heldout["long"], tokenizer, 64)}
    sizes = [sum(len(row) for row in rows if (tuple(row) in long) == side) for side in (True, False)]
    assert sizes == pytest.approx([1500, 1500], rel=0.1)


def test_unigram_counts_leave_special_tokens_out(rows, tokenizer):
    counts = unigram_counts(rows, tokenizer.get_vocab_size())
    assert counts[: len(SPECIAL_TOKENS)].sum() == 0
    assert counts[7] == sum(int((row == 7).sum()) for row in rows)


def test_masks_are_fixed_and_another_seed_gives_others(rows):
    some = [rows[i] for i in range(30)]
    same, again, other = mask_rows(some), mask_rows(some), mask_rows(some, seed=1)
    assert all(torch.equal(a[2], b[2]) for a, b in zip(same, again, strict=True))
    assert not all(torch.equal(a[2], b[2]) for a, b in zip(same, other, strict=True))


def test_metrics_have_the_names_of_the_design(electra, ready):
    assert list(ready.run(electra, limit=5)) == [
        "exam_easy_auc", "exam_easy_found", "exam_medium_auc", "exam_medium_found", "exam_pairs",
        "rtd_auc", "rtd_average_precision", "rtd_recall", "rtd_loss", "rtd_loss_floor", "replaced_share",
        "mlm_loss", "mlm_loss_unigram",
    ]
