"""Set up the course and start it, on any system: what `make lab` and `make test` call.

    python course.py lab [--no-browser --port 8899 ...]   open JupyterLab on the course
    python course.py test [-k NAME ...]                   run the tests; other words go to pytest
    python course.py test-browser [-k NAME ...]           run the lessons in JupyterLab in a real browser
    python course.py setup                                only set up
    python course.py doctor | data | train | ...          any command of `electra-tutorial`

Each command first sets up what is missing: the virtual environment .venv, the packages pinned in
requirements.txt, this package, and the data. The second time that takes no network and no time.

Options of setup, lab, test and test-browser:
  --from DIR             take the data's archives from a folder instead of the network
  --torch-index ADDRESS  take PyTorch from another package index. Needed in two cases. Linux without an
                         NVIDIA GPU: the usual build brings CUDA, gigabytes for nothing. Windows with an
                         NVIDIA GPU: the usual build cannot use it. PyTorch's "Get started" page shows the
                         address after --index-url, once for "CPU" and once for each CUDA.

Standard library only. Any Python a student has must be able to read this file, so that an old one gets
a sentence and not a SyntaxError: nothing here is newer than what Python 2.7 can parse.
"""
from __future__ import print_function

import contextlib
import errno
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(HERE, ".venv")
PYTHON = os.path.join(VENV, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))
STAMP = os.path.join(VENV, "set-up.json")  # written last: what was set up
UNFINISHED = os.path.join(VENV, "set-up-unfinished")  # here while .venv is being made
LOGS = os.path.join(HERE, "logs")
LOG = os.path.join(LOGS, "set-up.log")

OLDEST, NEWEST = (3, 11), (3, 14)  # the Pythons for which PyTorch's pinned release has ready-made packages
# Free disk needed, in GB: .venv takes 2.0 with PyTorch's CPU build and about 7 with CUDA; the rest is for
# downloads on their way, the data, and training runs.
SPACE, SPACE_WITH_CUDA, SPACE_TO_UPDATE = 4, 12, 1
AGAIN = "then run the same command again."
PASSED_ON = ("doctor", "data", "train", "inspect", "score", "exam", "export", "bench", "experiment",
             "notebooks")


class Stop(Exception):
    """Something that whoever called can mend: its one sentence is printed, and the exit code is 2."""


def say(words):
    print(words, file=sys.stderr)
    sys.stderr.flush()


def main(words):
    """Do what the command line says. Returns the exit code: 2 for what a person can mend, 130 if stopped."""
    try:
        if not words or words[0] in ("-h", "--help", "help"):
            print(__doc__.strip())
            return 0 if words else 2
        check_python(sys.version_info, words)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # being told to end is treated as Ctrl-C
        command, options, rest = read_words(words)
        set_up(command, options)
        return start(command, rest)
    except Stop as stop:
        say(str(stop))
        return 2
    except EnvironmentError as error:
        say(str(explain_os_error(error)))
        return 2
    except KeyboardInterrupt:
        say("\nStopped. Run the same command again: it goes on from here.")
        return 130


# The Python that was started ----------------------------------------------------------------------

def check_python(version, words):
    """Raise Stop unless this Python is one that the pinned packages exist for."""
    wanted = "{}.{} to {}.{}".format(*(OLDEST + NEWEST))
    found = "This is Python {}.{}, and the course needs {}".format(version[0], version[1], wanted)
    if tuple(version[:2]) < OLDEST or tuple(version[:2]) > NEWEST:
        better = find_python()
        if better:
            raise Stop("{}: run it with one you have, `{} course.py {}` (or `make {} PYTHON={}`).".format(
                found, better, " ".join(words), words[0], better))
        raise Stop("{}: install Python 3.12 (your system's packages or the Python website have it), then run "
                   "`python3.12 course.py {}` (or `make {} PYTHON=python3.12`).".format(
                       found, " ".join(words), words[0]))
    if sys.maxsize < 2 ** 32:
        raise Stop("This Python is a 32-bit one, and PyTorch needs 64 bits: install a 64-bit Python 3.12.")
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        raise Stop("There is no PyTorch 2.13 for Macs with an Intel processor: take the course in a hosted "
                   "notebook (on an Apple chip this Python is an Intel one: install a native Python 3.12).")


def find_python():
    """The name of a Python on this machine that is neither too old nor too new, or None."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        name = "python3.{}".format(minor)
        with open(os.devnull, "w") as nowhere:
            try:
                command = [name, "-c", "import venv, ensurepip"]
                if subprocess.call(command, stdout=nowhere, stderr=nowhere) == 0:
                    return name
            except EnvironmentError:
                pass
    return None


def read_words(words):
    """The command, set-up's options, and the words that go on to JupyterLab, pytest or electra-tutorial."""
    import argparse
    command, rest = words[0], words[1:]
    options = argparse.ArgumentParser(prog="course.py", add_help=False, allow_abbrev=False)
    options.add_argument("--from", dest="archives", metavar="DIR")
    options.add_argument("--torch-index", metavar="ADDRESS")
    if command in PASSED_ON:
        return command, options.parse_args([]), rest
    if command not in ("setup", "lab", "test", "test-browser"):
        raise Stop("There is no command '{}': use lab, test, test-browser, setup, or one of {}.".format(
            command, ", ".join(PASSED_ON)))
    found, rest = options.parse_known_args(rest)
    if command == "setup" and rest:
        raise Stop("`setup` does not know '{}': it takes --from DIR and --torch-index ADDRESS.".format(
            " ".join(rest)))
    if found.archives:
        found.archives = os.path.abspath(found.archives)
    return command, found, rest


# Set-up -------------------------------------------------------------------------------------------

def set_up(command, options):
    """Make whatever is missing, and nothing else. Two calls at once wait for each other."""
    with only_one_at_a_time() as lock:
        if not packages_are_ready(options.torch_index):
            install(options.torch_index, lock)
        if command == "test-browser" and not find_browser():
            bring_browser(lock)
        if command == "data" or data_is_complete():
            return
        say("Fetching the text the course trains on. It comes inside Python packages (data/README.md says which "
            "and why); cleaning it takes some minutes on a busy machine ...")
        asked = ["data"] + (["--from", options.archives] if options.archives else [])
        if subprocess.call([PYTHON, "-m", "electra_tutorial"] + asked, cwd=HERE) == 0:
            say("Set up. The next call starts at once and needs no network.")
            return
    if command in ("setup", "test", "test-browser"):
        raise Stop("The data is not complete, so set-up is not: mend what the lines above name, " + AGAIN)
    say("The data is not complete; the course goes on with its own small corpus until the next call gets it.")


@contextlib.contextmanager
def only_one_at_a_time():
    """Hold set-up's lock. The system takes it back when the process ends, however it ends: never stale."""
    if not os.path.isdir(LOGS):
        os.mkdir(LOGS)
    with open(os.path.join(LOGS, "set-up.lock"), "a") as lock:
        told = False
        while not try_to_lock(lock):
            if not told:
                say("Another set-up of this folder is at work (or was killed and is still ending): waiting.")
            told = True
            time.sleep(0.2)
        yield lock


def try_to_lock(file):
    """Take the file's lock and return True, or return False if another process has it."""
    try:
        if os.name == "nt":
            import msvcrt
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except EnvironmentError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            raise
        return False


def packages_are_ready(torch_index):
    """True if the stamp says that this very set of pins was installed here, and its Python still answers."""
    stamp = read_stamp()
    wanted = dict(make_stamp(torch_index), python=venv_python())
    if torch_index is None:  # whichever build is there will do
        wanted["torch_index"] = stamp.get("torch_index")
    return bool(wanted["python"]) and stamp == wanted


def make_stamp(torch_index):
    pins = hashlib.sha256()
    for name in ("requirements.txt", "pyproject.toml"):
        with open(os.path.join(HERE, name), "rb") as file:
            pins.update(file.read())
    return {"pins": pins.hexdigest(), "folder": HERE, "torch_index": torch_index or ""}


def read_stamp():
    try:
        with open(STAMP) as file:
            return dict(json.load(file))
    except (EnvironmentError, ValueError, TypeError):
        return {}


def write_stamp(stamp):
    with open(STAMP + ".new", "w") as file:
        json.dump(stamp, file, indent=1)
    os.replace(STAMP + ".new", STAMP)


def venv_python():
    """Which Python .venv has, as "3.11", or "" if it has none that answers."""
    try:
        answer = subprocess.check_output([PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                                         stderr=subprocess.DEVNULL)
        return answer.decode().strip()
    except (EnvironmentError, subprocess.CalledProcessError):
        return ""


def install(torch_index, lock):
    """Make .venv and install the pins and this package into it. Mends what an interrupted call left."""
    open(LOG, "wb").close()  # a log of this call alone
    stamp = read_stamp()
    if torch_index is None:
        torch_index = stamp.get("torch_index")
    make_venv(stamp, torch_index, lock)
    remove_half_installed()
    if torch_index:
        pip(["--no-deps", "--index-url", torch_index, pinned("torch")], "PyTorch from " + torch_index, lock)
    pip(["-r", "requirements.txt"], "the pinned packages", lock)
    pip(["--no-deps", "--no-build-isolation", "-e", "."], "this package", lock)
    write_stamp(dict(make_stamp(torch_index), python=venv_python()))


def make_venv(stamp, torch_index, lock):
    """Make sure that .venv has a Python that answers and has pip; remove one that is of no use."""
    check_venv_module()
    if os.path.lexists(VENV) and not venv_is_of_use(stamp, torch_index):
        if os.path.islink(VENV) or not os.path.isdir(VENV):
            raise Stop(".venv is not a folder with a working Python: remove it, " + AGAIN)
        say("Removing the .venv that an earlier set-up left unfinished or made otherwise.")
        shutil.rmtree(VENV)
    if os.path.isdir(VENV):
        return check_space(SPACE_TO_UPDATE)
    check_space(SPACE_WITH_CUDA if has_nvidia_gpu() else SPACE)
    say_which_torch(torch_index)
    os.mkdir(VENV)
    with open(UNFINISHED, "w") as file:
        file.write("If this file is here, .venv was not finished: the next call starts it over.\n")
    # The Python behind a virtual environment: this one may be of the .venv that was removed a moment ago.
    base = getattr(sys, "_base_executable", None) or sys.executable
    made = run([base, "-m", "venv", VENV], "Making the virtual environment .venv", lock)
    if made != 0 or not has_pip():
        show_log()
        raise Stop("Python could not make the virtual environment .venv: mend what the lines above name (all "
                   "of them are in logs/set-up.log), " + AGAIN)
    os.remove(UNFINISHED)


def check_venv_module():
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        raise Stop("This Python cannot make virtual environments ({}): on Debian and Ubuntu run "  # noqa: B904
                   "`sudo apt install python3-venv`, elsewhere install Python 3.12 in full, "
                   .format(error) + AGAIN)


def venv_is_of_use(stamp, torch_index):
    """False for a .venv that was interrupted in the making, whose Python is gone, or with another PyTorch."""
    python = venv_python()
    if os.path.exists(UNFINISHED) or not python or not has_pip():
        return False
    if not OLDEST <= tuple(int(part) for part in python.split(".")) <= NEWEST:
        return False
    same_torch = stamp.get("torch_index", "") == (torch_index or "")
    return not stamp or (stamp.get("python") == python and same_torch)


def has_pip():
    with open(os.devnull, "w") as nowhere:
        return subprocess.call([PYTHON, "-c", "import pip"], stdout=nowhere, stderr=nowhere) == 0


def remove_half_installed():
    """Forget packages that a killed pip had begun: it writes INSTALLER last, and does not look for it."""
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    folder = subprocess.check_output([PYTHON, "-c", ask]).decode().strip()
    for name in os.listdir(folder):
        if name.endswith(".dist-info") and not os.path.exists(os.path.join(folder, name, "INSTALLER")):
            shutil.rmtree(os.path.join(folder, name))


def pinned(name):
    """The line of requirements.txt that pins this package."""
    with open(os.path.join(HERE, "requirements.txt")) as file:
        return [line.strip() for line in file if line.startswith(name + "==")][0]


def check_space(gigabytes):
    free = shutil.disk_usage(HERE).free / 1e9
    if free < gigabytes:
        raise Stop("Set-up needs {} GB of free disk for .venv and the data, and there are {:.1f} GB: make "
                   "room, ".format(gigabytes, free) + AGAIN)


def has_nvidia_gpu():
    """True if NVIDIA's own tool lists a GPU. PyTorch is not there yet to be asked."""
    tool = shutil.which("nvidia-smi")
    if not tool:
        return False
    try:
        return bool(subprocess.check_output([tool, "-L"], stderr=subprocess.DEVNULL, timeout=20).strip())
    except (EnvironmentError, subprocess.SubprocessError):
        return False


def say_which_torch(torch_index):
    """Say, before anything is fetched, when the usual build of PyTorch is not the best for this machine."""
    if torch_index:
        return
    how = ("stop this (Ctrl-C) and run `python course.py setup --torch-index ADDRESS` with the address that "
           "PyTorch's \"Get started\" page shows for {}. Otherwise set-up goes on with the usual one.")
    if sys.platform.startswith("linux") and platform.machine() == "x86_64" and not has_nvidia_gpu():
        say("There is no NVIDIA GPU here, and the usual PyTorch for Linux may bring gigabytes of CUDA for "
            "nothing; to avoid that, " + how.format("CPU"))
    if os.name == "nt" and has_nvidia_gpu():
        say("The usual PyTorch for Windows cannot use your NVIDIA GPU; to use it, " + how.format("your CUDA"))


# pip and its log ----------------------------------------------------------------------------------

def pip(words, what, lock):
    """Let .venv's pip install something. Raises Stop with the reason if it cannot."""
    quietly = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    begin = os.path.getsize(LOG)
    if run([PYTHON, "-m", "pip", "install"] + quietly + words, "Installing " + what, lock) != 0:
        with open(LOG, "rb") as log:
            log.seek(begin)
            raise explain(log.read().decode("utf-8", "replace"), what)


def run(command, what, lock):
    """Run a command, its output in the log; a terminal shows the last line of it. Returns its exit code."""
    say(what + " ...")
    started = time.time()
    with open(LOG, "ab") as log:
        log.write("\n$ {}\n".format(" ".join(command)).encode("utf-8"))
        log.flush()
        # The child holds the lock too: if this process is killed, the next call waits until the child ends.
        held = {} if os.name == "nt" else {"pass_fds": [lock.fileno()]}
        child = subprocess.Popen(command, cwd=HERE, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 env=dict(os.environ, PIP_USER="0", PYTHONUNBUFFERED="1"), **held)
        told = 0
        try:
            while True:
                try:
                    return child.wait(timeout=0.5)
                except subprocess.TimeoutExpired:
                    show_progress(time.time() - started)
                    told = tell_of_waiting(time.time() - started, told)
        finally:
            child.terminate()  # nothing, if it has ended; after Ctrl-C it must not go on unseen
            child.wait()
            show_progress(None)


def show_progress(seconds):
    """Write the log's last line over the terminal's current one; None wipes that. Only on a terminal."""
    if not sys.stderr.isatty():
        return
    words = ""
    if seconds is not None:
        words = "{:4.0f} s  {}".format(seconds, (last_lines(1) or [""])[0].strip())
    width = shutil.get_terminal_size().columns - 1
    sys.stderr.write("\r" + words[:width].ljust(width) + ("\r" if not words else ""))
    sys.stderr.flush()


def tell_of_waiting(seconds, told):
    """Where no terminal shows progress, say each full minute that it goes on. Returns the minutes told of."""
    if int(seconds / 60) > told and not sys.stderr.isatty():
        told = int(seconds / 60)
        say("  ... {} min, still at work".format(told))
    return told


def last_lines(count):
    """The log's last lines that are not empty."""
    with open(LOG, "rb") as log:
        log.seek(max(0, os.path.getsize(LOG) - 8000))
        lines = log.read().decode("utf-8", "replace").splitlines()
    return [line for line in lines if line.strip()][-count:]


def show_log():
    for line in last_lines(12):
        say("  | " + line)


NETWORK = ("NewConnectionError", "NameResolutionError", "Failed to establish a new connection", "ProxyError",
           "Temporary failure in name", "Max retries exceeded", "Network is unreachable", "ReadTimeoutError",
           "ConnectTimeoutError", "Connection broken", "RemoteDisconnected", "ConnectionResetError")
NO_SPACE = ("No space left on device", "Errno 28", "Disk quota exceeded", "not enough space on the disk")


def explain(log, what):
    """The Stop that says in one sentence why pip failed; for an unknown reason, its last lines go first."""
    if any(words in log for words in NO_SPACE):
        return Stop("The disk filled up while installing {}: make room (also where temporary files go; "
                    "TMPDIR names another place), ".format(what) + AGAIN)
    if any(words in log for words in NETWORK):
        return Stop("The network did not answer while fetching {} (the whole log is logs/set-up.log); what "
                    "is installed is kept: connect, ".format(what) + AGAIN)
    show_log()
    return Stop("pip could not install {}: mend what its last lines above name (the whole log is "
                "logs/set-up.log), ".format(what) + AGAIN)


def explain_os_error(error):
    """The Stop for a file that could not be read, written or started."""
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
        return Stop("The disk is full: make room (set-up needs {} GB), ".format(SPACE) + AGAIN)
    return Stop("Set-up could not use {} ({}): make that possible, or clone the course into a folder of your "
                "own, ".format(error.filename or HERE, error.strerror or error) + AGAIN)


# Data ---------------------------------------------------------------------------------------------

def data_is_complete():
    """True if each archive and cleaned file that sources.toml lists is there with its size; no hashing."""
    import tomllib
    data = os.environ.get("ELECTRA_TUTORIAL_DATA") or os.path.join(HERE, "data")
    described = os.path.join(data, "sources.toml")
    if not os.path.exists(described):
        described = os.path.join(HERE, "data", "sources.toml")
    with open(described, "rb") as file:
        sources = tomllib.load(file)
    wanted = {os.path.join("archives", one["file"]): one["bytes"] for one in sources["archive"]}
    for name, one in sources.get("outputs", {}).items():
        wanted[os.path.join("course", name)] = one["bytes"]
    return all(size_of(os.path.join(data, "cache", name)) == size for name, size in wanted.items())


def size_of(path):
    return os.path.getsize(path) if os.path.exists(path) else None


# A browser for its tests --------------------------------------------------------------------------

def find_browser():
    """The path of a Chromium or Chrome on this machine, Playwright's own included, or None."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"):
        if shutil.which(name):
            return shutil.which(name)
    ask = ("from playwright.sync_api import sync_playwright as start\n"
           "with start() as playwright: print(playwright.chromium.executable_path)")
    path = subprocess.check_output([PYTHON, "-c", ask]).decode().strip()
    return path if os.path.exists(path) else None


def bring_browser(lock):
    """Let Playwright fetch its Chromium. Raises Stop with the way round if it cannot."""
    if run([PYTHON, "-m", "playwright", "install", "chromium"], "Fetching Chromium for the browser tests", lock) != 0:
        show_log()
        raise Stop("There is no Chromium or Chrome here and Playwright could not fetch one: install it (Debian "
                   "and Ubuntu: `sudo apt install chromium`), " + AGAIN)


# Start --------------------------------------------------------------------------------------------

def start(command, rest):
    """Hand over to pytest or to electra-tutorial in .venv. Returns its exit code."""
    if command == "setup":
        return 0
    if command not in ("test", "test-browser"):
        return hand_over(["-m", "electra_tutorial", command] + rest, {})
    os.chdir(HERE)
    processors = os.cpu_count() or 1
    workers = 2 if command == "test-browser" else max(1, min(4, processors))  # a window and its kernel are a worker
    # Each worker brings its own PyTorch: together they may use each processor once.
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, processors // workers))
    environment = {"OMP_NUM_THREADS": threads}
    words = ["-m", "pytest", "-n", str(workers)]
    if command == "test-browser":
        words += ["tests/browser", "--override-ini", "addopts=-ra", "--dist", "worksteal"]
        environment["ELECTRA_TUTORIAL_BROWSER"] = find_browser() or ""
    return hand_over(words + rest, environment)


def hand_over(words, more):
    """Become the command, so that Ctrl-C and the exit code are its own. Windows cannot: there we wait."""
    environment = dict(os.environ, **more)
    sys.stdout.flush()
    if os.name != "nt":
        os.execve(PYTHON, [PYTHON] + words, environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return subprocess.call([PYTHON] + words, env=environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
