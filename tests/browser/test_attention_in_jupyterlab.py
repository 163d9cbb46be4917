"""Lesson 08 in a real browser: bertviz draws and answers without a network, and its twins stand in for it.

One run is looked at from every side: the three views by pointer and by keys, light, dark and at 200 %, the size of
the saved file, opened again without its kernel, a copy that nobody trusts, and the exported page.
"""
import shutil

from conftest import LONGEST, SCREENSHOTS, WINDOW, nothing_is_trusted, pictures_stand, untrust

LESSON = "08_see_attention.ipynb"
MINE = "lesson 08 to look into.ipynb"  # other tests open the lesson as it was handed out
HEAD, MODEL, NEURON, GENERATOR = "head_view(bad, layer", "model_view(bad)", "neuron_view(bad", "head_view(guess)"
VIEWS = {  # a text of the cell -> the title of its frame
    HEAD: "Head view of the discriminator", MODEL: "Model view of the discriminator",
    NEURON: "Neuron view of the discriminator", GENERATOR: "Head view of the generator",
}
MOST = 5_000_000  # bytes of the lesson, saved with all its views
DOUBLE = {"width": 640, "height": 600}  # a window at 200 %


def test_the_views_of_lesson_08(open_lesson, lessons, open_page):
    shutil.copy(lessons / LESSON, lessons / MINE)
    lesson = open_lesson(MINE)
    lesson.run_all(2 * LONGEST / 1000)
    assert lesson.is_quiet()
    every_view_draws(lesson, "light")
    the_head_view_answers(lesson)
    the_model_view_answers(lesson)
    the_neuron_view_answers(lesson)
    assert not lesson.look_through("08 light")
    lesson.theme("JupyterLab Dark")
    assert not lesson.look_through("08 dark")
    every_view_draws(lesson, "dark")
    lesson.theme("JupyterLab Light")
    at_twice_the_size(lesson)
    lesson.save()
    assert (lessons / MINE).stat().st_size <= MOST
    lesson.shut_down()
    every_view_draws(open_lesson(MINE), "opened again")  # they need no kernel
    stranger = open_lesson(untrust(lessons / MINE, "untrusted 08.ipynb"))
    assert nothing_is_trusted(stranger)
    the_twins_stand_in(stranger)
    exported(open_page(lessons / MINE))


def frame_of(cell, text):
    return cell.frame_locator(f"iframe[title='{VIEWS[text]}']")


def marks(frame):
    """How many marks a view has drawn."""
    return frame.locator("svg *").count()


def whole(frame):
    """Whether nothing that is seen lies beyond the right edge of the frame."""
    return frame.locator("svg").first.evaluate("""svg => [...svg.querySelectorAll("text, rect, line")]
        .filter(mark => getComputedStyle(mark).visibility !== "hidden")
        .every(mark => mark.getBoundingClientRect().right <= innerWidth + 2)""")


def every_view_draws(lesson, name):
    for text, title in VIEWS.items():
        cell = lesson.show(text)
        frame = frame_of(cell, text)
        frame.locator("svg line, svg path").first.wait_for(state="attached")
        lesson.page.wait_for_timeout(500)
        assert marks(frame) > 100, title
        assert frame.locator("text=keys").count() or frame.locator("text=[MASK]").count() or text == MODEL
        assert cell.locator("img").first.is_hidden() and cell.locator("iframe").bounding_box()["height"] > 150
        cell.screenshot(path=SCREENSHOTS / f"08 {title} {name}.png")


# --- by keys -----------------------------------------------------------------------------------------
def row_of(frame, name):
    """The marks of one row whose names begin so; one of them can be reached by Tab, and it gets the focus."""
    row = frame.locator(f"[aria-label^='{name}']").filter(visible=True)
    row.first.focus()
    return row


def drawn(frame):
    """What the marks of a view look like, each by itself."""
    return frame.locator("svg *").evaluate_all("marks => marks.map(mark => mark.cloneNode().outerHTML).join()")


def otherwise(frame, act):
    """Do something, and see another picture."""
    before = drawn(frame)
    act()
    frame.locator("body").evaluate("() => new Promise(done => setTimeout(done, 300))")
    assert drawn(frame) != before


def the_head_view_answers(lesson):
    cell = lesson.show(HEAD)
    frame, keyboard = frame_of(cell, HEAD), lesson.page.keyboard
    layers = frame.get_by_label("Layer")
    otherwise(frame, lambda: layers.select_option("0" if layers.input_value() != "0" else "1"))
    heads = row_of(frame, "Head ")
    assert heads.count() > 1 and heads.first.get_attribute("aria-checked") == "true"
    otherwise(frame, lambda: keyboard.press("Enter"))
    assert heads.first.get_attribute("aria-checked") == "false"
    keyboard.press("ArrowRight")
    otherwise(frame, lambda: keyboard.press("Shift+Enter"))
    assert [one.get_attribute("aria-checked") for one in heads.all()].count("true") == 1
    otherwise(frame, lambda: keyboard.press("Shift+Enter"))  # once more: all of them
    tokens = row_of(frame, "[CLS], place 0, looks")
    otherwise(frame, lambda: keyboard.press("ArrowDown"))
    cell.screenshot(path=SCREENSHOTS / "08 head view by keys.png")
    assert tokens.count() == 1


def the_model_view_answers(lesson):
    cell = lesson.show(MODEL)
    frame = frame_of(cell, MODEL)
    row_of(frame, "Layer 0, head 0")
    lesson.page.keyboard.press("ArrowRight")
    otherwise(frame, lambda: lesson.page.keyboard.press("Enter"))
    assert frame.locator(".detail").count()
    cell.screenshot(path=SCREENSHOTS / "08 model view by keys.png")


def the_neuron_view_answers(lesson):
    cell = lesson.show(NEURON)
    frame = frame_of(cell, NEURON)
    otherwise(frame, lambda: frame.get_by_label("Head").select_option("0"))
    row_of(frame, "[CLS], place 0, looks")
    lesson.page.keyboard.press("ArrowDown")
    for shown in ("expanded", "collapsed", "expanded"):
        otherwise(frame, lambda: lesson.page.keyboard.press("Enter"))
        assert frame.locator(f"#{shown}").get_attribute("visibility") == "visible"
        assert frame.locator(f"#{shown} g:focus").count() == 1, "the focus stayed with a mark that is hidden"
        assert whole(frame), f"cut off at the right when {shown}"
    cell.screenshot(path=SCREENSHOTS / "08 neuron view by keys.png")


# --- elsewhere ---------------------------------------------------------------------------------------
def at_twice_the_size(lesson):
    """200 % of a window of 1280: a view shrinks to its place, and nothing has to be pushed sideways."""
    lesson.page.set_viewport_size(DOUBLE)
    lesson.execute("application:toggle-left-area")
    lesson.page.wait_for_timeout(1000)
    for number, text in enumerate(VIEWS):
        cell = lesson.show(text)
        frame = frame_of(cell, text)
        frame.locator("svg line, svg path").first.wait_for(state="attached")
        assert frame.locator("html").evaluate("page => page.scrollWidth <= innerWidth + 1") and whole(frame), text
        cell.screenshot(path=SCREENSHOTS / f"08 at 200 % {number}.png")
    lesson.execute("application:toggle-left-area")
    lesson.page.set_viewport_size(WINDOW)


def the_twins_stand_in(lesson):
    for number, text in enumerate(VIEWS):
        cell = lesson.show(text)
        picture = cell.locator("img").first
        picture.wait_for()
        assert picture.is_visible() and picture.bounding_box()["height"] > 150
        assert not cell.locator("iframe").count()
        cell.screenshot(path=SCREENSHOTS / f"08 untrusted {number}.png")


def exported(page):
    """The page from the disk: every picture is there, and bertviz draws, for it carries all it needs."""
    assert pictures_stand(page) >= 8
    for title in VIEWS.values():
        frame = page.frame_locator(f"iframe[title='{title}']")
        page.locator(f"iframe[title='{title}']").scroll_into_view_if_needed()
        frame.locator("svg line, svg path").first.wait_for(state="attached")
        assert marks(frame) > 100, title
    page.screenshot(path=SCREENSHOTS / "08 exported.png")
