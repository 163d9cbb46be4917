"""Try one change to a preset on the course's text: train it for a fixed number of tokens, write one line of results.

    python benchmarks/recipe.py "shallow generator" --tokens 2000000 generator_layers=1

The runner is that of `electra-tutorial experiment`; this asks about settings that nobody gave a name yet. Runs with
equal tokens differ in seconds; both stand in the result. What came of it: RECIPE.md. (The first twenty lines in
recipe.jsonl are from before there was one runner, and have a form of their own.)
"""
import argparse
import json
from pathlib import Path

import torch

from electra_tutorial.cli import read_change
from electra_tutorial.experiments import Experiment, append_line, run_variant
from electra_tutorial.presets import PRESETS


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="what the change is called in the table")
    parser.add_argument("changes", nargs="*", help="fields of the preset, such as layers=6")
    parser.add_argument("--preset", default="laptop", choices=PRESETS)
    parser.add_argument("--corpus", default="course")
    parser.add_argument("--tokens", type=int, default=2_000_000)
    parser.add_argument("--threads", type=int, default=1, help="one, so that two runs fit on two cores")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/recipe.jsonl"))
    args = parser.parse_intermixed_args()
    torch.set_num_threads(args.threads)
    changes = dict(map(read_change, args.changes))
    trial = Experiment("recipe", "one change", {args.name: changes}, args.preset, args.corpus, args.tokens,
                       judges=("elsewhere",))
    asked = ("choose", "choose")  # what picks the recipe must not report it
    command = f"python benchmarks/recipe.py {args.name!r}"
    line = run_variant(trial, args.name, args.seed, exam_parts=asked) | {"command": command, "exam": "choose"}
    append_line(args.out, line)
    print(json.dumps({**line, "history": line.get("history", [])[-1:]}))


if __name__ == "__main__":
    main()
