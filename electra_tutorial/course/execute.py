"""Run lessons as a student would, top to bottom, each in a kernel of its own and without the network.

Where the system has `unshare` (Linux), the kernel gets a network of its own with nothing in it. Elsewhere a
guard in the kernel refuses connections that leave this machine. A lesson that needs the network fails.
"""
import ipaddress
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from electra_tutorial.course.weave import MINUTES, NOTEBOOKS, weave_all, write_whole
from electra_tutorial.errors import UserError

LONGEST_CELL = 3600  # seconds, a training included
GUARD = "from electra_tutorial.course.execute import refuse_the_network; refuse_the_network()"
# A network with a loopback and nothing else, for the command that follows.
NO_NETWORK = ["unshare", "--map-root-user", "--net",
              "sh", "-c", 'ip link set lo up 2>/dev/null; exec "$@"', "sh"]


@dataclass
class Lesson:
    """A lesson that was run: its name, the notebook with its outputs, seconds, and what went wrong, or ""."""

    name: str
    notebook: dict
    seconds: float
    problem: str


def run_all(fast=False, time=False, notebooks=NOTEBOOKS, tell=print):
    """Weave and run every lesson, say of each how long it took, and return the `Lesson`s.

    fast: with small numbers, as the tests do. time: write the measured minutes into `notebooks/minutes.json`
    and weave them into the lessons. Raises UserError when a lesson fails, naming it and the error.
    """
    if fast and time:
        raise UserError("--fast and --time do not go together: small numbers take no student's time.")
    weave_all(notebooks=notebooks)
    lessons = []
    for path in sorted(Path(notebooks).glob("[0-9]*.ipynb")):
        lessons.append(run_lesson(path, fast))
        tell(f"{path.stem}: {lessons[-1].problem or 'runs'}, {lessons[-1].seconds:.0f} s")
    if failed := [lesson for lesson in lessons if lesson.problem]:
        raise UserError(f"Lesson {failed[0].name} does not run: {failed[0].problem}. Run it in JupyterLab.")
    if time:
        write_minutes({lesson.name: lesson.seconds / 60 for lesson in lessons}, Path(notebooks))
    return lessons


def run_lesson(path, fast=False, folder=None):
    """Run one notebook and return a `Lesson`. folder: where it is opened (default: a new, empty one)."""
    import nbformat
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook, problem = nbformat.read(path, as_version=4), ""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="lesson-") as empty, environment(fast, empty):
        try:
            client(notebook, folder or empty, Path(empty)).execute()
        except CellExecutionError as error:
            problem = f"{error.ename}: {error.evalue}"
        except (CellTimeoutError, DeadKernelError) as error:
            problem = f"{type(error).__name__}: {error}"
    return Lesson(Path(path).stem, notebook, time.perf_counter() - started, problem)


@contextmanager
def environment(fast, empty):
    """The variables that a kernel inherits. In the fast mode runs go to a folder that is thrown away."""
    changed = {"ELECTRA_TUTORIAL_FAST": "1" if fast else "0", "JUPYTER_PREFER_ENV_PATH": "1"}
    if fast:
        changed["ELECTRA_TUTORIAL_RUNS"] = str(Path(empty) / "runs")
    before = {name: os.environ.pop(name, None) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def write_minutes(minutes, notebooks):
    """Note measured minutes under the kind of machine this is, and weave them in."""
    from electra_tutorial.device import choose_device

    kind = "cpu" if choose_device().type == "cpu" else "gpu"
    path = notebooks / MINUTES
    measured = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for name, number in minutes.items():
        measured.setdefault(name, {})[kind] = round(number, 1)
    write_whole(path, json.dumps(measured, indent=1, sort_keys=True) + "\n")
    weave_all(notebooks=notebooks)


# --- a kernel without the network ---------------------------------------------------------------------

def client(notebook, folder, scratch):
    """An nbclient for one notebook: its kernel runs in `folder` and keeps its sockets in `scratch`."""
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    class Offline(AsyncKernelManager):
        def format_kernel_cmd(self, extra_arguments=None):
            return NO_NETWORK + super().format_kernel_cmd(extra_arguments)

    offline, arguments = AsyncKernelManager, [f"--IPKernelApp.exec_lines={GUARD}"]
    if can_unshare():
        offline, arguments = Offline, []
    manager = offline(kernel_name="python3", connection_file=str(scratch / "kernel.json"))
    if can_unshare():
        manager.transport = "ipc"  # sockets in the file system: they reach into the kernel's own network
    found = NotebookClient(notebook, km=manager, timeout=LONGEST_CELL, extra_arguments=arguments,
                           resources={"metadata": {"path": str(folder)}})
    found.owns_km = True  # so that the kernel ends with the lesson
    return found


@cache
def can_unshare():
    """True where a process may have a network of its own: on Linux, unless a container forbids it."""
    if not shutil.which("unshare"):
        return False
    return subprocess.run([*NO_NETWORK, "true"], capture_output=True).returncode == 0


def refuse_the_network():
    """From now on this process reaches nothing but itself and this machine. For systems without `unshare`."""
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def guarded(sock, address):
        if sock.family in (socket.AF_INET, socket.AF_INET6) and not is_here(address[0]):
            raise OSError(f"A lesson may not use the network, and this one asks for {address[0]}.")
        return connect(sock, address)

    def guarded_resolve(host, *rest, **more):
        if host and not is_here(host):
            raise socket.gaierror(f"A lesson may not use the network, and this one asks for {host}.")
        return resolve(host, *rest, **more)

    socket.socket.connect, socket.getaddrinfo = guarded, guarded_resolve


def is_here(host):
    """True for the names and addresses of this machine's loopback."""
    host = host.decode() if isinstance(host, bytes) else host
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
