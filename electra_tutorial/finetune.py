"""Fine-tuning: the discriminator's encoder, a small new head on top, and a few minutes of training on a task.

The generator is thrown away, and so is the replaced-token head: what is kept is the body (paper, section 3.1). The
body knows something already, the head nothing. So the upper layers, which change most, learn fast, and each layer
below more slowly (`layer_decay`); the rate rises first and then falls; and the weights that did best on examples
held out for choosing are the ones that are kept.

    B batch, T tokens in a row, D width, C classes
"""
import copy
import math
import random
import time
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from electra_tutorial.errors import UserError
from electra_tutorial.evaluation import batches_by_length, pad, quietly
from electra_tutorial.metrics import bootstrap_interval
from electra_tutorial.model import Electra, start_weights
from electra_tutorial.tasks import first, load_sentiment
from electra_tutorial.training import learning_rate

MOST = 20_000  # examples of a task that are trained on: more are drawn from, and that is said


@dataclass(frozen=True)
class Recipe:
    """Every number of a fine-tuning. Raises `UserError` for one that makes no sense."""

    epochs: int = 6
    batch: int = 32  # examples
    learning_rate: float = 1e-3  # of the head and, times `layer_decay` for each step down, of the body
    layer_decay: float = 0.8  # 1: all layers alike; 0: the head alone learns
    warmup: float = 0.1  # share of all steps
    weight_decay: float = 0.01
    dropout: float = 0.1
    looks: int = 8  # how often, evenly spaced, the examples held out for choosing are asked
    patience: int = 3  # looks without a gain before it stops; 0: it never does, and the last weights are kept
    layers: int | None = None  # how many of the body's layers are used, from below; None: all

    def __post_init__(self):
        for one in fields(self):
            value = getattr(self, one.name)
            whole = one.name in ("epochs", "batch", "looks", "patience") or (one.name == "layers" and value)
            if whole and (type(value) is not int or value < (one.name != "patience")):
                raise UserError(f"{one.name}={value!r} must be a whole number from {int(one.name != 'patience')} on.")
            if one.type is float and not (isinstance(value, int | float) and 0 <= value < math.inf):
                raise UserError(f"{one.name}={value!r} must be a number, and not below 0.")
        for name in ("layer_decay", "warmup", "dropout"):
            if getattr(self, name) > 1:
                raise UserError(f"{name}={getattr(self, name)} is a share: give a number from 0 to 1.")


# --- models -------------------------------------------------------------------------------------------------
def body_of(model, layers=None, dropout=0.0):
    """A copy of the encoder to fine-tune: of an `Electra` the discriminator's, else the model's own.

    layers: keep so many, from below. dropout: put into every part that has some. Raises `UserError` for more
    layers than there are.
    """
    encoder = getattr(model, "discriminator", model)
    encoder = copy.deepcopy(getattr(encoder, "encoder", encoder))
    if layers is not None and not 1 <= layers <= len(encoder.blocks):
        raise UserError(f"layers={layers}: this model has {len(encoder.blocks)}, give a number from 1 to that.")
    encoder.blocks = encoder.blocks[:layers]
    for part in encoder.modules():
        if isinstance(part, nn.Dropout):
            part.p = dropout
        elif hasattr(part, "dropout") and not isinstance(part.dropout, nn.Module):  # attention has a number
            part.dropout = dropout
    return encoder


def from_scratch(electra, seed=0):
    """The same network with new random weights: what it knows after fine-tuning, the task has taught it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Electra(electra.preset)


class Classifier(nn.Module):
    """One decision a text, taken from the vector of [CLS]: body, dropout, dense, GELU, dropout, output.

    It is `ElectraForSequenceClassification` to the last addition.
    """

    def __init__(self, encoder, classes, dropout=0.0):
        super().__init__()
        width = encoder.blocks[0].up.in_features
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(width, width)
        self.output = nn.Linear(width, classes)
        for layer in (self.dense, self.output):
            start_weights(layer)

    def forward(self, ids, attention_mask=None):
        """ids (B, T), attention_mask (B, T) -> logits (B, C)."""
        x, _ = self.encoder(ids, attention_mask)  # (B, T, D)
        x = F.gelu(self.dense(self.dropout(x[:, 0])))  # (B, D), of [CLS]
        return self.output(self.dropout(x))

    def loss(self, ids, attention_mask, targets):
        """The mean cross-entropy in nats; targets: a list of B class numbers."""
        return F.cross_entropy(self(ids, attention_mask), torch.tensor(targets, device=ids.device))


# --- the optimiser ------------------------------------------------------------------------------------------
def layer_groups(model, recipe):
    """Parameter groups for AdamW, each with its `scale`: the head 1, the top layer `layer_decay`, the one below
    its square, ... and the embeddings the least. Norms and biases do not decay.
    """
    encoder = model.encoder
    levels = [*reversed(encoder.blocks), nn.ModuleList([encoder.embeddings, encoder.project])]
    inside = {id(parameter) for parameter in encoder.parameters()}
    head = [p for p in model.parameters() if id(p) not in inside] + list(encoder.final_norm.parameters())
    groups = []
    for depth, parameters in enumerate([head, *(list(level.parameters()) for level in levels)]):
        scale = recipe.layer_decay**depth
        for decay, matrices in ((recipe.weight_decay, True), (0.0, False)):
            chosen = [p for p in parameters if (p.dim() >= 2) == matrices]
            groups.append({"params": chosen, "weight_decay": decay, "scale": scale})
    return groups


# --- the loop -----------------------------------------------------------------------------------------------
@dataclass
class Fit:
    """What fine-tuning left: the model, the record of each epoch, and how it did on the test side."""

    model: nn.Module
    tokenizer: object
    recipe: Recipe
    history: list = field(default_factory=list)
    score: float = float("nan")  # accuracy on the test side
    interval: tuple = (float("nan"), float("nan"))  # 95 %, bootstrap over examples
    seconds: float = 0.0
    notes: list = field(default_factory=list)


def encode(texts, tokenizer, max_length):
    """The ids of each text, [CLS] and [SEP] included, and how many had to be cut: (rows, number)."""
    rows = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    cut = [row if len(row) <= max_length else row[: max_length - 1] + row[-1:] for row in rows]
    return cut, sum(len(row) > max_length for row in rows)


def shuffled_batches(rows, size, rng):
    """Without end, row numbers in batches of `size` and like length; which rows meet is drawn anew each epoch."""
    while True:
        order = sorted(range(len(rows)), key=lambda n: len(rows[n]) + rng.uniform(-2, 2))
        batches = [order[start:start + size] for start in range(0, len(order), size)]
        yield from rng.sample(batches, len(batches))


def train(model, rows, targets, recipe, judge, seed=0, tell=lambda row: None):
    """Train the model; return one dict a look. Afterwards it has the weights of its best look.

    rows: lists of ids; targets: one for each, as `model.loss` takes them; judge(model) -> a dict whose `loss`
    says how good it is on examples held out; tell(row) hears of each look.
    """
    optimizer = torch.optim.AdamW(layer_groups(model, recipe), lr=0.0, betas=(0.9, 0.98), eps=1e-6)
    total = recipe.epochs * math.ceil(len(rows) / recipe.batch)
    batches, looks = shuffled_batches(rows, recipe.batch, random.Random(seed)), look_steps(total, recipe.looks)
    history, losses, kept = [], [], None
    for step in range(total):
        rate = learning_rate(step, total, recipe.learning_rate, recipe.warmup)
        losses.append(train_step(model, optimizer, rows, targets, next(batches), rate))
        if step + 1 in looks:
            history.append({"step": step + 1, "epoch": (step + 1) * recipe.epochs / total,
                            "train_loss": float(np.mean(losses)), **judge(model)})
            tell(history[-1])
            losses, since = [], len(history) - 1 - history.index(best_look(history))
            if recipe.patience and since == 0:
                kept = copy.deepcopy(model.state_dict())
            if recipe.patience and since >= recipe.patience:
                break
    if kept:
        model.load_state_dict(kept)
    return history


def look_steps(total, looks):
    """After which of `total` steps one looks: evenly spaced, the last one included."""
    return {round(total * i / looks) for i in range(1, looks + 1)} - {0}


def best_look(history):
    """The look with the least loss on the examples held out; the first of equals."""
    return min(history, key=lambda row: row["loss"])


def train_step(model, optimizer, rows, targets, numbers, rate):
    """One update from the rows of these numbers, at this rate times each group's scale; returns the loss."""
    model.train()
    ids, mask = pad([rows[n] for n in numbers])
    device = next(model.parameters()).device
    loss = model.loss(ids.to(device), None if mask.all() else mask.to(device), [targets[n] for n in numbers])
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item()


# --- sentiment and other classes ----------------------------------------------------------------------------
def class_logits(model, rows):
    """The logits of each row: a float32 array (rows, C), in evaluation mode."""
    found = [None] * len(rows)
    with quietly(model) as device:
        for numbers in batches_by_length(rows):
            ids, mask = pad([rows[n] for n in numbers])
            for number, logits in zip(numbers, model(ids.to(device), mask.to(device)).cpu().numpy(), strict=True):
                found[number] = logits
    return np.stack(found)


def judge_classes(model, rows, labels):
    """{loss in nats, accuracy} on rows with these labels."""
    logits = torch.from_numpy(class_logits(model, rows))
    labels = torch.tensor(labels)
    right = (logits.argmax(dim=1) == labels).float().mean()
    return {"loss": F.cross_entropy(logits, labels).item(), "accuracy": right.item()}


def check_labels(examples, classes):
    """Raise `UserError` for a label that the head has no output for."""
    for example in examples:
        if not 0 <= example.label < len(classes):
            raise UserError(f"{example.text[:40]!r} has the label {example.label}, and the head has {len(classes)} "
                            f"classes, numbered from 0: mend the label, or name more classes.")


def finetune_classes(electra, tokenizer, task, recipe=None, seed=0, tell=lambda row: None):
    """Fine-tune on a `Task` of labelled texts: a `Fit`, its score the accuracy on the test side.

    electra: an `Electra`, or a model that has an `encoder`. Longer texts than the model reads are cut, and of
    more than 20,000 examples so many are drawn; `notes` say so.
    """
    recipe, started, size = recipe or Recipe(), time.perf_counter(), len(task.train)
    task = first(task, MOST, seed)
    torch.manual_seed(seed)
    encoder = body_of(electra, recipe.layers, recipe.dropout)
    model = Classifier(encoder, len(task.classes), recipe.dropout)
    sides, cut = {}, 0
    for side in ("train", "valid", "test"):
        examples = getattr(task, side)
        check_labels(examples, task.classes)
        rows, more = encode([example.text for example in examples], tokenizer, encoder.max_length)
        sides[side], cut = (rows, [example.label for example in examples]), cut + more
    history = train(model, *sides["train"], recipe, lambda m: judge_classes(m, *sides["valid"]), seed, tell)
    right = class_logits(model, sides["test"][0]).argmax(axis=1) == np.array(sides["test"][1])
    notes = [f"{cut} texts are longer than the {encoder.max_length} pieces this model reads: their ends were cut."]
    drawn = [f"Of {size:,} examples to train on, {MOST:,} were drawn."]
    return Fit(model.eval(), tokenizer, recipe, history, float(right.mean()),
               bootstrap_interval(np.mean, right), time.perf_counter() - started,
               notes * (cut > 0) + drawn * (size > MOST))


def finetune_sentiment(electra, tokenizer, examples=None, recipe=None, seed=0, tell=lambda row: None, task=None):
    """Fine-tune on film reviews: a `Fit` whose `score` is the accuracy on reviews held out, with its `interval`.

    examples: how many to train on, drawn by the seed (None: all, some 7,300). With few of them epochs are cheap,
    so there are more: as many as make 12,000 examples, at most 30. A `recipe` of your own is taken as it is.
    """
    task = first(task or load_sentiment(), examples, seed)
    if recipe is None:
        recipe = replace(Recipe(), epochs=max(Recipe.epochs, min(30, 12_000 // len(task.train))))
    return finetune_classes(electra, tokenizer, task, recipe, seed, tell)
