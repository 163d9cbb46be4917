"""What fine-tuning shows: answers marked in their text, and curves over seeds from a file of results."""
import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from electra_tutorial import finetune
from electra_tutorial.checkpoint import load
from electra_tutorial.experiments import append_line
from electra_tutorial.finetune import Answer, Recipe
from electra_tutorial.views.answers import answer_view
from electra_tutorial.views.tuning import cures_picture, examples_picture, results_table

ROOT = Path(__file__).resolve().parents[1]


# --- the marked answer --------------------------------------------------------------------------------------
def test_the_answer_is_marked_where_it_stands_and_what_was_typed_is_escaped():
    context = "Lima <b>is</b> the capital of Peru."
    shown = answer_view("What & where?", context, Answer("Lima", 0, 4, 1.0), "Lima")
    assert ">Lima</mark> &lt;b&gt;is&lt;/b&gt;" in shown.html and "What &amp; where?" in shown.html
    assert "<b>is" not in shown.html and "[Lima] <b>is</b>" in shown.text
    assert "Answer, marked in the text: Lima. right." in shown.alt


def test_a_wrong_answer_says_what_it_should_be_and_windows_are_mentioned():
    shown = answer_view("Who?", "Lima, Peru", Answer("Lima", 0, 4, 1.0, "Read in 2 windows."), "Peru")
    assert "it should be: Peru" in shown.text and "Read in 2 windows." in shown.html


# --- results ------------------------------------------------------------------------------------------------
@pytest.fixture
def results(tmp_path):
    """A file of two seeds of two variants, with two looks each, and a rival that learns nothing."""
    path = tmp_path / "results.jsonl"
    for seed in (0, 1):
        for variant, loss in (("pre-trained", 0.5), ("from scratch", 0.7)):
            history = [{"epoch": n, "loss": loss + seed / 10, "train_loss": 0.4} for n in (1, 2)]
            for number in (100, None):
                append_line(path, {"task": "swaps", "variant": variant, "seed": seed, "examples": number,
                                   "score": (0.6 if number else 0.7) + seed / 5, "history": history})
    append_line(path, {"task": "questions", "variant": "overlap of words", "seed": 0, "examples": None, "score": 0.3})
    return path


@pytest.fixture
def cures(results):
    """The same of one task, as the study of overfitting has it."""
    kept = [line for line in results.read_text("utf-8").splitlines(keepends=True) if '"examples": 100' in line]
    results.write_text("".join(kept), "utf-8")
    return results


def test_the_table_of_cures_has_the_mean_and_the_spread_over_seeds(cures):
    _, first, second = results_table("overfitting", cures).splitlines()
    assert first.split() == "pre-trained 2 0.70 [0.60 0.80] 0.55 [0.50 0.60]".split()
    assert second.startswith("from scratch") and "0.75 [0.70 0.80]" in second


def test_the_table_of_examples_has_a_row_for_each_way_and_a_column_for_each_number(results):
    head, first, second, rival = results_table("examples", results).splitlines()
    assert head.split() == ["100", "all"]
    assert first.split() == "swaps pre-trained 0.70 [0.60 0.80] 0.80 [0.70 0.90]".split()
    assert second.split()[1:3] == ["from", "scratch"]
    assert rival.split() == "questions overlap of words 0.30".split() and rival.index("0.30") > head.index("all") - 4


def test_a_line_over_examples_has_the_band_of_its_seeds(results):
    picture = examples_picture(results)
    axes, other = picture.figure.axes
    assert (axes.get_title(loc="left"), other.get_title(loc="left")) == ("swaps", "questions")
    assert [list(line.get_ydata()) for line in axes.lines[:2]] == [pytest.approx([0.7, 0.8])] * 2
    assert axes.collections[0].get_paths()[0].get_extents().y0 == pytest.approx(0.6)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["100", "all"]
    assert "swaps, pre-trained, from 0.70 to 0.80" in picture.alt


def test_each_cure_is_drawn_beside_the_run_without_any(cures):
    picture = cures_picture(path=cures)
    axes = picture.figure.axes[0]
    assert axes.get_title(loc="left") == "from scratch"
    assert picture.figure.axes[0].get_ylim() == pytest.approx((0, 1.05 * 0.75)), "the highest of all panels is inside"
    assert axes.lines[0].get_ydata()[0] == pytest.approx(0.55) and axes.lines[1].get_ydata()[0] == pytest.approx(0.75)


def test_without_results_one_sentence_says_how_to_make_them_and_nothing_is_drawn(tmp_path):
    for study in ("examples", "overfitting"):
        assert f"`python benchmarks/finetune.py {study}` makes them" in results_table(study, tmp_path / "none")
    assert examples_picture(tmp_path / "none") is None and cures_picture(path=tmp_path / "none") is None


def test_half_a_job_is_shown_as_far_as_it_is_done(results):
    first = results.read_text("utf-8").splitlines()[0]
    results.write_text(first + "\n", "utf-8")  # one seed of the first variant, and no cure
    assert results_table("overfitting", results).splitlines()[1].split()[:2] == ["pre-trained", "1"]
    assert cures_picture(path=results) is None
    assert "swaps, pre-trained, 0.60" in examples_picture(results).alt


# --- the command that makes them ----------------------------------------------------------------------------
@pytest.fixture
def command():
    spec = importlib.util.spec_from_file_location("benchmark_finetune", ROOT / "benchmarks" / "finetune.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_study_of_examples_has_every_task_pre_trained_and_from_scratch_and_its_rivals(command, monkeypatch):
    electra, tokenizer = load()
    for name in ("load_sentiment", "load_swaps", "load_questions"):
        task = getattr(command, name)()
        few = replace(task, **{side: getattr(task, side)[:8] for side in ("train", "valid", "test", "other")})
        monkeypatch.setattr(command, name, lambda few=few: few)
    monkeypatch.setattr(command, "EXAMPLES", (4, None))
    monkeypatch.setattr(finetune, "recipe_for", lambda examples: Recipe(epochs=1, looks=1))
    runs = [(*run, make()) for *run, make in command.examples(0, electra, tokenizer)]
    both = {(task, variant, number) for task in ("sentiment", "swaps", "questions") for number in (4, None)
            for variant in ("pre-trained", "from scratch")}
    rivals = {("sentiment", "naive Bayes", 4), ("sentiment", "naive Bayes", None), ("swaps", "not fine-tuned", None),
              ("questions", "overlap of words", None)}
    assert {tuple(run[:3]) for run in runs} == both | rivals and len(runs) == len(both | rivals)
    assert all(0 <= line["score"] <= 1 and len(line["interval"]) == 2 for *_, line in runs)
    elsewhere = {run[:3] for run in runs if "other" in run[3]}
    assert elsewhere == {("sentiment", "pre-trained", None), ("sentiment", "from scratch", None),
                         ("sentiment", "naive Bayes", 4), ("sentiment", "naive Bayes", None)}
    json.dumps([line for *_, line in runs])  # what JSON cannot hold would be seen only after hours
    assert len(list(command.examples(1, electra, tokenizer))) == len(runs) - 2  # two of the rivals draw nothing


def test_counting_finds_which_pieces_keep_the_same_company(command, monkeypatch):
    """Three by three, of like company: 5, 6, 7 stand beside 11 alone, 8, 9, 10 beside 12 alone."""
    monkeypatch.setattr(command, "VECTOR", 4)
    rows = [[2, piece, 11 if piece < 8 else 12, 3] for piece in (5, 6, 7, 8, 9, 10)] * 20
    table = command.count_vectors(rows, 14)
    near, far = np.linalg.norm(table[5] - table[7]), np.linalg.norm(table[5] - table[8])
    assert near < 1e-3 < 0.5 < far, "like company, like vector; and no company reaches from one row into the next"
    assert np.abs(table[[0, 2, 3, 13]]).max() < 1e-6, "special pieces, and what never stood there, have none"


def test_the_study_of_texts_judges_one_table_as_it_judges_another(command, monkeypatch):
    electra, tokenizer = load()
    task = command.load_sentiment()
    few = replace(task, **{side: getattr(task, side)[:40] for side in ("train", "valid", "test")})
    kind = electra.discriminator.encoder.embeddings.token.weight.detach().numpy()
    monkeypatch.setattr(command, "load_sentiment", lambda: few)
    monkeypatch.setattr(command, "piece_tables", lambda *given: {"a": kind, "b": kind})
    runs = [(*run, make()) for *run, make in command.texts(0, electra, tokenizer)]
    assert [run[1:3] for run in runs[:3]] == [("a", 100), ("b", 100), ("a", 500)] and len(runs) == 8
    assert runs[0][3] == runs[1][3] and 0 <= runs[0][3]["score"] <= 1 and runs[0][3]["decay"] in command.DECAYS
    json.dumps(runs)


def test_how_tightly_a_probe_is_held_is_chosen_on_the_valid_side(command, monkeypatch):
    """Held at 3 the stand-in is right on valid and wrong on test, held otherwise the other way round."""
    electra, tokenizer = load()
    task = command.load_sentiment()
    task = replace(task, train=task.train[:8], valid=task.valid[:30], test=task.test[:40])
    sides = task.train, task.valid, task.test
    labels = {len(side): np.array([one.label for one in side]) * 2 - 1 for side in sides}

    def fit(features, positive, decay):
        return lambda others: labels[len(others)] * (1 if (len(others) == 40) != (decay == 3.0) else -1)

    monkeypatch.setattr(command, "fit_logistic", fit)
    table = electra.discriminator.encoder.embeddings.token.weight.detach().numpy()
    line = command.probed(table, tokenizer, task)
    assert (line["decay"], line["score"]) == (3.0, 0.0)


def test_all_cures_take_as_many_steps(command):
    assert len(command.CURES) == 7
    runs = [(variant, number) for _, variant, number, _ in command.overfitting(0, None, None)]
    assert runs[0] == ("none of them", 500) and runs[-1] == ("4 times the examples", 2000)


def test_runs_that_stand_in_the_file_are_not_made_again(command, tmp_path, monkeypatch):
    made, out = [], tmp_path / "trial.jsonl"

    def trial(seed, electra, tokenizer):
        for variant in ("a", "b"):
            yield "swaps", variant, None, lambda v=variant: made.append((v, seed)) or {"score": 0.5}

    monkeypatch.setattr(command, "load", lambda model: (None, None))
    monkeypatch.setattr(command, "STUDIES", {"trial": trial})
    for seeds in ("1", "2"):
        monkeypatch.setattr(sys, "argv", ["finetune.py", "trial", "--seeds", seeds, "--out", str(out)])
        command.main()
    assert made == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert all(line["command"] == "python benchmarks/finetune.py trial" for line in lines) and len(lines) == 4
