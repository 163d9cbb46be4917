"""One experiment runner: variants of a preset, several seeds, equal tokens or equal measured time, a line a run.

    electra-tutorial experiment generator-size --seeds 3

Every run of an experiment reads the same number of tokens of the same text, and the seconds it took are measured.
Where objectives compete that is not fair: a cheap one could have read more in the time of a dear one. So an
experiment may have a second budget, "time": each variant is run once more, on as many tokens as it gets through in
the seconds that the first variant took.

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
from fractions import Fraction
from pathlib import Path

import torch

from electra_tutorial.ablations import build, check_switches, generator_figures, large_generator
from electra_tutorial.checkpoint import without_nan
from electra_tutorial.corpus import load_corpus
from electra_tutorial.errors import UserError
from electra_tutorial.evaluation import PreparedExam, unigram_counts
from electra_tutorial.exam import load_exam
from electra_tutorial.feature_probes import probe_exam, probe_texts
from electra_tutorial.presets import PRESETS
from electra_tutorial.probes import moved_elsewhere
from electra_tutorial.sources import data_dir
from electra_tutorial.training import find_preset, prepare_text, pretrain

EVALUATIONS = 6  # in a run; each takes a few seconds at the `tiny` size
KEPT = (  # of each evaluation, rounded: what the curves of a run are drawn from
    "step", "tokens_seen", "seconds", "exam_easy_auc", "exam_easy_found", "exam_medium_auc", "exam_medium_found",
    "exam_pairs", "mlm_loss", "mlm_loss_unigram", "rtd_auc", "rtd_recall", "rtd_loss", "rtd_loss_floor",
    "replaced_share", "generator_accuracy", "generator_entropy", "train_seconds",
)
BUDGETS = ("tokens", "time")
TABLE = ("exam_easy_auc", "exam_medium_auc", "exam_pairs", "mlm_loss", "rtd_auc", "replaced_share", "cpu_seconds")
JUDGED = (  # at the end of a run
    "probe_easy_auc", "probe_medium_auc", "probe_pairs", "probe_sentiment", "sentiment", "moved_elsewhere",
)


@dataclass(frozen=True)
class Experiment:
    """A question and its variants: {name: changes to the preset}. The first variant is what others compare with.

    One change is none of a preset: "objective", one of `ablations.OBJECTIVES`. base: changes that all variants have.
    budgets: "tokens", or both (see above). judges: what is asked at the end, "probes", "sentiment" and "elsewhere"
    (see `judge_at_the_end`).
    """

    name: str
    about: str
    variants: dict = field(default_factory=dict)
    preset: str = "tiny"
    corpus: str = "grammar"
    tokens: int = 400_000  # of each run: about a quarter of a minute of one core
    base: dict = field(default_factory=dict)
    budgets: tuple = ("tokens",)
    judges: tuple = ()
    evaluations: int | None = None  # in a run, if not EVALUATIONS


def rivals(preset):
    """{name: changes}: every objective that the paper compares, for a preset; two of them need equal sizes."""
    apart = {"objective": "two-stage", "sharing": "none", **large_generator(preset)}
    return {
        "ELECTRA": {}, "ELECTRA 15 %": {"objective": "electra-15"}, "All-Tokens MLM": {"objective": "all-tokens"},
        "Replace-MLM": {"objective": "replace-mlm"}, "BERT (MLM)": {"objective": "bert"}, "two-stage": apart,
        "adversarial": {"objective": "adversarial"}, "random fakes": {"objective": "unigram"},
    }


TEXT = {  # changes to `tiny` for the course's text: four times the vocabulary, twice the width, one layer more
    "vocab_size": 8192, "embedding": 64, "width": 64, "layers": 3, "heads": 4, "feed_forward": 256,
    "generator_width": 32, "generator_heads": 2, "generator_feed_forward": 128, "batch_tokens": 1024,
    "learning_rate": 2e-3,
}
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
    Experiment("counting", "what a detector makes of rows that hide the same share, or draw lots for each place", {
        "always as many": {},
        "each place by lot": {"mask_by_lot": True},
    }, judges=("elsewhere",)),
    Experiment("objectives", "ELECTRA and what the paper compares it with, at equal tokens and at equal time",
               rivals(PRESETS["tiny"]), budgets=BUDGETS, judges=("probes",), evaluations=2),
    Experiment("objectives-text", "the same on the course's text, with film reviews as a judge",
               rivals(PRESETS["tiny"].with_changes(**TEXT)), corpus="course", tokens=400_000, base=TEXT,
               budgets=BUDGETS, judges=("probes", "sentiment"), evaluations=1),
    Experiment("sharing", "what generator and discriminator have in common", {
        "embeddings": {},
        "none": {"sharing": "none"},
        "embeddings, large": large_generator(PRESETS["tiny"]),
        "none, large": {"sharing": "none", **large_generator(PRESETS["tiny"])},
        "all, large": {"sharing": "all", **large_generator(PRESETS["tiny"])},
    }, judges=("probes",), evaluations=2),
)}


# --- running ------------------------------------------------------------------------------------------------
def run_experiment(experiment, seeds=3, out=None, tell=lambda sentence: None, stop=None):
    """Make the runs that are missing in the file `out` and append a line for each; return all its lines.

    experiment: an `Experiment` or the name of one. seeds: how many, from 0 on. Raises `UserError` for a file that
    holds results of something else, and for switches that make no sense together, and `KeyboardInterrupt` when it
    was stopped: what was finished is kept.
    """
    experiment, stop = find_experiment(experiment), stop or threading.Event()
    if seeds < 1:
        raise UserError(f"--seeds {seeds} makes no run: give a whole number from 1 on.")
    for variant in experiment.variants:
        preset_of(experiment, variant)
    out = Path(out or f"runs/experiments/{experiment.name}.jsonl")
    wanted = [(budget, variant, seed) for budget in experiment.budgets for seed in range(seeds)
              for variant in experiment.variants]
    lines = read_results(out, experiment)
    for number, one in enumerate(wanted, 1):
        if one in {(budget_of(line), line["variant"], line["seed"]) for line in lines}:
            continue
        budget, variant, seed = one
        tell(f"Run {number} of {len(wanted)}: {variant}, seed {seed}" + f", equal {budget}" * (budget == "time"))
        line = next_line(out.parent, experiment, budget, variant, seed, lines, stop)
        if stop.is_set():
            raise KeyboardInterrupt
        append_line(out, line)
        lines.append(line)
    return [line for line in read_results(out, experiment) if line["seed"] < seeds]


def next_line(folder, experiment, budget, variant, seed, lines, stop):
    """The line of a run that is missing: found, or made."""
    if budget == "tokens":
        return made_before(folder, experiment, variant, seed) or run_variant(experiment, variant, seed, stop)
    same_seed = {line["variant"]: line for line in lines if line["seed"] == seed and budget_of(line) == "tokens"}
    first, twin = same_seed[next(iter(experiment.variants))], same_seed[variant]
    if twin is first or "failed" in twin or "failed" in first:  # the measure of the others; or nothing to measure
        return twin | {"budget": "time"}
    share = last_figures(first, "train_seconds") / last_figures(twin, "train_seconds")
    return run_variant(experiment, variant, seed, stop, int(share * experiment.tokens)) | {"budget": "time"}


def budget_of(line):
    """What was equal among this run and its rivals: "tokens" or "time"."""
    return line.get("budget", "tokens")


def made_before(folder, experiment, variant, seed):
    """The line of the same run, if another experiment in this folder made it: they share their baselines."""
    wanted = settings(experiment, variant) | {"seed": seed, "threads": torch.get_num_threads()}
    for name in EXPERIMENTS:
        for line in read_results(folder / f"{name}.jsonl"):
            if budget_of(line) == "tokens" and all(line.get(key) == value for key, value in wanted.items()):
                return line | {"experiment": experiment.name, "variant": variant}
    return None


def run_variant(experiment, variant, seed=0, stop=None, tokens=None, **more):
    """Train one variant and return its line: what it was, what came out, how long it took. `more` goes to `pretrain`.

    tokens: how many to read, if not as many as the experiment says. A run whose loss stops being a number is a
    result too: its line says so under "failed".
    """
    preset, corpus = preset_of(experiment, variant), load_corpus(experiment.corpus)
    tokens = tokens or experiment.tokens
    line = {"experiment": experiment.name, "variant": variant, "seed": seed, **settings(experiment, variant),
            "tokens": tokens, "command": f"electra-tutorial experiment {experiment.name}",
            "threads": torch.get_num_threads()}
    steps, watch, started = max(2, tokens // preset.batch_tokens), Stopwatch(), time.process_time()
    settled = {"dtype": "float32", "quiet": True, "stop": stop, "watch": watch,
               "evaluations": experiment.evaluations or EVALUATIONS,
               "model": model_of(experiment, variant, corpus, seed, steps), "exam_parts": ("all", "all")} | more
    try:
        run = pretrain(preset, corpus, steps=steps, seed=seed, **settled)
    except UserError as why:
        return line | {"failed": str(why)}
    line |= {"device": run.metrics["device"], "seconds": run.metrics["seconds"],
             "cpu_seconds": round(time.process_time() - started, 1), "tokens_seen": run.metrics["tokens_seen"],
             "history": [shortened(row) for row in run.history]}
    return without_nan(line | (judge_at_the_end(run, corpus, experiment.judges, seed)
                               if run.finished else {}))


class Stopwatch:
    """Seconds of training alone, exams left out, of the processor (a GPU's: of the clock); beside them the generator.

    Given to `pretrain` as `watch`, it adds its figures to each row of the history.
    """

    def __init__(self):
        self.seconds, self.since = 0.0, None

    def progress(self, training):
        """After each step."""
        now = self.now(training)
        if self.since is not None:
            self.seconds += now - self.since
        self.since = now

    def __call__(self, training):
        """After each evaluation."""
        figures = generator_figures(training.electra, training.evaluation.batches)
        training.history[-1] |= figures | {"train_seconds": round(self.seconds, 2)}
        self.since = self.now(training)

    def now(self, training):
        return time.process_time() if training.device.type == "cpu" else time.perf_counter()


def split_changes(experiment, variant):
    """(objective, changes to the preset) of a variant."""
    changes = dict(experiment.variants[variant])
    return changes.pop("objective", "electra"), experiment.base | changes


def preset_of(experiment, variant):
    """The preset of a variant. Raises `UserError` when its switches make no sense together."""
    objective, changes = split_changes(experiment, variant)
    preset = find_preset(experiment.preset).with_changes(**changes)
    check_switches(objective, preset, set(changes) - set(experiment.base))
    return preset


def model_of(experiment, variant, corpus, seed, steps):
    """The model that a variant trains; None for ELECTRA itself, which `pretrain` makes."""
    objective, preset = split_changes(experiment, variant)[0], preset_of(experiment, variant)
    if objective == "electra":
        return None
    _, tokenizer, rows = prepare_text(preset, corpus)
    size = tokenizer.get_vocab_size()
    torch.manual_seed(seed)
    return build(objective, preset.with_changes(vocab_size=size), steps, unigram_counts(rows, size))


def judge_at_the_end(run, corpus, judges, seed):
    """What training left behind: {figure: value}, to four places.

    Of the kept encoder, its heads taken off: "probes", linear probes on frozen vectors (see `feature_probes`);
    "sentiment", such a probe on film reviews, and the accuracy after a short fine-tuning on a thousand of them.
    Of the discriminator: "elsewhere", what one fake does to the suspicion of other words (see `moved_elsewhere`).
    """
    encoder, found = run.electra.discriminator.encoder, {}
    if "probes" in judges:
        found |= probe_exam(encoder, PreparedExam.make(load_exam(corpus), run.tokenizer))
    if "sentiment" in judges:
        found |= judge_sentiment(run, encoder, seed)
    if "elsewhere" in judges:
        easy = load_exam(corpus).easy
        found["moved_elsewhere"] = moved_elsewhere(easy, run.electra.discriminator, run.tokenizer)[0]
    return {key: value if value is None else round(value, 4) for key, value in found.items()}


def judge_sentiment(run, encoder, seed, examples=1000):
    """{probe_sentiment, sentiment}: accuracy on film reviews, frozen and fine-tuned on so many of them."""
    from electra_tutorial.finetune import encode, finetune_sentiment
    from electra_tutorial.tasks import first, load_sentiment

    task = first(load_sentiment(), examples, seed)
    sides = [(encode([one.text for one in side], run.tokenizer, encoder.max_length)[0], [one.label for one in side])
             for side in (task.train, task.test)]
    tuned = finetune_sentiment(run.electra, run.tokenizer, examples, seed=seed, task=task)
    return {"probe_sentiment": probe_texts(encoder, *sides), "sentiment": tuned.score}


def settings(experiment, variant):
    """What a run depends on, the seed aside: two lines with the same settings answer the same question."""
    some = {"base": experiment.base, "judges": list(experiment.judges)}
    return {"preset": experiment.preset, "corpus": experiment.corpus, "tokens": experiment.tokens,
            "changes": experiment.variants[variant], **{key: value for key, value in some.items() if value}}


def shortened(row):
    """One evaluation with what the pictures need, to four places."""
    return {key: round(row[key], 4) if isinstance(row[key], float) else row[key] for key in KEPT if key in row}


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
            known = all(line[key] == value for key, value in settings(experiment, variant).items()
                        if (key, budget_of(line)) != ("tokens", "time"))
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


def in_order(lines):
    """The lines by the number that their variants' names begin with: "1/4" before "1", "15 %" before "40 %"."""
    return sorted(lines, key=lambda line: Fraction(line["variant"].split()[0]))


def by_budget(lines):
    """{"tokens": lines, "time": lines}, a budget without a line left out."""
    groups = {budget: [line for line in lines if budget_of(line) == budget] for budget in BUDGETS}
    return {budget: some for budget, some in groups.items() if some}


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


def columns(lines):
    """The figures that a table of these lines shows: the usual ones, or what judges all objectives alike."""
    judged = tuple(key for key in JUDGED if any(line.get(key) is not None for line in lines))
    return (*TABLE[:3], *judged, "tokens_seen", "train_seconds") if judged else TABLE


def table(lines, keys=None):
    """The summary as text: the mean of each figure and, between brackets, the least and the most.

    keys: the figures; else those of `columns`.
    """
    keys = keys or columns(lines)
    rows = [["variant", "runs", *(key.replace("exam_", "") for key in keys)]]
    for row in summary(lines, keys):
        runs = f"{row['runs']}" + f", {row['failed']} failed" * bool(row["failed"])
        rows.append([row["variant"], runs, *(cell(row[key]) for key in keys)])
    return aligned(rows)


def aligned(rows):
    """Rows of words as text, each column as wide as its widest word."""
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


def compare(lines, key, higher, lower):
    """`verdict` with the two bands, as a sentence for below a table."""
    rows = {row["variant"]: row[key] for row in summary(lines, (key,))}
    measured = rows.get(higher) and rows.get(lower)
    bands = [f"{name} {cell(rows[name])}" if measured else name for name in (higher, lower)]
    return f"{' against '.join(bands)}: {verdict(lines, key, higher, lower)}"


def verdict(lines, key, higher, lower):
    """Whether all runs of one variant ended above all runs of another in a figure.

    "apart" where the two bands do not touch, and "overlap" where they do: then these runs cannot tell. Nor can
    a single run, whose band has no width.
    """
    rows = {row["variant"]: row[key] for row in summary(lines, (key,))}
    runs = {variant: len(group) for variant, group in by_variant(lines).items()}
    if not rows.get(higher) or not rows.get(lower):
        return "not measured"
    if min(runs[higher], runs[lower]) < 2:
        return "one run, so nobody knows"
    (_, least, most), (_, other_least, other_most) = rows[higher], rows[lower]
    return "apart" if least > other_most else "apart, the other way round" if most < other_least else "overlap"


def verdicts(lines, keys, claims):
    """A table of verdicts: a row for each claim (higher, lower), a column for each figure."""
    rows = [[f"{one} > {other}", *(verdict(lines, key, one, other) for key in keys)] for one, other in claims]
    return aligned([["", *keys], *rows])
