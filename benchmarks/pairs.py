"""Which minimal pairs of the exam does a model get right, phenomenon by phenomenon? A table with 95 % intervals.

    python benchmarks/pairs.py [--model DIR] [--corpus NAME] [--part choose|report|all]

Beside discriminator and generator stands a bigram model, counted on the same training text.
"""
import argparse

import torch

from electra_tutorial.checkpoint import load
from electra_tutorial.corpus import load_corpus
from electra_tutorial.evaluation import PreparedExam, pair_accuracy, pair_scores
from electra_tutorial.exam import load_exam
from electra_tutorial.metrics import wilson_interval
from electra_tutorial.probes import Bigram, pair_likelihoods
from electra_tutorial.training import prepare_text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a model folder (default: the one that comes with the course)")
    parser.add_argument("--corpus", default="course", help="whose exam, and what the bigrams are counted on")
    parser.add_argument("--part", choices=("choose", "report", "all"), default="choose", help=(
        "of the exam: the questions that choose a recipe, those that report, or both (default: choose)"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    electra, tokenizer = load(args.model)
    corpus = load_corpus(args.corpus)
    exam = load_exam(corpus).part(args.part)
    pairs = PreparedExam.make(exam, tokenizer).pairs
    _, _, rows = prepare_text(electra.preset.with_changes(balance=False), corpus, tokenizer)
    scores = {
        "discriminator": pair_scores(electra.discriminator, pairs),
        "generator": pair_likelihoods(electra.generator, pairs),
        "bigrams": Bigram(rows.ids, electra.preset.vocab_size).pair_likelihoods(pairs),
    }
    phenomena = [pair.phenomenon for pair in exam.hard]
    print(f"{'':22}{'pairs':>6}  " + "".join(f"{name:24}" for name in scores))
    for phenomenon in [*sorted(set(phenomena), key=phenomena.count, reverse=True), "all"]:
        picked = [n for n, name in enumerate(phenomena) if phenomenon in (name, "all")]
        print(f"{phenomenon:22}{len(picked):6}  " + "".join(cell(found[picked]) for found in scores.values()))


def cell(scores):
    """Scores (number of pairs, 2) -> the share right with its interval, 24 characters wide."""
    share, n = pair_accuracy(scores), len(scores)
    low, high = wilson_interval(share * n, n)
    return f"{share:.3f} ({low:.3f}-{high:.3f})".ljust(24)


if __name__ == "__main__":
    main()
