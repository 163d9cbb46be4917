"""The experiment runner: equal tokens, a line a run, stopped and gone on with; and how its results are told."""
import json
import re
import threading

import pytest

from electra_tutorial import experiments
from electra_tutorial.ablations import OBJECTIVES
from electra_tutorial.cli import EXPERIMENT_NAMES, main
from electra_tutorial.course.weave import NOTEBOOKS
from electra_tutorial.errors import UserError
from electra_tutorial.experiments import (
    EXPERIMENTS,
    Experiment,
    budget_of,
    compare,
    preset_of,
    read_results,
    run_experiment,
    shipped_results,
    verdicts,
)
from electra_tutorial.sources import data_dir
from electra_tutorial.views.experiment import ends_figure, experiment_figure

TRIAL = Experiment("trial", "a trial", {"plain": {}, "half": {"mask_rate": 0.5}}, tokens=3 * 512)


@pytest.fixture
def trained(corpus, data, monkeypatch):
    """Every training is a few steps on toy sentences; the list of what was trained: (mask_rate, seed)."""
    made, pretrain = [], experiments.pretrain

    def watched(preset, *args, **more):
        made.append((preset.mask_rate, more["seed"]))
        return pretrain(preset, *args, **more)

    monkeypatch.setattr(experiments, "load_corpus", lambda name: corpus)
    monkeypatch.setattr(experiments, "pretrain", watched)
    monkeypatch.setattr(experiments, "EVALUATIONS", 1)
    return made


def a_line(variant="plain", seed=0, experiment=TRIAL, easy=0.8, **more):
    """A result as the runner writes it."""
    row = dict.fromkeys(experiments.KEPT, 0.5) | {"tokens_seen": 1536, "step": 3, "exam_easy_auc": easy}
    return {"experiment": experiment.name, "variant": variant, "seed": seed, "preset": experiment.preset,
            "corpus": experiment.corpus, "tokens": experiment.tokens, "changes": experiment.variants[variant],
            "threads": 1, "seconds": 9.0, "cpu_seconds": 2.0,
            "history": [row | {"tokens_seen": 0, "exam_easy_auc": 0.5}, row], **more}


def test_every_variant_and_seed_is_trained_once_on_as_many_tokens(trained, tmp_path):
    lines = run_experiment(TRIAL, 2, tmp_path / "trial.jsonl")
    assert trained == [(0.25, 0), (0.5, 0), (0.25, 1), (0.5, 1)]
    assert [(line["variant"], line["seed"]) for line in lines] == [
        ("plain", 0), ("half", 0), ("plain", 1), ("half", 1)]
    assert all(line["history"][-1]["step"] == 3 and line["seconds"] > 0 for line in lines)
    assert all(set(experiments.KEPT) <= set(row) for line in lines for row in line["history"])
    assert run_experiment(TRIAL, 2, tmp_path / "trial.jsonl") == lines and len(trained) == 4, "nothing is made again"
    assert len(run_experiment(TRIAL, 1, tmp_path / "trial.jsonl")) == 2, "fewer seeds, fewer lines"


def test_experiments_compare_by_the_whole_exam_on_the_way_and_at_the_end(trained, tmp_path, monkeypatch):
    asked, pretrain = set(), experiments.pretrain
    monkeypatch.setattr(experiments, "pretrain", lambda *args, **more: (
        asked.add(more["exam_parts"]) or pretrain(*args, **more)))
    run_experiment(TRIAL, 1, tmp_path / "trial.jsonl")
    assert asked == {("all", "all")}


def test_a_stopped_experiment_keeps_what_was_finished_and_goes_on_there(trained, tmp_path, monkeypatch):
    out, stop, pretrain = tmp_path / "trial.jsonl", threading.Event(), experiments.pretrain

    def stopped_in_the_third(*args, **more):
        if len(trained) == 2:
            stop.set()
        return pretrain(*args, **more)

    monkeypatch.setattr(experiments, "pretrain", stopped_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        run_experiment(TRIAL, 2, out, stop=stop)
    before = out.read_bytes()
    assert len(read_results(out)) == 2, "a run that was broken off is no result"
    monkeypatch.setattr(experiments, "pretrain", pretrain)
    assert len(run_experiment(TRIAL, 2, out)) == 4
    assert out.read_bytes().startswith(before) and trained.count((0.25, 0)) == 1


def test_half_a_line_is_no_result_and_is_taken_off(tmp_path):
    out = tmp_path / "trial.jsonl"
    experiments.append_line(out, a_line())
    with out.open("a") as file:
        file.write('{"experiment": "tri')
    assert len(read_results(out, TRIAL)) == 1
    experiments.append_line(out, a_line("half"))
    assert [line["variant"] for line in read_results(out, TRIAL)] == ["plain", "half"]


@pytest.mark.parametrize("wrong, says", [
    ({"experiment": "another"}, "other settings"), ({"tokens": 99}, "other settings"),
    ({"changes": {"mask_rate": 0.9}}, "other settings"), ({"variant": "unknown"}, "other settings"),
    ("[1, 2]", "no result"), ("nonsense", "no result"), ('{"a": 1}', "no result"),
])
def test_results_of_something_else_are_refused_and_left_as_they_are(trained, tmp_path, wrong, says):
    out = tmp_path / "trial.jsonl"
    out.write_text((wrong if isinstance(wrong, str) else json.dumps(a_line() | wrong)) + "\n")
    before = out.read_bytes()
    with pytest.raises(UserError, match=f"Line 1 .*{says}"):
        run_experiment(TRIAL, 1, out)
    assert out.read_bytes() == before and not trained


def test_a_run_that_comes_to_no_number_is_a_result_too(trained, tmp_path, monkeypatch):
    def breaks(*args, **more):
        raise UserError("The loss is not a number at step 7.")

    monkeypatch.setattr(experiments, "pretrain", breaks)
    lines = run_experiment(TRIAL, 1, tmp_path / "trial.jsonl")
    assert [line["failed"] for line in lines] == ["The loss is not a number at step 7."] * 2
    assert "1, 1 failed" in experiments.table(lines)
    with pytest.raises(UserError, match="No run"):
        experiment_figure(lines)


def test_experiments_share_the_runs_that_are_the_same(trained, tmp_path, monkeypatch):
    twin = Experiment("twin", "a trial", {"as it is": {}, "more": {"mask_rate": 0.4}}, tokens=TRIAL.tokens)
    monkeypatch.setattr(experiments, "EXPERIMENTS", {"trial": TRIAL, "twin": twin})
    run_experiment("trial", 1, tmp_path / "trial.jsonl")
    lines = run_experiment("twin", 1, tmp_path / "twin.jsonl")
    assert trained == [(0.25, 0), (0.5, 0), (0.4, 0)]
    assert [(line["experiment"], line["variant"]) for line in lines] == [("twin", "as it is"), ("twin", "more")]


def test_the_table_tells_the_mean_and_the_range():
    lines = [a_line(seed=seed, easy=easy) for seed, easy in enumerate((0.7, 0.8, 0.9))]
    (row,) = experiments.summary(lines)
    assert row["exam_easy_auc"] == pytest.approx((0.8, 0.7, 0.9)) and row["runs"] == 3
    assert "0.80 [0.70 0.90]" in experiments.table(lines) and "2.00" in experiments.table(lines)


def test_the_figure_has_a_line_of_means_in_a_band_of_seeds():
    lines = [a_line(variant, seed, easy=easy) for variant, base in (("plain", 0.7), ("half", 0.6))
             for seed, easy in enumerate((base, base + 0.1, base + 0.2))]
    picture = experiment_figure(lines, ("exam_easy_auc",), "Trial")
    plain, half, chance = picture.figure.axes[0].lines
    assert list(plain.get_ydata()) == pytest.approx([0.5, 0.8])
    assert list(half.get_ydata()) == pytest.approx([0.5, 0.7])
    assert list(chance.get_ydata()) == [0.5, 0.5]
    band = picture.figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(0.5) and band.max() == pytest.approx(0.9)
    assert "plain 0.80 (0.70 to 0.90 over 3 seeds)" in picture.alt


# --- equal time, and objectives ---------------------------------------------------------------------------------
RACE = Experiment("race", "a trial", {
    "slow": {}, "fast": {"objective": "electra-15"}, "broken": {"learning_rate": 0.5}}, tokens=8 * 512,
    budgets=("tokens", "time"))


@pytest.fixture
def clocked(trained, monkeypatch):
    """Training takes as long as we say: a thousandth of a second a token, for ELECTRA 15 % a quarter of that."""
    run_variant = experiments.run_variant

    def clocked(experiment, variant, *args):
        line = run_variant(experiment, variant, *args)
        if variant == "broken":
            return line | {"failed": "The loss is not a number."}
        seconds = line["tokens_seen"] / (4000 if variant == "fast" else 1000)
        line["history"][-1]["train_seconds"] = seconds
        return line

    monkeypatch.setattr(experiments, "run_variant", clocked)
    return trained


def test_at_equal_time_a_faster_variant_reads_more(clocked, tmp_path):
    lines = run_experiment(RACE, 1, tmp_path / "race.jsonl")
    found = {(budget_of(line), line["variant"]): line for line in lines}
    assert len(found) == 6 and len(clocked) == 4, "the first is its own measure, and what broke is not made again"
    slow, fast = (found["time", name]["history"][-1] for name in ("slow", "fast"))
    assert fast["tokens_seen"] == pytest.approx(4 * slow["tokens_seen"], rel=0.15)
    assert fast["train_seconds"] == pytest.approx(slow["train_seconds"], rel=0.15)
    assert "failed" in found["time", "broken"]
    assert run_experiment(RACE, 1, tmp_path / "race.jsonl") == lines and len(clocked) == 4
    assert [budget for budget in experiments.by_budget(lines)] == ["tokens", "time"]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_runs_is_examined_and_probed(objective, trained, tmp_path):
    variants = {name: changes for name, changes in EXPERIMENTS["objectives"].variants.items()
                if changes.get("objective", "electra") == objective}
    trial = Experiment("trial", "a trial", variants, tokens=4 * 512, judges=("probes",))
    (line,) = run_experiment(trial, 1, tmp_path / "trial.jsonl")
    last = line["history"][-1]
    for key in ("exam_easy_auc", "mlm_loss", "generator_accuracy", "generator_entropy", "train_seconds"):
        assert last[key] is not None and last[key] >= 0, key
    assert 0 <= line["probe_easy_auc"] <= 1 and line["probe_pairs"] is None, "the toy text gives no pairs"


def test_the_objectives_of_the_course_are_all_there_are():
    found = {changes.get("objective", "electra") for changes in EXPERIMENTS["objectives"].variants.values()}
    assert found == set(OBJECTIVES)


def test_switches_that_make_no_sense_end_an_experiment_before_it_begins(trained, tmp_path):
    trial = Experiment("trial", "a trial", {"plain": {}, "odd": {"objective": "bert", "generator_width": 8}})
    with pytest.raises(UserError, match="generator_width=8 changes nothing for the objective 'bert'"):
        run_experiment(trial, 1, tmp_path / "trial.jsonl")
    assert not trained


def test_two_variants_are_apart_where_their_bands_do_not_touch():
    lines = [a_line(variant, seed, easy=easy) for variant, seed, easy in (
        ("plain", 0, 0.7), ("plain", 1, 0.8), ("half", 0, 0.6), ("half", 1, 0.65))]
    assert compare(lines, "exam_easy_auc", "plain", "half").endswith(": apart")
    assert compare(lines, "exam_easy_auc", "half", "plain").endswith(": apart, the other way round")
    assert compare([*lines, a_line("half", 2, easy=0.75)], "exam_easy_auc", "plain", "half").endswith(": overlap")
    assert compare(lines[1:], "exam_easy_auc", "plain", "half").endswith(": one run, so nobody knows")
    assert compare(lines, "exam_easy_auc", "plain", "nobody") == "plain against nobody: not measured"
    heads, *rows = verdicts(lines, ("exam_easy_auc", "unheard"), (("plain", "half"), ("half", "plain"))).splitlines()
    assert heads.split() == ["exam_easy_auc", "unheard"]
    assert re.split("  +", rows[0]) == ["plain > half", "apart", "not measured"]
    assert re.split("  +", rows[1]) == ["half > plain", "apart, the other way round", "not measured"]


def test_a_table_of_judged_runs_shows_what_judges_all_alike():
    lines = [a_line(probe_easy_auc=0.61), a_line("half", probe_easy_auc=0.52)]
    told = experiments.table(lines)
    assert "probe_easy_auc" in told and "0.61" in told and "mlm_loss" not in told and "sentiment" not in told
    assert "mlm_loss" in experiments.table([a_line()])


def test_the_figure_of_ends_has_a_dot_for_every_run_and_a_bar_over_each_variant():
    runs = (("plain", 0, 0.7), ("plain", 1, 0.8), ("half", 0, 0.6))
    lines = [a_line(variant, seed, easy=easy, budget=budget) for budget in experiments.BUDGETS
             for variant, seed, easy in runs]
    picture = ends_figure(lines, ("exam_easy_auc",), "Trial")
    dots = [line for line in picture.figure.axes[0].lines if line.get_marker() not in ("None", "")]
    assert sum(len(line.get_xdata()) for line in dots) == 6
    assert "plain 0.70 to 0.80 at equal tokens" in picture.alt and "half 0.60 to 0.60 at equal time" in picture.alt
    with pytest.raises(UserError, match="No run"):
        ends_figure([a_line() | {"failed": "x", "history": [{}]}], ("exam_easy_auc",))


# --- the experiments of the course ------------------------------------------------------------------------------
def test_every_variant_is_a_preset_and_the_first_is_the_preset_as_it_is():
    assert EXPERIMENT_NAMES == tuple(EXPERIMENTS)
    for experiment in EXPERIMENTS.values():
        assert next(iter(experiment.variants.values())) == {}
        for variant in experiment.variants:
            assert preset_of(experiment, variant).name == experiment.preset


SHIPPED = [path.stem for path in sorted((data_dir() / "results").glob("*.jsonl"))]


def test_results_come_with_the_course_for_all_that_its_lessons_show():
    shown = {name for source in (NOTEBOOKS / "source").glob("*.py")
             for name in re.findall(r'(?:shipped_results|ends)\("([\w-]+)"', source.read_text("utf-8"))}
    assert shown <= set(SHIPPED) <= set(EXPERIMENTS) and len(shown) >= 4


@pytest.mark.parametrize("name", SHIPPED)
def test_the_results_that_come_with_the_course_are_of_whole_seeds_and_of_the_settings_it_has_now(name):
    budgets = experiments.by_budget(shipped_results(name))
    for budget in EXPERIMENTS[name].budgets:
        assert {(line["variant"], line["seed"]) for line in budgets[budget]} == {
            (variant, seed) for variant in EXPERIMENTS[name].variants for seed in range(3)}
    lines = budgets["tokens"]
    seen = {line["history"][-1]["tokens_seen"] for line in lines if line["variant"] == lines[0]["variant"]}
    for line in lines:
        assert line["command"].startswith("electra-tutorial experiment ") and line["seconds"] > 0
        assert abs(line["history"][-1]["tokens_seen"] / min(seen) - 1) < 0.01, "equal tokens"


@pytest.mark.parametrize("name", [name for name in SHIPPED if "time" in EXPERIMENTS[name].budgets])
def test_shipped_runs_of_equal_time_took_about_as_long(name):
    lines = experiments.by_budget(shipped_results(name))["time"]
    for seed in {line["seed"] for line in lines}:
        took = [line["history"][-1]["train_seconds"] for line in lines if line["seed"] == seed and "history" in line]
        assert max(took) < 1.5 * min(took), "measured on a machine that did other things too"


# --- the command line -------------------------------------------------------------------------------------------
def test_the_command_prints_the_table_of_what_stands_in_the_file(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(experiments, "EXPERIMENTS", {"trial": TRIAL})
    out = tmp_path / "trial.jsonl"
    for variant in TRIAL.variants:
        experiments.append_line(out, a_line(variant))
    assert main(["experiment", "trial", "--seeds", "1", "--out", str(out), "--figure", str(tmp_path / "a.png")]) == 0
    assert "plain" in capsys.readouterr().out and (tmp_path / "a.png").stat().st_size > 1000
    assert main(["experiment", "trial", "--seeds", "1", "--out", str(out), "--json"]) == 0
    assert [row["variant"] for row in json.loads(capsys.readouterr().out)] == ["plain", "half"]


@pytest.mark.parametrize("words, says", [(["nothing"], "'nothing'"), (["curves", "--seeds", "0"], "--seeds 0")])
def test_a_mistake_in_the_command_is_one_sentence(words, says, capsys):
    assert main(["experiment", *words]) == 2
    assert says in capsys.readouterr().err


def test_stopping_the_command_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    def stopped(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiments, "run_experiment", stopped)
    assert main(["experiment", "curves", "--out", str(tmp_path / "a.jsonl")]) == 130
    assert "the same command goes on" in capsys.readouterr().err
