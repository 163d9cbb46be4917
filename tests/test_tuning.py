"""What fine-tuning shows: answers marked in their text, and curves over seeds from a file of results."""
import importlib.util
import json
import sys
from pathlib import Path

import pytest

from electra_tutorial.experiments import append_line
from electra_tutorial.finetune import Answer
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
    """A file of two seeds of two variants, with two looks each."""
    path = tmp_path / "results.jsonl"
    for seed in (0, 1):
        for variant, loss in (("pre-trained", 0.5), ("from scratch", 0.7)):
            history = [{"epoch": n, "loss": loss + seed / 10, "train_loss": 0.4} for n in (1, 2)]
            append_line(path, {"variant": variant, "seed": seed, "examples": 100, "score": 0.6 + seed / 5,
                               "history": history})
    return path


def test_the_table_has_the_mean_over_seeds(results):
    first, second = results_table("trial", results).splitlines()
    assert first.split() == "pre-trained 100 examples 2 seeds 0.700 last loss on valid 0.55".split()
    assert second.startswith("from scratch") and second.endswith("0.75")


def test_a_line_over_examples_has_the_band_of_its_seeds(results):
    picture = examples_picture(results)
    axes = picture.figure.axes[0]
    assert [line.get_ydata()[0] for line in axes.lines[:2]] == pytest.approx([0.7, 0.7])
    assert axes.collections[0].get_paths()[0].get_extents().y0 == pytest.approx(0.6)
    assert "pre-trained 0.70" in picture.alt


def test_each_cure_is_drawn_beside_the_run_without_any(results):
    picture = cures_picture(path=results)
    axes = picture.figure.axes[0]
    assert axes.get_title(loc="left") == "from scratch"
    assert axes.lines[0].get_ydata()[0] == pytest.approx(0.55) and axes.lines[1].get_ydata()[0] == pytest.approx(0.75)


def test_without_results_one_sentence_says_how_to_make_them_and_nothing_is_drawn(tmp_path):
    for study in ("examples", "overfitting", "tasks"):
        assert f"`python benchmarks/finetune.py {study}` makes them" in results_table(study, tmp_path / "none")
    assert examples_picture(tmp_path / "none") is None and cures_picture(path=tmp_path / "none") is None


def test_half_a_job_is_shown_as_far_as_it_is_done(results):
    first = results.read_text("utf-8").splitlines()[0]
    results.write_text(first + "\n", "utf-8")  # one seed of the first variant, and no cure
    assert "1 seed " in results_table("trial", results)
    assert cures_picture(path=results) is None
    assert "pre-trained 0.60" in examples_picture(results).alt


# --- the command that makes them ----------------------------------------------------------------------------
@pytest.fixture
def command():
    spec = importlib.util.spec_from_file_location("benchmark_finetune", ROOT / "benchmarks" / "finetune.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_cures_take_as_many_steps(command):
    assert len(command.CURES) == 7
    runs = [(variant, number) for variant, number, _ in command.overfitting(0, None, None)]
    assert runs[0] == ("none of them", 500) and runs[-1] == ("4 times the examples", 2000)


def test_runs_that_stand_in_the_file_are_not_made_again(command, tmp_path, monkeypatch):
    made, out = [], tmp_path / "trial.jsonl"

    def trial(seed, electra, tokenizer):
        for variant in ("a", "b"):
            yield variant, None, lambda v=variant: made.append((v, seed)) or {"score": 0.5}

    monkeypatch.setattr(command, "load", lambda model: (None, None))
    monkeypatch.setattr(command, "STUDIES", {"trial": trial})
    for seeds in ("1", "2"):
        monkeypatch.setattr(sys, "argv", ["finetune.py", "trial", "--seeds", seeds, "--out", str(out)])
        command.main()
    assert made == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert all(line["command"] == "python benchmarks/finetune.py trial" for line in lines) and len(lines) == 4
