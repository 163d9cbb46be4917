"""Lesson 06 in a real browser: stopped by its button while it trains, run to its end, and looked at from every side.

One run is enough: the page as it stands, in the dark theme, opened again without its kernel, untrusted, exported.
"""
import json
import re
from pathlib import Path

from conftest import LONGEST, SCREENSHOTS, nothing_is_trusted, pictures_stand, untrust

LESSON = "06_train_your_electra.ipynb"
MINE = "lesson 06 to stop.ipynb"  # other tests open the lesson as it was handed out
TRAINING = "run = pretrain(sizes, corpus, out_dir=folder"
SHORT, LONG = '{"steps": 40, "evaluations": 2}', '{"steps": 4_000, "evaluations": 200}'
STOPPED = re.compile("Stopped after step [0-9,]+; all of it is saved")


def test_the_stop_button_ends_a_training_and_the_lesson_goes_on(open_lesson, lessons, surroundings, open_page):
    train_for_minutes(lessons / LESSON, lessons / MINE)
    lesson = open_lesson(MINE)
    lesson.execute("notebook:run-all-cells")
    stopped_by_its_button(lesson)
    (run,) = Path(surroundings["ELECTRA_TUTORIAL_RUNS"]).glob("my-electra-*")
    assert any((run / "checkpoint").iterdir()), "a stopped run keeps what it needs to go on"
    lesson.wait_for_all(2 * LONGEST / 1000)
    assert lesson.is_quiet()
    assert not lesson.look_through("06 light")
    lesson.theme("JupyterLab Dark")
    assert not lesson.look_through("06 dark")
    lesson.theme("JupyterLab Light")
    lesson.save()
    lesson.shut_down()
    still_shows_its_run(open_lesson(MINE), "06 opened again")
    stranger = open_lesson(untrust(lessons / MINE, "untrusted 06.ipynb"))
    assert nothing_is_trusted(stranger)
    still_shows_its_run(stranger, "06 untrusted")
    page = open_page(lessons / MINE)
    assert pictures_stand(page) == (lessons / MINE).read_text("utf-8").count("<img ")
    page.screenshot(path=SCREENSHOTS / "06 exported.png", full_page=True)


def train_for_minutes(published, mine):
    """A copy of the lesson whose training takes a hundred times as many steps as in fast mode: its button ends it."""
    text = published.read_text("utf-8")
    assert text.count(json.dumps(SHORT)[1:-1]) == 1
    mine.write_text(text.replace(json.dumps(SHORT)[1:-1], json.dumps(LONG)[1:-1]), "utf-8")


def stopped_by_its_button(lesson):
    """Wait until the run has made some steps, press, and see the cell end: the cells below have not begun yet."""
    cell = lesson.show(TRAINING)
    cell.get_by_text(re.compile("step [0-9]{2}")).wait_for(timeout=LONGEST)
    cell.screenshot(path=SCREENSHOTS / "06 while it trains.png")
    button = cell.get_by_role("button", name="Stop and save")
    button.press("Enter")
    cell.get_by_text(STOPPED).wait_for()
    assert not button.count(), "a button that nobody hears any more"
    cell.screenshot(path=SCREENSHOTS / "06 stopped.png")


def still_shows_its_run(lesson, name):
    """The curves are there as a picture, and how the run ended in words; no button, and no widget that is lost."""
    cell = lesson.show(TRAINING)
    cell.get_by_text(STOPPED).wait_for()
    picture = cell.get_by_role("img", name="Your ELECTRA")
    assert picture.is_visible() and picture.bounding_box()["height"] > 200
    assert not cell.get_by_role("button", name="Stop and save").count()
    assert "model not found" not in cell.inner_text()
    cell.screenshot(path=SCREENSHOTS / f"{name}.png")
