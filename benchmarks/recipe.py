"""Try one change to a preset: train it for a fixed number of tokens and write one line of results.

    python benchmarks/recipe.py "shallow generator" --tokens 2000000 generator_layers=1

Runs with equal tokens differ in seconds; both stand in the result. What came of it: RECIPE.md.
"""
import argparse
import ast
import json
from pathlib import Path

import torch

from electra_tutorial.presets import PRESETS
from electra_tutorial.training import pretrain

SHOWN = ("exam_easy_auc", "exam_easy_found", "exam_medium_auc", "exam_medium_found", "exam_pairs", "mlm_loss",
         "mlm_loss_unigram", "rtd_auc", "rtd_loss", "rtd_loss_floor", "replaced_share", "tokens_seen",
         "seconds", "tokens_per_second")


def parse(change):
    """"layers=6" -> ("layers", 6); a word that is no Python value stays a word."""
    name, value = change.split("=", 1)
    try:
        return name, ast.literal_eval(value)
    except ValueError:
        return name, value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="what the change is called in the table")
    parser.add_argument("changes", nargs="*", help="fields of the preset, such as layers=6")
    parser.add_argument("--preset", default="laptop", choices=PRESETS)
    parser.add_argument("--tokens", type=int, default=2_000_000)
    parser.add_argument("--minutes", type=float, help="a fixed time instead of fixed tokens")
    parser.add_argument("--threads", type=int, default=1, help="one, so that two runs fit on two cores")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/recipe.jsonl"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    preset = PRESETS[args.preset].with_changes(**dict(map(parse, args.changes)))
    steps = None if args.minutes else args.tokens // preset.batch_tokens
    run = pretrain(preset, steps=steps, minutes=args.minutes, dtype="float32", seed=args.seed, quiet=True,
                   evaluations=4)
    result = {"name": args.name, "changes": args.changes, "seed": args.seed, "threads": args.threads,
              **{key: round(run.metrics[key], 4) for key in SHOWN}}
    result["curve"] = [[h["tokens_seen"], *(round(h[k], 4) for k in SHOWN[:6])] for h in run.history]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("a") as file:
        file.write(json.dumps(result) + "\n")
    print(json.dumps({k: v for k, v in result.items() if k != "curve"}))


if __name__ == "__main__":
    main()
