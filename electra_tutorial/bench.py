"""How fast is training? This package beside the same two models composed from `transformers`, in one run.

Everybody trains the same sizes on the same rows with the same optimiser and the same `train_step`, in turns:
a few steps of ours, a few of theirs, and again, so that what else the machine does meanwhile hits all alike.
A figure is the median over the rounds. Both make a batch and move every weight in the time that counts.

What differs is what a whole class from a library computes: `ElectraForMaskedLM` scores every token of the
vocabulary at every place, ours at the masked places alone; three projections against one; token types. Their
samples come from `torch.multinomial`, as one would write it; once more with our sampling, which is faster,
to tell its share from that of the models. `electra-pytorch` is measured too where it is installed (it wants
`pip install --no-deps electra-pytorch`).
"""
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from importlib import metadata
from multiprocessing import get_context
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from electra_tutorial.corpus import Corpus, load_corpus
from electra_tutorial.device import choose_device, describe, peak_memory_mb, synchronise
from electra_tutorial.errors import UserError
from electra_tutorial.hub import transformers_config
from electra_tutorial.model import Electra, forbid_special
from electra_tutorial.objective import corrupt, electra_loss, replaced_labels, sample_tokens
from electra_tutorial.tokens import (
    CLS_ID,
    MASK_ID,
    PAD_ID,
    SEP_ID,
    SPECIAL_TOKENS,
    Rows,
    batch_order,
    collate,
)
from electra_tutorial.training import (
    clipping_groups,
    find_preset,
    make_optimizer,
    prepare_text,
    train_step,
)

OURS, THEIRS, PEER = "electra-tutorial", "transformers", "electra-pytorch"
BORROWED = "transformers with our sampling"
STEPS = 2  # in a turn: short ones, so that a busy minute hits all alike
LEAST_ROUNDS = 3
BATCHES = 60  # different ones, taken round and round
TARGET = 2.0  # what we mean to reach, at equal precision, dropout and shapes
PUBLISHED_SIZE = 14_000_000  # parameters of ELECTRA-Small's discriminator (paper, table 1)


# --- the contestants --------------------------------------------------------------------------------------
@dataclass
class Contestant:
    """Something that trains: its model, how it makes a batch of row numbers, and what `train_step` needs."""

    model: nn.Module
    collate: Callable  # (rows, numbers) -> two tensors whose first dimension is the batch
    optimizer: torch.optim.Optimizer = None
    groups: list = field(default_factory=list)

    def step(self, rows, numbers, preset, device, dtype):
        """Make a batch, train on it once; the seconds that took."""
        started = time.perf_counter()
        batch, rate = self.collate(rows, numbers), preset.learning_rate
        train_step(self.model, self.optimizer, self.groups, batch, rate, preset, device, dtype)
        synchronise(device)
        return time.perf_counter() - started


class Composed(nn.Module):
    """Generator and discriminator of `transformers`, tables tied, with the steps in between that it lacks."""

    def __init__(self, preset, sample):
        super().__init__()
        self.preset, self.sample = preset, sample
        self.generator, self.discriminator = transformers_models(preset)
        if preset.sharing == "embeddings":
            share_tables(self.generator, self.discriminator)

    def forward(self, masked_and_labels, attention_mask=None):
        """masked_and_labels (B, 2, T) from the collator: ids with [MASK]; the originals there, -100 elsewhere."""
        masked_ids, targets = (part.contiguous() for part in masked_and_labels.unbind(1))  # (B, T) each
        chosen = targets >= 0
        ids = torch.where(chosen, targets, masked_ids)
        generated = self.generator(masked_ids, attention_mask=attention_mask, labels=targets)
        logits = forbid_special(generated.logits[chosen].detach())  # (N, V)
        corrupted_ids = corrupt(ids, chosen, self.sample(logits, self.preset.temperature))
        labels = replaced_labels(ids, corrupted_ids)
        judged = self.discriminator(corrupted_ids, attention_mask=attention_mask, labels=labels.long())
        loss = electra_loss(generated.loss, judged.loss, self.preset.discriminator_weight)
        return SimpleNamespace(loss=loss, generator_loss=generated.loss, discriminator_loss=judged.loss)


def multinomial(logits, temperature):
    """One draw per row of logits (N, V) with what PyTorch has for it: (N,)."""
    return torch.multinomial(torch.softmax(logits.float() / temperature, dim=-1), 1).squeeze(1)


def transformers_models(preset):
    """An `ElectraForMaskedLM` and an `ElectraForPreTraining` of the preset's sizes."""
    from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining

    generator = ElectraForMaskedLM(ElectraConfig(**transformers_config(preset, "generator")))
    return generator, ElectraForPreTraining(ElectraConfig(**transformers_config(preset, "discriminator")))


def share_tables(generator, discriminator):
    """Let the generator use the discriminator's token and position tables, its output table included."""
    ours, theirs = generator.electra.embeddings, discriminator.electra.embeddings
    ours.word_embeddings, ours.position_embeddings = theirs.word_embeddings, theirs.position_embeddings
    generator.generator_lm_head.weight = theirs.word_embeddings.weight


class Peer(nn.Module):
    """`electra-pytorch` around the same two models; it masks by itself."""

    def __init__(self, preset):
        super().__init__()
        from electra_pytorch import Electra as Theirs

        self.generator, self.discriminator = transformers_models(preset)
        if preset.sharing == "embeddings":
            share_tables(self.generator, self.discriminator)
        self.game = Theirs(
            Logits(self.generator), Logits(self.discriminator), mask_token_id=MASK_ID, pad_token_id=PAD_ID,
            mask_ignore_token_ids=[CLS_ID, SEP_ID], mask_prob=preset.mask_rate, replace_prob=1.0,
            disc_weight=preset.discriminator_weight, temperature=preset.temperature,
        )

    def forward(self, ids, attention_mask=None):
        result = self.game(ids, attention_mask=attention_mask)
        return SimpleNamespace(
            loss=result.loss, generator_loss=result.mlm_loss, discriminator_loss=result.disc_loss)


class Logits(nn.Module):
    """A model of `transformers` that returns its logits alone."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, attention_mask=None):
        return self.model(ids, attention_mask=attention_mask).logits


def masking_collator(preset, tokenizer):
    """`DataCollatorForLanguageModeling` as a function (rows, numbers) -> ((B, 2, T), mask (B, T))."""
    from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

    kinds = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    names = dict(zip(kinds, SPECIAL_TOKENS, strict=True))
    make = DataCollatorForLanguageModeling(
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names), mlm_probability=preset.mask_rate,
        mask_replace_prob=1.0, random_replace_prob=0.0)

    def collate_with_masks(rows, numbers):
        batch = make([{"input_ids": rows[n].tolist()} for n in numbers])
        return torch.stack([batch["input_ids"], batch["labels"]], dim=1), batch["attention_mask"].bool()

    return collate_with_masks


def make_contestant(name, preset, tokenizer, device):
    """The contestant of that name, ready to train. Raises ImportError if its package is not installed."""
    torch.manual_seed(0)
    if name == OURS:
        contestant = Contestant(Electra(preset), collate)
    elif name in (THEIRS, BORROWED):
        sample = multinomial if name == THEIRS else sample_tokens
        contestant = Contestant(Composed(preset, sample), masking_collator(preset, tokenizer))
    else:
        contestant = Contestant(Peer(preset), collate)
    contestant.model.to(device).train()
    contestant.optimizer = make_optimizer(contestant.model, preset)
    contestant.groups = clipping_groups(contestant.model)
    return contestant


def make_contestants(preset, tokenizer, device):
    """(contestants by name, sentences about those who cannot take part)."""
    there, left_out = {}, []
    for name in (OURS, THEIRS, BORROWED, PEER):
        try:
            there[name] = make_contestant(name, preset, tokenizer, device)
        except ImportError as error:
            left_out.append(f"{name} was not measured: {error}.")
    return there, left_out


# --- the rows ---------------------------------------------------------------------------------------------
def make_shapes(rows, preset):
    """Two kinds of batch, by name: (rows, list of row numbers a batch). Full rows, and those of training."""
    T = preset.max_length
    B = max(1, preset.batch_tokens // T)
    full = Rows(np.resize(rows.ids, BATCHES * B * T), np.arange(0, BATCHES * B * T + 1, T))
    return {
        f"{B} x {T}": (full, np.arange(BATCHES * B).reshape(BATCHES, B)),
        "training batches": (rows, batch_order(rows, preset.batch_tokens, seed=0, epoch=0)[:BATCHES]),
    }


# --- the clock --------------------------------------------------------------------------------------------
def take_turns(contestants, shapes, dtypes, preset, device, seconds):
    """Let everybody train in turns until the time is up: {(shape, dtype, name): tokens a second, one a round}."""
    speeds, turns = {}, [(shape, dtype) for shape in shapes for dtype in dtypes]
    started, number = time.perf_counter(), 0
    while number <= LEAST_ROUNDS or time.perf_counter() - started < seconds:
        for shape, dtype in turns:
            rows, batches = shapes[shape]
            mine = [batches[(number * STEPS + n) % len(batches)] for n in range(STEPS)]
            tokens = sum(int(rows.lengths[numbers].sum()) for numbers in mine)
            for name, contestant in contestants.items():
                took = sum(contestant.step(rows, numbers, preset, device, dtype) for numbers in mine)
                if number > 0:  # the first round warms up
                    speeds.setdefault((shape, dtype, name), []).append(tokens / took)
        number += 1
    return speeds


def summarise(speeds, shapes, dtypes, names):
    """Medians, and how many times as fast ours is: at equal precision, and each at its best."""
    medians = {key: statistics.median(values) for key, values in speeds.items()}
    tokens, ratios = {}, {}
    for shape in shapes:
        tokens[shape] = {dtype: {n: round(medians[shape, dtype, n], 1) for n in names} for dtype in dtypes}
        best = {n: max(medians[shape, dtype, n] for dtype in dtypes) for n in names}
        for other in names[1:]:
            ratios.setdefault(shape, {})[other] = {
                dtype: ratio_over_rounds(speeds[shape, dtype, OURS], speeds[shape, dtype, other])
                for dtype in dtypes
            } | {"each at its best": round(best[OURS] / best[other], 2)}
    return tokens, ratios


def ratio_over_rounds(ours, theirs):
    """The median of the rounds' ratios, and the lowest and the highest of them."""
    each = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    numbers = {"median": statistics.median(each), "lowest": each[0], "highest": each[-1]}
    return {name: round(number, 2) for name, number in numbers.items()}


# --- memory, and the paper's size -------------------------------------------------------------------------
def memory_of(name, preset, tokenizer, shapes, device):
    """The most memory in MB of a fresh process that trains one contestant, its imports included."""
    contestant = make_contestant(name, preset, tokenizer, device)
    for rows, batches in shapes.values():
        for numbers in batches:
            contestant.step(rows, numbers, preset, device, "float32")
    return peak_memory_mb(device)


def in_a_fresh_process(function, *arguments):
    """What the function returns there; memory that this process holds already would count otherwise."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def paper_step(preset="paper"):
    """Build the paper's ELECTRA-Small, train it by one small step, and count the discriminator's parameters.

    The published number counts 512 positions and two token types, so that is what is counted, beside our own.
    """
    preset = find_preset(preset)
    contestant = make_contestant(OURS, preset, None, torch.device("cpu"))
    ids = np.random.default_rng(0).integers(len(SPECIAL_TOKENS), preset.vocab_size, 64).astype(np.uint16)
    rows = Rows(ids, np.array([0, 32, 64]))
    seconds = contestant.step(rows, [0, 1], preset, torch.device("cpu"), "float32")
    ours = sum(p.numel() for p in contestant.model.discriminator.parameters())
    more = (512 - preset.max_length + 2) * preset.embedding
    return {
        "discriminator_parameters": ours, "with_512_positions_and_token_types": ours + more,
        "published": PUBLISHED_SIZE, "step_of_64_tokens_seconds": round(seconds, 2),
    }


# --- all of it --------------------------------------------------------------------------------------------
def measure(seconds=60.0, tell=print, preset="laptop", corpus="course", memory=True):
    """Run the benchmark for about so many seconds, and return all figures as plain data.

    tokens_per_second: shape -> dtype -> contestant; ratio: shape -> other -> dtype -> ours over theirs, with
    the lowest and highest of the rounds; peak_memory_mb of a process of its own each; left_out: who could not
    take part, and why. corpus: see `load_corpus`; a fraction of it is enough. Raises `UserError` unless seconds
    is a number above 0.
    """
    if not 0 < seconds < 1e6:
        raise UserError(f"--seconds {seconds} is no time to measure in: give a number above 0, such as 60.")
    started, device, preset = time.perf_counter(), choose_device(), find_preset(preset)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    corpus = corpus if isinstance(corpus, Corpus) else load_corpus(corpus, fallback=True)
    if corpus.note:
        tell(corpus.note)
    _, tokenizer, rows = prepare_text(preset, corpus)
    preset = preset.with_changes(dropout=0.0)
    shapes = make_shapes(rows, preset)
    contestants, left_out = make_contestants(preset, tokenizer, device)
    tell(f"{', '.join(contestants)} in turns on {describe(device)} ...")
    dtypes = ["float32"] if device.type == "mps" else ["float32", "bfloat16"]
    speeds = take_turns(contestants, shapes, dtypes, preset, device, 0.7 * seconds)
    tokens, ratios = summarise(speeds, shapes, dtypes, list(contestants))
    result = {
        "preset": preset.name, "corpus": corpus.name, "device": describe(device), "load_before": load,
        "versions": {name: version(name) for name in ("torch", THEIRS, PEER)},
        "rounds": len(next(iter(speeds.values()))), "steps_a_turn": STEPS, "tokens_per_second": tokens,
        "ratio": ratios, "target_ratio": TARGET, "left_out": left_out,
    }
    if memory:
        tell("Memory, each in a process of its own ...")
        few = {name: few_batches(*shape) for name, shape in shapes.items()}
        result["peak_memory_mb"] = {
            name: round(in_a_fresh_process(memory_of, name, preset, tokenizer, few, device))
            for name in contestants}
    return result | {"paper": paper_step(), "seconds": round(time.perf_counter() - started, 1)}


def few_batches(rows, batches, few=8):
    """The first few batches alone, as (rows, batches): what another process is sent."""
    batches = [np.asarray(numbers) for numbers in batches[:few]]
    chosen = [rows[n] for numbers in batches for n in numbers]
    few = Rows(np.concatenate(chosen), np.cumsum([0, *map(len, chosen)]))
    return few, np.split(np.arange(len(few)), np.cumsum([len(numbers) for numbers in batches])[:-1])


def version(package):
    """The installed version of a package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def table(result):
    """The figures as text."""
    lines = [f"{result['preset']} sizes, {result['device']}: tokens a second, {result['rounds']} rounds' medians"]
    for shape, dtypes in result["tokens_per_second"].items():
        for dtype, speeds in dtypes.items():
            figures = ", ".join(f"{name} {speed:,.0f}" for name, speed in speeds.items())
            lines.append(f"  {shape:16}  {dtype:8}  {figures}")
    lines += [
        f"times as fast as {other} at {shape}: {in_words(ratios)}"
        for shape, others in result["ratio"].items() for other, ratios in others.items()
    ]
    lines += [f"peak memory of {name}: {mb:,} MB" for name, mb in result.get("peak_memory_mb", {}).items()]
    paper = result["paper"]
    lines.append(
        f"the paper's size: {paper['with_512_positions_and_token_types']:,} parameters in the discriminator "
        f"(published: 14 M); one step of 64 tokens took {paper['step_of_64_tokens_seconds']} s")
    return "\n".join([*lines, *result["left_out"]])


def in_words(ratios):
    """"float32 2.3 (2.1 to 2.5), each at its best 2.2"."""
    return ", ".join(
        f"{name} {r}" if isinstance(r, float) else f"{name} {r['median']} ({r['lowest']} to {r['highest']})"
        for name, r in ratios.items())
