"""A body that knows something learns a task; every number of the recipe does what it says."""
import copy

import pytest
import torch
from conftest import toy_batch, toy_preset, toy_sentences

from electra_tutorial import finetune, tasks
from electra_tutorial.errors import UserError
from electra_tutorial.finetune import Classifier, Recipe, body_of, finetune_classes
from electra_tutorial.model import Electra
from electra_tutorial.tokens import train_tokenizer


@pytest.fixture(scope="module")
def electra():
    torch.manual_seed(0)
    return Electra(toy_preset())


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(toy_sentences(300), 120)


def toy_task(n=300, classes=("one", "many")):
    """Is the subject one or many? The letter after the noun tells."""
    texts = list(dict.fromkeys(toy_sentences(3 * n)))[:n]
    examples = [tasks.Labelled(text, int("s" == next(w for w in text.split() if w not in
                ("The", "small", "tall"))[-1])) for text in texts]
    two, five = n * 2 // 3, n * 5 // 6
    return tasks.Task("number", classes, examples[:two], examples[two:five], examples[five:])


# --- the body and the head ----------------------------------------------------------------------------------
def test_the_body_is_a_copy_and_the_model_stays_as_it_was(electra, tokenizer):
    before = copy.deepcopy(electra.state_dict())
    finetune_classes(electra, tokenizer, toy_task(60), Recipe(epochs=1, dropout=0.3))
    assert all(torch.equal(before[name], tensor) for name, tensor in electra.state_dict().items())


def test_dropout_reaches_every_part_that_has_some_and_fewer_layers_are_the_lowest(electra):
    body = body_of(electra, layers=1, dropout=0.3)
    assert len(body.blocks) == 1
    assert torch.equal(body.blocks[0].up.weight, electra.discriminator.encoder.blocks[0].up.weight)
    assert body.blocks[0].attention.dropout == body.blocks[0].dropout.p == body.embeddings.dropout.p == 0.3
    assert electra.discriminator.encoder.blocks[0].attention.dropout == 0.0


def test_padding_changes_no_decision(electra):
    model = Classifier(body_of(electra), 3).eval()
    ids, mask = toy_batch()
    alone = [model(row[None, :n], None) for row, n in zip(ids, mask.sum(1).tolist(), strict=True)]
    assert torch.allclose(model(ids, mask), torch.cat(alone), atol=1e-5)


def test_each_layer_learns_more_slowly_than_the_one_above_it(electra):
    model = Classifier(body_of(electra), 2)
    groups = finetune.layer_groups(model, Recipe(layer_decay=0.5))
    scale = {id(p): group["scale"] for group in groups for p in group["params"]}
    assert set(scale) == {id(p) for p in model.parameters()}
    assert len([p for group in groups for p in group["params"]]) == len(scale)  # each once
    body = model.encoder
    assert scale[id(model.output.weight)] == 1
    assert scale[id(body.blocks[1].up.weight)] == 0.5 and scale[id(body.blocks[0].up.weight)] == 0.25
    assert scale[id(body.embeddings.token.weight)] == 0.125


def test_norms_and_biases_do_not_decay(electra):
    for group in finetune.layer_groups(Classifier(body_of(electra), 2), Recipe(weight_decay=0.1)):
        assert all((p.dim() >= 2) == (group["weight_decay"] > 0) for p in group["params"])


def test_without_layer_decay_above_zero_the_body_stands_still(electra, tokenizer):
    fit = finetune_classes(electra, tokenizer, toy_task(60), Recipe(epochs=2, layer_decay=0.0))
    for ours, theirs in zip(fit.model.encoder.parameters(), electra.discriminator.encoder.parameters(), strict=True):
        assert torch.equal(ours, theirs)


# --- the loop -----------------------------------------------------------------------------------------------
def test_a_toy_task_is_learned(electra, tokenizer):
    fit = finetune_classes(electra, tokenizer, toy_task(), Recipe(epochs=12, learning_rate=3e-3, patience=0))
    assert 0.6 < fit.interval[0] <= fit.score <= fit.interval[1]  # a coin gets .5
    assert fit.history[-1]["loss"] < fit.history[0]["loss"]


def test_the_same_seed_gives_the_same_numbers(electra, tokenizer):
    runs = [finetune_classes(electra, tokenizer, toy_task(60), Recipe(epochs=1, dropout=0.2), seed).history
            for seed in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]


def judge_from(losses):
    left = iter(losses)
    return lambda model: {"loss": next(left)}


def small_run(electra, losses, **recipe):
    """Train on 32 rows, four looks, with a judge that says these losses: (history, weights at each look)."""
    model, seen = Classifier(body_of(electra), 2), []
    ids, mask = toy_batch((5,) * 32)
    recipe = Recipe(epochs=4, batch=16, looks=len(losses), **recipe)
    history = finetune.train(model, ids.tolist(), [0, 1] * 16, recipe, judge_from(losses),
                             tell=lambda row: seen.append(copy.deepcopy(model.output.weight.data)))
    return history, seen, model.output.weight.data


def test_it_stops_after_so_many_looks_without_a_gain_and_keeps_the_best(electra):
    history, seen, weight = small_run(electra, [0.5, 0.3, 0.4, 0.6, 0.1, 0.1, 0.1, 0.1], patience=2)
    assert [row["loss"] for row in history] == [0.5, 0.3, 0.4, 0.6]
    assert torch.equal(weight, seen[1]) and not torch.equal(weight, seen[3])


def test_without_patience_it_goes_to_the_end_and_keeps_the_last(electra):
    history, seen, weight = small_run(electra, [0.5, 0.3, 0.4, 0.6], patience=0)
    assert len(history) == 4 and torch.equal(weight, seen[3])


def test_looks_are_evenly_spaced_and_the_last_step_is_one():
    assert finetune.look_steps(100, 4) == {25, 50, 75, 100}
    assert finetune.look_steps(3, 8) == {1, 2, 3}


def test_an_epoch_is_every_row_once():
    import random
    batches = finetune.shuffled_batches([[0] * n for n in range(10)], 4, random.Random(0))
    assert sorted(sum((next(batches) for _ in range(3)), [])) == list(range(10))


# --- bad input ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("numbers", "words"), [
    ({"epochs": 0}, "epochs=0 must be a whole number from 1"),
    ({"patience": -1}, "patience=-1 must be a whole number from 0"),
    ({"learning_rate": -1.0}, "learning_rate=-1.0"),
    ({"dropout": 2.0}, "dropout=2.0 is a share"),
    ({"layers": 1.5}, "layers=1.5"),
])
def test_a_recipe_that_makes_no_sense_is_refused(numbers, words):
    with pytest.raises(UserError, match=words):
        Recipe(**numbers)


def test_more_layers_than_there_are_is_refused(electra):
    with pytest.raises(UserError, match="layers=9: this model has 2"):
        body_of(electra, layers=9)


def test_a_text_longer_than_the_model_reads_is_cut_and_that_is_said(electra, tokenizer):
    task = toy_task(60)
    task.train[0] = tasks.Labelled("The dog sees the cat. " * 30, 0)
    fit = finetune_classes(electra, tokenizer, task, Recipe(epochs=1))
    assert fit.notes == ["1 texts are longer than the 48 pieces this model reads: their ends were cut."]


def test_of_a_hundred_thousand_rows_some_are_drawn_and_that_is_said(electra, tokenizer, monkeypatch):
    monkeypatch.setattr(finetune, "MOST", 40)
    fit = finetune_classes(electra, tokenizer, toy_task(120), Recipe(epochs=1))
    assert fit.notes == ["Of 80 examples to train on, 40 were drawn."] and fit.history[-1]["step"] == 2


def test_a_label_beyond_the_heads_classes_is_refused(electra, tokenizer):
    task = toy_task(60)
    task.train[0] = tasks.Labelled("The dog sees the cat.", 2)
    with pytest.raises(UserError, match="label 2.*2 classes"):
        finetune_classes(electra, tokenizer, task, Recipe(epochs=1))


def test_few_examples_get_more_epochs(electra, tokenizer):
    fit = finetune.finetune_sentiment(electra, tokenizer, 100, task=toy_task(300))
    assert fit.recipe.epochs == 30
    assert finetune.finetune_sentiment(electra, tokenizer, 100, Recipe(epochs=1), task=toy_task()).recipe.epochs == 1
