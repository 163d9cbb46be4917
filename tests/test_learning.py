"""Does it learn? Two short trainings against the floors of a model that has learned nothing.

The thresholds leave room: they lie well below the worst of several seeds, and well above the floor.
"""
import pytest
from conftest import toy_preset, toy_sentences

from electra_tutorial.corpus import Corpus, load_corpus
from electra_tutorial.presets import PRESETS
from electra_tutorial.probes import score_pairs
from electra_tutorial.training import pretrain

SETTINGS = dict(dtype="float32", device="cpu", quiet=True, evaluations=1)
VERBS = {"see", "want", "find", "like", "know", "paint", "sell", "bring", "draw", "keep"}


@pytest.fixture(scope="module")
def tiny_run(shared_data):
    """The `tiny` size after 1,000 steps of about 500 tokens of the grammar corpus."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELECTRA_TUTORIAL_DATA", str(shared_data))
        preset = PRESETS["tiny"].with_changes(batch_tokens=512)
        return pretrain(preset, load_corpus("grammar"), steps=1000, **SETTINGS)


def test_an_untrained_model_is_at_chance_in_the_exam(tiny_run):
    untrained = tiny_run.history[0]
    for part in ("exam_easy_auc", "exam_medium_auc", "exam_pairs"):
        assert abs(untrained[part] - 0.5) < 0.1, part


def test_the_discriminator_finds_replaced_words(tiny_run):
    metrics = tiny_run.metrics
    assert metrics["exam_easy_auc"] > 0.75
    assert metrics["exam_medium_auc"] > 0.65
    assert metrics["exam_easy_found"] > 0.3 and metrics["exam_medium_found"] > 0.25  # chance: one word in eight
    assert metrics["rtd_auc"] > 0.65
    assert metrics["rtd_loss"] < metrics["rtd_loss_floor"] - 0.02


def test_the_generator_knows_more_than_how_often_words_occur(tiny_run):
    assert tiny_run.metrics["mlm_loss"] < tiny_run.metrics["mlm_loss_unigram"] - 0.5


def with_the_other_verb(sentence):
    """The sentence with its verb in the other number: "The dog sees it." -> "The dog see it." """
    words = sentence.split()
    place = next(i for i, word in enumerate(words) if word in VERBS or word[:-1] in VERBS)
    words[place] = words[place][:-1] if words[place] not in VERBS else words[place] + "s"
    return " ".join(words)


def test_both_models_learn_that_verbs_agree(data):
    lines = list(dict.fromkeys(toy_sentences(5000)))
    heldout, train = lines[:200], lines[200:]
    pairs = [(line, with_the_other_verb(line)) for line in heldout]
    assert not {bad for _, bad in pairs} & set(lines)
    preset = toy_preset(vocab_size=300, generator_width=32, mask_rate=0.25, batch_tokens=512, learning_rate=5e-3)
    run = pretrain(preset, Corpus("agreement", {"toy": train}, {"toy": heldout}), steps=800, **SETTINGS)
    for half in ("discriminator", "generator"):
        assert score_pairs(pairs, run.electra, run.tokenizer, half)["accuracy"] > 0.8, half
