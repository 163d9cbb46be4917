"""Hand the lessons out and open JupyterLab on them.

`notebooks/` holds the lessons as they are published. Work happens on copies in `my_lessons/`, which git
ignores. Nothing here overwrites work: a lesson that has changed arrives beside the student's own copy.
"""
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from electra_tutorial.course.weave import GLOSSARY
from electra_tutorial.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[2]
LESSONS = REPOSITORY / "notebooks"
MY_LESSONS = REPOSITORY / "my_lessons"
# labconfig/page_config.json: the news pop-up is off; default_setting_overrides.json: a page of text opens to be read,
# and what the page says to a widget goes to a thread of the kernel's own, so that it is heard while a cell runs.
SETTINGS = Path(__file__).resolve().parent / "jupyter"
HANDED_OUT = ".handed_out.json"  # in my_lessons/: what was copied, to tell a student's change from ours
PLAIN_LANGUAGE = '"language_info": {\n   "name": "python"\n  }'  # as every lesson says it
WORKSPACES = ".workspaces"  # there too: which tabs are open; JupyterLab's own place would mix up two copies


def prepare(folder=None, fresh=None, lessons=None):
    """Copy the lessons and the glossary that `folder` (default: `my_lessons/`) lacks; return a line about each.

    A copy that nobody has worked on is replaced when its lesson changes. One that has been worked on is kept,
    and the changed lesson arrives beside it as `NN_name.new.ipynb`. `fresh`: the number or name of one lesson
    to start over; the work so far moves to `backup/`. Raises UserError for a lesson that there is not, or a
    folder that cannot be written.
    """
    folder, lessons = Path(folder or MY_LESSONS), Path(lessons or LESSONS)
    published = sorted(lessons.glob("*.ipynb"))
    if not published:
        raise UserError(f"There are no lessons in {lessons}: run this from a clone of the course.")
    again = find_lesson(fresh, published) if fresh is not None else None
    published += [path for path in [lessons / GLOSSARY] if path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lines = [start_over(folder, again)] if again else []
        return [line for line in lines + hand_out(folder, published) if line]
    except OSError as error:
        raise UserError(f"The lessons could not be copied to {folder} ({error.strerror or error}): make the "
                        "folder writable, with some room on the disk, and try again.") from None


def find_lesson(wanted, published):
    """Return the file name of the one lesson that `wanted` means: "06", "6" or "06_train_your_electra"."""
    wanted = str(wanted).removesuffix(".ipynb")
    for lesson in published:
        number = lesson.stem.split("_")[0]
        if wanted == lesson.stem or (wanted.isdecimal() and wanted.zfill(2) == number):
            return lesson.name
    numbers = ", ".join(lesson.stem.split("_")[0] for lesson in published)
    raise UserError(f"There is no lesson '{wanted}' to start over: choose one of {numbers}.")


def start_over(folder, name):
    """Move a student's copy to `backup/`, so that a new one is handed out. Returns a line about it."""
    mine = folder / name
    if not mine.exists():
        return ""
    (folder / "backup").mkdir(exist_ok=True)
    kept = free_path(folder / "backup", f"{mine.stem}.{time.strftime('%Y-%m-%d-%H%M%S')}")
    os.replace(mine, kept)
    return f"{name}: your work so far is kept as backup/{kept.name}"


def hand_out(folder, published):
    """Copy each lesson that is new or has changed; return a line about each ("" where nothing was to do)."""
    handed = read_handed_out(folder)
    lines = [hand_out_one(lesson, folder / lesson.name, handed) for lesson in published]
    write_handed_out(folder, handed)
    return lines


def hand_out_one(lesson, mine, handed):
    """Copy a lesson to `mine`, or beside that if it has been worked on; note it in `handed`; give a line."""
    published, before = lesson.read_bytes(), handed.get(lesson.name, {})
    text = with_language(published)
    latest, handed_out = sha256(published), sha256(text)
    found = sha256(mine.read_bytes()) if mine.exists() else None
    target, line = mine, f"{lesson.name}: {'updated' if found else 'added'}"
    if found and (found == handed_out or latest == before.get("lesson")):
        target, line = None, ""  # has it already
    elif found and found != before.get("copy"):
        target = free_path(mine.parent, f"{lesson.stem}.new", lesson.suffix)
        what = "lesson" if lesson.suffix == ".ipynb" else "page"
        line = f"{lesson.name}: this {what} has changed; yours is kept, beside it is the new {target.name}"
    if target:
        write_whole(target, text)
    own = handed_out if target == mine else before.get("copy", handed_out)
    handed[lesson.name] = {"lesson": latest, "copy": own}
    return line


def with_language(notebook):
    """The bytes of a notebook with this Python noted in it, as JupyterLab notes it in every notebook that it opens.

    Where it has nothing to note, opening a lesson is no change: nothing to save, and no sign that somebody worked.
    """
    language = {
        "codemirror_mode": {"name": "ipython", "version": sys.version_info.major}, "file_extension": ".py",
        "mimetype": "text/x-python", "name": "python", "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3", "version": platform.python_version(),
    }
    noted = json.dumps({"language_info": language}, indent=1)[1:-1].strip().replace("\n", "\n ")
    return notebook.replace(PLAIN_LANGUAGE.encode(), noted.encode())


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def free_path(folder, stem, suffix=".ipynb"):
    """Return a path where there is no file yet: stem.ipynb, stem2.ipynb, stem3.ipynb ..."""
    number, path = 1, folder / f"{stem}{suffix}"
    while path.exists():
        number += 1
        path = folder / f"{stem}{number}{suffix}"
    return path


def write_whole(target, content):
    """Write bytes so that the file is the old one or the new one, never half of it."""
    part = target.with_name(f".{target.name}.part")
    part.write_bytes(content)
    os.replace(part, target)


def read_handed_out(folder):
    """Return {lesson: {"lesson": sha256 of the lesson last handed out, "copy": sha256 of the copy made}}."""
    try:
        return dict(json.loads((folder / HANDED_OUT).read_text("utf-8")))
    except (FileNotFoundError, ValueError):
        return {}  # then every copy that differs from its lesson counts as worked on


def write_handed_out(folder, handed):
    part = folder / f"{HANDED_OUT}.part"
    part.write_text(json.dumps(handed, indent=1, sort_keys=True), "utf-8")
    os.replace(part, folder / HANDED_OUT)


def command(folder, jupyter_args=()):
    """Return the command that serves `folder`: loopback only, with a token, nothing that asks the network."""
    first = min(folder.glob("[0-9]*.ipynb")).name
    settings = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.root_dir": folder,
        "LabApp.default_url": f"/lab/tree/{first}",
        "LabApp.workspaces_dir": folder / WORKSPACES,
        "LabApp.extension_manager": "readonly",  # the other one lists what the network offers
    }
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        settings["ServerApp.allow_root"] = True  # in a container there is often nobody else
    words = [f"--{name}={value}" for name, value in settings.items()]
    return [sys.executable, "-m", "jupyterlab", *words, *jupyter_args]


def environment():
    """Return JupyterLab's environment variables: our settings, this Python's kernel before a user's own."""
    paths = [str(SETTINGS), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    return {**os.environ, "JUPYTER_CONFIG_PATH": os.pathsep.join(path for path in paths if path),
            "JUPYTER_PREFER_ENV_PATH": "1"}


def start(jupyter_args=(), fresh=None):
    """Hand the lessons out and serve them until Ctrl-C; words in `jupyter_args` go to JupyterLab as they are.

    Does not return where the system can replace a process (Ctrl-C then reaches JupyterLab alone); elsewhere
    returns its exit code. Raises UserError as `prepare` does, and if JupyterLab is not installed.
    """
    for line in prepare(fresh=fresh):
        print(line, file=sys.stderr)
    if find_spec("jupyterlab") is None:
        raise UserError("JupyterLab is not installed here: run `python course.py lab`, or open the notebooks "
                        f"in {MY_LESSONS} with what you have.")
    print(f"Your lessons are in {MY_LESSONS}. JupyterLab is starting: its last lines below give the address to open, "
          "if no browser opens by itself. Press Ctrl-C twice to stop.", file=sys.stderr, flush=True)
    words = command(MY_LESSONS, jupyter_args)
    if os.name != "nt":
        os.execve(words[0], words, environment())
    return subprocess.call(words, env=environment())
