"""What a student meets first: lesson 00, the glossary, the map, the preflight, and links that lead somewhere."""
import json
import re
from functools import cache
from html.parser import HTMLParser

import nbformat
import pytest

from electra_tutorial.course import course_map as mapping
from electra_tutorial.course import doctor, lab, pages, preflight
from electra_tutorial.course.course_map import PLAN, CourseMap, readme_table, stops
from electra_tutorial.course.exercises import cards
from electra_tutorial.course.pages import FETCHES, mathml, write_pages
from electra_tutorial.course.weave import GLOSSARY, MINUTES, NOTEBOOKS, minutes_of, weave_all, weave_kit
from electra_tutorial.errors import UserError
from electra_tutorial.judgement import judge
from electra_tutorial.views.columns import percent
from electra_tutorial.views.strip import twin_strip
from electra_tutorial.views.type_and_see import TypeAndSee

LESSONS = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CHINESE = re.compile("[\u4e00-\u9fff]")
FINDINGS = [doctor.ok("Python", "3.11"), doctor.note("font", "none", "Install one."),
            doctor.fix("<b>data</b>", f"missing in {doctor.REPOSITORY}/data & more", "Run <this>.")]


@cache
def prose(path):
    """What a notebook or a page of text says outside code."""
    if path.suffix == ".md":
        return path.read_text("utf-8")
    return "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")


class Html(HTMLParser):
    """The tags of some HTML, its links, and its text inside and outside what is folded."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.links, self.open, self.folded, self.shown = [], [], [], "", ""
        self.feed(html)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if (tag, name) == ("a", "href")]
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "details" in self.open and "summary" not in self.open:
            self.folded += data
        else:
            self.shown += data


# --- the first thing a student sees -----------------------------------------------------------------

BEFORE, AFTER = (judge(f"She {word} never been to London.", mask=[]) for word in ("has", "have"))


def test_the_shipped_model_suspects_have_after_she_and_not_has():
    """What lesson 00 opens with, on the model as it is shipped."""
    assert AFTER.p_replaced[2] > 4 * BEFORE.p_replaced[2] and AFTER.most_suspect in (1, 2)  # "She" or "have"
    assert AFTER.p_replaced[2] > AFTER.base_rate > BEFORE.p_replaced[2]


def test_of_they_has_either_word_may_be_the_fake():
    broken = judge("They has never been to London.", mask=[])
    assert broken.most_suspect == 1 and min(broken.p_replaced[1:3]) > broken.base_rate


def test_a_twin_strip_shows_both_sentences_and_marks_what_was_changed():
    strip = twin_strip(BEFORE, AFTER)
    for judged in (BEFORE, AFTER):
        for text in (Html(strip.html).shown, strip.text):
            assert all(percent(p) in text for p in judged.word_suspicion())
    assert strip.html.count("solid #111111") == strip.html.count(">changed<") == 1
    assert "has → have" in strip.alt and strip.alt in Html(strip.html).shown and strip.alt in repr(strip)


@pytest.mark.parametrize(("text", "change", "new"), [
    ("She has never been to London.", "Nothing was changed.", 0),
    ("She has been to London.", "never → nothing", 0),
    ("She has never ever been to London.", "nothing → ever", 1),
    ("He had never been to Rome.", "She has → He had, London → Rome", 3),
])
def test_a_twin_strip_says_what_was_changed(text, change, new):
    strip = twin_strip(BEFORE, judge(text, mask=[]))
    assert change in strip.alt and strip.html.count(">changed<") == new


def test_what_is_typed_into_a_twin_strip_is_shown_as_text():
    strip = twin_strip(BEFORE, judge("<script>alert(1)</script> & <b>", mask=[]))
    assert not {"script", "alert"} & set(Html(strip.html).tags)


def test_what_is_typed_goes_to_the_kernel_and_comes_back():
    view = TypeAndSee("She has", lambda text: twin_strip(BEFORE, judge(text, mask=[])))
    first = view.picture
    view.typed = "She <b>have"
    assert view.picture != first and not Html(view.picture).tags.count("script") and "b" in Html(view.picture).shown
    assert "Widgets work: 1 change " in view.status
    view.typed = "   "
    assert "give a sentence" in view.picture and "2 changes" in view.status
    view.typed = "She have"
    assert "give a sentence" not in view.picture


def test_without_a_browser_or_a_kernel_the_line_to_type_in_is_its_picture():
    view = TypeAndSee("She has", lambda text: twin_strip(BEFORE, judge(text, mask=[])))
    assert view.picture in view.twin_html() and view.picture.startswith("<figure")
    view.typed = "She have"
    assert view.picture in view.twin_html()


# --- the preflight -----------------------------------------------------------------------------------

def test_when_all_is_well_everything_is_folded():
    page = Html(preflight.Preflight([doctor.ok("Python", "3.11"), doctor.ok("data", "there")])._repr_html_())
    assert "Ready: 2 checks, nothing to mend." in page.shown and "Python" not in page.shown
    assert "Python: 3.11" in page.folded and "data: there" in page.folded


def test_what_is_wrong_is_open_and_says_what_to_do():
    found = preflight.Preflight(FINDINGS)
    page = Html(found._repr_html_())
    assert "Not ready: 1 of 3 checks found something to mend." in page.shown
    for text in ("to be mended", "Run <this>.", "worth knowing", "Install one.", "& more"):
        assert text in page.shown and text not in page.folded and text in repr(found)
    assert "Python: 3.11" in page.folded and "Python" not in page.shown


def test_a_preflight_is_escaped_and_names_no_place_on_this_machine():
    found = preflight.Preflight(FINDINGS)
    assert set(Html(found._repr_html_()).tags) <= {"div", "b", "br", "details", "summary"}
    assert str(doctor.REPOSITORY) not in found._repr_html_() + repr(found)
    assert "the course's folder/data" in repr(found)


def test_the_preflight_is_what_the_doctor_finds(monkeypatch):
    monkeypatch.setattr(preflight, "examine", lambda: FINDINGS)
    assert [one["name"] for one in preflight.preflight().findings] == [one["name"] for one in FINDINGS]
    assert not preflight.preflight().ready


# --- the map ------------------------------------------------------------------------------------------

def test_the_map_has_every_lesson_there_is_under_its_own_title():
    assert [number for number, _, _ in PLAN] == list(range(11))
    there = {stop.file: stop for stop in stops() if stop.file}
    assert set(there) == {path.name for path in LESSONS}
    for path in LESSONS:
        title = re.match(r"# (\d\d) · (.+)", prose(path))
        assert int(title[1]) == there[path.name].number and title[2].lower() == there[path.name].title.lower()


def test_minutes_on_the_map_are_the_measured_ones(tmp_path):
    (tmp_path / "05_x.ipynb").touch(), (tmp_path / "06_y.ipynb").touch()
    (tmp_path / MINUTES).write_text(json.dumps({"06_y": {"cpu": 12.3}, "05_x": {"gpu": 2.0}}))
    said = {stop.number: stop.minutes for stop in stops(tmp_path)}
    assert said[6] == "12 minutes" and said[5] == "not yet measured" and said[7] == mapping.COMING
    assert [minutes_of(number) for number in (0.2, 0.96, 1.4, 1.6)] == ["under a minute", "1 minute", "1 minute",
                                                                       "2 minutes"]


def test_the_map_counts_the_exercises_that_are_done():
    all_of_5 = [card.name for card in cards().values() if card.lesson == 5]
    view = CourseMap([stop for stop in stops() if stop.number in (0, 6)], done=["most_suspected", all_of_5[0]])
    assert [row[3] for row in view.rows()][0] == "1 of 1"
    assert Html(view._repr_html_()).links == [path.name for path in LESSONS if path.stem[:2] in ("00", "06")]
    assert "Start here" in repr(view)


def test_the_readme_has_the_map_as_it_is(tmp_path):
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    readme = (NOTEBOOKS.parent / "README.md").read_text("utf-8")
    assert readme_table() in readme, "weave: `electra-tutorial notebooks`"
    (notebooks / "source").mkdir()
    (notebooks.parent / "README.md").write_text(f"# Course\n\n{readme_table()}\n\nMore.\n")
    (notebooks / "source" / "06_toy.py").write_text("# %%\nx = 1\n")
    (notebooks / MINUTES).write_text('{"06_toy": {"cpu": 77}}')
    for check in (True, False):
        assert [path.name for path in weave_all(check, notebooks)] == ["06_toy.ipynb", "README.md"]
    text = (notebooks.parent / "README.md").read_text()
    assert "| 77 minutes |" in text and text.startswith("# Course\n\n| #") and text.endswith("\n\nMore.\n")
    assert not weave_all(check=True, notebooks=notebooks)


# --- links and the glossary -----------------------------------------------------------------------------

PAGES = [*LESSONS, NOTEBOOKS / GLOSSARY]


def links_of(path):
    """The links of a lesson to files: a list of paths, without what stands behind #."""
    found = [link.split("#")[0] for link in LINK.findall(prose(path)) if not re.match(r"[a-z]+:", link)]
    return [link for link in found if link]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_link_to_a_file_leads_somewhere(path, tmp_path):
    lab.prepare(tmp_path / "my_lessons")
    for link in links_of(path):
        assert (NOTEBOOKS / link).is_file(), f"{path.name} links to {link}"
        assert (tmp_path / "my_lessons" / link).is_file(), f"a copy of {path.name} has no {link} beside it"


def test_lessons_link_to_the_glossary():
    assert GLOSSARY in links_of(LESSONS[0])


def test_a_kit_has_the_glossary(tmp_path):
    assert tmp_path / "kit" / GLOSSARY in weave_kit(tmp_path / "kit")


def test_a_glossary_of_ones_own_is_kept(tmp_path):
    notebooks, mine = tmp_path / "notebooks", tmp_path / "mine"
    notebooks.mkdir()
    for name in ("00_a.ipynb", GLOSSARY):
        (notebooks / name).write_text("first edition")
    assert lab.prepare(mine, lessons=notebooks) == ["00_a.ipynb: added", f"{GLOSSARY}: added"]
    (mine / GLOSSARY).write_text("my notes")
    (notebooks / GLOSSARY).write_text("second edition")
    (line,) = lab.prepare(mine, lessons=notebooks)
    assert (mine / GLOSSARY).read_text() == "my notes" and "glossary.new.md" in line
    assert (mine / "glossary.new.md").read_text() == "second edition"


def tables():
    """The rows of the glossary's tables: the notation's, and the terms'."""
    text = (NOTEBOOKS / GLOSSARY).read_text("utf-8")
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines()
             if line.startswith("|")][2:] for part in text.split("\n## ")[1:]]


NOTATION, TERMS = tables()


@pytest.mark.parametrize("row", TERMS, ids=lambda row: row[0])
def test_a_term_stands_in_both_languages_with_its_lesson(row):
    term, chinese, said, lesson = row
    assert term and said[-1] in ".?" and 4 <= len(said.split()) <= 30
    assert CHINESE.search(chinese) or chinese == term, "a name may stay as it is"
    assert int(lesson) in {number for number, _, _ in PLAN}


@pytest.mark.parametrize("row", TERMS, ids=lambda row: row[0])
def test_the_lesson_that_introduces_a_term_names_it(row):
    term, _, _, lesson = row
    for path in (path for path in LESSONS if path.stem.startswith(lesson)):
        said = re.sub(r"[*`]", "", " ".join(prose(path).split())).lower()
        assert term.lower().split(" (")[0] in said, f"{path.name} does not say {term!r}"


def test_the_glossary_is_sorted_and_has_each_term_once():
    names = [row[0].lower().strip("[]`#") for row in TERMS]
    assert names == sorted(set(names))


def test_the_notation_has_every_letter_in_both_languages():
    signs = {row[0].strip("`"): row for row in NOTATION}
    assert {"B", "T", "E", "D", "H", "V", "N", "True", "nat"} <= set(signs)
    assert all(CHINESE.search(chinese) and said for _, chinese, said in NOTATION)


# --- pages ------------------------------------------------------------------------------------------------

class Ran:
    """A lesson as if it had been run."""

    def __init__(self, name, text):
        self.name, self.notebook = name, nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])


def page(tmp_path, text, *others):
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    (notebooks / GLOSSARY).write_text("# Glossary\n\n[Lesson](01_toy.ipynb)\n\n| a |\n|---|\n| $x_i$ |\n")
    found = write_pages([Ran("01_toy", text), *others], tmp_path / "pages", notebooks)
    assert [path.name for path in found][-1] == "glossary.html"
    return [path.read_text("utf-8") for path in found]


def test_formulas_in_a_page_need_no_script(tmp_path):
    text = r"""So $\frac{a}{\sqrt{D}}$ costs \$5, `$code$` not.

$$\operatorname{softmax}(x)_i = \frac{e^{x_i}}{\sum_j e^{x_j}}$$

<details><summary>Why?</summary>

Because $p < 0.5$.
</details>
"""
    toy, glossary = page(tmp_path, text)
    assert toy.count("<math ") == 3 and toy.count('display="block"') == 1 and "<mfrac>" in toy
    assert "costs $5" in toy and "<code>$code$</code>" in toy and "\\frac" in re.search(r'title="([^"]*)"', toy)[1]
    assert glossary.count("<math ") == 1 and not FETCHES.search(toy + glossary)
    assert "MathJax" not in toy


@pytest.mark.parametrize("formula", [r"\unheard{x}", r"\frac{", "x^{", r"\text{<b>}", "a & b"])
def test_a_formula_that_cannot_be_shown_is_an_error(formula):
    with pytest.raises(UserError, match="cannot be shown in a page"):
        mathml(formula)


def test_links_lead_from_page_to_page(tmp_path):
    toy, glossary = page(tmp_path, "[g](glossary.md) [s](glossary.md#terms) [me](01_toy.ipynb) [w](https://a.b/c) "
                                   "[x](#here)\n\n<a href='02_b.ipynb'>b</a>", Ran("02_b", "b"))[::2]
    assert {"glossary.html", "glossary.html#terms", "01_toy.html", "https://a.b/c", "#here",
            "02_b.html"} <= set(re.findall(r'href="([^"]*)"', toy))
    assert 'href="01_toy.html"' in glossary and ".ipynb" not in toy and "<title>01_toy</title>" in toy


def test_a_link_to_what_gets_no_page_is_an_error(tmp_path):
    with pytest.raises(UserError, match="01_toy leads to '../data/README.md', which gets no page"):
        page(tmp_path, "[card](../data/README.md)")


def test_the_formulas_of_every_lesson_can_be_shown():
    for path in PAGES:
        notebook = nbformat.read(path, as_version=4) if path.suffix == ".ipynb" else pages.sheet_of(path)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = []
        names = {one.name: one.with_suffix(".html").name for one in PAGES}
        assert pages.page_of(path.stem, notebook, names)
