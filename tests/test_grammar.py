"""The grammar corpus: its sentences, their exact chances, the best possible detector, minimal pairs."""
import itertools
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_tutorial import grammar
from electra_tutorial.errors import UserError
from electra_tutorial.grammar import (
    BestDetector,
    best_auc,
    best_scores,
    draw,
    guess_probability,
    minimal_pairs,
    probability,
    read,
    replacement_rule,
    scenes,
    sentences,
    skeletons,
    tables,
    verb_forms,
    word_classes,
    write,
)
from electra_tutorial.metrics import roc_auc


def chance(text):
    return probability(read(text))


# --- sentences --------------------------------------------------------------------------------------------
def test_sentences_look_like_sentences():
    for sentence in sentences(300, seed=3):
        assert sentence[0].isupper() and sentence.endswith(".") and "  " not in sentence
        assert all(word.isalpha() for word in sentence[:-1].split())


def test_there_are_some_two_thousand_words_over_twelve_topics():
    assert 1800 <= len(tables().words) <= 2300
    assert len({scene.topic for scene in scenes()}) == 12
    assert all(word.isalpha() for word in tables().words)  # a kind without a list would show by its dot


def test_a_seed_draws_the_same_in_any_process_and_another_seed_does_not():
    code = "from electra_tutorial.grammar import *; print(sentences(2000, 7), minimal_pairs(50, 7))"
    environment = {**os.environ, "PYTHONHASHSEED": "123"}
    there = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert there == f"{sentences(2000, 7)} {minimal_pairs(50, 7)}\n"
    assert sentences(2000, 7) != sentences(2000, 8)
    assert sentences(10, 7) == sentences(2000, 7)[:10]


def test_a_negative_number_is_refused():
    for ask in (sentences, minimal_pairs):
        with pytest.raises(UserError, match="-1"):
            ask(-1)
        assert ask(0) == []


@pytest.mark.parametrize("base, forms", [
    ("chop", "chop chops chopping chopped chopped"), ("carry", "carry carries carrying carried carried"),
    ("bake", "bake bakes baking baked baked"), ("wash", "wash washes washing washed washed"),
    ("write", "write writes writing wrote written"), ("play", "play plays playing played played"),
    ("break", "break breaks breaking broke broken"), ("cut", "cut cuts cutting cut cut"),
])
def test_verbs_are_spelled_as_in_english(base, forms):
    assert verb_forms(base) == tuple(forms.split())


@pytest.mark.parametrize("one, many", [
    ("berry", "berries"), ("box", "boxes"), ("day", "days"), ("ox", "oxen")
])
def test_nouns_are_spelled_as_in_english(one, many):
    assert grammar.plural(one) == many


def test_each_list_says_a_or_an_by_its_own_words():
    for scene in scenes():
        for kind, options in scene.entries.items():
            if kind.endswith((".c", ".v")):
                assert {word[0] in "aeiou" for word, _ in options} == {kind.endswith(".v")}
    needed = {kind for skeleton in skeletons() for kind in skeleton.kinds if "." in kind or "_" in kind}
    assert all(needed <= set(scene.entries) for scene in scenes())


# --- known probabilities ----------------------------------------------------------------------------------
def test_all_chances_sum_to_one():
    assert sum(skeleton.probability for skeleton in skeletons()) == pytest.approx(1)
    for scene in scenes():
        for kind, options in scene.entries.items():
            assert sum(p for _, p in options) == pytest.approx(1), (scene.topic, kind)


def test_the_chances_of_all_sentences_of_two_words_sum_to_that_of_two_words():
    names = grammar.SHARED["name.f"].split() + grammar.SHARED["name.m"].split()
    verbs = sorted({word for scene in scenes() for word, _ in scene.entries["act.sg"]})
    total = sum(probability(pair) for pair in itertools.product(names, verbs))
    assert total == pytest.approx(sum(s.probability for s in skeletons() if len(s.kinds) == 2))


def test_a_chance_is_the_sum_the_docstring_says():
    total = 0
    words = "the bakers cut the cake".split()  # "cut" is present and past: both ways count
    for skeleton, scene in itertools.product(skeletons(), scenes()):
        if len(skeleton.kinds) == len(words):
            each = [sum(p for choice, p in grammar.choices(kind, scene) if choice == word)
                    for kind, word in zip(skeleton.kinds, words, strict=True)]
            total += skeleton.probability * np.prod(each) / len(scenes())
    assert probability(words) == pytest.approx(total) and total > 0


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_whatever_is_drawn_is_possible_and_survives_being_written(seed):
    for _, words in itertools.islice(draw(seed), 3):
        assert probability(words) > 0
        assert read(write(words)) == words


def test_words_are_drawn_as_often_as_the_tables_say():
    n = 20_000
    counts = Counter(word for _, words in itertools.islice(draw(1), n) for word in words)
    expected = tables().usage.sum(1) * n
    common = expected > 100
    seen = np.array([counts[word] for word in tables().words])
    assert sum(seen) == pytest.approx(expected.sum(), rel=0.01)
    assert np.abs(seen - expected)[common].max() < 6 * np.sqrt(expected[common].max())
    assert np.mean(((seen - expected) ** 2 / expected)[common]) == pytest.approx(1, abs=0.35)


@pytest.mark.parametrize("good, bad", [
    ("The cook peels an onion.", "The cook peels a onion."),  # article
    ("The cook peels the onion.", "The cook peels the whale."),  # selection: a word of another topic
    ("The cook peels the onion.", "The onion peels the cook."),
    ("The plates near the oven are hot.", "The plates near the oven is hot."),  # the nearest noun misleads
    ("The cooks with the onion peel the apple.", "The cooks with the onion peels the apple."),
    ("The cooks who peel the onion are tired.", "The cooks who peels the onion are tired."),
    ("The cooks who peel the onion are tired.", "The cooks who peel the onion is tired."),
    ("The onion that those cooks peel is fresh.", "The onion that those cooks peel are fresh."),
    ("The onion that those cooks peel is fresh.", "The onion that those cooks peels is fresh."),
    ("Nora helps herself.", "Nora helps himself."),
    ("Hugo wraps the coat because he is tired.", "Hugo wraps the coat because she is tired."),
    ("The cooks laugh.", "The cooks laughs."),
])
def test_the_grammar_agrees_and_selects(good, bad):
    assert chance(good) > 0
    assert chance(bad) == 0


@pytest.mark.parametrize("text", ["The plates near the oven are hot.", "Nora can help herself."])
def test_the_chance_of_a_hidden_word_is_its_share_among_all_words_that_fit_there(text):
    words = read(text)
    for place, word in enumerate(words):
        fits = {other: probability([*words[:place], other, *words[place + 1 :]]) for other in tables().words}
        assert guess_probability(words, place) == pytest.approx(fits[word] / sum(fits.values()))
    assert guess_probability(words, len(words)) == 1.0  # the full stop
    with pytest.raises(UserError, match="nothing that the grammar can say"):
        guess_probability([*words, "oven"], 0)


def test_what_the_grammar_cannot_say_has_chance_zero():
    for text in ("", "cook", "the electron laughs", " ".join(["the"] * 40)):
        assert probability(text.split()) == 0
    assert read("") == []


# --- the best possible detector ---------------------------------------------------------------------------
@pytest.fixture(scope="module")
def detectors():
    return {rule: BestDetector(rule) for rule in ("easy", "medium")}


def test_a_rule_replaces_no_name_and_nothing_by_itself():
    for rule in ("easy", "medium"):
        chances = replacement_rule(rule)
        names = np.array([word[0].isupper() for word in tables().words])
        assert chances[names].sum() == chances[:, names].sum() == np.trace(chances) == 0
        sums = chances.sum(1)
        assert np.all((np.abs(sums - 1) < 1e-9) | (sums == 0))
    with pytest.raises(UserError, match="'hard'"):
        replacement_rule("hard")


def test_medium_keeps_the_class():
    classes = dict(zip(tables().words, word_classes().tolist(), strict=True))
    assert classes["onion"] == classes["whale"] == classes["sailor"] != classes["onions"]
    assert classes["peeling"] == classes["laughing"] != classes["peels"]
    assert len({classes[word] for word in ("onion", "onions", "peeling", "hot", "the", "near")}) == 6


@pytest.mark.parametrize("rule, text", [
    ("easy", "Anna laughs whale"), ("easy", "onion cook laughs"), ("medium", "my cook laughs")
])
def test_suspicion_is_bayes_rule_summed_over_every_original(detectors, rule, text):
    words, detector, t = text.split(), detectors[rule], tables()
    joint = np.zeros(len(words))
    for i, word in enumerate(words):
        for original in t.words:
            put_in = detector.rule[t.numbers[original], t.numbers[word]]
            if put_in:
                joint[i] += probability([*words[:i], original, *words[i + 1 :]]) * put_in
    assert detector.suspicion(words) == pytest.approx(joint / joint.sum())


def game(detector, n, seed):
    """n sentences of which one word was replaced, each with the place of that word."""
    rng = np.random.default_rng(seed)
    replaced = (detector.replace(words, rng) for _, words in draw(seed))
    return list(itertools.islice(filter(None, replaced), n))


def test_suspicion_is_calibrated(detectors):
    said, true = [], []
    for words, place in game(detectors["medium"], 1000, seed=5):
        said.extend(detectors["medium"].suspicion(words))
        true.extend(np.arange(len(words)) == place)
    said, true = np.array(said), np.array(true)
    for low, high in itertools.pairwise((0, 0.02, 0.1, 0.3, 0.6, 0.9, 1.001)):
        inside = (said >= low) & (said < high)
        spread = np.sqrt(said[inside].mean() * (1 - said[inside].mean()) / inside.sum())
        assert abs(said[inside].mean() - true[inside].mean()) < 4 * spread + 0.005


def test_plainer_detectors_do_worse_than_the_best_one(detectors):
    t, noise = tables(), np.random.default_rng(6)
    best, labels, rare, astray, shaken = [], [], [], [], []
    for words, place in game(detectors["medium"], 600, seed=6):
        numbers = [t.numbers[word] for word in words]
        suspicion = detectors["medium"].suspicion(words)
        best.extend(suspicion)
        labels.extend(np.arange(len(words)) == place)
        rare.extend(-t.usage.sum(1)[numbers])
        home = (t.chances[numbers].sum(1) > 0).astype(float)  # (T, S) which scenes know the word
        astray.extend(-(home @ home.sum(0)) / home.sum(1))  # knows the topic, not the order of words
        shaken.extend(suspicion * noise.uniform(0.2, 1, len(words)))
    for plainer in (rare, astray, shaken):
        assert 0.5 < roc_auc(plainer, labels) < roc_auc(best, labels) - 0.001


def test_easy_is_easier_than_medium_and_neither_is_perfect(detectors):
    easy, medium = best_scores("easy", 300), best_scores(detectors["medium"], 300)
    assert 0.98 < easy["auc"] < 1 and 0.9 < easy["found"] < 1
    assert 0.9 < medium["auc"] < easy["auc"] and medium["found"] < easy["found"]
    assert 0.1 < medium["chance"] < 0.25 < medium["found"]
    assert best_auc(detectors["medium"], 300) == medium["auc"]


def test_the_area_is_the_roc_auc_of_the_metrics():
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 9, 300) / 9, rng.random(300) < 0.2  # many ties
    assert grammar.area(scores, labels) == pytest.approx(roc_auc(scores, labels))


def test_a_sentence_the_detector_cannot_know_is_named(detectors):
    with pytest.raises(UserError, match="electron"):
        detectors["easy"].suspicion(["the", "electron", "laughs"])


# --- minimal pairs ----------------------------------------------------------------------------------------
def test_minimal_pairs_differ_in_one_word_and_only_the_good_one_is_possible():
    pairs = minimal_pairs(450, seed=2)
    assert len(set(pairs)) == 450
    for name, good, bad in pairs:
        changed = [(a, b) for a, b in zip(read(good), read(bad), strict=True) if a != b]
        assert len(changed) == 1, (name, good, bad)
        assert chance(good) > 0 == chance(bad)


def test_minimal_pairs_cover_every_phenomenon_alike():
    counts = Counter(name for name, _, _ in minimal_pairs(95))
    assert set(counts) == set(grammar.PHENOMENA) and len(counts) >= 5
    assert max(counts.values()) - min(counts.values()) <= 1


def test_distant_agreement_has_a_noun_of_either_number_in_between():
    pairs = [good.split() for name, good, _ in minimal_pairs(450) if name == "across_phrase"]
    assert len(pairs) == 50
    singular_verb = sum(bool({"is", "was", "has", "does"} & set(words)) for words in pairs)
    assert 5 < singular_verb < 45
