"""The benchmark: the same models, the same rows, and turns that treat everybody alike."""
import sys

import numpy as np
import pytest
import torch
from conftest import toy_preset

from electra_tutorial import bench
from electra_tutorial.device import peak_memory_mb
from electra_tutorial.errors import UserError
from electra_tutorial.hub import to_transformers
from electra_tutorial.model import Electra
from electra_tutorial.objective import Objective, sample_tokens
from electra_tutorial.training import prepare_text

transformers = pytest.importorskip("transformers")
CPU = torch.device("cpu")


@pytest.fixture
def prepared(corpus, data):
    """(preset, tokenizer, rows) of the toy corpus."""
    preset = toy_preset()
    _, tokenizer, rows = prepare_text(preset, corpus)
    return preset.with_changes(vocab_size=tokenizer.get_vocab_size()), tokenizer, rows


def test_the_composed_models_have_our_sizes_and_share_their_tables():
    for sharing in ("embeddings", "none"):
        preset = toy_preset(sharing=sharing)
        composed, ours = bench.Composed(preset, bench.multinomial), Electra(preset)
        count = [sum(p.numel() for p in model.parameters()) for model in (composed, ours)]
        assert count[0] - count[1] == 2 * 2 * preset.embedding  # two token types in each model
        halves = (composed.generator, composed.discriminator)
        tables = [half.electra.embeddings.word_embeddings.weight for half in halves]
        assert (tables[0] is tables[1]) is (sharing == "embeddings")
        assert composed.generator.generator_lm_head.weight is tables[0]


def test_with_our_weights_the_composed_models_play_the_same_game(prepared):
    """At temperature 0 nothing is drawn, so both losses must agree on the same masks."""
    preset, tokenizer, rows = prepared
    preset = preset.with_changes(temperature=0.0)
    torch.manual_seed(0)
    packed, mask = bench.masking_collator(preset, tokenizer)(rows, range(6))
    masked_ids, targets = packed.unbind(1)
    chosen = targets >= 0
    ids = torch.where(chosen, targets, masked_ids)
    assert chosen.any() and not mask.all()
    electra = Electra(preset, Objective(mask=lambda *arguments: (masked_ids, chosen)))
    with torch.no_grad():
        electra.generator.bias[ids[chosen][0]] = 50  # one guess that is right at times
    composed = bench.Composed(preset, sample_tokens)
    for half in ("generator", "discriminator"):
        getattr(composed, half).load_state_dict(to_transformers(electra, half), strict=False)
    ours, theirs = electra(ids, mask), composed(packed, mask)
    assert ours.labels[chosen].any() and not ours.labels[chosen].all()
    assert torch.allclose(ours.generator_loss, theirs.generator_loss, atol=1e-5)
    assert torch.allclose(ours.discriminator_loss, theirs.discriminator_loss, atol=1e-5)
    assert torch.allclose(ours.loss, theirs.loss, atol=1e-3)


@pytest.mark.parametrize("name", [bench.OURS, bench.THEIRS, bench.BORROWED])
def test_everybody_moves_every_weight_while_timed(prepared, name):
    preset, tokenizer, rows = prepared
    contestant = bench.make_contestant(name, preset, tokenizer, CPU)
    before = {n: p.detach().clone() for n, p in contestant.model.named_parameters()}
    assert contestant.step(rows, np.arange(8), preset, CPU, "float32") > 0
    assert [n for n, p in contestant.model.named_parameters() if torch.equal(p, before[n])] == []


def test_both_kinds_of_batch_hold_the_tokens_they_say(prepared):
    preset, _, rows = prepared
    shapes = bench.make_shapes(rows, preset)
    full, batches = shapes["5 x 48"]  # 256 tokens a batch, rows of 48
    assert set(full.lengths) == {48} and {len(numbers) for numbers in batches} == {5}
    few, numbers = bench.few_batches(rows, shapes["training batches"][1], 3)
    assert len(numbers) == 3
    for mine, theirs in zip(numbers, shapes["training batches"][1], strict=False):
        assert all((few[a] == rows[b]).all() for a, b in zip(mine, theirs, strict=True))


def test_a_ratio_is_ours_over_theirs_round_by_round():
    speeds = {("s", "float32", bench.OURS): [20.0, 40.0, 90.0], ("s", "float32", "other"): [10.0, 10.0, 30.0],
              ("s", "bfloat16", bench.OURS): [30.0] * 3, ("s", "bfloat16", "other"): [40.0] * 3}
    tokens, ratios = bench.summarise(speeds, ["s"], ["float32", "bfloat16"], [bench.OURS, "other"])
    assert tokens["s"]["float32"] == {bench.OURS: 40.0, "other": 10.0}
    assert ratios["s"]["other"]["float32"] == {"median": 3.0, "lowest": 2.0, "highest": 4.0}
    assert ratios["s"]["other"]["each at its best"] == 1.0  # 40 over 40


@pytest.mark.parametrize("seconds", [0, -5.0, float("nan"), float("inf")])
def test_no_time_to_measure_in_is_refused_before_anything_is_made(corpus, seconds, monkeypatch):
    monkeypatch.setattr(bench, "prepare_text", None)
    with pytest.raises(UserError, match=f"--seconds {seconds} is no time"):
        bench.measure(seconds, corpus=corpus)


def test_the_whole_benchmark_reports_each_figure_and_who_was_left_out(corpus, data, monkeypatch):
    monkeypatch.setitem(sys.modules, "electra_pytorch", None)
    size = {"with_512_positions_and_token_types": 1, "step_of_64_tokens_seconds": 1}
    monkeypatch.setattr(bench, "paper_step", lambda: size)
    said = []
    result = bench.measure(0.1, said.append, toy_preset(), corpus, memory=False)
    for shape in ("5 x 48", "training batches"):
        for dtype in ("float32", "bfloat16"):
            assert set(result["tokens_per_second"][shape][dtype]) == {bench.OURS, bench.THEIRS, bench.BORROWED}
            assert result["ratio"][shape][bench.THEIRS][dtype]["median"] > 0
    assert result["rounds"] >= bench.LEAST_ROUNDS and "electra-pytorch was not measured" in result["left_out"][0]
    text = bench.table(result)
    assert "times as fast as transformers" in text and "electra-pytorch was not measured" in text


def test_memory_is_that_of_a_process_of_its_own():
    ballast = np.ones(60_000_000)  # 480 MB
    here = peak_memory_mb(CPU)
    assert ballast.nbytes / 1e6 < here and bench.in_a_fresh_process(peak_memory_mb, CPU) < here - 200


def test_the_papers_size_is_counted_as_published():
    found = bench.paper_step()
    assert round(found["with_512_positions_and_token_types"] / 1e6) == 14 and found["published"] == 14e6
    assert found["step_of_64_tokens_seconds"] > 0
