"""A body that knows something learns a task; every number of the recipe does what it says."""
import copy
import math
import re

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


def judge_from(errors, losses):
    left = iter([{"accuracy": 1 - error, "loss": loss} for error, loss in zip(errors, losses, strict=True)])
    return lambda model: next(left)


def small_run(electra, errors, losses=None, **recipe):
    """Train on 32 rows with a judge that says these errors, one a look: (history, weights at each look, at last)."""
    model, seen = Classifier(body_of(electra), 2), []
    ids, mask = toy_batch((5,) * 32)
    recipe = Recipe(epochs=4, batch=16, looks=len(errors), **recipe)
    history = finetune.train(model, ids.tolist(), [0, 1] * 16, recipe, judge_from(errors, losses or errors),
                             tell=lambda row: seen.append(copy.deepcopy(model.output.weight.data)))
    return history, seen, model.output.weight.data


def test_it_stops_after_so_many_looks_without_a_gain_and_keeps_the_best(electra):
    history, seen, weight = small_run(electra, [0.5, 0.3, 0.4, 0.6, 0.1, 0.1, 0.1, 0.1], patience=2)
    assert [row["loss"] for row in history] == [0.5, 0.3, 0.4, 0.6]
    assert torch.equal(weight, seen[1]) and not torch.equal(weight, seen[3])


def test_the_accuracy_decides_which_look_is_the_best_and_among_equals_the_loss(electra):
    _, seen, weight = small_run(electra, [0.5, 0.3, 0.2, 0.2], losses=[0.5, 0.6, 0.9, 0.8], patience=3)
    assert torch.equal(weight, seen[3]) and not torch.equal(weight, seen[2])


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


# --- naive Bayes --------------------------------------------------------------------------------------------
def test_naive_bayes_by_hand():
    train = [tasks.Labelled("Good film", 1), tasks.Labelled("bad, bad film", 0), tasks.Labelled("Good!", 1)]
    words, counts = finetune.count_by_class(train)
    assert words == ["bad", "film", "good"] and counts.tolist() == [[1, 1, 0], [0, 1, 2]]
    odds = finetune.word_log_odds(counts)  # with one added, class 1 has 6 and class 0 has 5
    assert odds[2].item() == pytest.approx(math.log(3 / 6) - math.log(1 / 5))
    assert odds[1].item() == pytest.approx(math.log(2 / 6) - math.log(2 / 5))


def test_naive_bayes_learns_from_words_and_passes_over_new_ones():
    train = [tasks.Labelled("A warm film.", 1), tasks.Labelled("A dull film.", 0)]
    test = [tasks.Labelled("So warm!", 1), tasks.Labelled("Dull, dull.", 0)]
    accuracy, (low, high) = finetune.naive_bayes(train, test)
    assert accuracy == 1.0 and low == high == 1.0


# --- answers ------------------------------------------------------------------------------------------------
CONTEXT = "The dog sees the apple. The girl wants the letter in the house. The boy paints the window today."


def toy_questions(n):
    """Who does it? The answer is what stands between "The" and the verb."""
    made = []
    for text in dict.fromkeys(toy_sentences(3 * n)):
        words = text.rstrip(".").split()
        noun = next(word for word in words[1:] if word not in ("small", "tall"))
        verb = words[words.index(noun) + 1]
        made.append(tasks.Question(f"Who {verb}?", text, noun, text.index(f" {noun} ") + 1))
    two, five = n * 2 // 3, n * 5 // 6
    return tasks.Task("who", (), made[:two], made[two:five], made[five:n])


@pytest.mark.parametrize(("length", "room", "step"), [(10, 20, 10), (21, 20, 10), (100, 30, 7), (5, 4, 1)])
def test_windows_cover_everything_and_none_is_idle(length, room, step):
    starts = finetune.window_starts(length, room, step)
    assert {place for start in starts for place in range(start, start + room)} >= set(range(length))
    assert all(start + room < length for start in starts[:-1])


def test_a_long_context_is_read_in_windows_and_that_is_said(electra, tokenizer):
    model = finetune.SpanReader(body_of(electra)).eval()
    short, long = finetune.answer_all(model, tokenizer, [("Who sees?", CONTEXT[:23]), ("Who sees?", CONTEXT * 3)])
    assert short.note == "" and re.search(r"in \d windows", long.note)
    assert (CONTEXT * 3)[long.start: long.end] == long.text != ""


def test_the_places_of_an_answer_are_those_of_its_pieces(tokenizer):
    context = "The girl wants the letter in the house."
    (window,) = finetune.read_windows("Who wants?", context, tokenizer, 48)
    start = context.index("letter")
    first, last = finetune.places_in(window, start, start + len("letter"))
    spans = window.spans[first - window.begins: last - window.begins + 1]
    assert (spans[0][0], spans[-1][1]) == (start, start + len("letter"))
    whole = tokenizer.encode("Who wants?", context)
    assert window.ids == whole.ids  # as the tokenizer pairs them, and so does `transformers`
    assert finetune.places_in(window, 400, 410) is None


def test_the_best_span_is_found_among_those_allowed():
    start, end = torch.tensor([9.0, 0.0, 1.0, 0.0]), torch.tensor([0.0, 0.0, 2.0, 8.0])
    assert finetune.best_span(start, end, 4) == (0, 3)
    assert finetune.best_span(start, end, 2) == (0, 0)  # 9 + 0, and 2 to 3 has 1 + 8: the first of equals


def test_f1_of_answers_by_hand():
    assert finetune.span_f1(["in", "port", "louis"], ["port", "louis"]) == pytest.approx(0.8)
    assert finetune.span_f1([], ["lima"]) == finetune.span_f1(["quito"], ["lima"]) == 0.0
    assert finetune.plain_words("The Port-Louis!") == ["port", "louis"]


def test_a_toy_reader_learns_who_does_it_and_says_where(electra, tokenizer):
    task = toy_questions(240)
    fit = finetune.finetune_questions(electra, tokenizer, task, Recipe(epochs=25, learning_rate=3e-3, patience=0))
    assert fit.score > 0.4 and fit.figures["f1"] >= fit.score  # one of some eight words, by chance
    assert fit.history[-1]["loss"] < fit.history[0]["loss"]


def test_an_answer_that_is_not_where_it_is_said_to_be_is_refused(electra, tokenizer):
    task = toy_questions(60)
    task.train[0] = tasks.Question("Who?", "The dog sees.", "cat", 4)
    with pytest.raises(UserError, match="'cat' does not stand at character 4"):
        finetune.finetune_questions(electra, tokenizer, task, Recipe(epochs=1))


@pytest.mark.parametrize(("question", "context", "words"), [
    ("", "The dog sees.", "question has no word"), ("Who?", " ", "context has no word"),
    ("Who sees " * 30, "The dog sees.", "question has .* pieces.*fewer words"),
])
def test_a_question_that_cannot_be_read_is_refused(tokenizer, question, context, words):
    with pytest.raises(UserError, match=words):
        finetune.read_windows(question, context, tokenizer, 48)


def test_the_plain_rival_takes_what_the_question_does_not_say():
    context = "Lima is the capital of Peru. People in Peru pay in soles."
    assert finetune.overlap_answer("What is the capital of Peru?", context).text == "Lima"
    assert finetune.overlap_answer("What do people in Peru pay in?", context).text == "soles"


# --- words --------------------------------------------------------------------------------------------------
def swapped():
    return tasks.Task("swaps", ("in place", "swapped"), *(
        [made for text in toy_sentences(n, seed) if (made := tasks.swap_words(text, set()))]
        for seed, n in ((0, 150), (1, 30), (2, 40))))


def test_only_the_first_piece_of_a_word_has_a_label(tokenizer):
    example = tasks.Tagged(("teachers", "the", "see", "."), (1, 0, 0, 0))
    (ids,), (labels,), (places,) = finetune.encode_tags([example], tokenizer, 48)
    assert [labels[n] for n in places] == [1, 0, 0, 0]
    assert all(label == finetune.IGNORED for n, label in enumerate(labels) if n not in places)
    assert len(ids) == len(labels)


def test_a_toy_tagger_finds_words_out_of_place(electra, tokenizer):
    fit = finetune.finetune_tags(electra, tokenizer, swapped(), Recipe(epochs=25, learning_rate=3e-3, patience=0))
    assert fit.score > 0.3  # one of six or more, by chance


def test_text_without_a_word_is_refused(electra, tokenizer):
    model = Classifier(body_of(electra), 2).eval()
    with pytest.raises(UserError, match="' ' has no word"):
        finetune.classify(finetune.Fit(model, tokenizer, Recipe()), ["The dog sees.", " "])
