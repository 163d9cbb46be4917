"""bertviz offline: no network is asked, the bytes repeat, what is typed is harmless, the size is bounded."""
import base64
import gzip
import json
import re

import numpy as np
import pytest

from electra_tutorial.errors import UserError
from electra_tutorial.heads import Look
from electra_tutorial.views import bertviz_views
from electra_tutorial.views.bertviz_views import KEYS, MOST_PIECES, head_view, model_view, neuron_view

VIEWS = pytest.mark.parametrize("view", [head_view, model_view, neuron_view], ids=lambda view: view.__name__)
EVIL = ["[CLS]", "</script>", "<img src=x onerror=alert(1)>", "&amp;", "'", '"', "[SEP]"]


def look_of(pieces, layers=2, heads=3, width=8):
    rng, T = np.random.default_rng(0), len(pieces)
    attentions = rng.dirichlet(np.ones(T), (layers, heads, T)).astype(np.float32)
    vectors = rng.normal(size=(2, layers, heads, T, width)).astype(np.float32)
    return Look("discriminator", pieces, list(range(T)), list(attentions), list(vectors[0]), list(vectors[1]), None)


def code(framed):
    """The script that the page unpacks."""
    return gzip.decompress(base64.b64decode(re.search(r'atob\("([^"]*)"\)', framed.page)[1])).decode()


def given(framed, name):
    """What bertviz was given under a name."""
    text = code(framed)
    return json.JSONDecoder().raw_decode(text, text.index(f'"{name}": ') + len(name) + 4)[0]


@VIEWS
def test_a_view_has_no_address_in_it_but_names_of_vocabularies(view):
    framed = view(look_of(EVIL))
    assert "src=" not in framed.page and "http" not in framed.page
    loaded = re.findall(r"""(?:src|href|url)\s*[=:(]\s*["']?https?:[^"'\s]*""", code(framed))
    assert not loaded and "cdnjs" not in code(framed)


@VIEWS
def test_the_same_look_gives_the_same_bytes(view):
    assert view(look_of(EVIL)).page == view(look_of(EVIL)).page


@VIEWS
def test_what_was_typed_is_text_and_nothing_else(view):
    framed = view(look_of(EVIL))
    assert "onerror" not in framed.page  # only in the packed script, where JSON has no angle bracket
    assert "</script>" not in code(framed)[code(framed).index('"attention"'):].split("\n;\n")[0]
    assert given(framed, "left_text") == EVIL
    assert "<img src=x" not in framed._repr_html_()


@VIEWS
def test_the_numbers_drawn_are_those_of_the_look_to_three_places(view):
    look = look_of(["[CLS]", "a", "b", "[SEP]"])
    np.testing.assert_allclose(given(view(look), "attn"), np.stack(look.attentions), atol=5.1e-4)


@VIEWS
def test_a_long_sentence_is_cut_and_the_title_says_so(view):
    pieces = ["[CLS]", *(["[UNK]", "word"] * 20), "[SEP]"]
    framed = view(look_of(pieces))
    assert f"the first {MOST_PIECES} of 42 pieces" in framed.title
    assert given(framed, "left_text") == pieces[:MOST_PIECES]  # none of them renamed


@VIEWS
def test_a_view_stays_below_400_kilobytes(view):
    framed = view(look_of(["[CLS]", *["word"] * 14, "[SEP]"], layers=6, heads=6, width=32))
    assert len(framed._repr_html_().encode()) < 400_000


@VIEWS
def test_a_view_stands_below_its_static_twin_which_says_in_words_what_it_shows(view):
    shown = view(look_of(["[CLS]", "she", "have", "[SEP]"]))._repr_html_()
    assert shown.index("<img") < shown.index("<iframe title=")
    assert len(re.search(r'alt="([^"]*)"', shown)[1].split()) > 8


@VIEWS
def test_a_view_brings_the_script_of_its_keys_and_says_which_there_are(view):
    framed = view(look_of(["[CLS]", "she", "have", "[SEP]"]))
    assert code(framed).endswith(KEYS) and "By keys: Tab" in framed.page and "Enter" in framed.page


def test_another_bertviz_that_loads_more_is_refused():
    more = '<script src="https://a/require.js"></script><script src="https://b/more.js"></script><div></div>'
    with pytest.raises(UserError, match="install the version in requirements.txt"):
        bertviz_views.bare_script(more)


def test_without_its_libraries_one_sentence_says_what_to_do(monkeypatch):
    def nothing(package):
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(bertviz_views.resources, "files", nothing)
    with pytest.raises(UserError, match="course.py setup"):
        head_view(look_of(["[CLS]", "a", "[SEP]"]))
