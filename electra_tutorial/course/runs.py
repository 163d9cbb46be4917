"""Where lessons keep their trainings: numbered folders in `runs/`, which git ignores."""
import os
import re
from pathlib import Path

from electra_tutorial.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[2]


def runs_dir():
    """The folder of all runs: `ELECTRA_TUTORIAL_RUNS`, else `runs/` of the course, else of where you are."""
    if named := os.environ.get("ELECTRA_TUTORIAL_RUNS"):
        return Path(named)
    return (REPOSITORY if (REPOSITORY / "notebooks").is_dir() else Path.cwd()) / "runs"


def next_run(name):
    """The folder for a new run: name-1, name-2 ..., one that is not there yet. Nothing is written over."""
    return runs_dir() / f"{name}-{max(numbered(name), default=0) + 1}"


def last_run(name):
    """The folder of the newest run of that name. Raises UserError if there is none."""
    if not (there := numbered(name)):
        raise UserError(f"There is no run {name!r} in {runs_dir()} yet: train one first.")
    return runs_dir() / f"{name}-{max(there)}"


def numbered(name):
    """The numbers of the runs of that name."""
    pattern = re.compile(re.escape(name) + r"-(\d+)")
    folders = runs_dir().iterdir() if runs_dir().is_dir() else []
    return [int(found[1]) for folder in folders if (found := pattern.fullmatch(folder.name))]
