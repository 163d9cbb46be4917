"""Each lesson in JupyterLab in a real browser: it opens in peace. 00, 06, 07, 08 run whole in files of their own."""
import subprocess
import sys

import pytest

from electra_tutorial.course import lab

LESSONS = sorted(path.name for path in lab.LESSONS.glob("[0-9]*.ipynb"))


def test_the_guard_notes_who_asks_for_the_network_even_inside_a_try(asked, surroundings):
    before = asked.read_text()
    ask = ("import socket\ntry:\n    socket.create_connection(('192.0.2.1', 80), 1)\nexcept OSError:\n    pass\n"
           "try:\n    socket.getaddrinfo('example.org', 80)\nexcept OSError:\n    pass\n")
    subprocess.run([sys.executable, "-c", ask], env=surroundings, check=True)
    assert asked.read_text() == before + "192.0.2.1\nexample.org\n"
    asked.write_text(before)


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_opens_without_a_dialog(name, open_lesson):
    lesson = open_lesson(name)
    assert lesson.page.locator("dialog.jp-Dialog").count() == 0
    assert lesson.page.locator(".jp-Notification, .Toastify__toast").count() == 0
    assert lesson.page.locator(".jp-Notebook h1").first.is_visible()
    assert not lesson.problems()
