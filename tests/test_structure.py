"""What holds for the whole tree: the order of imports, one place for each version, nothing but our own."""
import ast
import fnmatch
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "electra_tutorial"
# The reading order. A module imports only from those above it; data flows the same way.
ORDER = (
    "errors", "presets", "sources", "grammar", "corpus", "tasks", "tokens", "objective", "model", "metrics",
    "minimal_pairs", "exam", "evaluation", "ablations", "checkpoint", "device", "judgement", "suspicion", "heads",
    "training", "finetune", "probes", "feature_probes", "experiments", "hub", "bench", "cli", "__main__",
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
BIG = 1_000_000  # bytes; only the trained model may be bigger
ARCHIVES = {".whl", ".zip", ".gz", ".tgz", ".bz2", ".xz", ".tar", ".parquet", ".arrow", ".pt", ".pth", ".pkl"}
MODEL, MODEL_BYTES = "data/mini-electra/", 10_000_000


def tracked_files():
    """Return the paths, relative to the repository, that git tracks or would track."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True)
    if listed.returncode == 0:
        return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    # A folder without git, such as an unpacked archive of the repository: leave out what git would ignore.
    ignored = [line.strip("/").split("/")[-1] for line in lines_of(".gitignore")]
    paths = [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file()]
    return [path.as_posix() for path in paths
            if not any(fnmatch.fnmatch(part, pattern) for part in path.parts for pattern in ignored)]


def lines_of(name):
    """Return a file's lines without the empty ones and those that begin with #."""
    return [line for line in (ROOT / name).read_text("utf-8").splitlines() if line[:1] not in ("", "#")]


def texts():
    """Yield (path, text) for every tracked file that is text."""
    for name in tracked_files():
        try:
            yield name, (ROOT / name).read_text("utf-8")
        except UnicodeDecodeError:
            continue


# --- imports ------------------------------------------------------------------------------------------

def imports(path):
    """Return [(module inside the package, line, whether inside a function)] that a file imports."""
    tree = ast.parse(path.read_text("utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inside = {child for function in functions for child in ast.walk(function)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: a relative import fails in a lesson's cell"
            names = [node.module]
            if node.module == "electra_tutorial":
                names = [f"electra_tutorial.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found += [(name.split(".")[1], node.lineno, node in inside) for name in names
                  if name.startswith("electra_tutorial.")]
    return [(name, line, late) for name, line, late in found if not name.startswith("__version")]


def test_every_module_has_its_place_in_the_order():
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert modules <= set(ORDER), f"give these a place: {modules - set(ORDER)}"


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_a_module_imports_only_from_those_above_it(path):
    above = ORDER[:ORDER.index(path.stem)] if path.stem in ORDER else ()
    for name, line, late in imports(path):
        if name in ("views", "course"):
            assert path.stem == "cli" and late, f"{path.name}:{line}: only cli imports {name}, in a function"
        else:
            assert name in above, f"{path.name}:{line}: {name} does not stand above {path.stem}"


@pytest.mark.parametrize("folder", ["views", "course"])
def test_views_and_course_import_no_command_line_and_views_no_course(folder):
    for path in sorted((PACKAGE / folder).rglob("*.py")):
        for name, line, _ in imports(path):
            place = f"{folder}/{path.name}:{line}: {name}"
            assert name in (*ORDER[:ORDER.index("cli")], "views", "course"), place
            assert (folder, name) != ("views", "course"), place


def test_nothing_waits_for_annotations_of_the_future():
    for path in PACKAGE.rglob("*.py"):
        assert "from __future__ import" not in path.read_text("utf-8"), path.name


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, electra_tutorial; dir(electra_tutorial); print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert not {"torch", "numpy", "tokenizers", "transformers", "matplotlib", "ipywidgets"} & set(loaded)


def test_every_public_name_is_where_the_package_says():
    import electra_tutorial
    for name in set(electra_tutorial.__all__) - {"PRESETS"}:
        assert getattr(electra_tutorial, name).__name__ == name
    assert {"tiny", "laptop", "gpu", "paper"} <= set(electra_tutorial.PRESETS)


def functions():
    """Yield (file, function node) for every function of the modules that students read."""
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef):
                yield path.name, node


def test_nine_functions_in_ten_fit_in_25_lines():
    lengths = [node.end_lineno - node.lineno + 1 for _, node in functions()]
    assert sum(length <= 25 for length in lengths) >= 0.9 * len(lengths)


# --- the command line ---------------------------------------------------------------------------------

def seconds_of_help():
    """Return the processor time that `--help` takes, the least of three runs: other work must not count."""
    import resource
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "electra_tutorial", "--help"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


def test_help_answers_in_half_a_second():
    assert seconds_of_help() < 0.5


def test_course_py_passes_on_every_command_there_is():
    words = subprocess.check_output([sys.executable, "-m", "electra_tutorial", "--help"], text=True)
    assert set(re.findall(r"^    ([a-z]+)\b", words, re.M)) == {"lab", *course_py().PASSED_ON}


def course_py():
    spec = importlib.util.spec_from_file_location("course", ROOT / "course.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- versions -----------------------------------------------------------------------------------------

def pins():
    """Return {package: version} from requirements.txt, names in lower case."""
    lines = lines_of("requirements.txt")
    for line in lines:
        assert re.fullmatch(r"[\w.-]+==\d[\w.]*", line), f"not an exact pin: {line}"
    return {line.split("==")[0].lower(): line.split("==")[1] for line in lines}


def ranges():
    return [Requirement(line) for line in sum(EXTRAS.values(), PROJECT["dependencies"])]


def test_the_ranges_admit_every_pin_and_every_pin_has_a_range():
    builds = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    wanted = {one.name.lower(): one for one in [*ranges(), *map(Requirement, builds)]}
    assert set(wanted) == set(pins())
    for name, version in pins().items():
        assert wanted[name].specifier.contains(version), f"{wanted[name]} does not admit {version}"


@pytest.mark.parametrize("name, versions", [
    ("torch", ["2.4.1+cu121", "2.6.0+cu124", "2.13.0+cpu", "3.0.0"]),
    ("numpy", ["1.26.4", "2.0.2", "2.4.6"]),
    ("ipywidgets", ["7.7.1", "8.1.9"]),
    ("matplotlib", ["3.8.4", "3.10.0"]),
])
def test_a_hosted_notebook_keeps_what_it_came_with(name, versions):
    (one,) = [one for one in map(Requirement, PROJECT["dependencies"]) if one.name == name]
    for version in versions:
        assert one.specifier.contains(version), f"{one} would replace {version}"


def test_the_pins_are_what_is_installed_here_and_fit_together():
    from importlib import metadata
    for name, version in pins().items():
        assert metadata.version(name).split("+")[0] == version, name
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_conda_brings_python_and_pip_and_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    *conda, pip = environment["dependencies"]
    assert conda == ["python=3.11", "pip"] and pip == {"pip": ["-r requirements.txt", "-e ."]}
    course = course_py()
    assert course.OLDEST <= (3, 11) <= course.NEWEST
    assert PROJECT["requires-python"] == ">={}.{}".format(*course.OLDEST)


# --- what is in the repository ------------------------------------------------------------------------

def test_no_tracked_file_names_a_place_on_somebodys_machine():
    place = re.compile(r"(?<![\w.~$}])/(?:work|tmp|root|opt|farm|home|Users)/[A-Za-z.]|\b[A-Z]:\\\\?Users")
    found = [f"{name}: {match[0]}" for name, text in texts() for match in place.finditer(text)]
    assert not found, found


def test_no_tracked_file_names_a_package_registry():
    hosts = [".".join(words) for words in (("pypi", "org"), ("pythonhosted", "org"), ("anaconda", "org"),
                                           ("download", "pytorch", "org"), ("npmjs", "org"), ("npmjs", "com"),
                                           ("jsdelivr", "net"), ("unpkg", "com"), ("deb", "debian", "org"))]
    found = [f"{name}: {host}" for name, text in texts() for host in hosts if host in text]
    assert not found, found


def test_nothing_big_and_no_archive_is_tracked_but_the_trained_model():
    model = 0
    for name in tracked_files():
        size = (ROOT / name).stat().st_size
        if name.startswith(MODEL):
            model += size
            continue
        assert size <= BIG, f"{name} has {size:,} bytes"
        assert Path(name).suffix not in ARCHIVES, name
    assert model <= MODEL_BYTES, f"{MODEL} has {model:,} bytes"


@pytest.mark.parametrize("path", [
    ".venv/set-up.json", "data/cache/archives/a.whl", "my_lessons/06.ipynb", "my_lessons/my_electra.py",
    "runs/laptop/model.safetensors", "logs/set-up.log", "site/index.html", "electra_tutorial.egg-info/x",
])
def test_git_ignores_what_set_up_and_work_make(path):
    ignored = subprocess.run(["git", "check-ignore", "--quiet", "--no-index", path], cwd=ROOT)
    assert ignored.returncode in (0, 128), f"{path} would be tracked"  # 128: this folder is not under git


def test_ci_calls_the_readmes_test_commands():
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert "set -euo pipefail" in script and script.endswith("\nmake test\nmake test-browser\n")
    assert subprocess.run(["bash", "-n", ROOT / ".ci" / "run"]).returncode == 0
    readme = (ROOT / "README.md").read_text("utf-8")
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert "make test" in readme and "make test-browser" in readme and "make lab" in readme
    assert set(re.findall(r"`make ([\w-]+)", readme)) <= set(targets)


def test_code_text_and_weights_each_have_a_licence():
    for name, words in (("", "MIT License"), ("-TEXT", "CC BY 4.0"), ("-WEIGHTS", "CC BY-SA 4.0")):
        assert words in (ROOT / f"LICENSE{name}").read_text("utf-8")
    assert PROJECT["license"] == "MIT"


def test_the_linter_finds_nothing():
    found = subprocess.run([sys.executable, "-m", "ruff", "check", "--output-format", "concise", "."], cwd=ROOT,
                           capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
