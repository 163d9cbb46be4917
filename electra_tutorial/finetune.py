"""Fine-tuning: the discriminator's encoder, a small new head on top, and a few minutes of training on a task.

The generator is thrown away, and so is the replaced-token head: what is kept is the body (paper, section 2). The
body knows something already, the head nothing. So the head learns fast, and each layer below it more slowly
(`layer_decay`); the rate rises first and then falls; and the weights that did best on examples held out for choosing
are the ones that are kept.

    Classifier    one decision a text, from [CLS]          finetune_sentiment, finetune_classes
    SpanReader    where an answer begins and ends          finetune_questions
    Tagger        one decision a word                      finetune_tags

    B batch, T tokens in a row, D width, C classes
"""
import copy
import math
import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from electra_tutorial.device import choose_device
from electra_tutorial.errors import UserError
from electra_tutorial.evaluation import batches_by_length, pad, quietly
from electra_tutorial.metrics import bootstrap_interval, found
from electra_tutorial.model import Electra, start_weights
from electra_tutorial.tasks import first, load_questions, load_sentiment, load_swaps
from electra_tutorial.tokens import CLS_ID, SEP_ID
from electra_tutorial.training import learning_rate

MOST = 20_000  # examples of a task that are trained on: more are drawn from, and that is said
LEAST_ROOM = 12  # pieces of a context that must fit beside the question
LONGEST_ANSWER = 16  # pieces
IGNORED = -100  # the target of a place that does not count; PyTorch's cross-entropy passes over it


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
            value, least = getattr(self, one.name), int(one.name != "patience")
            whole = one.type is int or (one.name == "layers" and value is not None)
            if whole and (type(value) is not int or value < least):
                raise UserError(f"{one.name}={value!r} must be a whole number from {least} on.")
            if one.type is float and not (isinstance(value, int | float) and 0 <= value < math.inf):
                raise UserError(f"{one.name}={value!r} must be a number, and not below 0.")
        for name in ("layer_decay", "warmup", "dropout"):
            if getattr(self, name) > 1:
                raise UserError(f"{name}={getattr(self, name)} is a share: give a number from 0 to 1.")


def recipe_for(examples):
    """The recipe for so many examples to train on: with few of them epochs are cheap, so there are more.

    As many epochs as make 12,000 examples, but not under `Recipe`'s and at most 30.
    """
    return replace(Recipe(), epochs=max(Recipe.epochs, min(30, 12_000 // max(1, examples))))


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


def new_layer(inputs, outputs):
    """A linear layer with the first weights that all of this course's have."""
    layer = nn.Linear(inputs, outputs)
    start_weights(layer)
    return layer


def width_of(encoder):
    """D, the numbers that an encoder gives for each token."""
    return encoder.blocks[0].up.in_features


class Classifier(nn.Module):
    """One decision a text, taken from the vector of [CLS]: body, dropout, dense, GELU, dropout, output.

    It is `ElectraForSequenceClassification` to the last addition.
    """

    per_token = False

    def __init__(self, encoder, classes, dropout=0.0):
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.dense = new_layer(width_of(encoder), width_of(encoder))
        self.output = new_layer(width_of(encoder), classes)

    def forward(self, ids, attention_mask=None):
        """ids (B, T), attention_mask (B, T) -> logits (B, C)."""
        x, _ = self.encoder(ids, attention_mask)  # (B, T, D)
        x = F.gelu(self.dense(self.dropout(x[:, 0])))  # (B, D), of [CLS]
        return self.output(self.dropout(x))

    def loss(self, ids, attention_mask, targets):
        """The mean cross-entropy in nats; targets: B class numbers."""
        return F.cross_entropy(self(ids, attention_mask), torch.tensor(targets, device=ids.device))


class SpanReader(nn.Module):
    """For each token two numbers: does the answer begin here, does it end here? (Devlin et al. 2019, BERT, 4.2.)

    It is `ElectraForQuestionAnswering` to the last addition.
    """

    per_token = True

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        self.output = new_layer(width_of(encoder), 2)

    def forward(self, ids, attention_mask=None):
        """ids (B, T), attention_mask (B, T) -> logits (B, T, 2): of the start, of the end."""
        x, _ = self.encoder(ids, attention_mask)  # (B, T, D)
        return self.output(x)

    def loss(self, ids, attention_mask, targets):
        """The mean of two cross-entropies in nats, each a choice among T places; targets: B pairs (start, end)."""
        logits = self(ids, attention_mask)  # (B, T, 2)
        if attention_mask is not None:
            logits = logits.masked_fill(~attention_mask[:, :, None], float("-inf"))
        return F.cross_entropy(logits, torch.tensor(targets, device=ids.device))  # classes stand in dimension 1


class Tagger(nn.Module):
    """One decision a token: `ElectraForTokenClassification` to the last addition."""

    per_token = True

    def __init__(self, encoder, classes, dropout=0.0):
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.output = new_layer(width_of(encoder), classes)

    def forward(self, ids, attention_mask=None):
        """ids (B, T), attention_mask (B, T) -> logits (B, T, C)."""
        x, _ = self.encoder(ids, attention_mask)  # (B, T, D)
        return self.output(self.dropout(x))

    def loss(self, ids, attention_mask, targets):
        """The mean cross-entropy in nats; targets: for each row a class number a token, or IGNORED."""
        wanted = torch.full(ids.shape, IGNORED, device=ids.device)  # (B, T)
        for row, labels in zip(wanted, targets, strict=True):
            row[: len(labels)] = torch.tensor(labels, device=ids.device)
        return F.cross_entropy(self(ids, attention_mask).flatten(0, 1), wanted.flatten(), ignore_index=IGNORED)


# --- the optimiser ------------------------------------------------------------------------------------------
def layer_scales(layers, decay):
    """What the learning rate is multiplied by, from the bottom up: embeddings, each layer, and last the head, 1.

    Each step down costs one more factor `decay`. Returns a list of `layers` + 2 numbers.
    """
    return [decay ** (layers + 1 - level) for level in range(layers + 2)]


def layer_groups(model, recipe):
    """Parameter groups for AdamW, each with its `scale` (see `layer_scales`). Norms and biases do not decay."""
    encoder = model.encoder
    inside = {id(parameter) for parameter in encoder.parameters()}
    levels = [[*encoder.embeddings.parameters(), *encoder.project.parameters()],
              *(list(block.parameters()) for block in encoder.blocks),
              [p for p in model.parameters() if id(p) not in inside] + list(encoder.final_norm.parameters())]
    groups = []
    for parameters, scale in zip(levels, layer_scales(len(encoder.blocks), recipe.layer_decay), strict=True):
        for decay, matrices in ((recipe.weight_decay, True), (0.0, False)):
            chosen = [p for p in parameters if (p.dim() >= 2) == matrices]
            groups.append({"params": chosen, "weight_decay": decay, "scale": scale})
    return groups


# --- the loop -----------------------------------------------------------------------------------------------
@dataclass
class Fit:
    """What fine-tuning left: the model, a record of each look, and how it did on the test side."""

    model: nn.Module
    tokenizer: object
    recipe: Recipe
    classes: tuple = ()
    history: list = field(default_factory=list)
    score: float = float("nan")  # accuracy, exact match, or share found: on the test side
    interval: tuple = (float("nan"), float("nan"))  # 95 %, bootstrap over examples
    figures: dict = field(default_factory=dict)  # more scores on the test side
    seconds: float = 0.0
    notes: list = field(default_factory=list)  # what a user must be told


def shuffled_batches(rows, size, rng):
    """Without end, row numbers in batches of `size` and like length; which rows meet is drawn anew each epoch."""
    while True:
        order = sorted(range(len(rows)), key=lambda n: len(rows[n]) + rng.uniform(-2, 2))
        batches = [order[start:start + size] for start in range(0, len(order), size)]
        yield from rng.sample(batches, len(batches))


def look_steps(total, looks):
    """After which of `total` steps one looks: evenly spaced, the last one included."""
    return {round(total * i / looks) for i in range(1, looks + 1)} - {0}


def should_stop(losses, patience):
    """Whether the last `patience` of the losses have all failed to go below the least one before them.

    losses: a list of numbers that should fall, one a look, the newest last. patience 0: never.
    """
    if patience == 0 or len(losses) <= patience:
        return False
    return min(losses[-patience:]) >= min(losses[:-patience])


def train(model, rows, targets, recipe, judge, seed=0, tell=lambda row: None):
    """Train the model; return one dict a look. Afterwards it has the weights of its best look, if it has patience.

    rows: lists of ids; targets: one for each, as `model.loss` takes them; judge(model) -> a dict whose `accuracy`
    and `loss` say how good it is on examples held out; tell(row) hears of each look. The accuracy decides: with few
    examples the loss soon rises, for the model gets too sure of itself, and yet it is right more and more often.
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
            losses = []
            if recipe.patience and history[-1] is best_look(history):
                kept = copy.deepcopy(model.state_dict())
            if should_stop([1 - row["accuracy"] for row in history], recipe.patience):
                break
    if kept:
        model.load_state_dict(kept)
    return history


def best_look(history):
    """The look with the best accuracy on the examples held out; of equals the one with the least loss."""
    return max(history, key=lambda row: (row["accuracy"], -row["loss"]))


def train_step(model, optimizer, rows, targets, numbers, rate):
    """One update from the rows of these numbers, at this rate times each group's scale; returns the loss."""
    model.train()
    ids, mask = pad([rows[n] for n in numbers])  # (B, T) both
    device = next(model.parameters()).device
    loss = model.loss(ids.to(device), None if mask.all() else mask.to(device), [targets[n] for n in numbers])
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item()


def logits_of(model, rows):
    """The logits for each row, in evaluation mode: a list of float32 arrays, (C,) or, token by token, (T, C)."""
    logits = [None] * len(rows)
    with quietly(model) as device:
        for numbers in batches_by_length(rows):
            ids, mask = pad([rows[n] for n in numbers])
            some = model(ids.to(device), mask.to(device)).float().cpu().numpy()  # (B, C) or (B, T, C)
            for number, one in zip(numbers, some, strict=True):
                logits[number] = one[: len(rows[number])] if model.per_token else one
    return logits


def draw(task, seed):
    """(the task with at most MOST examples to train on, what to say about it: [] or [a sentence])."""
    size, task = len(task.train), first(task, MOST, seed)
    return task, [f"Of {size:,} examples to train on, {MOST:,} were drawn."] * (size > MOST)


# --- one decision a text ------------------------------------------------------------------------------------
def encode(texts, tokenizer, max_length):
    """(the ids of each text, [CLS] and [SEP] included; how many texts had to be cut).

    Raises `UserError` for a text without a word.
    """
    rows = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    if (shortest := min(map(len, rows), default=3)) == 2:
        empty = next(text for text, row in zip(texts, rows, strict=True) if len(row) == shortest)
        raise UserError(f"The text {empty!r} has no word in it: give one to judge.")
    cut = [row if len(row) <= max_length else row[: max_length - 1] + row[-1:] for row in rows]
    return cut, sum(len(row) > max_length for row in rows)


def judge_classes(model, rows, labels):
    """{loss in nats, accuracy} on rows with these labels."""
    logits, labels = torch.from_numpy(np.stack(logits_of(model, rows))), torch.tensor(labels)
    right = (logits.argmax(dim=1) == labels).float().mean()
    return {"loss": F.cross_entropy(logits, labels).item(), "accuracy": right.item()}


def check_labels(examples, classes):
    """Raise `UserError` for a label that the head has no output for."""
    for example in examples:
        if not 0 <= example.label < len(classes):
            raise UserError(f"{example.text[:40]!r} has the label {example.label}, and the head has {len(classes)} "
                            "classes, numbered from 0: mend the label, or name more classes.")


def finetune_classes(electra, tokenizer, task, recipe=None, seed=0, tell=lambda row: None):
    """Fine-tune on a `Task` of labelled texts: a `Fit`, its score the accuracy on the test side.

    electra: an `Electra`, or a model that has an `encoder`. A text longer than the model reads is cut, and of more
    than 20,000 examples so many are drawn; `notes` say so. Raises `UserError` for a label beyond the classes.
    """
    started, (task, notes) = time.perf_counter(), draw(task, seed)
    recipe = recipe or recipe_for(len(task.train))
    torch.manual_seed(seed)
    encoder = body_of(electra, recipe.layers, recipe.dropout)
    model = Classifier(encoder, len(task.classes), recipe.dropout).to(choose_device())
    sides, cut = {}, 0
    for side in ("train", "valid", "test"):
        examples = getattr(task, side)
        check_labels(examples, task.classes)
        rows, more = encode([example.text for example in examples], tokenizer, encoder.max_length)
        sides[side], cut = (rows, [example.label for example in examples]), cut + more
    if cut:
        notes.append(f"{cut} texts are longer than the {encoder.max_length} pieces this model reads: their ends "
                     "were cut.")
    history = train(model, *sides["train"], recipe, lambda m: judge_classes(m, *sides["valid"]), seed, tell)
    right = np.stack(logits_of(model, sides["test"][0])).argmax(axis=1) == np.array(sides["test"][1])
    return Fit(model.eval(), tokenizer, recipe, task.classes, history, float(right.mean()),
               bootstrap_interval(np.mean, right), seconds=time.perf_counter() - started, notes=notes)


def finetune_sentiment(electra, tokenizer, examples=None, recipe=None, seed=0, tell=lambda row: None, task=None):
    """Fine-tune on film reviews: a `Fit` whose `score` is the accuracy on reviews held out, with its `interval`.

    examples: how many to train on, drawn by the seed (None: all, some 7,300).
    """
    task = first(task or load_sentiment(), examples, seed)
    return finetune_classes(electra, tokenizer, task, recipe, seed, tell)


def classify(fit, texts):
    """P(class) for each text: an array (number of texts, C). Raises `UserError` for a text without a word."""
    rows, _ = encode(texts, fit.tokenizer, fit.model.encoder.max_length)
    return torch.from_numpy(np.stack(logits_of(fit.model, rows))).softmax(dim=1).numpy()


def accuracy_on(fit, examples):
    """(the share of labelled examples that a fitted classifier gets right, its 95 % interval)."""
    odds = classify(fit, [example.text for example in examples])
    right = odds.argmax(axis=1) == np.array([example.label for example in examples])
    return float(right.mean()), bootstrap_interval(np.mean, right)


# --- the plain rival: naive Bayes ---------------------------------------------------------------------------
def words_in(text):
    """The words of a text, in lower case, each once: a set."""
    return set(re.findall(r"[a-z0-9]+(?:'[a-z]+)?", text.lower()))


def count_by_class(examples):
    """(words, counts (2, V) long): how many texts of class 0 and of class 1 each word stands in; `Labelled` texts."""
    counts = Counter(), Counter()
    for example in examples:
        counts[example.label].update(words_in(example.text))
    words = sorted(counts[0] | counts[1])
    return words, torch.tensor([[one[word] for word in words] for one in counts])


def word_log_odds(counts):
    """How much each word speaks for class 1: the log of its share of words there minus that in class 0, in nats.

    counts (2, V): how often each of V words was counted in class 0 and in class 1. One is added to each count, so
    no share is 0. Returns (V,). (Naive Bayes: Manning, Raghavan and Schütze 2008, section 13.2.)
    """
    shares = (counts + 1) / (counts + 1).sum(dim=1, keepdim=True)  # (2, V), a row sums to 1
    return shares[1].log() - shares[0].log()


def naive_bayes(train, test):
    """The accuracy on `test` of naive Bayes that counted words in `train`, and its interval: lists of `Labelled`.

    Whatever words it has never seen, it passes over. Two classes.
    """
    words, counts = count_by_class(train)
    odds = dict(zip(words, word_log_odds(counts).tolist(), strict=True))
    ones = sum(example.label for example in train)
    before = math.log((ones + 0.5) / (len(train) - ones + 0.5))  # how frequent class 1 is by itself
    right = [(before + sum(odds.get(word, 0.0) for word in words_in(example.text)) > 0) == example.label
             for example in test]
    return float(np.mean(right)), bootstrap_interval(np.mean, np.array(right))


# --- where is the answer? -----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Window:
    """A question and as much of a context as the model reads at once."""

    ids: list  # (T,): [CLS] question [SEP] part of the context [SEP]
    begins: int  # the place of the context's first piece
    spans: list  # where each of the context's pieces stands in the text: (start, end), in characters


@dataclass(frozen=True)
class Answer:
    """What the reader took for the answer: `context[start:end]`. score: the sum of two logits."""

    text: str
    start: int
    end: int
    score: float
    note: str = ""


def window_starts(length, room, step):
    """Where windows over `length` pieces begin, if each has room for `room` and they move on by `step`.

    The first begins at 0, and the last is the first that reaches the end. Returns a list of int; one window where
    everything fits.
    """
    more = math.ceil(max(0, length - room) / step)  # windows after the first
    return [step * n for n in range(more + 1)]


def read_windows(question, context, tokenizer, max_length):
    """The windows that cover a context, each half of one onward from the last: a list of `Window`.

    Raises `UserError` when either has no word, or the question leaves no room.
    """
    asked, read = tokenizer.encode(question).ids[1:-1], tokenizer.encode(context)
    if not asked or len(read.ids) == 2:
        raise UserError(f"The {'context' if asked else 'question'} has no word in it: write one.")
    room = max_length - len(asked) - 3
    if room < LEAST_ROOM:
        raise UserError(f"The question has {len(asked)} pieces, and with the context this model reads {max_length}: "
                        "ask in fewer words.")
    windows = []
    for start in window_starts(len(read.ids) - 2, room, max(1, room // 2)):
        part = slice(1 + start, min(1 + start + room, len(read.ids) - 1))
        ids = [CLS_ID, *asked, SEP_ID, *read.ids[part], SEP_ID]
        windows.append(Window(ids, len(asked) + 2, read.offsets[part]))
    return windows


def places_in(window, start, end):
    """The places (first, last) of the pieces that hold the characters from start to end; None if some are missing."""
    inside = [n for n, (a, b) in enumerate(window.spans) if a < end and b > start]
    if not inside or window.spans[inside[0]][0] > start or window.spans[inside[-1]][1] < end:
        return None
    return window.begins + inside[0], window.begins + inside[-1]


def best_span(start, end, longest):
    """The likeliest answer: places (first, last) with the largest start[first] + end[last].

    start, end (T,): logits. An answer does not end before it begins, and has at most `longest` pieces.
    """
    scores = start[:, None] + end[None, :]  # (T, T), row = first, column = last
    places = torch.arange(len(start))
    pieces = places[None, :] - places[:, None] + 1  # (T, T), how many the answer would have
    scores = scores.masked_fill((pieces < 1) | (pieces > longest), float("-inf"))
    return divmod(scores.argmax().item(), len(start))


def answer_all(model, tokenizer, questions):
    """An `Answer` for each pair (question, context), from all windows over its context the surest one."""
    windows = [read_windows(*pair, tokenizer, model.encoder.max_length) for pair in questions]
    logits, answers = iter(logits_of(model, [one.ids for some in windows for one in some])), []
    for (_, context), some in zip(questions, windows, strict=True):
        said = [answer_in(one, torch.from_numpy(next(logits)), context) for one in some]
        best = max(said, key=lambda answer: answer.score)
        note = f"The context was read in {len(some)} windows: it is longer than the model reads." * (len(some) > 1)
        answers.append(replace(best, note=note))
    return answers


def answer_in(window, logits, context):
    """The best `Answer` within one window; logits (T, 2)."""
    inside = logits[window.begins: -1]  # (pieces of the context, 2)
    first, last = best_span(inside[:, 0], inside[:, 1], LONGEST_ANSWER)
    start, end = window.spans[first][0], window.spans[last][1]
    return Answer(context[start:end], start, end, (inside[first, 0] + inside[last, 1]).item())


def plain_words(text):
    """The words of an answer without case, articles and punctuation: what two answers are compared by."""
    return [word for word in re.findall(r"\w+", text.lower()) if word not in ("a", "an", "the")]


def span_f1(said, right):
    """How far two lists of words agree, 0 to 1: the harmonic mean of precision and recall.

    A word that stands twice on both sides counts twice (Rajpurkar et al. 2016, SQuAD, section 6.1).
    """
    common = sum((Counter(said) & Counter(right)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(said), common / len(right)
    return 2 * precision * recall / (precision + recall)


def score_answers(answers, questions):
    """(exact match, F1) for each answer, two arrays; questions: `Question`s with the right answers."""
    pairs = [(plain_words(said.text), plain_words(one.answer)) for said, one in zip(answers, questions, strict=True)]
    return (np.array([float(said == right) for said, right in pairs]),
            np.array([span_f1(said, right) for said, right in pairs]))


def training_windows(questions, tokenizer, max_length):
    """(rows, targets): the windows in which the answer stands, and the places of its first and last piece.

    Raises `UserError` for an answer that does not stand at the place given.
    """
    rows, targets = [], []
    for one in questions:
        end = one.start + len(one.answer)
        if not one.answer or one.start < 0 or one.context[one.start:end] != one.answer:
            raise UserError(f"The answer {one.answer!r} does not stand at character {one.start} of its context: copy "
                            "it from there, letter for letter.")
        for window in read_windows(one.question, one.context, tokenizer, max_length):
            if places := places_in(window, one.start, end):
                rows.append(window.ids)
                targets.append(places)
    return rows, targets


def judge_spans(model, rows, targets):
    """{loss in nats, accuracy: the share of rows of which both ends are right}."""
    losses, right = [], []
    for logits, places in zip(logits_of(model, rows), targets, strict=True):  # (T, 2)
        logits, places = torch.from_numpy(logits), torch.tensor(places)
        losses.append(F.cross_entropy(logits.T, places).item())
        right.append(bool((logits.argmax(dim=0) == places).all()))
    return {"loss": float(np.mean(losses)), "accuracy": float(np.mean(right))}


def finetune_questions(electra, tokenizer, task=None, recipe=None, seed=0, tell=lambda row: None):
    """Fine-tune a `SpanReader`: a `Fit`, its score the exact matches on the test side; figures: {"f1": ...}.

    task: a `Task` of `Question`s; without one those about countries. Raises `UserError` for an answer that is not
    in its context.
    """
    started, (task, notes) = time.perf_counter(), draw(task or load_questions(), seed)
    recipe = recipe or recipe_for(len(task.train))
    torch.manual_seed(seed)
    model = SpanReader(body_of(electra, recipe.layers, recipe.dropout)).to(choose_device())
    sides = {side: training_windows(getattr(task, side), tokenizer, model.encoder.max_length)
             for side in ("train", "valid")}
    history = train(model, *sides["train"], recipe, lambda m: judge_spans(m, *sides["valid"]), seed, tell)
    answers = answer_all(model, tokenizer, [(one.question, one.context) for one in task.test])
    exact, f1 = score_answers(answers, task.test)
    if windowed := sum(bool(answer.note) for answer in answers):
        notes += [f"{windowed} contexts of the test side are longer than the model reads: they were read in windows."]
    return Fit(model.eval(), tokenizer, recipe, (), history, float(exact.mean()), bootstrap_interval(np.mean, exact),
               {"f1": float(f1.mean())}, time.perf_counter() - started, notes)


def overlap_answer(question, context):
    """A plain rival's answer: of the sentence that shares most words with the question, the longest run of others."""
    asked = set(plain_words(question))
    sentences = re.split(r"(?<=[.!?]) ", context)
    sentence = max(sentences, key=lambda one: len(asked & set(plain_words(one))))
    runs, run = [], []
    for word in [*re.findall(r"\S+", sentence), ""]:
        if word and not asked & set(plain_words(word)):
            run.append(word)
        else:
            runs, run = [*runs, run], []
    text = " ".join(max(runs, key=len)).rstrip(".")
    start = context.find(text)
    return Answer(text, start, start + len(text), 0.0)


# --- one decision a word ------------------------------------------------------------------------------------
def encode_tags(examples, tokenizer, max_length):
    """(rows, targets, places): the ids of each `Tagged`, a label for the first piece of each word, and where it is.

    Words beyond what the model reads are left out. The other pieces of a word and [CLS], [SEP] are IGNORED.
    """
    rows, targets, places = [], [], []
    for example in examples:
        encoding = tokenizer.encode(list(example.words), is_pretokenized=True)
        ids, words = encoding.ids, encoding.word_ids
        if len(ids) > max_length:
            ids, words = ids[: max_length - 1] + ids[-1:], words[: max_length - 1] + [None]
        starts = [n for n, word in enumerate(words) if word is not None and word != words[n - 1]]
        labels = [IGNORED] * len(ids)
        for n in starts:
            labels[n] = example.labels[words[n]]
        rows, targets, places = [*rows, ids], [*targets, labels], [*places, starts]
    return rows, targets, places


def word_suspicions(model, rows, places):
    """How sure the tagger is that each word has label 1: a list of arrays (W,), log-odds."""
    return [logits[starts, 1] - logits[starts, 0]
            for logits, starts in zip(logits_of(model, rows), places, strict=True)]


def judge_tags(model, rows, targets, places):
    """{loss in nats a word, accuracy: the share of sentences in which the most suspected word is the right one}."""
    suspicions = word_suspicions(model, rows, places)
    labels = [np.array(one)[starts] for one, starts in zip(targets, places, strict=True)]
    flat, wanted = np.concatenate(suspicions), np.concatenate(labels)
    loss = F.binary_cross_entropy_with_logits(torch.from_numpy(flat), torch.from_numpy(wanted).float())
    return {"loss": loss.item(), "accuracy": found(suspicions, [int(one.argmax()) for one in labels])}


def finetune_tags(electra, tokenizer, task=None, recipe=None, seed=0, tell=lambda row: None):
    """Fine-tune a `Tagger` with two labels: a `Fit`, its score the share of test sentences with the right word found.

    task: a `Task` of `Tagged` sentences, in each of which one word has label 1; without one, two neighbours have
    changed places, and the first of the two is wanted.
    """
    started, (task, notes) = time.perf_counter(), draw(task or load_swaps(), seed)
    recipe = recipe or recipe_for(len(task.train))
    torch.manual_seed(seed)
    encoder = body_of(electra, recipe.layers, recipe.dropout)
    model = Tagger(encoder, len(task.classes), recipe.dropout).to(choose_device())
    sides = {side: encode_tags(getattr(task, side), tokenizer, encoder.max_length)
             for side in ("train", "valid", "test")}
    history = train(model, *sides["train"][:2], recipe, lambda m: judge_tags(m, *sides["valid"]), seed, tell)
    rows, targets, places = sides["test"]
    each = [found([one], [int(np.array(labels)[starts].argmax())]) for one, labels, starts in
            zip(word_suspicions(model, rows, places), targets, places, strict=True)]
    return Fit(model.eval(), tokenizer, recipe, task.classes, history, float(np.mean(each)),
               bootstrap_interval(np.mean, np.array(each)), {}, time.perf_counter() - started, notes)
