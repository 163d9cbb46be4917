"""One experiment runner: variants of a preset, several seeds, equal tokens and measured time, a line a run.

    electra-tutorial experiment generator-size --seeds 3

Every run of an experiment reads the same number of tokens of the same text, and the seconds it took are measured.
A finished run is one line of JSON, appended to a file, so an experiment that was stopped goes on where it was: runs
that stand in the file are not made again. Results that come with the course lie in data/results/.

One run says little: another seed would have given another number. So there are several of each, and a table tells the
mean with the least and the most of them.
"""
import json
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from electra_tutorial.checkpoint import without_nan
from electra_tutorial.corpus import load_corpus
from electra_tutorial.errors import UserError
from electra_tutorial.sources import data_dir
from electra_tutorial.training import find_preset, pretrain

EVALUATIONS = 6  # in a run; each takes a few seconds at the `tiny` size
KEPT = (  # of each evaluation, rounded: what the curves of a run are drawn from
    "step", "tokens_seen", "seconds", "exam_easy_auc", "exam_easy_found", "exam_medium_auc", "exam_medium_found",
    "exam_pairs", "mlm_loss", "mlm_loss_unigram", "rtd_auc", "rtd_recall", "rtd_loss", "rtd_loss_floor",
    "replaced_share",
)
TABLE = ("exam_easy_auc", "exam_medium_auc", "exam_pairs", "mlm_loss", "rtd_auc", "replaced_share", "cpu_seconds")


@dataclass(frozen=True)
class Experiment:
    """A question and its variants: {name: changes to the preset}. The first variant is what others compare with."""

    name: str
    about: str
    variants: dict = field(default_factory=dict)
    preset: str = "tiny"
    corpus: str = "grammar"
    tokens: int = 400_000  # of each run: about a quarter of a minute of one core


EXPERIMENTS = {one.name: one for one in (
    Experiment("curves", "what the curves of a good run, a collapsed one and a too strong generator look like", {
        "healthy": {},
        "collapsed": {"learning_rate": 0.03},
        "generator too strong": {"discriminator_weight": 1.0},  # the tables that both share serve it alone
    }),
    Experiment("generator-size", "the generator's width as a share of the discriminator's, judged by the exam", {
        "1/2": {},
        "1/4": {"generator_width": 8, "generator_feed_forward": 16},
        "1": {"generator_width": 32, "generator_feed_forward": 64},
        "2": {"generator_width": 64, "generator_feed_forward": 128},
    }),
    Experiment("lambda", "how much the discriminator's loss weighs, judged by the exam", {
        "50": {},
        "1": {"discriminator_weight": 1.0},
        "10": {"discriminator_weight": 10.0},
        "250": {"discriminator_weight": 250.0},
    }),
    Experiment("masking", "which share of the places is hidden in training, judged by the exam", {
        "25 %": {},
        "15 %": {"mask_rate": 0.15},
        "40 %": {"mask_rate": 0.40},
    }),
)}


# --- running ------------------------------------------------------------------------------------------------
def run_experiment(experiment, seeds=3, out=None, tell=lambda sentence: None, stop=None):
    """Make the runs that are missing in the file `out` and append a line for each; return all its lines.

    experiment: an `Experiment` or the name of one. seeds: how many, from 0 on. Raises `UserError` for a file that
    holds results of something else, and `KeyboardInterrupt` when it was stopped: what was finished is kept.
    """
    experiment, stop = find_experiment(experiment), stop or threading.Event()
    if seeds < 1:
        raise UserError(f"--seeds {seeds} makes no run: give a whole number from 1 on.")
    out = Path(out or f"runs/experiments/{experiment.name}.jsonl")
    wanted = [(variant, seed) for seed in range(seeds) for variant in experiment.variants]
    done = {(line["variant"], line["seed"]) for line in read_results(out, experiment)}
    for number, (variant, seed) in enumerate(wanted, 1):
        if (variant, seed) in done:
            continue
        tell(f"Run {number} of {len(wanted)}: {variant}, seed {seed}")
        line = made_before(out.parent, experiment, variant, seed) or run_variant(experiment, variant, seed, stop)
        if stop.is_set():
            raise KeyboardInterrupt
        append_line(out, line)
    return [line for line in read_results(out, experiment) if line["seed"] < seeds]


def made_before(folder, experiment, variant, seed):
    """The line of the same run, if another experiment in this folder made it: they share their baselines."""
    wanted = settings(experiment, variant) | {"seed": seed, "threads": torch.get_num_threads()}
    for name in EXPERIMENTS:
        for line in read_results(folder / f"{name}.jsonl"):
            if all(line.get(key) == value for key, value in wanted.items()):
                return line | {"experiment": experiment.name, "variant": variant}
    return None


def run_variant(experiment, variant, seed=0, stop=None, **more):
    """Train one variant and return its line: what it was, what came out, how long it took. `more` goes to `pretrain`.

    A run whose loss stops being a number is a result too: its line says so under "failed".
    """
    changes = experiment.variants[variant]
    preset = find_preset(experiment.preset).with_changes(**changes)
    line = {"experiment": experiment.name, "variant": variant, "seed": seed, **settings(experiment, variant),
            "command": f"electra-tutorial experiment {experiment.name}", "threads": torch.get_num_threads()}
    settled = {"dtype": "float32", "quiet": True, "evaluations": EVALUATIONS, "stop": stop,
               "exam_parts": ("all", "all")} | more
    started = time.process_time()
    try:
        run = pretrain(preset, load_corpus(experiment.corpus), steps=experiment.tokens // preset.batch_tokens,
                       seed=seed, **settled)
    except UserError as why:
        return line | {"failed": str(why)}
    return without_nan(line | {
        "device": run.metrics["device"], "seconds": run.metrics["seconds"],
        "cpu_seconds": round(time.process_time() - started, 1), "tokens_seen": run.metrics["tokens_seen"],
        "history": [shortened(row) for row in run.history]})


def settings(experiment, variant):
    """What a run depends on, the seed aside: two lines with the same settings answer the same question."""
    return {"preset": experiment.preset, "corpus": experiment.corpus, "tokens": experiment.tokens,
            "changes": experiment.variants[variant]}


def shortened(row):
    """One evaluation with what the pictures need, to four places."""
    return {key: round(row[key], 4) if isinstance(row[key], float) else row[key] for key in KEPT}


def find_experiment(experiment):
    """The `Experiment` of that name, or the one given. Raises `UserError` for a name there is none of."""
    if isinstance(experiment, Experiment):
        return experiment
    if experiment not in EXPERIMENTS:
        raise UserError(f"There is no experiment {experiment!r}: choose one of {', '.join(EXPERIMENTS)}.")
    return EXPERIMENTS[experiment]


# --- the file of results ------------------------------------------------------------------------------------
def append_line(path, line):
    """Add a result to the file; half a line that a power cut left there is taken off first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab+") as file:
        file.seek(0)
        whole = file.read().rpartition(b"\n")
        file.truncate(len(whole[0] + whole[1]))
        file.write(json.dumps(line).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_results(path, experiment=None):
    """The lines of a file of results; none where there is no file. Half a last line is no result.

    With an experiment, raises `UserError` when a line is of another, or of other settings than it has now.
    """
    path = Path(path)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = []
    for number, row in enumerate(text.splitlines(keepends=True), 1):
        if row.endswith("\n"):
            lines.append(read_line(row, path, number, experiment))
    return lines


def read_line(row, path, number, experiment):
    """One result. Raises `UserError` when it is none, or belongs to something else."""
    try:
        line = json.loads(row)
        variant, seed, known = line["variant"], line["seed"], experiment is None
        if experiment and line["experiment"] == experiment.name and variant in experiment.variants:
            known = all(line[key] == value for key, value in settings(experiment, variant).items())
    except (ValueError, KeyError, TypeError):
        raise UserError(f"Line {number} of {path} is no result of an experiment: choose another --out, or mend "
                        "it.") from None
    if not known:
        raise UserError(f"Line {number} of {path} ({variant}, seed {seed}) is a result of other settings: choose "
                        "another --out.")
    return line


def shipped_results(name):
    """The results of an experiment that come with the course."""
    path = data_dir() / "results" / f"{find_experiment(name).name}.jsonl"
    if not path.exists():
        raise UserError(f"This copy came without the results of {name!r}: make them with `electra-tutorial "
                        f"experiment {name}`.")
    return read_results(path, find_experiment(name))


# --- telling ------------------------------------------------------------------------------------------------
def by_variant(lines):
    """{variant: its lines} in the order in which they first stand."""
    groups = {}
    for line in lines:
        groups.setdefault(line["variant"], []).append(line)
    return groups


def last_figures(line, key):
    """A figure at the end of a run; None where the run failed or did not measure it."""
    return line.get(key) if key in line else line["history"][-1].get(key) if "history" in line else None


def summary(lines, keys=TABLE):
    """[{variant, runs, key: (mean, least, most)}]: how the runs of each variant ended; None where none did."""
    rows = []
    for variant, group in by_variant(lines).items():
        row = {"variant": variant, "runs": len(group), "failed": sum("failed" in line for line in group)}
        for key in keys:
            values = [value for line in group if (value := last_figures(line, key)) is not None]
            row[key] = (sum(values) / len(values), min(values), max(values)) if values else None
        rows.append(row)
    return rows


def table(lines, keys=TABLE):
    """The summary as text: the mean of each figure and, between brackets, the least and the most."""
    rows = [["variant", "runs", *(key.replace("exam_", "") for key in keys)]]
    for row in summary(lines, keys):
        runs = f"{row['runs']}" + f", {row['failed']} failed" * bool(row["failed"])
        rows.append([row["variant"], runs, *(cell(row[key]) for key in keys)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
                     for row in rows)


def cell(figures):
    """"0.82 [0.80 0.84]"; numbers above 10 without places."""
    if figures is None:
        return "-"
    places = 0 if figures[0] >= 10 else 2
    mean, least, most = (f"{value:.{places}f}" for value in figures)
    return mean if least == most else f"{mean} [{least} {most}]"
