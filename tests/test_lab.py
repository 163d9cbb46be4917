"""Handing lessons out never costs a student their work; the server is for this machine alone."""
import http.client
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_tutorial.course import lab
from electra_tutorial.errors import UserError

NAMES = ("00_start.ipynb", "06_train.ipynb")


@pytest.fixture
def lessons(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text(f"{name}, first edition")
    return folder


@pytest.fixture
def mine(tmp_path):
    return tmp_path / "my_lessons"


def texts(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.ipynb")}


def test_lessons_are_copied_once(lessons, mine):
    assert lab.prepare(mine, lessons=lessons) == [f"{name}: added" for name in NAMES]
    assert texts(mine) == texts(lessons)
    assert lab.prepare(mine, lessons=lessons) == []


def test_work_is_kept_when_its_lesson_changes_and_the_new_lesson_lies_beside_it(lessons, mine):
    lab.prepare(mine, lessons=lessons)
    (mine / NAMES[1]).write_text("my work")
    (lessons / NAMES[1]).write_text("second edition")
    (line,) = lab.prepare(mine, lessons=lessons)
    assert "06_train.new.ipynb" in line
    assert texts(mine)[NAMES[1]] == "my work" and texts(mine)["06_train.new.ipynb"] == "second edition"
    assert lab.prepare(mine, lessons=lessons) == []
    (mine / "06_train.new.ipynb").write_text("work on the new one too")
    (lessons / NAMES[1]).write_text("third edition")
    lab.prepare(mine, lessons=lessons)
    assert texts(mine)["06_train.new.ipynb"] == "work on the new one too"
    assert texts(mine)["06_train.new2.ipynb"] == "third edition"


def test_a_copy_that_nobody_worked_on_follows_its_lesson(lessons, mine):
    lab.prepare(mine, lessons=lessons)
    (lessons / NAMES[0]).write_text("second edition")
    assert lab.prepare(mine, lessons=lessons) == [f"{NAMES[0]}: updated"]
    assert texts(mine) == texts(lessons)


def test_a_copy_notes_this_python_as_jupyterlab_would_so_that_opening_it_changes_nothing(mine):
    lab.prepare(mine)
    ask = "import json; from ipykernel.ipkernel import IPythonKernel; print(json.dumps(IPythonKernel.language_info))"
    noted = subprocess.run([sys.executable, "-c", ask], capture_output=True, check=True).stdout  # no kernel in here
    for lesson in sorted(lab.LESSONS.glob("*.ipynb")):
        copy, published = (json.loads(path.read_text("utf-8")) for path in (mine / lesson.name, lesson))
        assert copy["metadata"]["language_info"] == json.loads(noted)
        copy["metadata"]["language_info"] = {"name": "python"}
        assert copy == published
    (mine / lab.HANDED_OUT).unlink()
    assert lab.prepare(mine) == []  # what is as it was handed out is known without its record, too


def test_without_its_record_every_changed_copy_counts_as_work(lessons, mine):
    lab.prepare(mine, lessons=lessons)
    (mine / NAMES[1]).write_text("my work")
    (mine / lab.HANDED_OUT).write_text("{ half a recor")
    lab.prepare(mine, lessons=lessons)
    assert texts(mine)[NAMES[1]] == "my work"


@pytest.mark.parametrize("wanted", ["06", "6", "06_train", "06_train.ipynb"])
def test_starting_over_keeps_a_backup(lessons, mine, wanted):
    lab.prepare(mine, lessons=lessons)
    for work in ("my work", "more work"):
        (mine / NAMES[1]).write_text(work)
        kept, added = lab.prepare(mine, fresh=wanted, lessons=lessons)
        assert "backup/06_train." in kept and added == f"{NAMES[1]}: added"
    assert texts(mine)[NAMES[1]] == f"{NAMES[1]}, first edition"
    assert {"my work", "more work"} <= set(texts(mine / "backup").values())


@pytest.mark.parametrize("wanted", ["7", "", "six", "../06_train", "６"])
def test_starting_over_a_lesson_that_is_not_there_is_one_sentence(lessons, mine, wanted):
    with pytest.raises(UserError, match="choose one of 00, 06"):
        lab.prepare(mine, fresh=wanted, lessons=lessons)
    assert not mine.exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(lessons, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="make the folder writable"):
        lab.prepare(tmp_path / "file", lessons=lessons)
    with pytest.raises(UserError, match="There are no lessons"):
        lab.prepare(tmp_path / "mine", lessons=tmp_path / "nowhere")


STEPS = st.sampled_from(["work", "publish", "delete", "prepare", "fresh", "lose the record"])


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEPS, max_size=14))
def test_whatever_happens_no_work_is_lost_and_the_latest_lesson_is_at_hand(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("course")
    lessons, mine = folder / "notebooks", folder / "my_lessons"
    lessons.mkdir()
    lesson, copy = lessons / NAMES[1], mine / NAMES[1]
    lesson.write_text("edition 0")
    written, handed = set(), ""
    for number, step in enumerate([*steps, "prepare"]):
        if step == "work" and copy.exists():
            written.discard(copy.read_text())  # the student saves over their own file
            copy.write_text(f"work {number}")
            written.add(f"work {number}")
        elif step == "publish":
            lesson.write_text(f"edition {number}")
        elif step == "delete" and copy.exists():
            written.discard(copy.read_text())
            copy.unlink()
        elif step == "lose the record":
            (mine / lab.HANDED_OUT).unlink(missing_ok=True)
        elif step in ("prepare", "fresh"):
            lab.prepare(mine, fresh="6" if step == "fresh" else None, lessons=lessons)
            there = set(texts(mine).values())
            assert written <= there and copy.exists()
            # An edition that was worked on is gone as a text; any other is in the folder.
            assert lesson.read_text() in there or lesson.read_text() == handed
            handed = lesson.read_text()


def test_the_environment_puts_our_settings_first_and_keeps_a_users_own(monkeypatch):
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "theirs")
    assert lab.environment()["JUPYTER_CONFIG_PATH"].split(lab.os.pathsep) == [str(lab.SETTINGS), "theirs"]
    assert lab.environment()["JUPYTER_PREFER_ENV_PATH"] == "1"


def test_the_words_a_user_gives_come_last_so_that_they_win(mine, lessons):
    lab.prepare(mine, lessons=lessons)
    assert lab.command(mine, ["--no-browser", "--port", "8899"])[-3:] == ["--no-browser", "--port", "8899"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A real JupyterLab started by `lab.start`: (process, port, token)."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / NAMES[1]).write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4,
                                                             "nbformat_minor": 5}))
    code = ("import pathlib; from electra_tutorial.course import lab\n"
            f"folder = pathlib.Path({str(folder)!r})\n"
            "lab.LESSONS, lab.MY_LESSONS = folder / 'notebooks', folder / 'my_lessons'\n"
            "lab.start(['--no-browser', '--port', '8899'])")
    process = subprocess.Popen([sys.executable, "-c", code], text=True, stderr=subprocess.PIPE)
    try:
        port, token = read_address(process.stderr)
        wait_for_answer(port)  # it tells its address a moment before it listens
        yield process, port, token
    finally:
        process.terminate()
        process.communicate(timeout=120)


def read_address(lines):
    for line in lines:
        found = re.search(r"http://127\.0\.0\.1:(\d+)/lab\S*\?token=(\w{20,})", line)
        if found:
            return int(found[1]), found[2]
    raise AssertionError("JupyterLab ended without telling its address")


def wait_for_answer(port):
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        try:
            return ask(port, "/api")
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise AssertionError("JupyterLab does not listen")


def ask(port, path, token=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", path, headers={"Authorization": f"token {token}"} if token else {})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_the_server_listens_on_this_machine_only_and_asks_for_a_token(server):
    process, port, token = server
    sockets = psutil.Process(process.pid).net_connections()
    listening = [one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN]
    assert listening and set(listening) <= {"127.0.0.1", "::1"}
    assert ask(port, "/api/contents")[0] == 403
    status, text = ask(port, "/api/contents", token)
    assert status == 200 and [one["name"] for one in json.loads(text)["content"]] == [NAMES[1]]


def test_the_page_has_no_news_pop_up_and_asks_no_index_for_extensions(server):
    _, port, token = server
    page = ask(port, f"/lab/tree/{NAMES[1]}", token)[1]
    config = json.loads(re.search(r'<script id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.S)[1])
    assert "@jupyterlab/apputils-extension:announcements" in config["disabledExtensions"]
    listed = json.loads(ask(port, "/lab/api/extensions", token)[1])
    assert listed == [] or {one["installed"] for one in listed} == {True}


def test_the_settings_travel_with_the_package():
    assert (Path(lab.SETTINGS) / "labconfig" / "page_config.json").is_file()
