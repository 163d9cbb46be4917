"""JupyterLab as `make lab` starts it, a real Chromium in front of it, and no network behind either.

`make test-browser` runs these. A test that drives a lesson takes `open_lesson`; when it ends, every request
that would have left this machine, of the page, the server or a kernel, fails it, and so does an error on the
page's console. Screenshots for a person to look at are written to test-results/screenshots/.
"""
import json
import os
import subprocess
import time
from pathlib import Path
from urllib.parse import urlparse

import nbformat
import pytest
from playwright.sync_api import sync_playwright

from electra_tutorial.course import lab
from electra_tutorial.course.pages import page_of

HERE = Path(__file__).resolve().parent
SCREENSHOTS = lab.REPOSITORY / "test-results" / "screenshots"
LONGEST = 240_000  # milliseconds for a whole lesson in fast mode
WINDOW = {"width": 1280, "height": 1500}  # tall enough for a view whole
# Chromium's own services ask for the network whatever the page does; a sandbox is not to be had in a container.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]


# Two workers begin with a half each: so divided, they end at about the same time.
ORDER = ("attention", "start_here", "explorer", "training", "lessons")


def pytest_collection_modifyitems(items):
    """Sort the tests of this folder by file as in ORDER, a new file's last."""
    here = [item for item in items if item.path.parent == HERE]
    here.sort(key=lambda item: [*(name in item.path.stem for name in ORDER), True].index(True))
    items[:] = [item for item in items if item not in here] + here


def is_here(url):
    """True for an address of this machine, its disk, and what is in the page itself (data:, blob:, about:)."""
    parts = urlparse(url)
    return parts.scheme in ("data", "blob", "about", "file") or parts.hostname in ("127.0.0.1", "localhost", "::1")


# --- the server -----------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def asked(tmp_path_factory):
    """The file in which server and kernels note each host that they would have asked."""
    path = tmp_path_factory.mktemp("network") / "asked"
    path.touch()
    return path


@pytest.fixture(scope="session")
def surroundings(tmp_path_factory, asked):
    """The environment of the server: the lessons' fast mode, folders of its own, no network."""
    own = tmp_path_factory.mktemp("jupyter")
    folders = {"JUPYTER_RUNTIME_DIR": "runtime", "JUPYTERLAB_SETTINGS_DIR": "settings",
               "ELECTRA_TUTORIAL_RUNS": "runs"}
    python_path = os.pathsep.join(filter(None, [str(HERE / "no_network"), os.environ.get("PYTHONPATH")]))
    return {**lab.environment(), **{name: str(own / folder) for name, folder in folders.items()},
            "ELECTRA_TUTORIAL_FAST": "1", "ELECTRA_TUTORIAL_ASKED": str(asked), "PYTHONPATH": python_path}


@pytest.fixture(scope="session")
def lessons(tmp_path_factory):
    """A student's folder with a copy of every lesson."""
    folder = tmp_path_factory.mktemp("my_lessons")
    lab.prepare(folder)
    return folder


@pytest.fixture(scope="session")
def server(lessons, surroundings):
    """JupyterLab on the lessons, started as `make lab` does: gives its address and token."""
    words = lab.command(lessons, ["--no-browser", "--port", "0", "--LabApp.expose_app_in_browser=True"])
    log = Path(surroundings["JUPYTER_RUNTIME_DIR"]).parent / "server.log"
    with log.open("w") as file:
        process = subprocess.Popen(words, env=surroundings, stdout=file, stderr=file)
    try:
        yield wait_for_address(Path(surroundings["JUPYTER_RUNTIME_DIR"]), process, log)
    finally:
        process.terminate()
        process.wait(20)


def wait_for_address(runtime, process, log):
    """(address, token) of the server once it says that it runs."""
    until = time.monotonic() + 180  # seconds; two, unless much else runs on the machine
    while time.monotonic() < until and process.poll() is None:
        for path in runtime.glob("jpserver-*.json"):
            if text := path.read_text():
                found = json.loads(text)
                return found["url"], found["token"]
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


# --- the browser ----------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def browser():
    """Chromium without a window: the one that `make test-browser` found, or Playwright's own."""
    with sync_playwright() as playwright:
        path = os.environ.get("ELECTRA_TUTORIAL_BROWSER") or None
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


class Watched:
    """A page, and what it did that it must not do: requests that leave this machine, errors on the console."""

    def __init__(self, context):
        self.outside, self.errors, self.kernel_is_gone = [], [], False
        context.route(lambda url: not is_here(url), self.refuse)
        self.page = context.new_page()
        self.page.set_default_timeout(60_000)
        self.page.on("request", self.note)
        self.page.on("console", lambda said: self.blame(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.blame(str(error)))

    def note(self, request):
        if not is_here(request.url):
            self.outside.append(request.url)

    def blame(self, error):
        """Keep an error. Of a widget whose kernel is gone JupyterLab's own widget manager says that it is lost."""
        if not (self.kernel_is_gone and "widget model not found" in error):
            self.errors.append(error)

    @staticmethod
    def refuse(route):
        route.abort()


@pytest.fixture
def watched(browser, asked, request):
    """A new window that is judged when the test ends; a failed test leaves a screenshot of it."""
    before = asked.read_text()
    context = browser.new_context(viewport=WINDOW)
    watched = Watched(context)
    yield watched
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    name = request.node.name.replace("/", "-")
    watched.page.screenshot(path=SCREENSHOTS / f"end of {name}.png")
    context.close()
    assert not watched.outside, "the page asked for these addresses"
    assert asked.read_text() == before, "the server or a kernel asked for the last of these hosts"
    assert not watched.errors, "these are on the page's console"


@pytest.fixture
def open_lesson(watched, server):
    """A function that opens a lesson of the student's folder in JupyterLab, and gives it as a `Notebook`."""
    def open_one(name):
        address, token = server
        watched.page.goto(f"{address}lab/tree/{name}?token={token}&reset")
        notebook = Notebook(watched.page)
        notebook.wait_until_ready()
        notebook.theme("JupyterLab Light")  # the server keeps what an earlier test chose
        return notebook

    return open_one


STATE = """() => {
    const panel = window.jupyterapp.shell.currentWidget;
    const context = panel?.context;
    const session = context?.sessionContext;
    if (!context?.isReady || !session?.isReady) return null;
    const code = panel.content.widgets.filter(cell => cell.model.type === 'code');
    return {kernel: session.session?.kernel?.status, cells: code.length,
            run: code.filter(cell => cell.model.executionCount).length};
}"""


FIND = """async text => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    const number = notebook.widgets.findIndex(cell => cell.model.sharedModel.source.includes(text));
"""  # the rest of the function follows


class Notebook:
    """A lesson that is open in JupyterLab: what a person at the keyboard would do and see."""

    def __init__(self, page):
        self.page = page

    def state(self):
        """{kernel, cells, run}: the kernel's status, how many code cells there are and how many have run."""
        return self.page.evaluate(STATE)

    def is_quiet(self):
        """Whether nothing is wrong on the page: no error, nothing on stderr, no dialog."""
        return not self.problems() and not self.page.locator("dialog.jp-Dialog").count()

    def wait_until_ready(self):
        self.page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.context")
        self.wait(lambda state: state and state["kernel"] == "idle", 60)

    def open(self, name):
        """Open another lesson of the folder beside this one, as a click in the list of files would."""
        self.execute("docmanager:open", path=name)
        self.page.wait_for_function("name => window.jupyterapp.shell.currentWidget?.context?.path.endsWith(name)",
                                    arg=name)
        self.wait_until_ready()

    def wait(self, ready, seconds):
        """Wait until `ready(state)`, or fail with the last state seen."""
        until = time.monotonic() + seconds
        while not ready(state := self.state()):
            assert time.monotonic() < until, f"still {state} after {seconds} s"
            self.page.wait_for_timeout(200)
        return state

    def theme(self, name):
        """Change JupyterLab's colours, unless they are these already, and wait until they are there."""
        if self.page.evaluate("document.body.dataset.jpThemeName") == name:
            return
        self.execute("apputils:change-theme", theme=name)
        self.page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=name)
        self.page.wait_for_timeout(250)

    def execute(self, command, **arguments):
        """Run one of JupyterLab's commands, as its menu would; does not wait for a notebook's cells."""
        self.page.evaluate("([command, args]) => { window.jupyterapp.commands.execute(command, args) }",
                           [command, arguments])

    def run_all(self, seconds=LONGEST / 1000):
        """Run every cell and wait for the last one."""
        self.execute("notebook:run-all-cells")
        self.wait_for_all(seconds)

    def wait_for_all(self, seconds=LONGEST / 1000):
        """Wait until the last cell has run."""
        self.wait(lambda state: state["kernel"] == "idle" and state["run"] == state["cells"], seconds)

    def run_to(self, text):
        """Run the cells from the first to the one whose source has this text; gives its place."""
        cell = self.show(text)
        self.page.evaluate(FIND + """
            notebook.activeCellIndex = number;
            for (const command of ['run-all-above', 'run-cell']) await window.jupyterapp.commands.execute(
                `notebook:${command}`);
        }""", text)
        return cell

    def restart(self):
        """A new kernel for the page that is open, which knows nothing of what was run."""
        self.page.evaluate("window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.restart()")
        self.wait(lambda state: state and state["kernel"] == "idle", 60)

    def shut_down(self):
        """The kernel goes away for good; the page stays open."""
        self.page.evaluate("window.jupyterapp.shell.currentWidget.context.sessionContext.shutdown()")

    def save(self):
        self.execute("docmanager:save")
        self.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")

    def show(self, text):
        """Scroll to the first cell whose source has this text, so that JupyterLab draws it; gives its place."""
        number = self.page.evaluate(FIND + """
            if (number >= 0) await notebook.scrollToItem(number, 'start');
            return number;
        }""", text)
        assert number >= 0, f"no cell has {text!r} in it"
        return self.page.locator(f".jp-Notebook-cell[data-windowed-list-index='{number}']")

    def outputs(self):
        """Every output of every cell as data, whether or not JupyterLab has drawn it."""
        return self.page.evaluate("""() => window.jupyterapp.shell.currentWidget.content.widgets
            .filter(cell => cell.model.type === 'code').flatMap(cell => cell.model.outputs.toJSON())""")

    def problems(self):
        """What a lesson must not show: errors, and anything on stderr."""
        return [one for one in self.outputs() if one["output_type"] == "error" or one.get("name") == "stderr"]

    def look_through(self, name, pages=40):
        """From top to bottom, a picture a window for a person to look at; gives what a test can tell of each.

        A list of sentences: text in an output with too little contrast, a view wider than its place, a picture
        without words.
        """
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        scroller, found = self.page.locator(".jp-WindowedPanel-outer").first, {}
        scroller.evaluate("element => element.scrollTo(0, 0)")
        for number in range(pages):
            self.page.wait_for_timeout(100)
            self.page.screenshot(path=SCREENSHOTS / f"{name} {number:02}.png")
            found |= dict.fromkeys(self.page.evaluate(UNREADABLE))
            moved = scroller.evaluate("""element => { const before = element.scrollTop;
                element.scrollBy(0, element.clientHeight - 80); return element.scrollTop - before; }""")
            if moved < 10:
                break
        return list(found)


# --- what a test can tell of what is seen ---------------------------------------------------------
# Text in outputs is compared with the paper behind it, as WCAG 2 does for AA; what is in a picture it cannot see.
UNREADABLE = """() => {
    const found = [];
    const parts = colour => (colour.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(part => part / 255)
        .map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
    const paper = element => {
        for (let at = element; at; at = at.parentElement) {
            const colour = parts(getComputedStyle(at).backgroundColor);
            if (colour.length < 4 || colour[3] > 0.99) return colour;
        }
        return [255, 255, 255];
    };
    for (const output of document.querySelectorAll('.jp-OutputArea-output')) {
        const walker = document.createTreeWalker(output, NodeFilter.SHOW_TEXT);
        for (let text = walker.nextNode(); text; text = walker.nextNode()) {
            const element = text.parentElement, style = getComputedStyle(element);
            const hidden = !text.data.trim() || !element.getClientRects().length || style.visibility === 'hidden';
            if (hidden || ['STYLE', 'SCRIPT', 'OPTION'].includes(element.tagName) || element.closest('svg')) continue;
            const [a, b] = [light(parts(style.color)), light(paper(element))].sort((x, y) => y - x);
            const contrast = (a + 0.05) / (b + 0.05);
            if (contrast < 4.5) found.push(`contrast ${contrast.toFixed(1)}: ${text.data.trim().slice(0, 40)}`);
        }
        for (const view of output.querySelectorAll('.electra-live, figure, table'))
            if (view.scrollWidth > view.clientWidth + 1)
                found.push(`${view.scrollWidth} pixels in ${view.clientWidth}: ${view.innerText.slice(0, 40)}`);
        for (const image of output.querySelectorAll('img'))
            if ((image.alt || '').split(' ').length < 4) found.push(`no words for a picture: ${image.alt}`);
    }
    return found;
}"""


def untrust(path, name):
    """A copy that was changed by hand: JupyterLab did not write it, so it does not trust it. Gives its name."""
    notebook = json.loads(path.read_text("utf-8"))
    notebook["metadata"]["from"] = "elsewhere"
    first = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    first["source"] = ["# from elsewhere\n", *first["source"]]
    (path.parent / name).write_text(json.dumps(notebook), "utf-8")
    return name


def nothing_is_trusted(notebook):
    """Whether no output of the notebook that is open is trusted."""
    trusted = "cell.model.type === 'code' && cell.model.outputs.length && cell.model.trusted"
    cells = "window.jupyterapp.shell.currentWidget.content.widgets"
    return not notebook.page.evaluate(f"{cells}.some(cell => {trusted})")


@pytest.fixture
def open_page(watched, tmp_path):
    """A function that exports a saved lesson as `notebooks --html` does, and opens the page from the disk."""
    def open_one(saved):
        files = {name: f"{Path(name).stem}.html" for name in (*os.listdir(lab.LESSONS), saved.name)}
        path = tmp_path / "page.html"
        path.write_text(page_of(saved.stem, nbformat.read(saved, as_version=4), files), "utf-8")
        watched.page.goto(path.as_uri())
        return watched.page

    return open_one


def pictures_stand(page):
    """Every picture of a page is there and has words; gives how many are seen."""
    pictures = page.evaluate("""async () => Promise.all([...document.images].map(async image => {
        await image.decode();
        return {words: image.alt.split(' ').length, seen: image.getClientRects().length > 0};
    }))""")
    assert all(picture["words"] > 3 for picture in pictures)
    return sum(picture["seen"] for picture in pictures)
