"""Which minimal pairs of the exam does a model get right, phenomenon by phenomenon? A table with 95 % intervals.

    python benchmarks/pairs.py [--model DIR] [--corpus NAME] [--part choose|report|all]

Beside discriminator and generator stands a bigram model, counted on the same training text. Below the table: what the
discriminator loses by betting on the good sentences, which tells two models apart sooner than the share it gets
right; and how far one random word moves its suspicion of words that stand three or more away.
"""
import argparse
import math

import torch

from electra_tutorial.checkpoint import load
from electra_tutorial.corpus import load_corpus
from electra_tutorial.exam import load_exam
from electra_tutorial.probes import Bigram, moved_elsewhere, score_by_phenomenon
from electra_tutorial.training import prepare_text

JUDGES = ("discriminator", "generator", "bigram")


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
    _, _, rows = prepare_text(electra.preset.with_changes(balance=0.0), corpus, tokenizer)
    bigram = Bigram(rows.ids, electra.preset.vocab_size)
    exam = load_exam(corpus).part(args.part)
    scored = score_by_phenomenon(exam.hard, electra, tokenizer, bigram)
    print(f"{'':22}{'pairs':>6}  " + "".join(f"{name:22}" for name in JUDGES))
    for row in sorted(scored, key=lambda row: (row["phenomenon"] == "all", -row["n"])):
        cells = "".join("{:.3f} ({:.3f}-{:.3f})   ".format(*row[name]) for name in JUDGES)
        print(f"{row['phenomenon']:22}{row['n']:6}  {cells}")
    print(f"The discriminator loses {scored[-1]['loss']:.3f} nats a pair (no difference seen: {math.log(2):.3f}).")
    mean, error = moved_elsewhere(exam.easy, electra.discriminator, tokenizer)
    print(f"One random word moves the log-odds of words far from it by {mean:+.3f} nats (± {2 * error:.3f}).")


if __name__ == "__main__":
    main()
