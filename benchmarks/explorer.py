"""How long the explorer takes to answer: the median of 50 rounds at 32 tokens, in milliseconds.

    python benchmarks/explorer.py [MODEL_FOLDER]

Each round asks for other hidden places, so nothing is answered from memory. What is timed is all that Python
does for one request: judging, the data for the page, and the static twin. On a busy machine the processor time is
what to compare.
"""
import json
import statistics
import sys
import time

import torch

from electra_tutorial.suspicion import untrained
from electra_tutorial.views.explorer import answer

TEXT = ("The keys to the old wooden cabinet that my grandmother gave me last summer are lying on the small table "
        "near the window in the kitchen of the house.")
ROUNDS = 50
LIMIT = 150.0  # for a round, and for a round with a word of your own
REQUESTS = {
    "a round": {}, "and both models": {"compare": True},
    "and a word of yours": {"mask": [2], "words": {"2": "grasshoppers"}},
    "fool": {"kind": "fool", "number": 0, "word": "is"},
}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else None
    models = {"asked": folder, "untrained": untrained(folder)}
    request = {"seq": 0, "kind": "round", "text": TEXT, "mask": None, "own": {}, "temperature": 1.0, "seed": 0,
               "against": "base rate", "model": "asked", "compare": False}
    found = {}
    for name, more in REQUESTS.items():
        answer(request | more, models)  # the first loads the model
        times, began = [], time.process_time()
        for seed in range(ROUNDS):
            started = time.perf_counter()
            data, _ = answer(request | more | {"seed": seed}, models)
            times.append(1000 * (time.perf_counter() - started))
            assert "problem" not in data, data
        found[name] = {"median_ms": round(statistics.median(times), 1), "worst_ms": round(max(times), 1),
                       "mean_cpu_ms": round(1000 * (time.process_time() - began) / ROUNDS, 1)}
    tokens = len(answer(request, models)[0]["tokens"])
    print(json.dumps({"tokens": tokens, "threads": torch.get_num_threads(), "limit_ms": LIMIT, **found}, indent=1))
    return 0 if all(found[name]["median_ms"] <= LIMIT for name in ("a round", "and a word of yours")) else 1


if __name__ == "__main__":
    sys.exit(main())
