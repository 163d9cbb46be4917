"""Lesson 07 in a real browser: the explorer and the time-lapse by mouse and by keyboard, and the pictures that stay.

The lesson is slow to run, so one run is looked at from every side: what is live, two views side by side, the dark
theme and 200 %, the page whose kernel is gone, the saved copy that is opened again, run again and restarted, a copy
that nobody trusts, and the exported page.
"""
import shutil

from conftest import LONGEST, SCREENSHOTS, WINDOW, nothing_is_trusted, pictures_stand, untrust

LESSON = "07_see_replacements.ipynb"
MINE = "lesson 07 to play with.ipynb"  # other tests open the lesson as it was handed out
EXPLORER, TIMELAPSE, FOOL = "explore(TEXT, models", "timelapse_view(models", 'part="fool")'
DOUBLE = {"width": 640, "height": 750}  # a window at 200 %


def test_the_live_views_of_lesson_07(open_lesson, lessons, watched, open_page):
    shutil.copy(lessons / LESSON, lessons / MINE)
    lesson = open_lesson(MINE)
    lesson.run_all(2 * LONGEST / 1000)
    assert lesson.is_quiet()
    explorer_answers(lesson)
    whole_words(lesson)
    timelapse_moves(lesson)
    fool_answers(lesson)
    views_leave_each_other_alone(lesson)
    assert not lesson.look_through("07 light")
    lesson.theme("JupyterLab Dark")
    assert not lesson.look_through("07 dark")
    lesson.theme("JupyterLab Light")
    at_twice_the_size(lesson)
    lesson.save()
    views_without_a_kernel(lesson)
    watched.kernel_is_gone = True
    again = open_lesson(MINE)
    opened_again(again)
    live_again(again)
    without_its_kernel(again)
    watched.kernel_is_gone = False
    untrusted(open_lesson(untrust(lessons / MINE, "untrusted.ipynb")))
    exported(open_page(lessons / MINE))


# --- live -----------------------------------------------------------------------------------------
def view_of(lesson, text):
    """(cell, its live view) with the twin hidden behind it."""
    cell = lesson.show(text)
    view = cell.locator(".electra-live")
    view.wait_for()
    assert twin_of(cell).is_hidden(), "the twin stands beside the live view"
    return cell, view


def twin_of(cell):
    """The static picture of a view."""
    return cell.locator("[class^=electra-twin]")


def settled(view):
    """What the view shows once it has its answer."""
    view.page.wait_for_timeout(100)
    view.page.wait_for_function("view => !view.hasAttribute('aria-busy')", arg=view.element_handle())
    return view.inner_text()


def changed(view, act):
    """Do something to a view and wait for another picture; gives what it shows then."""
    before = settled(view)
    act()
    view.page.wait_for_timeout(600)  # typing is asked about when it pauses
    after = settled(view)
    assert after != before, "the picture stayed"
    assert not view.locator(".problem").count(), view.locator(".problem").all_inner_texts()
    return after


def pressed(view, key):
    """Whether a token is hidden."""
    return view.locator(f"[data-key={key}]").get_attribute("aria-pressed") == "true"


def explorer_answers(lesson):
    cell, view = view_of(lesson, EXPLORER)
    keyboard = lesson.page.keyboard
    cell.screenshot(path=SCREENSHOTS / "07 explorer 1 as it opens.png")

    assert not pressed(view, "token-8")
    changed(view, view.locator("[data-key=token-8]").click)
    assert pressed(view, "token-8") and view.get_by_role("group", name="Place 8").is_visible()

    assert not pressed(view, "token-6")
    view.locator("[data-key=token-8]").focus()
    keyboard.press("ArrowLeft")
    keyboard.press("ArrowLeft")
    changed(view, lambda: keyboard.press("Space"))
    assert pressed(view, "token-6") and pressed(view, "token-8")
    focused = "view => view.getRootNode().activeElement.dataset.key"
    assert view.evaluate(focused) == "token-6", "the focus was lost when the picture was drawn"
    keyboard.press("ArrowRight")
    assert view.evaluate(focused) == "token-7"
    cell.screenshot(path=SCREENSHOTS / "07 explorer 2 by keyboard.png")

    own = view.locator("[data-key=own]")
    own.fill("window")
    changed(view, lambda: own.press("Enter"))
    assert view.locator("[data-key=sampled-6]").inner_text() == "window"

    slider = view.locator("[data-key='temperature slider']")
    before = float(slider.input_value())
    slider.focus()
    shown = changed(view, lambda: [keyboard.press("ArrowRight") for _ in range(20)])
    assert "window" in shown and float(slider.input_value()) == 3 > before
    assert view.get_by_label("Temperature, as a number").input_value() == "3"

    text = view.locator("[data-key=text]")
    changed(view, lambda: text.fill("She have never been to <b>London</b>."))
    assert view.get_by_role("button", name="london, place").count() and not view.locator(".strip b b").count()
    changed(view, lambda: text.fill("<script>document.title = 'run'</script>"))
    assert view.get_by_role("button", name="script, place").count() and lesson.page.title() != "run"
    drawn = view.locator(".strip").first.inner_text()
    text.fill("     ")
    view.locator(".problem").get_by_text("give a sentence").wait_for()
    assert view.locator(".strip").first.inner_text() == drawn, "a mistake took the last picture away"
    cell.screenshot(path=SCREENSHOTS / "07 explorer 3 only spaces.png")
    text.fill("My sister was reading.")
    view.get_by_role("button", name="sister, place").wait_for()
    assert not view.locator(".problem").count()


def whole_words(lesson):
    """A word that the vocabulary cuts goes in by keyboard, all its pieces are judged, and it goes out again."""
    cell, view = view_of(lesson, EXPLORER)
    text = view.locator("[data-key=text]")
    changed(view, lambda: text.fill("My sister would like to buy a car."))
    changed(view, view.locator("[data-key=nothing]").click)
    many = view.locator("[data-key^=token-]").count()
    changed(view, view.locator("[data-key=token-2]").click)
    own = view.locator("[data-key=own]")
    own.fill("grasshopper")
    changed(view, lambda: own.press("Enter"))
    pieces = view.locator("[data-key^=sampled-]").all_inner_texts()
    assert "".join(piece.removeprefix("##") for piece in pieces) == "grasshopper" and len(pieces) > 1
    assert view.locator("[data-key^=token-]").count() == many, "one button for the word, however many pieces it has"
    assert "sister → grasshopper at places 2-" in view.locator(".said").inner_text()
    assert view.locator("[data-key=own]").input_value() == "grasshopper"
    cell.screenshot(path=SCREENSHOTS / "07 explorer 4 a word of several pieces.png")
    own = view.locator("[data-key=own]")
    own.fill("two words")
    own.press("Enter")
    view.locator(".problem").get_by_text("type one").wait_for()
    changed(view, view.locator("[data-key=token-2]").click)
    assert not view.locator("[data-key^=sampled-]").count()
    changed(view, lambda: text.fill("My sister was reading."))


def timelapse_moves(lesson):
    cell, view = view_of(lesson, TIMELAPSE)
    moves_by_keyboard(cell, view)
    changed(view, lambda: view.get_by_role("combobox", name="Sentence").select_option("3"))
    cell.screenshot(path=SCREENSHOTS / "07 time-lapse.png")


def moves_by_keyboard(cell, view):
    """The slider of the time-lapse, from end to end and a step back."""
    slider, marker = view.get_by_role("slider", name="Moment"), view.locator("svg[role=img] > line").last
    slider.focus()
    slider.press("Home")
    first, words, place = view.locator(".strip").inner_text(), status(view), marker.get_attribute("x1")
    slider.press("ArrowRight")
    assert status(view) != words and float(marker.get_attribute("x1")) > float(place)
    slider.press("End")
    assert view.locator(".strip").inner_text() != first
    assert slider.get_attribute("aria-valuetext") in status(view).lower()


def status(view):
    return view.locator("[role=status]").inner_text()


def fool_answers(lesson):
    cell, view = view_of(lesson, FOOL)
    word = view.locator("[data-key=word]")
    word.fill("window")
    changed(view, lambda: word.press("Enter"))
    assert "Your score" in status(view) and "window" in status(view)
    changed(view, view.locator("[data-key=part-duel]").click)
    assert "At temperature" in status(view) and view.get_by_role("row", name="sentences").count()
    cell.screenshot(path=SCREENSHOTS / "07 duel.png")


def views_leave_each_other_alone(lesson):
    """A second view is made to play the first one's part, and the first stays as it was; and the other way."""
    _, view = view_of(lesson, EXPLORER)
    before = settled(view)
    cell, other = view_of(lesson, FOOL)
    changed(other, other.locator("[data-key=part-round]").click)
    changed(other, lambda: other.locator("[data-key=text]").fill("We were in the garden."))
    shown = changed(other, other.locator("[data-key=token-3]").click)
    cell.screenshot(path=SCREENSHOTS / "07 second explorer.png")
    _, view = view_of(lesson, EXPLORER)
    assert settled(view) == before and "garden" not in before
    changed(view, view.locator("[data-key=token-2]").click)
    _, other = view_of(lesson, FOOL)
    assert settled(other) == shown


# --- without a kernel, without trust --------------------------------------------------------------
def at_twice_the_size(lesson):
    """200 % of a window of 1280: nothing is cut off, and nothing has to be pushed sideways."""
    lesson.page.set_viewport_size(DOUBLE)
    lesson.execute("application:toggle-left-area")
    lesson.page.wait_for_timeout(1000)
    for number, text in enumerate((EXPLORER, TIMELAPSE, FOOL)):
        cell, view = view_of(lesson, text)
        assert view.evaluate("view => view.scrollWidth <= view.clientWidth + 1"), text
        cell.screenshot(path=SCREENSHOTS / f"07 at 200 % {number}.png")
    lesson.execute("application:toggle-left-area")
    lesson.page.set_viewport_size(WINDOW)


def views_without_a_kernel(lesson):
    """The page is still open and its kernel has gone: the time-lapse goes on."""
    lesson.shut_down()
    cell, view = view_of(lesson, TIMELAPSE)
    moves_by_keyboard(cell, view)
    cell.screenshot(path=SCREENSHOTS / "07 no kernel.png")


LAST = {EXPLORER: "sister", TIMELAPSE: "", FOOL: "garden"}  # what was looked at last


def opened_again(lesson):
    """A page that knows nothing of the widgets, and a new kernel: what was seen last stands there as a picture."""
    lesson.page.wait_for_timeout(1000)
    for number, (text, word) in enumerate(LAST.items()):
        cell = lesson.show(text)
        twin_of(cell).wait_for()
        lesson.page.wait_for_timeout(500)
        cell.screenshot(path=SCREENSHOTS / f"07 opened again {number}.png")
        has_picture(cell, word)
        assert not cell.locator(".electra-live").count() and "model not found" not in cell.inner_text()


def has_picture(cell, word):
    """The twin is seen, and shows what was looked at last."""
    twin = twin_of(cell).last
    assert twin.is_visible() and twin.bounding_box()["height"] > 60
    assert word in twin.inner_text() and (word or twin.locator("img").count())


def live_again(lesson):
    """The cell is run once more, and its view plays as before."""
    lesson.run_to(EXPLORER)
    _, view = view_of(lesson, EXPLORER)
    changed(view, view.locator("[data-key=token-2]").click)


def without_its_kernel(lesson):
    """The kernel is restarted under a live view: the view says so in its own place, and what to do helps."""
    lesson.restart()
    cell, view = view_of(lesson, EXPLORER)
    view.locator("[data-key=token-3]").click()
    view.locator(".problem").get_by_text("run the cell again").wait_for()
    cell.screenshot(path=SCREENSHOTS / "07 restarted.png")
    live_again(lesson)


def untrusted(lesson):
    assert nothing_is_trusted(lesson)
    for number, (text, word) in enumerate(LAST.items()):
        cell = lesson.show(text)
        cell.get_by_text("Run the cell to play").wait_for()
        cell.screenshot(path=SCREENSHOTS / f"07 untrusted {number}.png")
        has_picture(cell, word)
        assert not cell.locator(".electra-live").count() and "model not found" not in cell.inner_text()


def exported(page):
    """The page from the disk shows the same pictures, and no view that would not answer."""
    assert pictures_stand(page) >= 2
    for word in filter(None, LAST.values()):
        assert word in " ".join(page.locator("[class^=electra-twin]").all_inner_texts())
    assert page.get_by_text("Run the cell to play").count() == len(LAST)
    assert not page.locator(".electra-live").count()
    page.screenshot(path=SCREENSHOTS / "07 exported.png", full_page=True)
