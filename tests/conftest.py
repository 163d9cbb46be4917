"""What the tests of the core share: one thread, a toy text, a toy model, a data folder of their own."""

import os
import random

os.environ.setdefault("OMP_NUM_THREADS", "1")  # several test processes share the machine's cores

import hypothesis
import pytest
import torch

from electra_tutorial.corpus import Corpus
from electra_tutorial.presets import Preset
from electra_tutorial.tokens import CLS_ID, PAD_ID, SEP_ID, SPECIAL_TOKENS

torch.set_num_threads(1)
# The same examples each time: a student's run of the tests fails for what the student changed, not by chance.
hypothesis.settings.register_profile("course", deadline=None, derandomize=True)
hypothesis.settings.load_profile("course")


@pytest.hookimpl(trylast=True)  # after pytest has put tests of one lesson together
def pytest_collection_modifyitems(items):
    """The lessons first: whole notebooks, of which one worker would be left with the last ones while others wait."""
    items.sort(key=lambda item: item.path.name != "test_lessons.py")


def toy_sentences(n, seed=0):
    """Sentences in which verb and noun agree: enough for a vocabulary, rows and an exam, made in no time."""
    rng = random.Random(seed)
    people = ["dog", "cat", "girl", "boy", "teacher", "farmer", "doctor", "singer", "friend", "child"]
    things = ["apple", "letter", "garden", "window", "story", "table", "bottle", "picture", "river", "ball"]
    verbs = ["see", "want", "find", "like", "know", "paint", "sell", "bring", "draw", "keep"]
    ends = ["today", "every morning", "in the house", "near the old tree", "with great care", "again", ""]
    found = []
    for _ in range(n):
        one = rng.random() < 0.5
        who, what = rng.choice(people), rng.choice(things)
        subject = f"The {who}" if one else f"The {rng.choice(['small ', 'tall ', ''])}{who}s"
        verb = rng.choice(verbs) + "s" * one
        found.append(" ".join(f"{subject} {verb} the {what} {rng.choice(ends)}".split()) + ".")
    return found


@pytest.fixture(scope="session")
def corpus():
    """A `Corpus` of toy sentences, 500 to train on and 60 held out."""
    found = list(dict.fromkeys(toy_sentences(700)))
    return Corpus("toy", {"toy": found[60:560]}, {"toy": found[:60]})


def toy_preset(**changes):
    """A preset so small that a step takes milliseconds, whatever the real presets become."""
    sizes = dict(
        name="toy", vocab_size=120, max_length=48, embedding=16, width=32, layers=2, heads=4, feed_forward=48,
        generator_width=16, generator_layers=1, generator_heads=2, generator_feed_forward=24, positions="learned",
        norm="post", sharing="embeddings", packing=False, dropout=0.0, keep=0.0, mask_rate=0.15, mask_by_lot=False,
        temperature=1.0, discriminator_weight=50.0, tokens=20_000, batch_tokens=256, learning_rate=3e-3, warmup=0.1,
        clip=1.0, weight_decay=0.01, accumulate=1, odd_share=0.0, balance=1.0,
    )  # fmt: skip
    return Preset(**{**sizes, **changes})


def toy_batch(lengths=(9, 5, 12, 3), vocab_size=120, seed=0):
    """ids (B, T) long and attention_mask (B, T) bool of rows of these lengths, [CLS] and [SEP] included."""
    rng = torch.Generator().manual_seed(seed)
    ids = torch.full((len(lengths), max(lengths)), PAD_ID)
    for row, length in zip(ids, lengths, strict=True):
        row[:length] = torch.randint(len(SPECIAL_TOKENS), vocab_size, (length,), generator=rng)
        row[0], row[length - 1] = CLS_ID, SEP_ID
    return ids, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


@pytest.fixture(scope="session")
def shared_data(tmp_path_factory):
    """A data folder with an empty cache that the tests of one process share: an exam is made once."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def data(shared_data, monkeypatch):
    """Let the package keep its caches in `shared_data` while a test runs."""
    monkeypatch.setenv("ELECTRA_TUTORIAL_DATA", str(shared_data))
    return shared_data
