"""Executed lessons as pages for a browser: each a single file that asks the network for nothing.

JupyterLab's own export fetches MathJax, require.js, mermaid and the widgets' scripts. Lessons need none of
them: each picture and widget of this course carries a static twin in plain HTML.
"""
import copy
import re

from electra_tutorial.course.weave import empty_folder, write_whole
from electra_tutorial.errors import UserError

TEMPLATE = "{% extends 'lab/index.html.j2' %}" + "".join(
    "{% block " + block + " %}{% endblock %}"
    for block in ("html_head_js_requirejs", "html_head_js_mathjax", "html_head_js_mermaidjs", "jupyter_widgets"))
TAGS = "script|img|iframe|link|source|object|embed"
FETCHES = re.compile(  # what makes a browser ask for something that does not stand in the page
    rf"""<(?:{TAGS})\b[^>]*?\b(?:src|href|data)\s*=\s*["']?(?!data:|#)[^"'\s>]+"""
    r"""|url\(\s*["']?(?:https?:)?//[^)]+|@import[^;]+""", re.I)


def write_pages(lessons, folder):
    """Write a page for each executed `Lesson` into a new folder; return their paths.

    Raises UserError for a folder that has something in it, and for a lesson whose page would need the network.
    """
    folder, pages = empty_folder(folder), []
    for lesson in lessons:
        page = page_of(lesson.notebook)
        if found := FETCHES.search(page):
            raise UserError(f"The page of {lesson.name} would fetch {found[0][:100]!r}: put that into the lesson.")
        pages.append(folder / f"{lesson.name}.html")
        write_whole(pages[-1], page)
    return pages


def page_of(notebook):
    """An executed notebook as the text of a page."""
    from nbconvert import HTMLExporter

    notebook = copy.deepcopy(notebook)
    notebook.metadata.pop("widgets", None)  # without their state nbconvert shows what else an output has
    # Not embed_images: it closes a <details> before what it should fold. A picture in a file is an error.
    return HTMLExporter(raw_template=TEMPLATE).from_notebook_node(notebook)[0]
