"""Fine-tuning over seeds: where pre-training pays, why not for reviews, what cures overfitting. A line of JSON a run.

    python benchmarks/finetune.py examples        # data/results/fine-tuning/examples.jsonl: 86 runs
    python benchmarks/finetune.py overfitting     # data/results/fine-tuning/overfitting.jsonl: 21 runs
    python benchmarks/finetune.py texts           # data/results/fine-tuning/texts.jsonl: 48 runs, no network

Stop when you like: runs that stand in the file are not made again. So after a change to the model or the recipe,
delete the file first. What each run took of the processor stands in its line, as `cpu_seconds`.
"""
import argparse
import time
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from electra_tutorial.checkpoint import load
from electra_tutorial.evaluation import piece_logits
from electra_tutorial.experiments import append_line, read_results
from electra_tutorial.feature_probes import fit_logistic
from electra_tutorial.finetune import (
    Recipe,
    accuracy_on,
    encode,
    encode_tags,
    finetune_questions,
    finetune_sentiment,
    finetune_tags,
    from_scratch,
    naive_bayes,
    overlap_answer,
    score_answers,
)
from electra_tutorial.metrics import bootstrap_interval, found
from electra_tutorial.sources import data_dir
from electra_tutorial.tasks import first, load_questions, load_sentiment, load_swaps
from electra_tutorial.tokens import SPECIAL_TOKENS
from electra_tutorial.training import prepare_text

EXAMPLES = (100, 500, 2000, None)  # None: all
FEW = 500
WINDOW, VECTOR = 10, 100  # places to either side that are counted; numbers of a counted vector
DECAYS = (1.0, 3.0, 10.0, 30.0)
LONGEST = 64  # pieces of a review
BARE = Recipe(epochs=30, layer_decay=1.0, weight_decay=0.0, dropout=0.0, patience=0, looks=15)
CURES = {  # one change each
    "none of them": {}, "dropout .2": {"dropout": 0.2}, "weight decay .3": {"weight_decay": 0.3},
    "2 of 4 layers": {"layers": 2}, "layer decay .6": {"layer_decay": 0.6}, "early stopping": {"patience": 3},
    "4 times the examples": {},
}


# --- the studies: each yields (task, variant, number of examples, how to make the run) ------------------------
def examples(seed, electra, tokenizer):
    """Every task with few examples and with all, pre-trained and from scratch, and its plain rival."""
    tasks = load_sentiment(), load_swaps(), load_questions()
    for number in EXAMPLES:
        for task in (first(task, number, seed) for task in tasks):
            for variant, model in (("pre-trained", electra), ("from scratch", from_scratch(electra, seed))):
                yield task.name, variant, number, partial(tuned, model, tokenizer, task, seed, number is None)
            if task.name == "sentiment":
                yield task.name, "naive Bayes", number, partial(counted, task)
    if seed == 0:  # in these two nothing is drawn
        yield "swaps", "not fine-tuned", None, partial(suspected, electra, tokenizer, tasks[1].test)
        yield "questions", "overlap of words", None, partial(overlapping, tasks[2].test)


def overfitting(seed, electra, tokenizer):
    """The cures: with few examples, and on and on."""
    for variant, changes in CURES.items():
        number = FEW * (4 if "examples" in variant else 1)
        recipe = Recipe(**asdict(BARE) | changes | {"epochs": BARE.epochs * FEW // number or 1})
        yield "sentiment", variant, number, lambda r=recipe, n=number: fitted(
            finetune_sentiment(electra, tokenizer, n, r, seed))


def texts(seed, electra, tokenizer):
    """Is it the text? Reviews judged by the mean of their pieces' vectors, which were counted on one text or another.

    The reviews' own text is that of the train side, all of it, and no label: only `number` of them have labels.
    """
    task, tables = load_sentiment(), piece_tables(electra, tokenizer)
    for number in EXAMPLES:
        for variant, table in tables.items():
            yield "sentiment", variant, number, partial(probed, table, tokenizer, first(task, number, seed))


STUDIES = {"examples": examples, "overfitting": overfitting, "texts": texts}


# --- vectors by counting ------------------------------------------------------------------------------------
@cache
def piece_tables(electra, tokenizer):
    """{where a vector for each piece comes from: a table (V, numbers)}."""
    corpus, _, rows = prepare_text(electra.preset.with_changes(balance=0.0), "course", tokenizer)
    course = np.split(np.asarray(rows.ids, dtype=np.int64), rows.starts[1:-1])
    reviews, _ = encode([one.text for one in load_sentiment().train], tokenizer, electra.preset.max_length)
    learned = electra.discriminator.encoder.embeddings.token.weight.detach().numpy()
    random = np.random.default_rng(0).normal(size=(len(learned), VECTOR)).astype(np.float32)
    return {"drawn at random": random, "ELECTRA's table": learned,
            "counts, course": count_vectors(course, len(learned)),
            "counts, reviews": count_vectors(reviews, len(learned))}


def count_vectors(rows, vocabulary):
    """A vector for each piece from the company it keeps: (V, VECTOR), by counting alone.

    Which pieces stand how often within WINDOW places of each other (the further apart, the less it counts), measured
    against what chance would give, in nats and not below 0; then the strongest directions of that table. (Levy,
    Goldberg and Dagan 2015: it does what word2vec does.)
    """
    gap = np.zeros(WINDOW, dtype=np.int64)  # [PAD], which is not counted: nothing reaches into the next row
    ids = np.concatenate([part for row in rows for part in (row, gap)])
    counts = np.zeros(vocabulary * vocabulary, dtype=np.float32)
    for distance in range(1, WINDOW + 1):
        left, right = ids[:-distance], ids[distance:]
        ordinary = np.minimum(left, right) >= len(SPECIAL_TOKENS)
        place, often = np.unique(left[ordinary] * vocabulary + right[ordinary], return_counts=True)
        counts[place] += often / distance
    counts = counts.reshape(vocabulary, vocabulary)
    counts += counts.T.copy()
    total, context = counts.sum(1), counts.sum(1) ** 0.75  # the power lets rare company count for less
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise = np.log(counts * context.sum() / (total[:, None] * context))
    surprise = torch.from_numpy(np.where(counts > 0, surprise, 0).clip(min=0).astype(np.float32))
    torch.manual_seed(0)
    directions, strength, _ = torch.svd_lowrank(surprise, VECTOR, niter=3)
    return (directions * strength.sqrt()).numpy()


def probed(table, tokenizer, task):
    """Logistic regression on mean vectors; how tightly it is held is chosen on the valid side."""
    sides = {}
    for side in ("train", "valid", "test"):
        rows, _ = encode([one.text for one in getattr(task, side)], tokenizer, LONGEST)
        means = [table[[piece for piece in row if piece >= len(SPECIAL_TOKENS)]].mean(0) for row in rows]
        sides[side] = np.stack(means), np.array([one.label == 1 for one in getattr(task, side)])
    right = {side: [] for side in sides}
    for decay in DECAYS:
        score = fit_logistic(*sides["train"], decay)
        for side, (means, positive) in sides.items():
            right[side].append((score(means) > 0) == positive)
    best = int(np.argmax([some.mean() for some in right["valid"]]))
    return scored(float(right["test"][best].mean()), bootstrap_interval(np.mean, right["test"][best])) | {
        "decay": DECAYS[best]}


# --- a run as plain data ------------------------------------------------------------------------------------
def tuned(model, tokenizer, task, seed, elsewhere=False):
    """One fine-tuning on a task. elsewhere: also the accuracy on reviews of another kind, where there are some."""
    if task.name != "sentiment":
        tune = finetune_tags if task.name == "swaps" else finetune_questions
        return fitted(tune(model, tokenizer, task, seed=seed))
    fit = finetune_sentiment(model, tokenizer, seed=seed, task=task)
    if not elsewhere:
        return fitted(fit)
    accuracy, interval = accuracy_on(fit, task.other)
    return fitted(fit) | {"other": accuracy, "other_interval": list(interval)}


def fitted(fit):
    """A `Fit` as plain data."""
    return {**scored(fit.score, fit.interval), **fit.figures, "seconds": round(fit.seconds, 1), "notes": fit.notes,
            "recipe": asdict(fit.recipe), "history": [{key: round(value, 4) for key, value in row.items()}
                                                      for row in fit.history]}


def scored(score, interval):
    return {"score": score, "interval": list(interval)}


def counted(task):
    """Naive Bayes, on films and on goods."""
    other, interval = naive_bayes(task.train, task.other)
    return scored(*naive_bayes(task.train, task.test)) | {"other": other, "other_interval": list(interval)}


def suspected(electra, tokenizer, examples):
    """Words out of place by P(replaced) alone: the discriminator as pre-training left it."""
    rows, labels, places = encode_tags(examples, tokenizer, electra.preset.max_length)
    logits = piece_logits(electra.discriminator, rows)
    right = np.array([found([one[starts]], [int(np.array(wanted)[starts].argmax())])
                      for one, starts, wanted in zip(logits, places, labels, strict=True)])
    chance = float(np.mean([1 / (len(starts) - 1) for starts in places]))  # the last word has no right neighbour
    return scored(float(right.mean()), bootstrap_interval(np.mean, right)) | {"chance": chance}


def overlapping(examples):
    """Answers by counting the words that a sentence and the question share."""
    exact, f1 = score_answers([overlap_answer(one.question, one.context) for one in examples], examples)
    return scored(float(exact.mean()), bootstrap_interval(np.mean, exact)) | {"f1": float(f1.mean())}


def dear(task, variant, number):
    """What to make last, so that who stops half-way has the rest for all seeds."""
    if task != "questions" or variant == "overlap of words":
        return 0
    return 2 if number is None else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--model", help="a model folder (default: the one that comes with the course)")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0 on (default: 3)")
    parser.add_argument("--out", type=Path, help="the file of results (default: in data/results/fine-tuning/)")
    args = parser.parse_args()
    make_runs, out = STUDIES[args.study], args.out or data_dir() / "results" / "fine-tuning" / f"{args.study}.jsonl"
    electra, tokenizer = load(args.model)
    done = {(line["task"], line["variant"], line["seed"], line["examples"]) for line in read_results(out)}
    runs = [(seed, *run) for seed in range(args.seeds) for run in make_runs(seed, electra, tokenizer)]
    for seed, task, variant, number, make in sorted(runs, key=lambda run: dear(*run[1:4])):
        if (task, variant, seed, number) in done:
            continue
        started = time.process_time()
        line = {"experiment": args.study, "task": task, "variant": variant, "seed": seed, "examples": number,
                **make(), "cpu_seconds": round(time.process_time() - started, 1),
                "threads": torch.get_num_threads(), "command": f"python benchmarks/finetune.py {args.study}"}
        append_line(out, line)
        print(f"{task}, {variant}, {number or 'all'} examples, seed {seed}: {line['score']:.3f}", flush=True)


if __name__ == "__main__":
    main()
