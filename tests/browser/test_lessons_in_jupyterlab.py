"""Each lesson in JupyterLab in a real browser: it opens in peace. 00, 06, 07, 08 run whole in files of their own."""
import subprocess
import sys

from electra_tutorial.course import lab

LESSONS = sorted(path.name for path in lab.LESSONS.glob("[0-9]*.ipynb"))


def test_the_guard_notes_who_asks_for_the_network_even_inside_a_try(asked, surroundings):
    before = asked.read_text()
    ask = ("import socket\ntry:\n    socket.create_connection(('192.0.2.1', 80), 1)\nexcept OSError:\n    pass\n"
           "try:\n    socket.getaddrinfo('example.org', 80)\nexcept OSError:\n    pass\n")
    subprocess.run([sys.executable, "-c", ask], env=surroundings, check=True)
    assert asked.read_text() == before + "192.0.2.1\nexample.org\n"
    asked.write_text(before)


def test_every_lesson_opens_without_a_dialog(open_lesson, lessons):
    first, *others = LESSONS
    lab.prepare(lessons, fresh=first)  # another test may have saved it with a widget whose kernel is gone
    lesson = open_lesson(first)
    opens_in_peace(lesson, first)
    for name in others:  # a tab each: a new window would load all of JupyterLab anew
        lesson.open(name)
        opens_in_peace(lesson, name)
    assert any((lessons / lab.WORKSPACES).iterdir()), "which tabs are open is kept with the lessons"


def opens_in_peace(lesson, name):
    assert lesson.page.locator("dialog.jp-Dialog").count() == 0, name
    assert lesson.page.locator(".jp-Notification, .Toastify__toast").count() == 0, name
    title = lesson.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) h1").first
    assert title.is_visible() and title.inner_text().startswith(name[:2]), name
    assert not lesson.problems(), name
    dirty = lesson.page.evaluate("window.jupyterapp.shell.currentWidget.context.model.dirty")
    assert not dirty, f"{name} asks to be saved, and nobody has worked on it"


def test_a_section_for_a_second_reading_is_folded_opens_with_a_click_and_runs_with_the_rest(open_lesson, lessons):
    name = next(one for one in LESSONS if one.startswith("02"))
    lab.prepare(lessons, fresh=name)
    lesson = open_lesson(name)
    heading = lesson.show("*(second reading)*")
    inside = lesson.page.evaluate(FOLDED)
    assert inside and all(one["hidden"] for one in inside), "the cells under such a heading, up to the next"
    heading.locator("button.jp-showHiddenCellsButton").click()
    assert not any(one["hidden"] for one in lesson.page.evaluate(FOLDED))
    heading.locator("button.jp-collapseHeadingButton").click()
    assert all(one["hidden"] for one in lesson.page.evaluate(FOLDED))
    lesson.run_all()
    assert all(one["run"] for one in lesson.page.evaluate(FOLDED))


FOLDED = """() => {
    const cells = window.jupyterapp.shell.currentWidget.content.widgets;
    const from = cells.findIndex(cell => cell.model.sharedModel.source.includes('*(second reading)*'));
    const found = [];
    for (const cell of cells.slice(from + 1)) {
        if (cell.model.sharedModel.source.startsWith('## ')) break;
        found.push({hidden: cell.isHidden, run: cell.model.type !== 'code' || cell.model.executionCount > 0});
    }
    return found;
}"""
