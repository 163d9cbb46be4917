"""Does it matter how a generator is told where a word stands? Lesson 04's three runs, with more than one seed.

    python benchmarks/positions.py         adds a line a run to benchmarks/positions.jsonl

The generator of the `laptop` preset learns the grammar's sentences for 1,000 steps without positions, with
learned ones (the paper's) and with rotary ones. The loss is measured on 1,000 held-out sentences with one place
hidden in each, the same places for all. A seed decides the first weights, the batches and the masks.
"""
import argparse
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F

from electra_tutorial.grammar import guess_probability, read
from electra_tutorial.model import Electra
from electra_tutorial.objective import mask_tokens
from electra_tutorial.presets import PRESETS
from electra_tutorial.tokens import MASK_ID, SPECIAL_TOKENS, collate, make_rows
from electra_tutorial.training import batch_stream, learning_rate, make_optimizer, prepare_text, update

PRESET = PRESETS["laptop"].with_changes(
    vocab_size=4096, max_length=32, mask_rate=0.15, batch_tokens=1024, learning_rate=2e-3)


def hide(batch, rate, rng):
    """(masked_ids, attention_mask, chosen, what stood at the chosen places) of a batch (ids, attention_mask)."""
    ids, attention_mask = batch
    masked_ids, chosen = mask_tokens(ids, ids < len(SPECIAL_TOKENS), rate, MASK_ID, 0.0, rng)
    return masked_ids, attention_mask, chosen, ids[chosen]


def train(preset, rows, steps, seed):
    """A generator after so many steps of masked language modelling."""
    torch.manual_seed(seed)
    electra = Electra(preset)
    optimizer, groups = make_optimizer(electra, preset), [list(electra.generator.parameters())]
    rng, stream = torch.Generator().manual_seed(seed), batch_stream(rows, preset.batch_tokens, seed)
    for step in range(steps):
        *seen, targets = hide(collate(rows, next(stream)), preset.mask_rate, rng)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, preset.learning_rate, preset.warmup)
        update(F.cross_entropy(electra.generator(*seen), targets), optimizer, groups, preset.clip)
    return electra.generator


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1, help="another number rounds otherwise: another run")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".jsonl"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    corpus, tokenizer, rows = prepare_text(PRESET, "grammar")
    preset = PRESET.with_changes(vocab_size=tokenizer.get_vocab_size())
    sentences = corpus.heldout["grammar"][:1000]
    batch = collate(make_rows(sentences, tokenizer, preset.max_length), range(len(sentences)))
    *seen, targets = hide(batch, 1e-6, torch.Generator().manual_seed(1))  # one place a sentence
    places = (seen[-1].int().argmax(dim=1) - 1).tolist()
    best = [guess_probability(read(text), place) for text, place in zip(sentences, places, strict=True)]
    for seed in args.seeds:
        for positions in ("none", "learned", "rotary"):
            generator = train(preset.with_changes(positions=positions), rows, args.steps, seed)
            with torch.no_grad():
                loss = F.cross_entropy(generator(*seen), targets).item()
            result = {"positions": positions, "seed": seed, "threads": args.threads, "steps": args.steps,
                      "loss": round(loss, 4), "best_possible": round(-sum(map(math.log, best)) / len(best), 4)}
            with args.out.open("a") as file:
                file.write(json.dumps(result) + "\n")
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
