"""The command line: `electra-tutorial COMMAND ...`, also `python -m electra_tutorial COMMAND ...`.

What a command found goes to stdout, as text or, with --json, as JSON alone; words about the work go to
stderr. A mistake of the user is one sentence there, and the exit code is 2. Commands import what they need
when they run, so that --help does not wait for PyTorch.
"""
import argparse
import ast
import dataclasses
import json
import math
import os
import sys
from pathlib import Path

from electra_tutorial import __version__
from electra_tutorial.errors import UserError
from electra_tutorial.presets import PRESETS, Preset

# Here, so that --help waits for no PyTorch.
EXPERIMENT_NAMES = (
    "curves", "generator-size", "lambda", "masking", "counting", "objectives", "objectives-text", "sharing",
)
STOPPED, CLOSED_PIPE = 130, 141  # what shells report for a program ended by Ctrl-C, and by a closed pipe


def main(words=None):
    """Run the command that `words` (default: the program's own arguments) name, and return the exit code.

    0: done. 1: `doctor` found something to mend. 2: a mistake of the user, said in one sentence. 130: stopped
    by Ctrl-C. 141: whoever read our output closed it.
    """
    try:
        code = run(words)
        sys.stdout.flush()  # here, so that a closed pipe is noticed while it can be handled
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would complain at its end
        return CLOSED_PIPE
    except UserError as error:
        tell(error)
        return 2
    except OSError as error:
        tell(f"{error.filename or 'A file'} cannot be used ({error.strerror or error}): check its name, its "
             "permissions and the room on the disk.")
        return 2
    except KeyboardInterrupt:
        tell("Stopped.")
        return STOPPED


def run(words):
    """Parse the words and call their command; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a sentence may hold characters that the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    parser = make_parser()
    try:
        args, rest = parser.parse_known_args(words)
        if rest and args.command != "lab":  # the rest of `lab` is JupyterLab's
            parser.error(f"{rest[0]!r} is not an argument of `{args.command}`")
    except SystemExit as end:  # --help and --version have been printed
        return end.code or 0
    args.rest = rest
    return args.call(args) or 0


def tell(sentence):
    """Say something on stderr. Under `torchrun` the first process speaks for all."""
    if int(os.environ.get("RANK", 0)) == 0:
        print(sentence, file=sys.stderr, flush=True)


def print_json(data):
    """Print data as JSON that any program reads: plain ASCII, and null for a number that there is none of."""
    print(json.dumps(without_nan(data), indent=1, allow_nan=False))


def without_nan(data):
    """The same data with None for NaN and infinity, which JSON does not have."""
    if isinstance(data, dict):
        return {str(key): without_nan(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [without_nan(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def wants_colour(stream):
    """Whether colours belong there: on a terminal that can show them, unless NO_COLOR is set."""
    dumb = os.environ.get("TERM") == "dumb" or bool(os.environ.get("NO_COLOR"))
    return stream.isatty() and not dumb


# --- the commands -----------------------------------------------------------------------------------------
def doctor(args):
    from electra_tutorial.course import doctor

    return doctor.main(args.json)


def data(args):
    from electra_tutorial.corpus import main_data

    found = main_data(args.from_dir)
    if args.json:
        print_json(found)


def train(args):
    from electra_tutorial.training import check_finish, check_folder, check_length, pretrain

    check_dtype(args.dtype)
    check_length(args.minutes, args.steps)
    check_finish(args.finish_in, args.resume)
    out = args.out or Path("runs") / (args.preset or "laptop")
    if int(os.environ.get("RANK", 0)) == 0:
        check_folder(out, args.resume)  # before text is fetched, which takes minutes the first time
    begun = read_run(out) if args.resume else {}
    check_begun(args, begun, out)
    run = pretrain(
        find_preset(args, begun), find_corpus(args, begun), out, minutes=args.minutes, steps=args.steps,
        resume=args.resume, finish_in=args.finish_in, seed=begun.get("seed", 0) if args.seed is None else args.seed,
        device=args.device, dtype=args.dtype,
    )
    if int(os.environ.get("RANK", 0)) == 0:
        report_run(run, args.json)
    return 0 if run.finished else STOPPED


def report_run(run, as_json):
    """Print what a training came to: its metrics as JSON, or four lines."""
    m = run.metrics
    if as_json:
        print_json({**m, "folder": str(run.folder), "finished": run.finished})
        return
    print_exam(m)
    print(f"MLM loss    {number(m['mlm_loss'])}  (of a model that knows only how frequent words are: "
          f"{number(m['mlm_loss_unigram'])})")
    print(f"RTD loss    {number(m['rtd_loss'])}  (of a constant: {number(m['rtd_loss_floor'])})")
    print(f"The model is in {run.folder}. Look inside it: electra-tutorial inspect --model {run.folder} "
          '"The cats sleeps all day."')


def inspect(args):
    from electra_tutorial.judgement import judge
    from electra_tutorial.views.strip import strip_text

    judgement = judge(
        checked_text(args.text), args.model, mask=args.mask, seed=args.seed, temperature=args.temperature
    )
    if args.json:
        for note in judgement.notes:
            tell(note)
        print_json(judgement.to_dict())
    else:
        print(strip_text(judgement, colour=wants_colour(sys.stdout)))


def score(args):
    from electra_tutorial.checkpoint import load
    from electra_tutorial.probes import read_pairs, score_pairs

    pairs = read_pairs(args.pairs)
    result = score_pairs(pairs, *load(args.model), with_=args.with_)
    if args.json:
        print_json(result)
        return
    low, high = result["interval"]
    print(f"accuracy {number(result['accuracy'])}  (95 % interval {number(low)} to {number(high)}, "
          f"{result['n']} pairs, {args.with_}; guessing gives .5)")


def exam(args):
    from electra_tutorial.checkpoint import load, model_folder, read_json
    from electra_tutorial.evaluation import take_exam
    from electra_tutorial.exam import load_exam

    electra, tokenizer = load(args.model)
    trained_on = read_json(model_folder(args.model) / "config.json").get("corpus", "course")
    questions = load_exam(args.corpus or trained_on).part(args.part)
    counts = {part: len(getattr(questions, part)) for part in ("easy", "medium", "hard")}
    tell(f"The exam of the corpus {questions.name!r} (part: {args.part}): {counts['easy']} easy and "
         f"{counts['medium']} medium questions, {counts['hard']} pairs.")
    result = take_exam(electra.discriminator, tokenizer, questions) | {
        "floors": exam_floors(questions), "questions": counts, "corpus": questions.name,
        "exam_sha256": questions.sha256}
    if args.json:
        print_json(result)
    else:
        print_exam(result)


def exam_floors(exam):
    """What guessing gets: half of the pairs, and of the sentences one in as many as each has words."""
    from electra_tutorial.exam import word_spans

    floors = {"exam_easy_auc": 0.5, "exam_medium_auc": 0.5, "exam_pairs": 0.5}
    for part in ("easy", "medium"):
        shares = [1 / len(word_spans(question.after)) for question in getattr(exam, part)]
        floors[f"exam_{part}_found"] = sum(shares) / len(shares) if shares else None
    return floors


def print_exam(result):
    """Print the five figures of the exam beside what guessing gives."""
    floors = result.get("floors", {})
    for part in ("easy", "medium"):
        auc, found = result[f"exam_{part}_auc"], result[f"exam_{part}_found"]
        floor = f"  (guessing: {number(floors[f'exam_{part}_found'])})" if floors else ""
        print(f"exam {part:6}  AUC {number(auc)}  (guessing: .500)   word found {number(found)}{floor}")
    print(f"exam hard    {number(result['exam_pairs'])} of the pairs right  (guessing: .500)")


def export(args):
    from electra_tutorial import hub
    from electra_tutorial.checkpoint import load

    print(hub.export(*load(args.model), args.folder))


def bench(args):
    from electra_tutorial import bench

    result = bench.measure(args.seconds, tell)
    if args.json:
        print_json(result)
    else:
        print(bench.table(result))


def experiment(args):
    from electra_tutorial import experiments

    out = args.out or Path("runs") / "experiments" / f"{args.name}.jsonl"
    try:
        lines = experiments.run_experiment(args.name, args.seeds, out, tell)
    except KeyboardInterrupt:
        tell(f"Stopped. What was finished is kept in {out}: the same command goes on from there.")
        return STOPPED
    if args.figure:
        from electra_tutorial.views.experiment import experiment_figure

        tell(f"The figure is {experiment_figure(lines, title=args.name).save(args.figure)}.")
    groups = experiments.by_budget(lines)
    if args.json:
        print_json([{"budget": budget} | row for budget, some in groups.items() for row in experiments.summary(some)])
        return 0
    for budget, some in groups.items():
        print(f"Equal {budget}:\n" * (len(groups) > 1) + experiments.table(some))
    return 0


def lab(args):
    from electra_tutorial.course import lab

    return lab.start(args.rest, args.fresh)


def notebooks(args):
    from electra_tutorial.course.weave import empty_folder, weave_all, weave_kit

    if args.kit:
        print(*weave_kit(args.kit), sep="\n")
    if args.run or args.fast or args.time or args.html:
        from electra_tutorial.course.execute import run_all
        from electra_tutorial.course.pages import write_pages

        if args.html:
            empty_folder(args.html)  # before anything runs for minutes
        lessons = run_all(args.fast, args.time, tell=tell)
        if args.html:
            print(*write_pages(lessons, args.html), sep="\n")
    if args.kit or args.run or args.fast or args.time or args.html:
        return

    changed = weave_all()
    for path in changed:
        print(path)
    tell(f"{len(changed)} of the lessons had changed." if changed else "Every lesson is as its source says.")


# --- what commands are given ------------------------------------------------------------------------------
def find_preset(args, begun):
    """The `Preset` to train: the one named, or that of the run that `begun` records, with --set's changes."""
    from electra_tutorial import training

    if args.preset is None and begun:
        sizes = begun["preset"] | {"vocab_size": begun.get("vocab_size_asked", begun["preset"]["vocab_size"])}
        preset = Preset().with_changes(**sizes)
    else:
        preset = training.find_preset(args.preset or "laptop")
    return preset.with_changes(**dict(read_change(change) for change in args.set))


def find_corpus(args, begun):
    """The corpus to train on: the one named, else that of the run, else the course's.

    When nobody named one and the course's cannot be had, the grammar stands in and its note says so.
    """
    from electra_tutorial.corpus import load_corpus
    from electra_tutorial.sources import show_progress

    name = args.corpus or begun.get("corpus", "course")
    return load_corpus(name, fallback=not (args.corpus or begun), progress=show_progress)


def read_run(folder):
    """What the run in a folder began with: preset, corpus, seed and the number of steps."""
    from electra_tutorial.checkpoint import STATE, read_tensors

    try:
        return json.loads(read_tensors(folder / STATE)[1]["record"])["config"]
    except (KeyError, ValueError):
        raise UserError(f"{folder / STATE} is no checkpoint of this version: start a new run with another "
                        "--out.") from None


def check_begun(args, begun, out):
    """Refuse another precision than the run began with; say that its length is fixed."""
    if begun and args.dtype not in (None, begun["dtype"]):
        raise UserError(f"{out} holds a run in {begun['dtype']}: leave --dtype out, or choose another --out.")
    if begun and (args.minutes or args.steps):
        tell(f"The length of this run was fixed when it began: {begun['total_steps']} steps; --finish-in changes it.")


def read_change(change):
    """"layers=6" -> ("layers", 6), of the type that the preset's field has."""
    name, equals, word = change.partition("=")
    kinds = {field.name: field.type for field in dataclasses.fields(Preset)}
    if not equals:
        raise UserError(f"--set {change} changes nothing: write name=value, such as layers=6.")
    if name not in kinds:
        return name, word  # `with_changes` says what there is instead
    try:
        value = word if kinds[name] is str else ast.literal_eval(word)
    except (ValueError, SyntaxError):
        value = None
    if kinds[name] is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kinds[name]) or (isinstance(value, bool) and kinds[name] is not bool):
        raise UserError(f"--set {change}: {name} takes {KINDS.get(kinds[name], 'a number')}, such as "
                        f"{name}={getattr(Preset(), name)}.")
    return name, value


KINDS = {int: "a whole number", float: "a number", bool: "True or False", str: "a word"}


def check_dtype(name):
    """Raise `UserError` for a precision that training does not know."""
    from electra_tutorial.device import DTYPES

    if name is not None and name not in DTYPES:
        raise UserError(f"There is no precision {name!r}: choose one of {', '.join(DTYPES)}.")


def checked_text(text):
    """The text, if it is one: a terminal with another encoding than UTF-8 hands over bytes that are none."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(f"The text is not UTF-8 (at character {error.start + 1}): type it in a terminal that "
                        "uses UTF-8.") from None
    return text


def minutes(word):
    """A number of minutes; `check_length` says which are too few."""
    try:
        return float(word)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{word!r} is no length of time: give a number above 0, such as 10 or 0.5") from None


def places(word):
    """"2,3" -> [2, 3]; an empty word hides nothing."""
    try:
        return [int(place) for place in word.split(",")] if word.strip() else []
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{word!r} are no places: give whole numbers with commas between them, such as 2,3") from None


def seed(word):
    """A seed that every random stream takes."""
    if not word.isdecimal() or int(word) >= 2**32:
        raise argparse.ArgumentTypeError(f"{word!r} is no seed: give a whole number from 0 to {2**32 - 1}")
    return int(word)


def number(value):
    """A figure with three places, without the 0 before the point; a dash where there is none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.3f}".replace("0.", ".", 1)


# --- the parser -------------------------------------------------------------------------------------------
class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence, as every mistake's is."""

    def error(self, message):
        message = message.removeprefix("argument ").rstrip(".")
        raise UserError(f"{message[0].upper()}{message[1:]}; `{self.prog} --help` shows what can be given.")


def make_parser():
    """The parser of all commands."""
    parser = Parser(prog="electra-tutorial", description=(
        "Build, train and look inside a mini ELECTRA. `electra-tutorial COMMAND --help` tells more."))
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add in (add_course_commands, add_training, add_questions, add_export_and_bench):
        add(commands)
    return parser


def add_command(commands, call, name, about, example):
    """One command with its help text; returns its parser."""
    parser = commands.add_parser(
        name, help=about, description=f"{about[0].upper()}{about[1:]}.", epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.set_defaults(call=call)
    return parser


def add_json(parser, what):
    parser.add_argument("--json", action="store_true", help=f"print {what} as JSON, alone, to stdout")


def add_model(parser):
    parser.add_argument("--model", metavar="DIR", help="a folder made by `train` (default: the mini ELECTRA "
                                                       "that comes with the course)")


def add_course_commands(commands):
    one = add_command(commands, doctor, "doctor", "say what this machine has, and what to do about the rest",
                      "electra-tutorial doctor")
    add_json(one, "the findings")

    one = add_command(commands, data, "data", "fetch and verify the course's text; then all works offline",
                      "electra-tutorial data --from archives_from_a_friend")
    one.add_argument("--from", dest="from_dir", metavar="DIR",
                     help="take the archives from a folder instead of the network")
    add_json(one, "what there is")

    one = add_command(commands, lab, "lab", "hand out the lessons and open JupyterLab on them",
                      "electra-tutorial lab --no-browser --port 8899")
    one.add_argument("--fresh", metavar="NN",
                     help="start lesson NN over; your work moves to my_lessons/backup/")
    one.usage = "electra-tutorial lab [-h] [--fresh NN] [JupyterLab's own arguments]"

    one = add_command(commands, notebooks, "notebooks", "rebuild the lessons from their sources",
                      "electra-tutorial notebooks --fast")
    one.add_argument("--run", action="store_true", help="rebuild them and run each from top to bottom")
    one.add_argument("--fast", action="store_true", help="the same with small numbers, as the tests do")
    one.add_argument("--time", action="store_true", help="run them and write down the minutes each takes")
    one.add_argument("--kit", type=Path, metavar="DIR", help="write them there without hints and solutions")
    one.add_argument("--html", type=Path, metavar="DIR",
                     help="run them and write each there as a page that needs no network")


def add_training(commands):
    one = add_command(
        commands, train, "train", "train an ELECTRA; Ctrl-C saves it, --resume goes on",
        "electra-tutorial train --preset laptop --minutes 10\n"
        "  electra-tutorial train --corpus my_book.txt --out runs/book --set layers=6\n"
        "  electra-tutorial train --resume --out runs/book")
    one.add_argument("--preset", metavar="NAME", help=f"{', '.join(PRESETS)} (default: laptop)")
    one.add_argument("--minutes", type=minutes, metavar="M", help=(
        "how long: this machine is timed for some seconds, then the number of steps is fixed (default: the "
        "preset's number of tokens)"))
    one.add_argument("--steps", type=int, metavar="N", help="how long, in steps")
    one.add_argument("--corpus", metavar="FILE_OR_NAME", help=(
        "course, grammar, hf:NAME, or a UTF-8 text: a .txt, a .gz or a folder of them (default: course)"))
    one.add_argument("--out", type=Path, metavar="DIR", help="where the run is kept (default: runs/PRESET)")
    one.add_argument("--resume", action="store_true", help=(
        "go on with the run in --out as if it had never stopped; preset, corpus and seed are its own"))
    one.add_argument("--finish-in", type=minutes, metavar="M", help=(
        "with --resume: a new end, so many minutes from now; the learning rate comes down to it from where it is"))
    one.add_argument("--seed", type=seed, metavar="N", help="of everything drawn at random (default: 0)")
    one.add_argument("--device", metavar="NAME", help="cuda, mps or cpu (default: the first that is there)")
    one.add_argument("--dtype", metavar="NAME",
                     help="float32 or bfloat16 (default: the faster, by a quick timing)")
    one.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=(
        "change a number of the preset; may be given several times"))
    add_json(one, "the run's metrics")


def add_questions(commands):
    one = add_command(
        commands, inspect, "inspect", "show what both models say about a sentence, piece by piece",
        'electra-tutorial inspect "The cats sleeps all day."\n'
        '  electra-tutorial inspect "The chef cooked the meal." --mask 2,3 --json')
    one.add_argument("text", metavar="TEXT", help="a sentence")
    add_model(one)
    one.add_argument("--mask", type=places, metavar="PLACES", help=(
        "the places to hide, counted as the pieces are printed, [CLS] = 0; '' hides none (default: 15 %% of "
        "them, drawn by the seed)"))
    one.add_argument("--seed", type=seed, default=0, metavar="N", help="of masks and samples (default: 0)")
    one.add_argument("--temperature", type=float, default=1.0, metavar="T", help=(
        "of the generator's samples: 0 takes the likeliest (default: 1)"))
    add_json(one, "everything behind the picture")

    one = add_command(
        commands, score, "score", "ask which sentence of each pair the model prefers",
        "electra-tutorial score pairs.tsv --with generator\n\n"
        "pairs.tsv is UTF-8 text with a pair a line: the good sentence, a tab, the bad one")
    one.add_argument("pairs", metavar="PAIRS.tsv", type=Path, help="a file of minimal pairs")
    add_model(one)
    one.add_argument("--with", dest="with_", choices=("discriminator", "generator"), default="discriminator",
                     help="discriminator: the sum of log P(original) over the pieces; generator: the sum of "
                          "log P(piece | the others), each masked in turn (default: discriminator)")
    add_json(one, "accuracy, interval, n and each pair's scores")

    one = add_command(commands, exam, "exam", "let a discriminator sit the frozen exam",
                      "electra-tutorial exam --model runs/laptop")
    add_model(one)
    one.add_argument("--corpus", metavar="FILE_OR_NAME", help=(
        "whose exam (default: that of the corpus the model was trained on)"))
    one.add_argument("--part", choices=("report", "choose", "all"), default="report", help=(
        "of the questions: those that report, those that recipes are chosen by, or all (default: report)"))
    add_json(one, "the five figures and their floors")


def add_export_and_bench(commands):
    one = add_command(
        commands, export, "export",
        "write both models in the format of transformers: DIR/generator, DIR/discriminator",
        "electra-tutorial export my_electra --model runs/laptop")
    one.add_argument("folder", metavar="DIR", help="a new folder")
    add_model(one)

    one = add_command(
        commands, bench, "bench",
        "measure the speed of training beside the same models composed from transformers",
        "electra-tutorial bench --json")
    one.add_argument("--seconds", type=minutes, default=60.0, metavar="S", help="how long, about (default: 60)")
    add_json(one, "all figures")

    one = add_command(
        commands, experiment, "experiment",
        "train variants of a small model over several seeds, and compare them",
        "electra-tutorial experiment generator-size --seeds 3\n"
        "  electra-tutorial experiment curves --out data/results/curves.jsonl --figure curves.png\n\n"
        "Finished runs stand in --out: what was stopped goes on, and what is there is only shown.")
    one.add_argument("name", metavar="NAME", help=f"{', '.join(EXPERIMENT_NAMES)}")
    one.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each variant (default: 3)")
    one.add_argument("--out", type=Path, metavar="FILE", help=(
        "where results are kept, a line of JSON each (default: runs/experiments/NAME.jsonl)"))
    one.add_argument("--figure", type=Path, metavar="FILE", help="draw the exams too: a .png, .svg or .pdf")
    add_json(one, "the table")
