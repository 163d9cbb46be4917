"""Lesson 08 in a real browser: bertviz draws and answers without a network, and its twins stand in for it."""
import pytest
from conftest import SCREENSHOTS

LESSON = "08_see_attention.ipynb"
VIEWS = {  # a text of the cell -> the title of its frame
    "head_view(bad, layer": "Head view of the discriminator",
    "model_view(bad)": "Model view of the discriminator",
    "neuron_view(bad": "Neuron view of the discriminator",
    "head_view(guess)": "Head view of the generator",
}


def marks(frame):
    """How many marks a view has drawn."""
    return frame.locator("svg *").count()


@pytest.mark.parametrize("theme", [None, "JupyterLab Dark"], ids=["light", "dark"])
def test_every_view_of_bertviz_draws_and_hides_its_twin(open_lesson, theme):
    lesson = open_lesson(LESSON, theme)
    lesson.run_all()
    assert not lesson.problems()
    for text, title in VIEWS.items():
        cell = lesson.show(text)
        frame = cell.frame_locator(f"iframe[title='{title}']")
        frame.locator("svg line, svg path").first.wait_for(state="attached")
        lesson.page.wait_for_timeout(500)
        assert marks(frame) > 100, title
        assert frame.locator("text=keys").count() or frame.locator("text=[MASK]").count() or "Model" in title
        assert cell.locator("img").first.is_hidden() and cell.locator("iframe").bounding_box()["height"] > 150
        lesson.page.screenshot(path=SCREENSHOTS / f"08 {title} {theme or 'light'}.png")
    lesson.screenshots(f"08 {theme or 'light'}")


def test_the_views_answer(open_lesson):
    lesson = open_lesson(LESSON)
    lesson.run_all()
    head = lesson.show("head_view(bad, layer").frame_locator("iframe")
    lines = head.locator("svg line")
    lines.first.wait_for(state="attached")
    before = lines.evaluate_all("lines => lines.map(line => line.style.strokeOpacity || line.outerHTML).join()")
    layers = head.locator("#layer")
    layers.select_option("0" if layers.input_value() != "0" else "1")
    lesson.page.wait_for_timeout(500)
    after = lines.evaluate_all("lines => lines.map(line => line.style.strokeOpacity || line.outerHTML).join()")
    assert before != after
    neuron = lesson.show("neuron_view(bad").frame_locator("iframe")
    neuron.locator("svg rect").first.wait_for(state="attached")
    neuron.locator("#att_head").select_option("0")
    assert marks(neuron) > 100


def test_an_untrusted_lesson_shows_the_twins(open_lesson):
    lesson = open_lesson(LESSON)
    lesson.run_all()
    lesson.page.evaluate("""() => { for (const cell of window.jupyterapp.shell.currentWidget.content.widgets)
        cell.model.trusted = false; }""")
    cell = lesson.show("model_view(bad)")
    lesson.page.wait_for_timeout(1000)
    assert cell.locator("iframe").count() == 0
    assert cell.locator("img").first.is_visible()
    lesson.page.screenshot(path=SCREENSHOTS / "08 untrusted.png")
