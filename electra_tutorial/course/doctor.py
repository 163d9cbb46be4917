"""Preflight: what is here, what is missing, and what to do about it. `electra-tutorial doctor [--json]`.

Each check is a function that returns a list of findings. Nothing here asks the network.
"""
import json
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from electra_tutorial import sources

REPOSITORY = Path(__file__).resolve().parents[2]
MEMORY_GB = 2.0  # a `laptop` training stays under it
DISK_GB = 1.0  # runs, checkpoints, the data's cache
SET_UP = "Run `python course.py setup`."
WIDGET_MANAGERS = {"8": "5", "7": "3"}  # ipywidgets' major version -> that of its JupyterLab front end


def ok(name, found):
    return {"name": name, "state": "ok", "found": found, "remedy": ""}


def note(name, found, remedy):
    """Something a lesson may look worse without; the course works."""
    return {"name": name, "state": "note", "found": found, "remedy": remedy}


def fix(name, found, remedy):
    """Something the course does not work without."""
    return {"name": name, "state": "fix", "found": found, "remedy": remedy}


def examine():
    """Return the findings: dicts with name, state ("ok", "note" or "fix"), found, and remedy ("" if ok)."""
    checks = {"Python": python, "packages": packages, "PyTorch": pytorch, "device": device, "memory": memory,
              "disk": disk, "data": data, "trained model": trained_model, "fonts": fonts, "widgets": widgets,
              "kernel": kernel, "lessons": lessons}
    findings = []
    for name, check in checks.items():
        try:
            findings += check()
        except Exception as error:  # a check that breaks is itself a finding: the others must still be told
            broken = f"{type(error).__name__}: {error}".split("\n")[0]
            findings.append(fix(name, f"could not be looked at ({broken})", SET_UP))
    return findings


def main(as_json=False):
    """Print the findings (as JSON: that alone, to stdout). Returns 0, or 1 if there is something to fix."""
    findings = examine()
    well = all(finding["state"] != "fix" for finding in findings)
    if as_json:
        print(json.dumps({"ok": well, "checks": findings}, indent=1))
        return 0 if well else 1
    for finding in findings:
        print(f"{finding['state'].upper():4}  {finding['name']:14}  {finding['found']}")
        if finding["remedy"]:
            print(" " * 22 + finding["remedy"])
    print("\nReady." if well else "\nNot ready: do what stands under each FIX, then run this again.")
    return 0 if well else 1


# --- Python and packages ------------------------------------------------------------------------------

def python():
    system = f"{platform.system()} {platform.machine()}"
    return [ok("Python", f"{platform.python_version()} on {system}, {sys.prefix}")]


def packages():
    """Compare what is installed with the tested pins: what lessons need must be there, of any version."""
    pins = [Requirement(line) for line in (REPOSITORY / "requirements.txt").read_text("utf-8").splitlines()
            if line.strip() and not line.startswith("#")]
    here = {pin.name: installed(pin.name) for pin in pins}
    missing = [pin.name for pin in pins if not here[pin.name]]
    other = [f"{pin.name} {here[pin.name]} (tested: {pin.specifier})" for pin in pins
             if here[pin.name] and not pin.specifier.contains(here[pin.name], prereleases=True)]
    needed = [name for name in missing if name in lesson_packages()]
    if needed:
        return [fix("packages", f"missing: {', '.join(needed)}", SET_UP)]
    if missing or other:
        found = "; ".join([f"not installed: {name}" for name in missing] + other)
        return [note("packages", found, "Usually harmless. The tested versions: `python course.py setup`.")]
    return [ok("packages", f"all {len(pins)} as tested")]


def installed(name):
    """Return the installed version of a package, or "" if it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def lesson_packages():
    """Return the names of the packages that running lessons takes, from pyproject.toml."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    needed = project["dependencies"] + project["optional-dependencies"]["lessons"]
    return {Requirement(line).name for line in needed}


# --- the machine --------------------------------------------------------------------------------------

def pytorch():
    try:
        import torch
        right = float((torch.ones(2, 3) @ torch.ones(3, 2)).sum()) == 12
    except (ImportError, OSError) as error:
        return [fix("PyTorch", f"does not start: {error}".split("\n")[0],
                    f"Remove .venv. {SET_UP} On Windows, first install Microsoft's Visual C++ runtime.")]
    if not right:
        return [fix("PyTorch", f"{torch.__version__} computes wrongly", f"Remove .venv. {SET_UP}")]
    return [ok("PyTorch", torch.__version__)]


def device():
    """Say what lessons will compute on. CUDA is asked about itself only where it has found a GPU."""
    import torch
    if torch.cuda.is_available():
        return [gpu(torch)]
    if torch.backends.mps.is_available():
        return [ok("device", "Apple GPU (mps)")]
    threads = torch.get_num_threads()
    found = f"CPU, {threads} thread{'s' * (threads != 1)}, {torch.backends.cpu.get_cpu_capability()}"
    idle = nvidia_gpu()
    if idle:
        return [note("device", f"{found}; this PyTorch does not use the NVIDIA GPU here ({idle})",
                     "It takes a PyTorch with CUDA and a driver: `python course.py -h`, --torch-index.")]
    return [ok("device", found)]


def gpu(torch):
    """Return the finding about the GPU: its name and memory, and whether this PyTorch can compute on it."""
    found = torch.cuda.get_device_name()
    try:
        torch.ones(2, device="cuda").sum().item()
        free, total = (size / 1e9 for size in torch.cuda.mem_get_info())
    except RuntimeError as error:
        return note("device", f"{found}, but it does not compute: {error}".split("\n")[0],
                    "Close what else uses it, or hide it with CUDA_VISIBLE_DEVICES= and use the CPU.")
    return ok("device", f"{found}, {free:.0f} of {total:.0f} GB free")


def nvidia_gpu():
    """Return the name of the GPU that NVIDIA's own tool lists first, or ""."""
    tool = shutil.which("nvidia-smi")
    if not tool:
        return ""
    try:
        words = [tool, "--query-gpu=name", "--format=csv,noheader"]
        listed = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True).stdout
        return listed.split("\n")[0]
    except (OSError, subprocess.SubprocessError):
        return ""


def memory():
    import psutil  # comes with ipykernel
    free, total = psutil.virtual_memory().available / 1e9, psutil.virtual_memory().total / 1e9
    limit, used = (container_memory(name) for name in ("memory.max", "memory.current"))
    if limit and limit < total:
        free, total = min(free, max(limit - (used or 0), 0)), limit
    found = f"{free:.1f} of {total:.1f} GB free"
    if free < MEMORY_GB:
        return [note("memory", found,
                     f"Training takes {MEMORY_GB:.0f} GB: close other programs, or use `--preset tiny`.")]
    return [ok("memory", found)]


def container_memory(name):
    """Return a figure of this container's memory in GB, or None where none is set."""
    try:
        return int(Path("/sys/fs/cgroup", name).read_text()) / 1e9
    except (OSError, ValueError):
        return None


def disk():
    free = shutil.disk_usage(REPOSITORY).free / 1e9
    found = f"{free:.1f} GB free"
    if free < DISK_GB:
        return [fix("disk", found, f"Runs and checkpoints need {DISK_GB:.0f} GB: make room.")]
    return [ok("disk", found)]


# --- data and pictures --------------------------------------------------------------------------------

def data():
    """Hash the archives and the cleaned files, and compare with sources.toml."""
    return [archive(row) for row in sources.status(verify=True)] + cleaned_files()


def archive(row):
    name, found = f"data {row['name']}", f"{row['file']}, {row['bytes'] / 1e6:.0f} MB, {row['state']}"
    if row["state"] == "complete":
        return ok(name, f"{found}, sha256 as expected")
    return fix(name, found, "Run `electra-tutorial data` (without a network: `--from DIR`, the file in DIR).")


def cleaned_files():
    """Return one finding about the course's cleaned corpus: each file's sha256 against the recorded one."""
    wanted = sources.read_description().get("outputs", {})
    folder = sources.cache_dir() / "course"
    bad = [name for name, record in wanted.items() if not has_sha256(folder / name, record["sha256"])]
    if bad:
        return [fix("data corpus", f"missing or changed: {', '.join(bad)}",
                    "Run `electra-tutorial data`; until then the grammar corpus stands in.")]
    return [ok("data corpus", f"{len(wanted)} cleaned files, sha256 as expected")]


def has_sha256(path, expected):
    return path.is_file() and sources.sha256_of(path) == expected


def trained_model():
    """Open the shipped model's weights: a file cut short or a Git LFS pointer would show here."""
    from safetensors import SafetensorError, safe_open
    folder = sources.data_dir() / "mini-electra"
    files = ("config.json", "model.safetensors", "tokenizer.json")
    missing = [name for name in files if not (folder / name).is_file()]
    remedy = "Restore it with `git checkout -- data/mini-electra`; your own training works without it."
    if missing:
        return [note("trained model", f"{folder} lacks {', '.join(missing)}", remedy)]
    try:
        with safe_open(folder / "model.safetensors", "np") as file:
            return [ok("trained model", f"{folder.name}, {len(file.keys())} tensors")]
    except SafetensorError as error:
        return [note("trained model", f"{folder.name} is damaged ({error})", remedy)]


def fonts():
    from matplotlib import font_manager, get_cachedir

    from electra_tutorial.views.picture import CHINESE_FONTS

    known = {font.name for font in font_manager.fontManager.ttflist}
    found = [ok("font", "DejaVu Sans") if "DejaVu Sans" in known else
             fix("font", "no DejaVu Sans", f"It comes with matplotlib. {SET_UP}")]
    chinese = [name for name in CHINESE_FONTS if name in known]
    if chinese:
        return [*found, ok("Chinese font", chinese[0])]
    files = [Path(path).name for path in font_manager.findSystemFonts()]
    if any("CJK" in name for name in files):
        return [*found, note("Chinese font", "installed, but matplotlib has not noticed",
                             f"Delete the font list in {get_cachedir()}; it is made anew.")]
    return [*found, note("Chinese font", "none: Chinese labels in pictures will be empty boxes",
                         "Install one (Debian, Ubuntu: `sudo apt install fonts-noto-cjk`), then delete the "
                         f"font list in {get_cachedir()}.")]


# --- JupyterLab ---------------------------------------------------------------------------------------

def widgets():
    """Check that JupyterLab has a front end for the installed ipywidgets, and one for anywidget."""
    if not installed("jupyterlab"):
        return [note("widgets", "no JupyterLab here", f"A hosted notebook needs none. Elsewhere: {SET_UP}")]
    version = installed("ipywidgets")
    manager = front_end("@jupyter-widgets/jupyterlab-manager")
    if manager.split(".")[0] != WIDGET_MANAGERS.get(version.split(".")[0]):
        found = f"ipywidgets {version}, front end {manager or 'missing'}: sliders will not show"
        return [fix("widgets", found, SET_UP)]
    found = f"ipywidgets {version}, front end {manager}"
    if not front_end("anywidget"):
        return [fix("widgets", f"{found}; anywidget's is missing", SET_UP)]
    return [ok("widgets", f"{found}, anywidget {installed('anywidget')}")]


def front_end(name):
    """Return the version of the first JupyterLab extension of this name that is installed, or ""."""
    from jupyter_core.paths import jupyter_path
    for folder in jupyter_path("labextensions"):
        description = Path(folder, name, "package.json")
        if description.is_file():
            return json.loads(description.read_text("utf-8"))["version"]
    return ""


def kernel():
    """Check that "Python 3", the kernel every lesson names, is this Python."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return [fix("kernel", "there is no kernel 'python3'", SET_UP)]
    if program in ("python", "python3") or os.path.abspath(program) == os.path.abspath(sys.executable):
        return [ok("kernel", "python3 is this Python")]
    return [note("kernel", f"'python3' means {program}",
                 "Open the course with `python course.py lab`, which puts this Python first.")]


def lessons():
    published = len(list((REPOSITORY / "notebooks").glob("*.ipynb")))
    folder = REPOSITORY / "my_lessons"
    place = folder if folder.is_dir() else REPOSITORY
    if not published:
        return [fix("lessons", "there are none in notebooks/", "Restore them: `git checkout -- notebooks`.")]
    if not os.access(place, os.W_OK):
        return [fix("lessons", f"{place} cannot be written", "Clone the course into a folder of your own.")]
    return [ok("lessons", f"{published} published; yours are in {folder}")]
