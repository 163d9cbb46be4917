"""Lesson 00 as a student meets it: it runs, what is typed is answered, the glossary opens to be read."""
from conftest import SCREENSHOTS

LESSON = "00_start_here.ipynb"


def test_the_first_lesson_runs_and_answers_what_is_typed(open_lesson):
    notebook = open_lesson(LESSON)
    notebook.run_all()
    assert not [one for one in notebook.outputs() if one["output_type"] == "error"]
    cell = notebook.show("TypeAndSee(AFTER")
    line = cell.get_by_label("Your sentence:")
    line.fill("She have never been to <b>Rome</b>.")
    cell.get_by_text("Widgets work: 1 change of yours").wait_for()
    cell.locator(".electra-live").get_by_text("Rome", exact=True).wait_for()
    line.fill("   ")
    cell.locator(".electra-live").get_by_text("give a sentence").wait_for()
    line.fill("She has never been to London.")
    cell.locator(".electra-live").get_by_text("Nothing was changed.").wait_for()
    assert not notebook.look_through("00 light")
    notebook.theme("JupyterLab Dark")
    assert not notebook.look_through("00 dark")


def test_the_glossary_and_the_other_lessons_open_from_the_first(open_lesson):
    notebook = open_lesson(LESSON)
    notebook.run_all()
    notebook.show("The map").wait_for()
    notebook.show("course_map()").get_by_role("link", name="Train your ELECTRA").click()
    notebook.page.get_by_role("tab", name="06_train_your_electra.ipynb").first.wait_for()
    notebook.page.get_by_role("tab", name=LESSON).first.click()
    notebook.show("glossary.md").get_by_role("link", name="glossary").first.click()
    preview = notebook.page.locator(".jp-MarkdownViewer")
    preview.get_by_role("cell", name="替换词元检测").wait_for()
    assert preview.get_by_role("heading", name="Notation", exact=False).count() == 2  # the title's, and its section's


def test_opened_again_without_its_kernel_the_line_to_type_in_is_still_a_picture(open_lesson, watched):
    notebook = open_lesson(LESSON)
    notebook.run_all()
    notebook.show("TypeAndSee(AFTER").get_by_label("Your sentence:").fill("She had never been to Rome.")
    notebook.page.get_by_text("Widgets work: 1 change of yours").wait_for()
    notebook.page.wait_for_timeout(1000)
    notebook.save()
    notebook.page.evaluate("window.jupyterapp.shell.currentWidget.context.sessionContext.shutdown()")
    watched.kernel_is_gone = True
    notebook = open_lesson(LESSON)  # a page that knows nothing of the widget's state, and a new kernel
    cell = notebook.show("TypeAndSee(AFTER")
    cell.get_by_text("Changed: has").first.wait_for()
    notebook.page.wait_for_timeout(1000)
    cell.screenshot(path=SCREENSHOTS / "00 reopened.png")
    assert "Rome" in cell.inner_text() and "model not found" not in cell.inner_text()
