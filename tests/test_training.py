"""The training loop: optimiser, schedule, clipping, data order, stopping and going on, several processes."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import toy_batch, toy_preset
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from electra_tutorial import device, training
from electra_tutorial import exam as exam_module
from electra_tutorial.checkpoint import STATE, load, read_json, read_tensors, write_tensors
from electra_tutorial.corpus import Corpus
from electra_tutorial.errors import UserError
from electra_tutorial.evaluation import take_exam
from electra_tutorial.exam import load_exam
from electra_tutorial.judgement import judge
from electra_tutorial.model import Electra
from electra_tutorial.objective import Objective, sample_tokens
from electra_tutorial.tokens import CLS_ID, SEP_ID, Rows, train_tokenizer
from electra_tutorial.training import Training, pretrain

CPU = torch.device("cpu")
QUICKLY = dict(dtype="float32", device="cpu", quiet=True, evaluations=2)


def toy(objective=None, **changes):
    torch.manual_seed(0)
    return Electra(toy_preset(**changes), objective)


def rows_of(lengths):
    """Rows of ids 5, 6, 7 ... between [CLS] and [SEP]."""
    parts = [[CLS_ID, *range(5, 3 + length), SEP_ID] for length in lengths]
    return Rows(np.concatenate(parts).astype(np.uint16), np.concatenate([[0], np.cumsum(lengths)]))


def snapshot(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


# --- the schedule ---------------------------------------------------------------------------------
@given(st.integers(2, 3000), st.floats(0, 0.9), st.floats(1e-5, 1.0))
@settings(max_examples=60)
def test_the_rate_rises_in_a_line_to_its_peak_and_falls_in_a_line_to_the_end(total, warmup, peak):
    rates = np.array([training.learning_rate(step, total, peak, warmup) for step in range(total)])
    top, rising = rates.argmax(), max(1, round(total * warmup))
    assert (rates > 0).all(), "a step without learning is wasted"
    assert rates.max() == pytest.approx(peak)
    assert abs(top - rising) <= 1, "the peak stands at the end of the warm-up"
    up, down = np.diff(rates[:rising]), np.diff(rates[rising:])
    assert np.allclose(up, peak / rising) and np.allclose(down, -peak / max(1, total - rising))
    assert rates[-1] <= peak / max(1, total - rising) * 1.001 or total - rising <= 1


def test_a_step_is_taken_at_the_rate_of_the_schedule(corpus, data, monkeypatch):
    rates, train_step = [], training.train_step

    def watched(model, optimizer, groups, batch, rate, *rest):
        losses = train_step(model, optimizer, groups, batch, rate, *rest)
        rates.append((rate, [group["lr"] / group["scale"] for group in optimizer.param_groups]))
        return losses

    monkeypatch.setattr(training, "train_step", watched)
    preset = toy_preset(learning_rate=2e-3, warmup=0.25)
    run = training.Training(preset, corpus, None, None, 0, "cpu", "float32")
    run.total = 8
    stream = training.batch_stream(run.rows, 256, 0)
    for _ in range(8):
        run.advance(stream, run.electra)
    wanted = [training.learning_rate(step, 8, 2e-3, 0.25) for step in range(8)]
    assert [rate for rate, _ in rates] == wanted
    for rate, in_groups in rates:
        assert in_groups == pytest.approx([rate] * len(in_groups))


# --- clipping -------------------------------------------------------------------------------------
@pytest.mark.parametrize("sharing", ["embeddings", "none"])
@pytest.mark.parametrize("calm, wild", [("generator", "discriminator"), ("discriminator", "generator")])
def test_an_outburst_of_one_model_leaves_the_other_s_update_as_it_was(sharing, calm, wild):
    def own_gradients(factor, groups_of):
        electra = toy(sharing=sharing)
        electra(*toy_batch([24] * 4)).loss.backward()
        shared = {id(p) for p in electra.generator.parameters()} & {
            id(p) for p in electra.discriminator.parameters()
        }
        with torch.no_grad():
            for p in getattr(electra, wild).parameters():
                p.grad *= 1 if id(p) in shared else factor
        training.clip_gradients(groups_of(electra), 1.0)
        return [p.grad for p in getattr(electra, calm).parameters() if id(p) not in shared]

    def all_equal(groups_of):
        quiet, loud = own_gradients(1.0, groups_of), own_gradients(1e6, groups_of)
        return all(torch.equal(a, b) for a, b in zip(quiet, loud, strict=True))

    assert all_equal(training.clipping_groups)
    assert not all_equal(lambda electra: [list(electra.parameters())]), (
        "one group for all lets the outburst damp the other"
    )


@given(st.floats(0.01, 100), st.integers(0, 100))
@settings(max_examples=15)
def test_clipping_shortens_what_is_too_long_and_leaves_the_rest(limit, seed):
    torch.manual_seed(seed)
    groups = [[torch.nn.Parameter(torch.zeros(4))] for _ in range(3)] + [[]]
    for (p,) in groups[:3]:
        p.grad = torch.randn(4) * 10 ** torch.randint(-3, 3, ()).item()
    before = [p.grad.clone() for (p,) in groups[:3]]
    training.clip_gradients(groups, limit)
    for (p,), gradient in zip(groups[:3], before, strict=True):
        length = gradient.norm()
        torch.testing.assert_close(p.grad, gradient * min(1.0, limit / length.item()), atol=1e-5, rtol=1e-3)


def test_the_three_clipping_groups_hold_each_parameter_once():
    for sharing, shared in (("embeddings", 2), ("none", 0)):
        electra = toy(sharing=sharing)
        groups = training.clipping_groups(electra)
        assert sorted(id(p) for group in groups for p in group) == sorted(id(p) for p in electra.parameters())
        assert len(groups[2]) == shared


# --- the order of the data ------------------------------------------------------------------------
lengths = st.lists(st.integers(3, 30), min_size=1, max_size=60)


def take(stream, n):
    return [next(stream).tolist() for _ in range(n)]


@given(lengths, st.integers(30, 200), st.integers(0, 50), st.integers(1, 3))
@settings(max_examples=40)
def test_each_epoch_holds_every_row_once_in_an_order_of_its_own(lengths, batch_tokens, seed, epochs):
    rows = rows_of(lengths)
    n = len(training.batch_order(rows, batch_tokens, seed, 0))
    stream = training.batch_stream(rows, batch_tokens, seed)
    for _ in range(epochs):
        assert sorted(sum(take(stream, n), [])) == list(range(len(rows)))


def test_epochs_differ_and_seeds_differ():
    rows = rows_of([10] * 40)
    n = len(training.batch_order(rows, 40, 0, 0))
    stream = training.batch_stream(rows, 40, 0)
    first, second = take(stream, n), take(stream, n)
    assert first != second
    assert first == take(training.batch_stream(rows, 40, 0), n)
    assert first != take(training.batch_stream(rows, 40, 1), n)


@given(lengths, st.integers(30, 200), st.integers(0, 50), st.integers(1, 3))
@settings(max_examples=40)
def test_the_stream_goes_on_from_any_batch_as_if_it_had_never_stopped(lengths, batch_tokens, start, world):
    rows = rows_of(lengths)
    assume(len(training.batch_order(rows, batch_tokens, 5, 0)) >= world)
    for rank in range(world):
        whole = take(training.batch_stream(rows, batch_tokens, 5, 0, rank, world), start + 4)
        assert take(training.batch_stream(rows, batch_tokens, 5, start, rank, world), 4) == whole[start:]


@given(lengths, st.integers(30, 200), st.integers(2, 4))
@settings(max_examples=30)
def test_several_processes_share_an_epoch_without_meeting(lengths, batch_tokens, world):
    rows = rows_of(lengths)
    n = len(training.batch_order(rows, batch_tokens, 0, 0)) // world
    assume(n > 0)
    parts = [
        sum(take(training.batch_stream(rows, batch_tokens, 0, 0, rank, world), n), [])
        for rank in range(world)
    ]
    together = sum(parts, [])
    assert len(together) == len(set(together))


def test_more_processes_than_batches_are_refused():
    with pytest.raises(UserError, match="4 processes"):
        next(training.batch_stream(rows_of([10] * 3), 1000, 0, 0, 0, 4))


sources = st.dictionaries(st.sampled_from("abc"), st.lists(st.text("xyz ", min_size=1), min_size=1), min_size=1)


@given(sources, st.sampled_from([1.0, 2.0, 3.0]))
@settings(max_examples=60)
def test_every_line_of_every_source_is_read_and_a_small_source_more_often(texts, weight):
    lines = training.balanced({name: [name + line for line in texts[name]] for name in texts}, weight)
    size = {name: sum(1 + len(line) for line in texts[name]) for name in texts}
    largest = max(size.values())
    for name in texts:
        times = lines.count(name + texts[name][0]) / texts[name].count(texts[name][0])
        wanted = round(weight * min(4, largest / size[name])) if size[name] < largest else 1
        assert times == wanted


def test_the_weight_of_the_smaller_source_decides_what_is_read(corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("ELECTRA_TUTORIAL_DATA", str(tmp_path))
    more = Corpus("two", {"a": corpus.train["toy"][:300], "b": corpus.train["toy"][300:400]}, corpus.heldout)
    sizes = [len(training.prepare_text(toy_preset(balance=balance), more)[2]) for balance in (0.0, 1.0, 2.0)]
    assert sizes == [400, 300 + 3 * 100, 300 + 6 * 100]


# --- one step -------------------------------------------------------------------------------------
def test_a_batch_without_padding_needs_no_mask_and_one_with_padding_gets_it():
    seen = []

    def model(ids, mask):
        seen.append(mask)
        return electra(ids, mask)

    electra = toy()
    optimizer, groups = training.make_optimizer(electra, electra.preset), training.clipping_groups(electra)
    for batch in (toy_batch([9, 9]), toy_batch([9, 5])):
        training.train_step(model, optimizer, groups, batch, 1e-3, electra.preset, CPU, "float32")
    assert seen[0] is None and torch.equal(seen[1], toy_batch([9, 5])[1])


def test_a_step_leaves_no_gradient_behind_and_reports_both_losses():
    electra = toy()
    optimizer, groups = training.make_optimizer(electra, electra.preset), training.clipping_groups(electra)
    batch = toy_batch([12] * 4)
    state = electra.rng.get_state()
    losses = training.train_step(electra, optimizer, groups, batch, 0.0, electra.preset, CPU, "float32")
    assert all(p.grad is None for p in electra.parameters())
    electra.rng.set_state(state)
    step = electra(*batch)  # at rate 0 nothing has moved
    torch.testing.assert_close(losses, torch.stack([step.generator_loss, step.discriminator_loss]).detach())


def test_a_bfloat16_step_keeps_weights_and_losses_in_float32():
    electra = toy()
    optimizer, groups = training.make_optimizer(electra, electra.preset), training.clipping_groups(electra)
    losses = training.train_step(
        electra, optimizer, groups, toy_batch(), 1e-3, electra.preset, CPU, "bfloat16"
    )
    assert losses.dtype == torch.float32 and torch.isfinite(losses).all()
    assert {p.dtype for p in electra.parameters()} == {torch.float32}


def test_losses_fall_when_one_batch_is_learned_by_heart():
    electra = toy(mask_rate=0.3)
    optimizer, groups = training.make_optimizer(electra, electra.preset), training.clipping_groups(electra)
    batch = toy_batch([16] * 4)
    losses = [
        training.train_step(electra, optimizer, groups, batch, 5e-3, electra.preset, CPU, "float32")
        for _ in range(150)
    ]
    first, last = torch.stack(losses[:10]).mean(0), torch.stack(losses[-10:]).mean(0)
    assert (last < 0.85 * first).all()


# --- measuring the machine ------------------------------------------------------------------------
def test_timing_moves_nothing_of_the_run(corpus, data):
    electra = toy(dropout=0.2)
    _, _, rows = training.prepare_text(electra.preset, corpus)
    weights = [p.detach().clone() for p in electra.parameters()]
    streams = torch.get_rng_state(), electra.rng.get_state()
    name, seconds = training.choose_dtype(electra, rows, electra.preset, CPU)
    assert name in device.DTYPES and seconds > 0
    assert all(torch.equal(a, b) for a, b in zip(weights, electra.parameters(), strict=True))
    assert torch.equal(streams[0], torch.get_rng_state()) and torch.equal(streams[1], electra.rng.get_state())
    assert electra.training


def test_bfloat16_is_taken_only_where_it_is_faster(monkeypatch):
    for times, wanted in (
        ({"float32": 1.0, "bfloat16": 0.5}, "bfloat16"),
        ({"float32": 1.0, "bfloat16": 1.5}, "float32"),
        ({"float32": 1.0, "bfloat16": 0.99}, "float32"),
    ):
        monkeypatch.setattr(training, "seconds_per_step", lambda *args, times=times: times[args[-1]])
        assert training.choose_dtype(None, None, None, CPU) == (wanted, times[wanted])


def test_minutes_fix_the_number_of_steps_before_the_first(corpus, data, monkeypatch):
    monkeypatch.setattr(training, "seconds_per_step", lambda *args, **kwargs: 0.1)
    run = pretrain(toy_preset(), corpus, minutes=0.02, **QUICKLY)
    assert run.metrics["steps"] == run.metrics["total_steps"]
    assert 0.8 * 12 <= run.metrics["total_steps"] <= 12, "1.2 s at .1 s a step, some of them for exams"


def test_the_budget_of_tokens_is_met_where_no_length_is_given(corpus, data):
    run = pretrain(toy_preset(tokens=3000), corpus, **QUICKLY)
    assert run.metrics["steps"] == 3000 // 256
    assert 0.75 * 3000 < run.metrics["tokens_seen"] <= 3000


def test_no_cuda_question_is_asked_on_the_way_to_a_cpu(corpus, data, monkeypatch):
    def asked(*args, **kwargs):
        raise AssertionError("a CPU run asked a question that only a GPU can answer")

    for name in (
        "get_device_capability",
        "is_bf16_supported",
        "get_device_name",
        "get_device_properties",
        "max_memory_allocated",
        "synchronize",
        "get_rng_state",
        "set_device",
        "current_device",
    ):
        monkeypatch.setattr(torch.cuda, name, asked)
    assert pretrain(toy_preset(), corpus, steps=2, device="cpu", quiet=True, evaluations=1).finished


# --- the seam -------------------------------------------------------------------------------------
def test_pretrain_really_uses_every_function_of_your_objective(corpus, data):
    calls = dict.fromkeys(("mask", "sample", "corrupt", "label", "loss"), 0)

    def spy(name):
        reference = getattr(Objective(), name)

        def function(*args, **kwargs):
            calls[name] += 1
            return reference(*args, **kwargs)

        return function

    electra = toy(Objective(**{name: spy(name) for name in calls}))
    run = pretrain("tiny", corpus, model=electra, steps=5, **QUICKLY)
    assert run.electra is electra
    assert all(n >= 5 for n in calls.values()), calls
    assert len(set(calls.values())) == 1, f"once a step each: {calls}"


def test_pretrain_learns_by_your_loss_and_by_no_other(corpus, data):
    def generator_alone(generator_loss, discriminator_loss, weight):
        return generator_loss + 0 * discriminator_loss

    electra = toy(Objective(loss=generator_alone), sharing="none", weight_decay=0.0)
    before = {name: p.detach().clone() for name, p in electra.named_parameters()}
    pretrain("tiny", corpus, model=electra, steps=3, **QUICKLY)
    moved = {name.split(".")[0] for name, p in electra.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"generator"}


def test_a_given_model_brings_its_own_preset(corpus, data, tmp_path):
    electra = toy(max_length=40, packing=True, batch_tokens=128, vocab_size=200)
    run = pretrain("laptop", corpus, tmp_path / "run", model=electra, steps=2, **QUICKLY)
    assert run.electra.preset is electra.preset
    assert run.tokenizer.get_vocab_size() <= 200
    loaded, _ = load(tmp_path / "run")
    assert same_weights(loaded, electra)


def test_a_model_larger_than_its_vocabulary_can_be_judged(corpus, data):
    run = pretrain("tiny", corpus, model=toy(vocab_size=400), steps=2, **QUICKLY)
    assert run.tokenizer.get_vocab_size() < 400
    for seed in range(20):
        judgement = judge("The dog sees the apple.", run.electra, run.tokenizer, seed=seed)
        assert all(isinstance(piece, str) for piece in judgement.corrupted + judgement.samples)


def test_a_generator_can_begin_at_the_frequencies_of_the_tokens(corpus, data):
    electra = toy()
    _, _, rows = training.prepare_text(electra.preset, corpus)
    training.start_at_unigram(electra.generator, rows)
    p = torch.softmax(electra.generator.bias, -1)
    counts = np.bincount(rows.ids, minlength=120).astype(float)
    assert (p[:5] < 1e-3).all()
    share = counts[5:] / counts[5:].sum()
    np.testing.assert_allclose(p[5:].detach().numpy(), share, atol=5e-3)
    before = electra.generator.bias.clone()
    training.start_at_unigram(electra.generator, rows_of([30, 3]))
    assert torch.equal(before, electra.generator.bias), "a trained generator keeps its own"


# --- what a run leaves ----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def finished_run(corpus, shared_data, tmp_path_factory):
    """A finished run of 12 steps in a folder, which tests only read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELECTRA_TUTORIAL_DATA", str(shared_data))
        folder = tmp_path_factory.mktemp("finished") / "run"
        return pretrain(toy_preset(dropout=0.1), corpus, folder, steps=12, **{**QUICKLY, "evaluations": 3})


def test_metrics_hold_all_that_is_promised(finished_run):
    promised = """exam_easy_auc exam_easy_found exam_medium_auc exam_medium_found exam_pairs rtd_auc
        rtd_average_precision rtd_recall rtd_loss rtd_loss_floor replaced_share mlm_loss mlm_loss_unigram
        tokens_seen tokens_per_second seconds peak_memory_mb preset device dtype seed""".split()
    metrics = read_json(finished_run.folder / "metrics.json")
    assert set(promised) <= set(metrics)
    assert metrics == finished_run.metrics
    assert (metrics["preset"], metrics["dtype"], metrics["seed"]) == ("toy", "float32", 0)
    assert metrics["peak_memory_mb"] > 50 and metrics["tokens_per_second"] > 0


def test_history_has_an_entry_an_evaluation_and_the_last_is_the_result(finished_run):
    history = read_json(finished_run.folder / "history.json")
    assert [entry["step"] for entry in history] == [0, 4, 8, 12]
    tokens = [entry["tokens_seen"] for entry in history]
    assert tokens[0] == 0 and tokens == sorted(set(tokens))
    assert history[-1]["exam_easy_auc"] == finished_run.metrics["exam_easy_auc"]


@pytest.mark.parametrize("parts", [("choose", "report"), ("all", "choose")])
def test_on_its_way_a_run_is_asked_one_part_of_the_exam_and_at_its_end_another(corpus, data, monkeypatch, parts):
    monkeypatch.setattr(exam_module, "SMALLEST_SPLIT", 1)
    exam, asked = load_exam(corpus), {} if parts == training.EXAM_PARTS else {"exam_parts": parts}
    run = pretrain(toy_preset(), corpus, steps=2, **QUICKLY | {"evaluations": 1}, **asked)
    start, end = run.history
    assert end["exam_pairs"] == take_exam(run.electra.discriminator, run.tokenizer, exam.part(parts[1]))["exam_pairs"]
    torch.manual_seed(0)
    fresh = Electra(run.electra.preset).eval()
    assert start["exam_pairs"] == take_exam(fresh.discriminator, run.tokenizer, exam.part(parts[0]))["exam_pairs"]


def test_the_time_lapse_has_more_moments_early_than_late(finished_run):
    timelapse = read_json(finished_run.folder / "timelapse.json")
    steps = [moment["step"] for moment in timelapse["moments"]]
    assert steps[0] == 0 and steps[-1] == 12 and steps == sorted(set(steps))
    assert sorted(training.timelapse_steps(10_000))[:4] == [0, 1, 2, 3]
    for moment in timelapse["moments"]:
        for sentence, chances in zip(timelapse["sentences"], moment["probabilities"], strict=True):
            assert len(chances) == len(sentence["pieces"])
            assert all(0 <= chance <= 1 for chance in chances)


def test_rows_shorter_than_the_probe_sentences_cut_these(corpus, data):
    run = pretrain(toy_preset(max_length=12), corpus, steps=2, **QUICKLY)
    for sentence, chances in zip(
        run.timelapse["sentences"], run.timelapse["moments"][-1]["probabilities"], strict=True
    ):
        assert len(chances) == len(sentence["pieces"]) <= 12
        assert all(place < 12 for place in sentence["replaced"])


def test_the_run_folder_is_a_model_folder(finished_run):
    loaded, tokenizer = load(finished_run.folder)
    assert same_weights(loaded, finished_run.electra)
    assert tokenizer.get_vocab_size() == loaded.preset.vocab_size
    assert not finished_run.electra.training


def test_a_run_repeats_itself_and_another_seed_gives_another(corpus, data, finished_run):
    preset, settings = toy_preset(dropout=0.1), {**QUICKLY, "evaluations": 1}
    again = pretrain(preset, corpus, steps=12, **settings)
    other = pretrain(preset, corpus, steps=12, seed=1, **settings)
    assert same_weights(again.electra, finished_run.electra), "exams in between leave no trace"
    assert not same_weights(other.electra, finished_run.electra)


def test_without_a_folder_nothing_is_written(corpus, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = pretrain(toy_preset(), corpus, steps=2, **QUICKLY)
    assert run.folder is None and run.finished and not list(tmp_path.iterdir())


def test_watch_sees_the_run_after_each_evaluation(corpus, data):
    seen = []
    pretrain(
        toy_preset(), corpus, steps=6, watch=lambda run: seen.append((run.step, len(run.history))), **QUICKLY
    )
    assert seen == [(0, 1), (3, 2), (6, 3)]


# --- stopping and going on ------------------------------------------------------------------------
def stopped_run(corpus, folder, preset=None, at=4, of=8, **changes):
    stop = threading.Event()

    def watch(run):
        if run.step == at:
            stop.set()

    run = pretrain(
        preset or toy_preset(), corpus, folder, steps=of, stop=stop, watch=watch, **{**QUICKLY, **changes}
    )
    assert not run.finished and run.metrics["steps"] == at
    return run


def test_a_run_can_be_stopped_anywhere_and_goes_on_bit_for_bit(corpus, data, tmp_path, capsys):
    preset = toy_preset(dropout=0.2)
    straight = pretrain(preset, corpus, tmp_path / "straight", steps=9, **QUICKLY)
    stop, train_step = threading.Event(), training.train_step
    for at in (1, 7):  # no exam falls due there
        folder, taken = tmp_path / str(at), []

        def counted(*args, at=at, taken=taken):
            taken.append(1)
            if len(taken) == 10 + at:  # ten go into timing
                stop.set()
            return train_step(*args)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(training, "train_step", counted)
            run = pretrain(preset, corpus, folder, steps=9, stop=stop, **QUICKLY)
        assert not run.finished and run.metrics["steps"] == at
        assert f"Stopped after {at} of 9 steps" in capsys.readouterr().err
        stop.clear()
        pretrain(preset, corpus, folder, resume=True, **QUICKLY)
        one, other = (read_tensors(f / STATE)[0] for f in (folder, tmp_path / "straight"))
        assert set(one) == set(other) and all(torch.equal(one[name], other[name]) for name in one)
    assert same_weights(load(folder)[0], straight.electra)


def rates_of(monkeypatch):
    """Collects the learning rate of every step from here on."""
    rates, train_step = [], training.train_step

    def noted(*args):
        rates.append(args[4])
        return train_step(*args)

    monkeypatch.setattr(training, "train_step", noted)
    return rates


@pytest.mark.parametrize("minutes", [0.02, 0.5])  # 11 and 287 steps of a tenth of a second: sooner, later
def test_a_resumed_run_given_a_new_end_comes_down_to_it_from_the_rate_it_had(corpus, data, tmp_path, monkeypatch,
                                                                             minutes):
    stopped_run(corpus, tmp_path / "run", at=50, of=100)
    monkeypatch.setattr(training, "seconds_per_step", lambda *args, **kwargs: 0.1)
    preset, rates = toy_preset(), rates_of(monkeypatch)
    run = pretrain(preset, corpus, tmp_path / "run", resume=True, finish_in=minutes, **QUICKLY)
    assert run.finished and run.metrics["steps"] == 50 + len(rates) and len(rates) in (11, 287)
    before = training.learning_rate(50, 100, preset.learning_rate, preset.warmup)
    np.testing.assert_allclose(rates, before * (1 - np.arange(len(rates)) / len(rates)), rtol=1e-6)


def test_a_new_end_is_kept_when_the_run_stops_again(corpus, data, tmp_path, monkeypatch):
    stopped_run(corpus, tmp_path / "run", at=50, of=100)
    monkeypatch.setattr(training, "seconds_per_step", lambda *args, **kwargs: 0.1)
    stop = threading.Event()
    stop.set()
    pretrain(toy_preset(), corpus, tmp_path / "run", resume=True, finish_in=0.02, stop=stop, **QUICKLY)
    rates = rates_of(monkeypatch)
    run = pretrain(toy_preset(), corpus, tmp_path / "run", resume=True, **QUICKLY)
    assert run.metrics["steps"] == run.metrics["total_steps"] == 61
    assert np.all(np.diff(rates) < 0) and rates[-1] < 0.1 * rates[0]


def test_a_new_end_needs_a_run_that_was_begun_and_has_warmed_up(corpus, data, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="--finish-in.*--resume"):
        pretrain(toy_preset(), corpus, tmp_path / "run", finish_in=5, **QUICKLY)
    stopped_run(corpus, tmp_path / "run", at=50, of=100)
    before = snapshot(tmp_path / "run")
    monkeypatch.setattr(training, "seconds_per_step", lambda *args, **kwargs: 0.1)
    for minutes, why in ((1, "still warming up, until step 62"), (0, "--finish-in 0"), (math.nan, "--finish-in nan")):
        with pytest.raises(UserError, match=why):
            pretrain(toy_preset(), corpus, tmp_path / "run", resume=True, finish_in=minutes, **QUICKLY)
    assert snapshot(tmp_path / "run") == before


def test_a_finished_run_that_is_resumed_is_finished_at_once(corpus, data, tmp_path):
    run = pretrain(toy_preset(), corpus, tmp_path / "run", steps=2, **QUICKLY)
    again = pretrain(toy_preset(), corpus, tmp_path / "run", resume=True, **QUICKLY)
    assert again.finished and again.metrics["steps"] == 2 and same_weights(run.electra, again.electra)


@pytest.mark.parametrize(
    "changes, name",
    [
        ({"preset": toy_preset(width=64)}, "width"),
        ({"preset": toy_preset(learning_rate=1e-2)}, "learning_rate"),
        ({"preset": toy_preset(mask_rate=0.3)}, "mask_rate"),
        ({"preset": toy_preset(sharing="none")}, "sharing"),
        ({"seed": 1}, "seed"),
        ({"corpus": "name"}, "corpus"),
        ({"corpus": "text"}, "corpus|vocab_size"),
    ],
)
def test_a_run_does_not_go_on_as_another(corpus, data, tmp_path, changes, name):
    stopped_run(corpus, tmp_path / "run")
    before = snapshot(tmp_path / "run")
    others = {
        "name": Corpus("other", corpus.train, corpus.heldout),
        "text": Corpus("toy", {"toy": corpus.train["toy"][:-1]}, corpus.heldout),
    }
    corpus, preset = others.get(changes.get("corpus"), corpus), changes.get("preset", toy_preset())
    with pytest.raises(UserError, match=f"another.*({name}).*--out"):
        pretrain(preset, corpus, tmp_path / "run", resume=True, seed=changes.get("seed", 0), **QUICKLY)
    assert snapshot(tmp_path / "run") == before


def test_there_must_be_something_to_resume(corpus, data, tmp_path):
    with pytest.raises(UserError, match="holds no checkpoint"):
        pretrain(toy_preset(), corpus, tmp_path / "nothing", resume=True, **QUICKLY)
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(UserError, match="folder"):
        pretrain(toy_preset(), corpus, resume=True, **QUICKLY)


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "foreign"])
def test_a_damaged_checkpoint_is_refused(corpus, data, tmp_path, damage):
    state = tmp_path / "run" / STATE
    stopped_run(corpus, tmp_path / "run")
    whole = state.read_bytes()
    if damage == "foreign":
        write_tensors(state, {"weight": torch.zeros(3)})
    else:
        state.write_bytes(
            {"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"hello there"}[damage]
        )
    with pytest.raises(UserError, match="state.safetensors"):
        pretrain(toy_preset(), corpus, tmp_path / "run", resume=True, **QUICKLY)


def test_another_number_of_threads_is_allowed_and_said(corpus, data, tmp_path, capsys, monkeypatch):
    stopped_run(corpus, tmp_path / "run")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    run = pretrain(toy_preset(), corpus, tmp_path / "run", resume=True, **QUICKLY)
    assert run.finished and "threads 7 instead of 1" in capsys.readouterr().err


def test_a_run_from_before_a_setting_existed_goes_on_and_says_with_what(corpus, data, tmp_path, capsys):
    stopped_run(corpus, tmp_path / "run")
    tensors, metadata = read_tensors(tmp_path / "run" / STATE)
    record = json.loads(metadata["record"])
    del record["config"]["preset"]["mask_by_lot"]
    write_tensors(tmp_path / "run" / STATE, tensors, {"record": json.dumps(record)})
    run = pretrain(toy_preset(mask_by_lot=True), corpus, tmp_path / "run", resume=True, **QUICKLY)
    assert run.finished and "it goes on with mask_by_lot=True, which --set changes" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["run", "file in a folder", "file"])
def test_what_is_there_is_never_written_over(corpus, data, tmp_path, finished_run, content):
    folder = finished_run.folder if content == "run" else tmp_path / "taken"
    if content == "file in a folder":
        folder.mkdir()
        (folder / "thesis.txt").write_text("three years of work")
    if content == "file":
        folder.write_text("three years of work")
    before = snapshot(folder) if folder.is_dir() else folder.read_bytes()
    with pytest.raises(UserError, match="already holds.*--out"):
        pretrain(toy_preset(), corpus, folder, steps=2, **QUICKLY)
    assert (snapshot(folder) if folder.is_dir() else folder.read_bytes()) == before


def test_only_a_run_is_offered_to_be_gone_on_with(tmp_path):
    for name in ("notes.txt", "config.json"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text("{}")
        for resume, words in ((False, "already holds"), (True, "no checkpoint.*choose a new folder")):
            with pytest.raises(UserError, match=words) as said:
                training.check_folder(folder, resume)
            assert resume or "--resume" not in str(said.value), "there is nothing to resume"
    with pytest.raises(UserError, match="leave --resume out to start a run there"):
        training.check_folder(tmp_path / "new", True)


def test_an_empty_folder_may_be_used_and_one_that_cannot_be_made_is_refused(corpus, data, tmp_path):
    (tmp_path / "empty").mkdir()
    assert pretrain(toy_preset(), corpus, tmp_path / "empty", steps=2, **QUICKLY).finished
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        pretrain(toy_preset(), corpus, tmp_path / "file" / "run", steps=2, **QUICKLY)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"minutes": 0}, "--minutes 0"),
        ({"minutes": -3}, "--minutes -3"),
        ({"minutes": math.nan}, "--minutes nan"),
        ({"minutes": math.inf}, "--minutes inf"),
        ({"steps": 1}, "1 steps"),
        ({"steps": 0}, "0 steps"),
        ({"preset": "huge"}, "'huge'.*tiny"),
        ({"device": "abacus"}, "'abacus'.*cpu"),
        ({"dtype": "int3"}, "'int3'.*float32"),
    ],
)
def test_a_mistake_in_the_call_is_one_sentence_and_touches_nothing(corpus, data, tmp_path, settings, words):
    with pytest.raises(UserError, match=words) as error:
        pretrain(
            **{
                "preset": toy_preset(),
                "corpus": corpus,
                "out_dir": tmp_path / "run",
                "quiet": True,
                **settings,
            }
        )
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_corpus_smaller_than_a_row_is_refused(data):
    nothing = Corpus("nothing", {"text": ["", " "]}, {"text": ["a b c"]})
    with pytest.raises(UserError):
        pretrain(toy_preset(), nothing, steps=2, **QUICKLY)


# --- trouble --------------------------------------------------------------------------------------
def broken_after(steps):
    """A loss that is no number from some step on; ten calls go into timing."""
    calls = []

    def loss(generator_loss, discriminator_loss, weight):
        calls.append(1)
        return (generator_loss + weight * discriminator_loss) * (math.nan if len(calls) > 10 + steps else 1.0)

    return loss


def test_a_loss_that_is_no_number_is_reported_and_the_checkpoint_from_before_kept(
    corpus, data, tmp_path, monkeypatch
):
    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)
    electra = toy(Objective(loss=broken_after(6)))
    with pytest.raises(UserError, match="not a number at step 7.*learning_rate"):
        pretrain("tiny", corpus, tmp_path / "run", model=electra, steps=40, **QUICKLY)
    tensors, metadata = read_tensors(tmp_path / "run" / STATE)
    assert json.loads(metadata["record"])["step"] == 6
    assert all(torch.isfinite(t.float()).all() for t in tensors.values())


def multinomial(logits, temperature, rng):
    return torch.multinomial(torch.softmax(logits.float() / temperature, -1), 1, generator=rng).squeeze(1)


@pytest.mark.parametrize("sample", [sample_tokens, multinomial, lambda logits, t, rng: sample_tokens(logits, 0)])
def test_a_loss_that_is_no_number_is_reported_whatever_samples(corpus, data, tmp_path, sample):
    electra = toy(Objective(sample=sample, loss=broken_after(6)))
    with pytest.raises(UserError, match="not a number at step"):
        pretrain("tiny", corpus, tmp_path / "run", model=electra, steps=40, **QUICKLY)
    assert not (tmp_path / "run" / STATE).exists()


def test_a_collapsed_discriminator_is_reported_with_what_to_try(corpus, data, capsys):
    electra = toy(learning_rate=0.0, batch_tokens=64)
    with torch.no_grad():
        electra.discriminator.output.weight.zero_()
    pretrain("tiny", corpus, model=electra, steps=200, **QUICKLY | {"evaluations": 4})
    said = capsys.readouterr().err
    assert said.count("still at chance") == 1 and "learning_rate" in said  # at two exams of four it is


def test_a_two_stage_run_is_not_blamed_before_its_discriminator_has_begun():
    at_chance = SimpleNamespace(history=[{"exam_easy_auc": 0.5}], step=180, total=400, preset=toy_preset(),
                                electra=SimpleNamespace())
    assert "still at chance" in Training.trouble(at_chance)
    at_chance.electra.first = 200
    assert Training.trouble(at_chance) is None
    at_chance.step = 390
    assert "still at chance" in Training.trouble(at_chance)


def test_a_run_that_learns_hears_no_complaint(corpus, data, capsys):
    run = pretrain(toy_preset(learning_rate=1e-2), corpus, steps=150, **QUICKLY)
    assert run.metrics["exam_easy_auc"] > 0.6
    assert "chance" not in capsys.readouterr().err


def test_the_note_of_a_corpus_is_told(corpus, data, capsys):
    noted = Corpus(corpus.name, corpus.train, corpus.heldout, "This is not the course's text.")
    pretrain(toy_preset(), noted, steps=2, **QUICKLY)
    assert "not the course's text" in capsys.readouterr().err


# --- other processes ------------------------------------------------------------------------------
def script_environment():
    here = Path(__file__).parent
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)]),
        "OMP_NUM_THREADS": "1",
    }


BEGIN = """
import hashlib, json, os, sys, threading
import torch
from conftest import Corpus, toy_preset, toy_sentences
from electra_tutorial import training
from electra_tutorial.training import pretrain

lines = list(dict.fromkeys(toy_sentences(700)))
corpus = Corpus("toy", {"toy": lines[60:560]}, {"toy": lines[:60]})
settings = dict(dtype="float32", device="cpu", quiet=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_saves_and_says_how_to_go_on(corpus, data, tmp_path):
    script, folder = tmp_path / "long.py", tmp_path / "run"
    script.write_text(
        BEGIN
        + """
watch = lambda run: print("running", flush=True)
pretrain(toy_preset(), corpus, sys.argv[1], steps=100_000, watch=watch, evaluations=1, **settings)
print("ended well", flush=True)
"""
    )
    process = subprocess.Popen(
        [sys.executable, script, folder],
        env=script_environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == "running\n", process.communicate()[1]
    process.send_signal(signal.SIGINT)
    try:
        out, said = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0 and "ended well" in out and "Traceback" not in said, said
    step = int(re.search(r"Stopped after (\d+) of 100000 steps", said).group(1))
    assert f"electra-tutorial train --resume --out {folder}" in said
    assert load(folder)[0].preset.name == "toy"

    stop = threading.Event()
    stop.set()  # go on, and stop at once
    resumed = pretrain(toy_preset(), corpus, folder, resume=True, stop=stop, **QUICKLY)
    assert resumed.metrics["steps"] == step and resumed.metrics["total_steps"] == 100_000


def test_a_second_ctrl_c_interrupts_at_once():
    stop = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), training.interrupt_sets(stop):
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_training_runs_in_another_thread_where_no_signal_arrives(corpus, data):
    runs = []
    thread = threading.Thread(target=lambda: runs.append(pretrain(toy_preset(), corpus, steps=2, **QUICKLY)))
    thread.start()
    thread.join()
    assert runs[0].finished


TWO_PROCESSES = (
    BEGIN
    + """
training.SAVE_EVERY = 0.0 if os.environ["RANK"] == "0" else 1e9  # clocks differ; they must still save together
folder, preset = sys.argv[1], toy_preset(dropout=0.1, batch_tokens=128)
stop = threading.Event()
halfway = lambda run: stop.set() if run.step == 6 else None


def digest(model):
    return hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest()


straight = pretrain(preset, corpus, folder + "/straight", steps=12, evaluations=2, **settings)
pretrain(preset, corpus, folder + "/parts", steps=12, evaluations=2, stop=stop, watch=halfway, **settings)
parts = pretrain(preset, corpus, folder + "/parts", resume=True, evaluations=2, **settings)
rank, world = training.join_processes(torch.device("cpu"))
found = {"world": world, "straight": digest(straight.electra), "parts": digest(parts.electra),
         "rng": straight.electra.rng.initial_seed(), "metrics": straight.metrics}
with open(f"{folder}/{rank}.json", "w") as file:
    json.dump(found, file)
"""
)


def test_processes_begin_with_the_same_weights_and_drop_out_other_features(corpus, data, monkeypatch):
    monkeypatch.setattr(training, "agreed", lambda value, world, device: value)
    begun, drawn = {}, {}
    for rank, world in ((0, 1), (0, 2), (1, 2)):
        monkeypatch.setattr(training, "join_processes", lambda device, who=(rank, world): who)
        begun[rank, world] = training.Training(toy_preset(), corpus, None, None, 0, "cpu", "float32")
        drawn[rank, world] = torch.rand(5)
        assert same_weights(begun[rank, world].electra, begun[0, 1].electra)
    assert torch.equal(drawn[0, 1], drawn[0, 2]), "the first process draws what one alone would draw"
    assert not torch.isin(drawn[1, 2], drawn[0, 2]).any()
    masks = torch.rand(5, generator=begun[1, 2].electra.rng)
    assert not torch.isin(drawn[1, 2], masks).any(), "dropout and masks draw from two streams"


def test_two_processes_train_one_model(data, tmp_path):
    """torchrun with gloo: the same weights in both, other masks in each, one folder, and an exact resume."""
    script = tmp_path / "two.py"
    script.write_text(TWO_PROCESSES)
    fresh = {**script_environment(), "ELECTRA_TUTORIAL_DATA": str(tmp_path / "fresh")}  # both find empty caches
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    process = subprocess.Popen([*command, script, tmp_path], env=fresh, text=True, stderr=subprocess.PIPE)
    try:
        _, said = process.communicate(timeout=300)
    finally:
        process.terminate()  # and its two children with it, should they wait for each other
    assert process.returncode == 0, said[-3000:]
    first, second = (read_json(tmp_path / f"{rank}.json") for rank in (0, 1))
    assert first["world"] == second["world"] == 2
    assert first["straight"] == second["straight"] and first["parts"] == second["parts"]
    assert first["straight"] == first["parts"], "a run in two parts is another one"
    assert first["rng"] != second["rng"], "both processes draw the same masks"
    assert first["metrics"]["steps"] == 12 and second["metrics"] == {}
    config = read_json(tmp_path / "straight" / "config.json")
    assert config["processes"] == 2
    assert load(tmp_path / "straight")[0].preset.name == "toy"
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"straight", "parts", "fresh"}


# --- devices --------------------------------------------------------------------------------------
def test_a_device_is_chosen_by_name_or_the_best_there_is():
    assert device.choose_device("cpu") == CPU
    assert device.choose_device() == device.choose_device(None)
    with pytest.raises(UserError, match="abacus"):
        device.choose_device("abacus")


def test_float32_needs_no_autocast():
    with device.autocast(CPU, "float32"):
        assert not torch.is_autocast_enabled("cpu")
    with device.autocast(CPU, "bfloat16"):
        assert torch.is_autocast_enabled("cpu")


def test_memory_is_counted_in_megabytes():
    assert 50 < device.peak_memory_mb(CPU) < 1e6


def test_the_package_imports_where_unix_s_resource_module_is_missing():
    code = (
        "import sys; sys.modules['resource'] = None\n"
        "import torch, electra_tutorial.training as t; print(t.peak_memory_mb(torch.device('cpu')))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env=script_environment(), capture_output=True, text=True
    )
    assert ended.stdout == "nan\n", ended.stderr


def test_a_vocabulary_trained_before_is_taken_from_the_cache(data, corpus, monkeypatch):
    lines = corpus.train["toy"][:100]
    first = training.cached_tokenizer(lines, 110)
    monkeypatch.setattr(training, "train_tokenizer", None)
    assert (
        training.cached_tokenizer(lines, 110).get_vocab()
        == first.get_vocab()
        == train_tokenizer(lines, 110).get_vocab()
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_run_on_a_gpu_goes_on_where_it_stopped(corpus, data, tmp_path):
    settings = {**QUICKLY, "device": "cuda"}
    straight = pretrain(toy_preset(), corpus, tmp_path / "straight", steps=8, **settings)
    stopped_run(corpus, tmp_path / "parts", device="cuda")
    parts = pretrain(toy_preset(), corpus, tmp_path / "parts", resume=True, **settings)
    for one, other in zip(straight.electra.parameters(), parts.electra.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
