"""Pre-training in plain PyTorch: one loop on a CPU, a GPU, an Apple chip, or several processes.

    batches -> Electra.forward -> backward -> clip -> step, with an exam now and then

`pretrain` is the whole of it. It takes any `Electra`, yours too, and gives back a `Run`. What a run needs to go on
as if it had never stopped (weights, optimiser, both random streams, place in the data, schedule) is in its
checkpoint, so N steps, a break and N more steps are bit for bit 2N steps, on the same machine with the same threads
and precision.
"""
import copy
import hashlib
import json
import math
import os
import shutil
import signal
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from tqdm.auto import tqdm

from electra_tutorial import __version__
from electra_tutorial.checkpoint import STATE, load_weights, read_tensors, save, unshared, write_tensors
from electra_tutorial.corpus import Corpus, load_corpus
from electra_tutorial.device import (
    DTYPES,
    agreed,
    any_wants,
    autocast,
    choose_device,
    describe,
    join_processes,
    peak_memory_mb,
    synchronise,
    to_device,
)
from electra_tutorial.errors import UserError
from electra_tutorial.evaluation import Evaluation
from electra_tutorial.judgement import probe_sentences, watch_probes
from electra_tutorial.model import Electra
from electra_tutorial.presets import PRESETS, Preset
from electra_tutorial.sources import cache_dir
from electra_tutorial.tokens import (
    SPECIAL_TOKENS,
    batch_order,
    collate,
    load_tokenizer,
    make_rows,
    save_tokenizer,
    train_tokenizer,
)

EVALUATIONS = 12  # in a run, evenly spaced; the last one asks all the questions that report
QUICK_EXAM = 300  # of the questions that choose, of each kind, while training
EXAM_PARTS = ("choose", "report")  # of the exam, on the way and at the end
MOMENTS = 24  # of the time-lapse, log-spaced: most happens early
SAVE_EVERY = 120.0  # seconds between checkpoints
SOONEST_TROUBLE = 100  # steps before which a detector at chance is no news


# --- the optimiser ------------------------------------------------------------------------------------------
def parameter_groups(electra, weight_decay, generator_rate=1.0):
    """Every parameter once. Matrices decay; norms and biases do not: they are few, and no sign of overfitting.

    `scale` multiplies the learning rate: `generator_rate` for what the generator has alone, 1 for all else.
    """
    own, rest, shared = clipping_groups(electra)
    groups = []
    for parameters, scale in ((own, generator_rate), (rest + shared, 1.0)):
        for decay, chosen in ((weight_decay, lambda p: p.dim() >= 2), (0.0, lambda p: p.dim() < 2)):
            groups.append({"params": [p for p in parameters if chosen(p)], "weight_decay": decay, "scale": scale})
    return groups


def make_optimizer(electra, preset):
    """AdamW with the paper's epsilon; the fused form does all parameters in one call."""
    groups = parameter_groups(electra, preset.weight_decay, preset.generator_rate)
    device = next(electra.parameters()).device
    betas = (0.9, preset.beta2)
    return torch.optim.AdamW(groups, lr=preset.learning_rate, betas=betas, eps=1e-6, fused=device.type != "mps")


def learning_rate(step, total, peak, warmup):
    """Linear up over the first `warmup` (a share) of `total` steps, linear down to 0 at the end (paper, table 6)."""
    rising = max(1, round(total * warmup))
    if step < rising:
        return peak * (step + 1) / rising
    return peak * (total - step) / max(1, total - rising)


def clipping_groups(electra):
    """Three lists of parameters: the generator's own, the discriminator's own, and the tables they share."""
    generator = {id(p): p for p in electra.generator.parameters()}
    discriminator = {id(p): p for p in electra.discriminator.parameters()}
    shared = [p for i, p in generator.items() if i in discriminator]
    return [
        [p for i, p in generator.items() if i not in discriminator],
        [p for i, p in discriminator.items() if i not in generator],
        shared,
    ]


def clip_gradients(groups, limit):
    """Shorten each group's gradient to the length `limit` if it is longer: one model's outburst damps no other."""
    for group in groups:
        if group:
            torch.nn.utils.clip_grad_norm_(group, limit)


# --- the data -------------------------------------------------------------------------------------------------
def batch_stream(rows, batch_tokens, seed, start=0, rank=0, world=1):
    """Batches of row numbers without end, from number `start` on: epoch after epoch, each in its own order.

    With several processes each takes every `world`-th batch.
    """
    number, epoch = 0, 0
    while True:
        order = batch_order(rows, batch_tokens, seed, epoch)
        order = order[: len(order) // world * world]  # every process sees as many
        if not order:
            raise UserError(
                f"The corpus makes fewer batches than the {world} processes need: use fewer, or more text."
            )
        mine = order[rank::world]
        if number + len(mine) > start:
            yield from mine[max(0, start - number):]
        number += len(mine)
        epoch += 1


def start_at_unigram(generator, rows):
    """Let the generator begin with the tokens' frequencies, which it would else spend its first minute learning.

    Only biases that are still all zero are set: a generator that was trained before keeps its own.
    """
    if not generator.bias.any():
        counts = np.bincount(rows.ids, minlength=len(generator.bias)).astype(float)
        counts[: len(SPECIAL_TOKENS)] = 0
        with torch.no_grad():
            generator.bias.copy_(torch.from_numpy(np.log((counts + 1) / (counts + 1).sum())))


# --- one step ---------------------------------------------------------------------------------------------------
def update(loss, optimizer, groups, limit):
    """Backward, clip, step, zero: move the weights once against the gradient of `loss`, a tensor of one number.

    `train_step` does the same for both networks at once. groups: lists of parameters, each clipped for itself to a
    gradient of length `limit`. Returns nothing.
    """
    loss.backward()
    clip_gradients(groups, limit)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def train_step(model, optimizer, groups, batch, rate, preset, device, dtype):
    """Forward, backward, clip, step, zero: one update from one batch (ids, attention_mask) of `collate`.

    With `preset.accumulate` > 1 the batch goes through in so many parts whose gradients add up: less memory, the same
    update. Returns a tensor of the two losses.
    """
    losses = torch.zeros(2, device=device)
    for ids, mask in zip(*(part.chunk(preset.accumulate) for part in batch), strict=True):
        share = len(ids) / len(batch[0])
        mask = None if mask.all() else to_device(mask, device)  # no padding, no mask: faster, the same numbers
        with autocast(device, dtype):
            step = model(to_device(ids, device), mask)
        (step.loss * share).backward()
        losses += torch.stack([step.generator_loss, step.discriminator_loss]).detach() * share
    clip_gradients(groups, preset.clip)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return losses


# --- measuring the machine --------------------------------------------------------------------------------------
def seconds_per_step(electra, rows, preset, device, dtype, steps=8):
    """Time training steps on a copy of the model, thrown away after: nothing of the run moves, no random stream."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        twin = copy.deepcopy(electra)
        optimizer, groups = make_optimizer(twin, preset), clipping_groups(twin)
        stream = batch_stream(rows, preset.batch_tokens, seed=0)
        times = []
        for _ in range(steps + 2):  # the first two warm up
            batch = collate(rows, next(stream))
            start = time.perf_counter()
            train_step(twin, optimizer, groups, batch, 0.0, preset, device, dtype)
            synchronise(device)
            times.append(time.perf_counter() - start)
    return sum(times[2:]) / steps


def steps_in(minutes, seconds, spared=0.04):
    """How many whole steps of so many seconds fit into the minutes, at least 2: one to warm up, one to come down.

    `spared`: the share of the time that goes into exams and checkpoints instead.
    """
    return max(2, int(60 * minutes * (1 - spared) / seconds))


def choose_dtype(electra, rows, preset, device):
    """Time float32 against bfloat16, which some chips only pretend to know -> (the faster, its seconds a step)."""
    names = ["float32"] if device.type == "mps" else ["float32", "bfloat16"]
    times = {name: seconds_per_step(electra, rows, preset, device, name) for name in names}
    name = min(times, key=times.get)
    if times[name] > 0.97 * times["float32"]:  # a gain within the noise of the clock is none
        name = "float32"
    return name, times[name]


# --- the run --------------------------------------------------------------------------------------------------------
@dataclass
class Run:
    """What training left: the folder, both models, and its record as plain data."""

    folder: Path | None
    electra: Electra
    tokenizer: object
    metrics: dict
    history: list = field(default_factory=list)  # one dict an evaluation
    timelapse: dict = field(default_factory=dict)
    finished: bool = True


@contextmanager
def interrupt_sets(stop):
    """While inside, the first Ctrl-C sets `stop`, so that the step under way ends well; a second breaks it off."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_interrupt(number, frame):
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def evaluation_steps(total, evaluations=EVALUATIONS):
    """The steps after which an exam is taken: before the first, then evenly spaced to the last."""
    return {0, total} | {round(total * i / evaluations) for i in range(1, evaluations)}


def timelapse_steps(total):
    """The steps at which the probe sentences are judged: step 0, then log-spaced to the end."""
    return {0} | {round(math.exp(math.log(total) * i / (MOMENTS - 1))) for i in range(MOMENTS)}


def cached_tokenizer(lines, vocab_size):
    """A tokenizer trained on these lines, from the cache if these very lines had one trained before."""
    digest = hashlib.sha256(f"{vocab_size}\n".encode())
    for line in lines:
        digest.update(line.encode("utf-8", "surrogatepass") + b"\n")
    folder = cache_dir() / "tokenizers" / digest.hexdigest()[:16]
    if not (folder / "tokenizer.json").is_file():
        new = save_tokenizer(train_tokenizer(lines, vocab_size), folder.with_name(f"{folder.name}.{os.getpid()}"))
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)
    return load_tokenizer(folder)


def balanced(texts, weight=1.0, most=4):
    """The lines of all sources; a smaller source comes again and again until it weighs `weight` times the largest.

    texts: {name: lines}. Sizes are characters, repeats whole numbers, at most `most` times `weight`. Without this,
    long sentences of one source would drown the short ones of another.
    """
    sizes = {name: sum(map(len, lines)) for name, lines in texts.items()}
    largest = max(sizes.values())
    repeats = {name: max(1, round(weight * min(most, largest / max(size, 1)))) if size < largest else 1
               for name, size in sizes.items()}
    return [line for name in sorted(texts) for line in texts[name] * repeats[name]]


def prepare_text(preset, corpus="course", tokenizer=None):
    """(corpus, tokenizer, rows) for a preset; `corpus` is a name, a path or a `Corpus`. What takes long is cached."""
    corpus = corpus if isinstance(corpus, Corpus) else load_corpus(corpus)
    lines = [line for name in sorted(corpus.train) for line in corpus.train[name]]
    tokenizer = tokenizer or cached_tokenizer(lines, preset.vocab_size)
    name = f"{Path(corpus.name).name}-{preset.vocab_size}-{preset.max_length}{'-packed' * preset.packing}"
    if preset.balance:
        lines, name = balanced(corpus.train, preset.balance), f"{name}-balanced-{float(preset.balance)}"
    rows = make_rows(lines, tokenizer, preset.max_length, preset.packing, cache_dir() / "rows" / name)
    return corpus, tokenizer, rows


class Training:
    """A run under way: models, optimiser, data and record, and what moves them one step on."""

    def __init__(self, preset, corpus, out_dir, model, seed, device, dtype):
        self.device = choose_device(device)
        self.rank, self.world = join_processes(self.device)
        preset = model.preset if model is not None else preset
        if self.rank > 0:
            agreed(0, self.world, self.device)  # wait until the first process has filled the caches
        self.corpus, self.tokenizer, self.rows = prepare_text(preset, corpus)
        if self.rank == 0:
            agreed(0, self.world, self.device)
        self.vocab_size_asked, size = preset.vocab_size, self.tokenizer.get_vocab_size()  # a small corpus gives fewer
        self.preset = preset if model is not None else preset.with_changes(vocab_size=size)
        torch.manual_seed(seed)
        self.electra = (model if model is not None else Electra(self.preset)).to(self.device).train()
        if self.preset.unigram_start:
            start_at_unigram(self.electra.generator, self.rows)
        self.electra.rng = torch.Generator(self.device).manual_seed(seed + 1000 * self.rank)
        if self.rank > 0:  # from equal weights on, each process drops other features out
            torch.manual_seed(seed + 1000 * self.rank + 1)
        self.optimizer = make_optimizer(self.electra, self.preset)
        self.groups = clipping_groups(self.electra)
        self.seed, self.folder, self.dtype = seed, out_dir and Path(out_dir), dtype
        self.step, self.total, self.seconds, self.step_seconds, self.tokens_seen = 0, 0, 0.0, 0.0, 0
        self.peak = self.preset.learning_rate
        self.history, self.moments, self.troubled = [], [], False
        self.losses = torch.zeros(2, device=self.device)  # running means, for the progress bar
        self.evaluation, self.exam_parts = None, EXAM_PARTS

    # -- before the first step
    def plan(self, minutes, steps):
        """Choose the precision by a quick timing; fix the number of steps: given, or from minutes or the budget."""
        if self.dtype is None:
            self.dtype, seconds = choose_dtype(self.electra, self.rows, self.preset, self.device)
        else:
            seconds = seconds_per_step(self.electra, self.rows, self.preset, self.device, self.dtype)
        if steps is None and minutes is not None:
            steps = steps_in(minutes, seconds)
        if steps is None:
            steps = self.preset.tokens // (self.preset.batch_tokens * self.world)
        self.total = agreed(max(2, steps), self.world, self.device)
        self.dtype = list(DTYPES)[agreed(list(DTYPES).index(self.dtype), self.world, self.device)]
        return self.total * seconds / 0.96

    def finish_in(self, minutes):
        """Give a resumed run a new end, so many minutes from here: its rate comes down from where it stands.

        The rate stays on a straight line to 0, only a steeper or a flatter one. Raises `UserError` for a run that is
        still warming up.
        """
        warmup = self.preset.warmup
        rate = learning_rate(self.step, self.total, self.peak, warmup)
        seconds = seconds_per_step(self.electra, self.rows, self.preset, self.device, self.dtype)
        total = self.step + agreed(steps_in(minutes, seconds), self.world, self.device)
        rising = max(1, round(max(total, self.total) * warmup))
        if self.step < rising:
            raise UserError(f"At step {self.step} a run of {total} steps is still warming up, until step {rising}: "
                            "give --finish-in fewer minutes, or go on with --resume alone first.")
        self.total, self.peak = total, rate * (total - max(1, round(total * warmup))) / (total - self.step)

    def compile(self):
        """On a GPU, fuse each block's many small operations; rows of any length share one compiled form."""
        if self.device.type == "cuda":
            for half in (self.electra.generator, self.electra.discriminator):
                for block in half.encoder.blocks:
                    block.compile(dynamic=True)

    # -- one step and what goes with it
    def advance(self, stream, model):
        """Take the next batch and train on it once."""
        started = time.perf_counter()
        batch = collate(self.rows, next(stream))
        rate = learning_rate(self.step, self.total, self.peak, self.preset.warmup)
        try:
            losses = train_step(model, self.optimizer, self.groups, batch, rate, self.preset, self.device, self.dtype)
        except (RuntimeError, IndexError):  # your own way of sampling may refuse what is no number: say why
            self.check_loss(self.electra.parameters())
            raise
        self.step += 1
        self.tokens_seen += int(batch[1].sum()) * self.world
        self.losses = losses if self.step == 1 else 0.98 * self.losses + 0.02 * losses
        elapsed = time.perf_counter() - started
        self.seconds += elapsed
        self.step_seconds += elapsed

    def evaluate(self, limit=None):
        """Take the exam and the fixed losses; append them to the history with where the run stands."""
        if self.evaluation is None:
            self.evaluation = Evaluation.make(self.corpus, self.tokenizer, self.rows, self.preset.max_length,
                                              parts=self.exam_parts)
        generator_loss, discriminator_loss = self.losses.tolist()
        self.history.append({
            "step": self.step, "tokens_seen": self.tokens_seen, "seconds": round(self.seconds, 1),
            "train_generator_loss": generator_loss, "train_discriminator_loss": discriminator_loss,
            **self.evaluation.run(self.electra, limit),
        })
        return self.history[-1]

    def remember_moment(self):
        """Write down what the discriminator says of the probe sentences now."""
        self.moments.append({"step": self.step, "tokens_seen": self.tokens_seen,
                             "probabilities": watch_probes(self.electra, self.tokenizer)})

    @property
    def timelapse(self):
        return {"sentences": probe_sentences(self.tokenizer, self.preset.max_length), "moments": self.moments}

    def metrics(self):
        """The last evaluation and the facts of the run: the contents of `metrics.json`."""
        speed = self.tokens_seen / self.step_seconds if self.step_seconds else 0.0
        return {
            **self.history[-1], "tokens_seen": self.tokens_seen, "tokens_per_second": round(speed, 1),
            "seconds": round(self.seconds, 1), "peak_memory_mb": round(peak_memory_mb(self.device), 1),
            "preset": self.preset.name, "device": describe(self.device), "dtype": self.dtype, "seed": self.seed,
            "corpus": self.corpus.name, "steps": self.step, "total_steps": self.total,
        }

    def look(self, exam, moment, watch):
        """What is due between two steps: an exam, a moment of the time-lapse."""
        if self.rank > 0 or not (exam or moment):
            return
        started = time.perf_counter()
        if moment:
            self.remember_moment()
        if exam:
            self.evaluate(None if self.step == self.total else QUICK_EXAM)
            if (trouble := self.trouble()) and not self.troubled:
                say(trouble)  # once: it lasts, and reading it at each exam would not mend it
            self.troubled = bool(trouble)
            if watch:
                watch(self)
        self.seconds += time.perf_counter() - started

    def check_loss(self, weights=()):
        """Raise `UserError` when the loss or one of these weights is no number; what was saved before stays."""
        if not all(torch.isfinite(t).all() for t in (self.losses, *weights)):
            raise UserError(
                f"The loss is not a number at step {self.step}: lower learning_rate (now "
                f"{self.preset.learning_rate}), lengthen the warm-up, or use dtype float32. What was saved before is "
                "kept."
            )

    def trouble(self):
        """What is wrong with a run whose detector has learned nothing, as a sentence; None if nothing is."""
        auc = self.history[-1]["exam_easy_auc"]
        begun = getattr(self.electra, "first", 0)  # until then a two-stage model leaves its discriminator alone
        share = (self.step - begun) / max(1, self.total - begun)
        late = share > max(0.3, 2 * self.preset.warmup) and self.step >= SOONEST_TROUBLE
        if late and auc is not None and abs(auc - 0.5) < 0.03:
            return (f"At step {self.step} the exam is still at chance (AUC {auc:.2f}): the discriminator calls every "
                    "token original. Try a lower learning_rate, a longer warm-up or a smaller generator.")
        return None

    def summary(self):
        """Where the run stands, for the progress bar."""
        generator_loss, discriminator_loss = self.losses.tolist()
        exam = ""
        if self.history and self.history[-1]["exam_medium_auc"] is not None:
            last = self.history[-1]
            keys = ("exam_easy_auc", "exam_medium_auc", "exam_pairs")
            exam = " | exam " + " ".join(f"{last[key]:.3f}" for key in keys if last[key])
        return f"MLM {generator_loss:.2f} RTD {discriminator_loss:.3f}{exam}"

    # -- keeping and taking up
    def config(self):
        return {"corpus": self.corpus.name, "seed": self.seed, "total_steps": self.total, "dtype": self.dtype,
                "device": self.device.type, "threads": torch.get_num_threads(), "processes": self.world,
                "vocab_size_asked": self.vocab_size_asked, "electra_tutorial": __version__}

    def random_state(self):
        """Every random stream of every process, by name; the data's needs none, it follows from seed and step."""
        state = {"torch": torch.get_rng_state(), "electra": self.electra.rng.get_state()}
        if self.device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self.device)
        states = [state]
        if self.world > 1:
            states = [None] * self.world
            dist.all_gather_object(states, state)
        return {f"random.{rank}.{name}": t for rank, s in enumerate(states) for name, t in s.items()}

    def save_checkpoint(self):
        """All that the next step depends on, in one file; `UserError` rather than save what is broken."""
        self.check_loss(self.electra.parameters())
        tensors = {f"model.{name}": t for name, t in unshared(self.electra).items()}
        names = {id(t): name for name, t in unshared(self.electra).items()}
        for parameter, slots in self.optimizer.state.items():
            tensors |= {f"optimizer.{names[id(parameter)]}.{slot}": value for slot, value in slots.items()}
        tensors |= self.random_state()
        record = {"config": {"preset": self.preset.to_dict(), **self.config()}, "rows": rows_digest(self.rows),
                  "history": self.history, "moments": self.moments, "losses": self.losses.tolist(), "peak": self.peak,
                  **{name: getattr(self, name) for name in COUNTERS}}
        if self.rank == 0:
            write_tensors(self.folder / STATE, tensors, {"record": json.dumps(record)})

    def restore(self):
        """Take up the run that stands in the folder; `UserError` when it was of another preset, corpus or seed."""
        tensors, metadata = read_tensors(self.folder / STATE)
        if "record" not in metadata:
            raise UserError(
                f"{self.folder / STATE} is no checkpoint of this course: choose another --out, and start anew."
            )
        record = json.loads(metadata["record"])
        self.check_same(record)
        load_weights(self.electra, strip(tensors, "model."), self.folder / STATE)
        for name, parameter in unshared(self.electra).items():
            self.optimizer.state[parameter] = {
                slot: value if slot == "step" and self.device.type == "mps" else value.to(self.device)
                for slot, value in strip(tensors, f"optimizer.{name}.").items()
            }
        random = strip(tensors, f"random.{self.rank}.")
        torch.set_rng_state(random["torch"])
        self.electra.rng.set_state(random["electra"])
        if self.device.type == "cuda" and "cuda" in random:
            torch.cuda.set_rng_state(random["cuda"], self.device)
        self.history, self.moments = record["history"], record["moments"]
        self.losses = torch.tensor(record["losses"], device=self.device)
        self.total, self.dtype = record["config"]["total_steps"], record["config"]["dtype"]
        self.peak = record.get("peak", self.peak)  # a run begun before it could change has the preset's
        for name in COUNTERS:
            setattr(self, name, record[name])

    def check_same(self, record):
        """A run goes on with what it began with. Another machine or thread count is allowed, and said."""
        config, preset = record["config"], self.preset.to_dict()
        changed = [n for n, v in config["preset"].items() if preset.get(n) != v and n != "tokens"]
        changed += [n for n in ("seed", "corpus", "processes") if self.config()[n] != config[n]]
        if changed or record["rows"] != rows_digest(self.rows):
            name = changed[0] if changed else "the corpus's text"
            raise UserError(
                f"{self.folder} holds a run with another {name}: resume it as it was started, or choose another "
                "--out."
            )
        for name in preset.keys() - config["preset"].keys():
            say(f"This run began before presets had a {name}: it goes on with {name}={preset[name]}, which --set "
                "changes.")
        for name in ("device", "threads"):
            if config[name] != self.config()[name]:
                say(f"Going on with {name} {self.config()[name]} instead of {config[name]}: right, but not bit for "
                    "bit the same.")

    def finish(self, finished, watch=None):
        """Write down what there is, say how to go on if there is more to do, and hand over the `Run`."""
        if self.rank == 0 and not (self.history and self.history[-1]["step"] == self.step):
            self.evaluate(QUICK_EXAM)
            if watch:
                watch(self)
        metrics = self.metrics() if self.rank == 0 else {}
        if self.folder:
            self.save_checkpoint()
            if self.rank == 0:
                self.save_model(metrics)
        if not finished and self.rank == 0:
            say(f"Stopped after {self.step} of {self.total} steps." + (
                f" Go on with: electra-tutorial train --resume --out {self.folder}" if self.folder else ""))
        self.electra.eval()
        return Run(self.folder, self.electra, self.tokenizer, metrics, self.history, self.timelapse, finished)

    def save_model(self, metrics):
        """The folder others load from: weights, tokenizer and the record as JSON."""
        save(self.electra, self.tokenizer, self.folder, config=self.config(), metrics=metrics, history=self.history,
             timelapse=self.timelapse)


COUNTERS = ("step", "tokens_seen", "seconds", "step_seconds")


def strip(tensors, prefix):
    """The tensors whose names begin so, under the rest of their names."""
    return {name[len(prefix):]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def rows_digest(rows):
    """A fingerprint of the training rows: a run must go on with the text it began with."""
    return hashlib.sha256(np.ascontiguousarray(rows.ids)).hexdigest()[:16]


def say(sentence):
    """One sentence for whoever watches: beside the progress bar, or below the cell of a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if hasattr(shell, "kernel"):
        print(sentence)  # there stderr looks like an error
    else:
        tqdm.write(sentence, file=sys.stderr)


def check_folder(folder, resume):
    """Refuse to write over a run, or into something that is none; `UserError` with the way out."""
    folder = Path(folder)
    begun, taken = (folder / STATE).is_file(), folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if resume and begun:
        return
    if resume:
        new = "and choose a new folder by --out" if taken else "to start a run there"
        raise UserError(f"{folder} holds no checkpoint to go on from: leave --resume out {new}.")
    if taken:
        is_model = (folder / "config.json").is_file()
        kind = "a run: go on with it by --resume, or" if begun else "a model:" if is_model else "something else:"
        raise UserError(f"{folder} already holds {kind} choose another folder with --out.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
        (folder / ".writable").unlink()
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}): choose another folder with --out.") from None


def run_loop(training, stop, watch, quiet, evaluations):
    """Step after step until the last one or until `stop`; True if the last one was reached."""
    training.compile()
    model, on_gpu = training.electra, training.device.type == "cuda"
    if training.world > 1:
        model = DistributedDataParallel(model, device_ids=[training.device] if on_gpu else None)
    stream = batch_stream(training.rows, training.preset.batch_tokens, training.seed, training.step, training.rank,
                          training.world)
    exams, moments = evaluation_steps(training.total, evaluations), timelapse_steps(training.total)
    saved = time.monotonic()
    progress = getattr(watch, "progress", None)  # a watch that shows progress its own way needs no bar
    with progress_bar(training, quiet or progress is not None) as bar:
        if training.step == 0:
            training.look(0 in exams, 0 in moments, watch)
        while training.step < training.total and not any_wants(stop.is_set(), training.world, training.device):
            training.advance(stream, model)
            bar.update()
            if progress:
                progress(training)
            if training.step % 20 == 0 or training.step in exams:
                training.check_loss()
                bar.set_postfix_str(training.summary(), refresh=False)
            training.look(training.step in exams, training.step in moments, watch)
            due = training.folder is not None and time.monotonic() - saved > SAVE_EVERY
            if any_wants(due, training.world, training.device):  # clocks differ, and all processes save together
                training.save_checkpoint()
                saved = time.monotonic()
    return training.step == training.total


def progress_bar(training, quiet):
    """A bar on stderr over the steps of the run, from where it stands; the first process alone shows one."""
    return tqdm(total=training.total, initial=training.step, unit="step", disable=quiet or training.rank > 0,
                file=sys.stderr, dynamic_ncols=True, mininterval=0.5)


def pretrain(preset="laptop", corpus="course", out_dir=None, model=None, *, minutes=None, steps=None, resume=False,
             finish_in=None, seed=0, device=None, dtype=None, watch=None, stop=None, quiet=False,
             evaluations=EVALUATIONS, exam_parts=EXAM_PARTS):
    """Train an ELECTRA and return a `Run`.

    preset: a `Preset` or the name of one. corpus: see `load_corpus`. model: an `Electra` to train (it then brings its
    own preset), else a new one. The length: `steps`, or `minutes` (this machine is timed for some seconds, then the
    number of steps is fixed), else the preset's budget of tokens. watch(training): called after each evaluation (and,
    if it has one, watch.progress(training) after each step, in place of the progress bar), and with what it finds
    there may draw. stop: a `threading.Event` that ends the run well after the step under way, as Ctrl-C does.
    out_dir: keeps the run there; without one nothing is written. `resume` goes on from its checkpoint, to the end
    that was fixed when it began, or to a new one `finish_in` minutes from now.
    exam_parts: which questions of the exam are asked on the way and at the end (see `Exam.part`).

    Raises `UserError` when folder, corpus and preset do not fit together, or the loss stops being a number.
    """
    preset, stop = find_preset(preset), stop or threading.Event()
    check_length(minutes, steps)
    check_finish(finish_in, resume)
    if dtype not in (None, *DTYPES):
        raise UserError(
            f"There is no training in {dtype!r}: choose one of {', '.join(DTYPES)}, or leave it to a quick timing."
        )
    if resume and out_dir is None:
        raise UserError("To resume, name the run's folder: out_dir in Python, --out on the command line.")
    first = int(os.environ.get("RANK", 0)) == 0
    if out_dir is not None and first:
        check_folder(out_dir, resume)
    with interrupt_sets(stop):
        training = Training(preset, corpus, out_dir, model, seed, device, dtype)
        training.exam_parts = exam_parts
        if training.corpus.note and first:
            say(training.corpus.note)
        if resume:
            training.restore()
            if finish_in is not None:
                training.finish_in(finish_in)
        else:
            estimate = training.plan(minutes, steps)
            if first and not quiet:
                where = f"{describe(training.device)} in {training.dtype}"
                say(f"{training.total} steps on {where}: about {estimate / 60:.0f} min.")
        finished = run_loop(training, stop, watch, quiet, evaluations)
        return training.finish(finished, watch)


def find_preset(preset):
    """The `Preset` of that name, or the one given. Raises `UserError` for a name there is none of."""
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise UserError(f"There is no preset {preset!r}: choose one of {', '.join(PRESETS)}.")
    return PRESETS[preset]


def check_length(minutes, steps):
    """Raise `UserError` unless minutes and steps, where given, are numbers above 0."""
    if minutes is not None and not 0 < minutes < 1e6:  # two years
        raise UserError(f"--minutes {minutes} is no length of time: give a number above 0, such as 10 or 0.5.")
    if steps is not None and steps < 2:
        raise UserError(f"A run of {steps} steps has no room for warm-up and decay: give at least 2.")


def check_finish(minutes, resume):
    """Raise `UserError` unless a new end is a number of minutes above 0, and there is a run to give it to."""
    if minutes is not None and not resume:
        raise UserError("--finish-in gives a run that was begun another end: add --resume, or use --minutes.")
    if minutes is not None and not 0 < minutes < 1e6:
        raise UserError(f"--finish-in {minutes} is no length of time: give a number above 0, such as 10 or 0.5.")
