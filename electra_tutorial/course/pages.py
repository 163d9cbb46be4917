"""Executed lessons as pages for a browser: each a single file that asks the network for nothing.

JupyterLab's own export fetches MathJax, require.js, mermaid and the widgets' scripts. Lessons need none of
them: each picture and widget of this course carries a static twin in plain HTML, and formulas become MathML,
which browsers draw themselves. Links from lesson to lesson lead from page to page.
"""
import copy
import re
from html import escape, unescape
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

from electra_tutorial.course.weave import GLOSSARY, NOTEBOOKS, empty_folder, write_whole
from electra_tutorial.errors import UserError

TEMPLATE = "{% extends 'lab/index.html.j2' %}" + "".join(
    "{% block " + block + " %}{% endblock %}"
    for block in ("html_head_js_requirejs", "html_head_js_mathjax", "html_head_js_mermaidjs", "jupyter_widgets"))
TAGS = "script|img|iframe|link|source|object|embed"
FETCHES = re.compile(  # what makes a browser ask for something that does not stand in the page
    rf"""<(?:{TAGS})\b[^>]*?\b(?:src|href|data)\s*=\s*["']?(?!data:|#)[^"'\s>]+"""
    r"""|url\(\s*["']?(?:https?:)?//[^)]+|@import[^;]+""", re.I)
# A link to a file beside the page.
LINK = re.compile(r"""(<a\b[^>]*?\bhref=)(["'])(?P<file>[^"'#:?]+)(?P<rest>#[^"']*)?\2""")


def write_pages(lessons, folder, notebooks=NOTEBOOKS):
    """Write a page for each executed `Lesson`, and one for the glossary, into a new folder; return their paths.

    Raises UserError for a folder that has something in it, and for a lesson whose page would need the network, has
    a formula that cannot be shown, or leads to a file that gets no page.
    """
    folder, sheets = empty_folder(folder), {lesson.name: lesson.notebook for lesson in lessons}
    glossary = Path(notebooks) / GLOSSARY
    if glossary.exists():
        sheets[glossary.stem] = sheet_of(glossary)
    files = {f"{name}.{'md' if name == glossary.stem else 'ipynb'}": f"{name}.html" for name in sheets}
    pages = {name: page_of(name, notebook, files) for name, notebook in sheets.items()}
    for name, page in pages.items():
        write_whole(folder / f"{name}.html", page)
    return [folder / f"{name}.html" for name in pages]


def sheet_of(path):
    """A file of text as a notebook of one cell."""
    import nbformat

    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(path.read_text("utf-8"))])


def page_of(name, notebook, files):
    """An executed notebook as the text of a page. files: {a file beside it: the page made of that}."""
    notebook = copy.deepcopy(notebook)
    notebook.metadata.pop("widgets", None)  # without their state nbconvert shows what else an output has
    resources = {"metadata": {"name": name}}  # the page's title
    page = exporter().from_notebook_node(notebook, resources)[0]
    if found := FETCHES.search(page):
        raise UserError(f"The page of {name} would fetch {found[0][:100]!r}: put that into the lesson.")
    return LINK.sub(lambda link: lead_to_page(link, name, files), page)


def lead_to_page(link, name, files):
    """A link to a file beside the lesson, leading to the page of that file."""
    file = unquote(unescape(link["file"]))
    if file not in files:
        raise UserError(f"The page of {name} leads to {file!r}, which gets no page: name that file in words.")
    return f'{link[1]}"{escape(files[file] + (link["rest"] or ""))}"'


def exporter():
    """JupyterLab's export without what it fetches, and with formulas that need no script."""
    from nbconvert import HTMLExporter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Formulas(IPythonRenderer):
        def inline_math(self, body):
            return mathml(body)

        def block_math(self, body):
            return mathml(body, "block")

        def latex_environment(self, name, body):
            return mathml(rf"\begin{{{name}}}{body}\end{{{name}}}", "block")

    made = HTMLExporter(raw_template=TEMPLATE)
    # Not embed_images: it closes a <details> before what it should fold. A picture in a file is an error.
    made.register_filter("markdown2html", MarkdownWithMath(renderer=Formulas(escape=False)).render)
    return made


def mathml(formula, display="inline"):
    """A formula of LaTeX as MathML, with LaTeX as its tooltip. Raises UserError for one that cannot be read."""
    from latex2mathml.converter import convert

    try:
        made = convert(formula, display=display)
        ElementTree.fromstring(made)
    except Exception as error:
        made = f"<mi>\\{type(error).__name__}</mi>"
    if unknown := re.search(r">\\([a-zA-Z]+)<", made):
        raise UserError(f"The formula {formula.strip()!r} cannot be shown in a page ({unknown[1]}): write it with "
                        "other commands.")
    return made.replace("<math ", f'<math title="{escape(formula.strip())}" ', 1)
