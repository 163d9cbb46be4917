"""Fine-tuning over seeds: where pre-training pays, and what cures overfitting. A line of JSON a run.

    python benchmarks/finetune.py examples        # data/results/fine-tuning/examples.jsonl
    python benchmarks/finetune.py overfitting     # data/results/fine-tuning/overfitting.jsonl
    python benchmarks/finetune.py tasks           # data/results/fine-tuning/tasks.jsonl: every task and its rivals

These are 36, 21 and 24 runs. No results come with the course yet: until you make them, lesson 09 says that there are
none. Stop when you like: runs that stand in the file are not made again. So after a change to the model or the
recipe, delete the file first. What each run took of the processor stands in its line, as `cpu_seconds`.
"""
import argparse
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from electra_tutorial.checkpoint import load
from electra_tutorial.experiments import append_line, read_results
from electra_tutorial.finetune import (
    Recipe,
    accuracy_on,
    finetune_questions,
    finetune_sentiment,
    finetune_tags,
    from_scratch,
    naive_bayes,
    overlap_answer,
    score_answers,
)
from electra_tutorial.metrics import bootstrap_interval
from electra_tutorial.sources import data_dir
from electra_tutorial.tasks import first, load_questions, load_sentiment

EXAMPLES = (100, 500, 2000, None)  # None: all
FEW = 500
BARE = Recipe(epochs=30, layer_decay=1.0, weight_decay=0.0, dropout=0.0, patience=0, looks=15)
CURES = {  # one change each; what is changed by more than the recipe stands in `cured`
    "none of them": {}, "dropout .2": {"dropout": 0.2}, "weight decay .3": {"weight_decay": 0.3},
    "2 of 4 layers": {"layers": 2}, "layer decay .6": {"layer_decay": 0.6}, "early stopping": {"patience": 3},
    "4 times the examples": {},
}


def examples(seed, electra, tokenizer):
    """Yield (variant, number of examples, how to make the run) for the learning curve."""
    task = load_sentiment()
    for number in EXAMPLES:
        for variant, model in (("pre-trained", electra), ("from scratch", from_scratch(electra, seed))):
            yield variant, number, lambda m=model, n=number: fitted(finetune_sentiment(m, tokenizer, n, seed=seed))
        yield "naive Bayes", number, lambda n=number: scored(*naive_bayes(first(task, n, seed).train, task.test))


def overfitting(seed, electra, tokenizer):
    """Yield the same for the cures: with few examples, and on and on."""
    for variant, changes in CURES.items():
        number = FEW * (4 if "examples" in variant else 1)
        recipe = Recipe(**asdict(BARE) | changes | {"epochs": BARE.epochs * FEW // number or 1})
        yield variant, number, lambda r=recipe, n=number: fitted(
            finetune_sentiment(electra, tokenizer, n, r, seed))


def tasks(seed, electra, tokenizer):
    """Yield the same for every task, whole, against its plain rival and the network from scratch."""
    scratch, sentiment, questions = from_scratch(electra, seed), load_sentiment(), load_questions()
    for variant, model in (("pre-trained", electra), ("from scratch", scratch)):
        yield f"sentiment, {variant}", None, lambda m=model: with_other(finetune_sentiment(m, tokenizer, seed=seed))
        yield f"questions, {variant}", None, lambda m=model: fitted(finetune_questions(m, tokenizer, seed=seed))
        yield f"swaps, {variant}", None, lambda m=model: fitted(finetune_tags(m, tokenizer, seed=seed))
    yield "sentiment, naive Bayes", None, lambda: scored(*naive_bayes(sentiment.train, sentiment.test))
    yield "questions, overlap", None, lambda: rival_answers(questions)


def fitted(fit):
    """A `Fit` as plain data."""
    return {**scored(fit.score, fit.interval), **fit.figures, "seconds": round(fit.seconds, 1), "notes": fit.notes,
            "recipe": asdict(fit.recipe), "history": [{key: round(value, 4) for key, value in row.items()}
                                                      for row in fit.history]}


def with_other(fit):
    """The same, and the accuracy on reviews of another kind."""
    accuracy, interval = accuracy_on(fit, load_sentiment().other)
    return fitted(fit) | {"other": accuracy, "other_interval": interval}


def scored(score, interval):
    return {"score": score, "interval": list(interval)}


def rival_answers(task):
    exact, f1 = score_answers([overlap_answer(one.question, one.context) for one in task.test], task.test)
    return scored(float(exact.mean()), bootstrap_interval(np.mean, exact)) | {"f1": float(f1.mean())}


STUDIES = {"examples": examples, "overfitting": overfitting, "tasks": tasks}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--model", help="a model folder (default: the one that comes with the course)")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0 on (default: 3)")
    parser.add_argument("--out", type=Path, help="the file of results (default: in data/results/fine-tuning/)")
    args = parser.parse_args()
    make_runs, out = STUDIES[args.study], args.out or data_dir() / "results" / "fine-tuning" / f"{args.study}.jsonl"
    electra, tokenizer = load(args.model)
    done = {(line["variant"], line["seed"], line["examples"]) for line in read_results(out)}
    for seed in range(args.seeds):
        for variant, number, make in make_runs(seed, electra, tokenizer):
            if (variant, seed, number) in done:
                continue
            started = time.process_time()
            line = {"experiment": args.study, "variant": variant, "seed": seed, "examples": number, **make(),
                    "cpu_seconds": round(time.process_time() - started, 1), "threads": torch.get_num_threads(),
                    "command": f"python benchmarks/finetune.py {args.study}"}
            append_line(out, line)
            print(f"{variant}, {number or 'all'} examples, seed {seed}: {line['score']:.3f}", flush=True)


if __name__ == "__main__":
    main()
