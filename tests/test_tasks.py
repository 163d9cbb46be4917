"""A task's sides share no template; what cannot be learned from is refused in a sentence."""
import pytest

from electra_tutorial import sources, tasks
from electra_tutorial.corpus import template
from electra_tutorial.errors import UserError

RATINGS = "\r\n".join((
    "1\t2.5\tA ''gem''   warm and wise.",
    "2\t-0.4\tNeither here nor there.",
    "3\t-1.5\tDull as dishwater.",
    "4\t-1.5\tDull as dishwater.",
    "5\t0.51\tFair enough.",
))


def write_table(path, lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def many(n=300):
    words = ("red", "blue", "green", "old", "new", "small", "tall", "kind", "cold", "warm", "quick", "slow")
    return [f"the {words[i % 12]} {words[i // 12 % 12]} one in room {chr(97 + i % 26)}{chr(97 + i // 26 % 26)}\t"
            f"{('good', 'bad')[i % 2]}" for i in range(n)]


# --- ratings ------------------------------------------------------------------------------------------------
def test_a_rating_near_zero_is_no_opinion_and_a_sentence_counts_once():
    found = tasks.clean_ratings(RATINGS)
    assert [(one.text, one.label) for one in found] == [
        ('A "gem" - warm and wise.', 1), ("Dull as dishwater.", 0), ("Fair enough.", 1)]


def test_crude_snippets_are_left_out():
    crude = sorted(tasks.corpus.left_out_words())[0]
    assert tasks.clean_ratings(f"1\t3.0\tWhat {crude} fun.\n2\t3.0\tWhat fun.") == [tasks.Labelled("What fun.", 1)]


def test_near_twins_stand_on_one_side():
    twins = [f"{who} {be} bored by film {i}" for i in range(5) for who, be in (("I", "am"), ("She", "is"))]
    others = [line.split("\t")[0] for line in many()]
    sides = tasks.divide(twins + others, template)
    assert sorted(map(len, sides))[0] > 0
    found = [{template(text) for text in side} for side in sides]
    assert not found[0] & found[1] and not found[0] & found[2] and not found[1] & found[2]


def test_the_real_snippets_make_a_task():
    for source in sources.load_sources():
        if not sources.archive_path(source).exists():
            pytest.skip(f"{source.file} is not in the cache: run `electra-tutorial data`")
    task = tasks.load_sentiment()
    assert (len(task.train), len(task.valid), len(task.test), len(task.other)) == (7328, 1009, 1490, 2922)
    for side in (task.train, task.valid, task.test):
        assert 0.4 < sum(example.label for example in side) / len(side) < 0.6
        assert 0.3 < sum(example.label for example in side[:100]) / 100 < 0.7, "both kinds from the start"


# --- a table of your own ------------------------------------------------------------------------------------
def test_a_table_of_ones_own_becomes_a_task(tmp_path):
    task = tasks.read_task(write_table(tmp_path / "mine.tsv", ["text\tlabel", *many()]))
    assert task.name == "mine" and task.classes == ("bad", "good")
    assert len(task.train) + len(task.valid) + len(task.test) == 300
    assert all(task.classes[one.label] == dict(line.split("\t") for line in many())[one.text] for one in task.train)


def test_a_comma_table_may_quote_and_name_its_columns_otherwise(tmp_path):
    lines = ['verdict,review', *(f'{line.split(chr(9))[1]},"{line.split(chr(9))[0]}, yes"' for line in many())]
    task = tasks.read_task(write_table(tmp_path / "mine.csv", lines), text="review", label="verdict")
    assert task.train[0].text.endswith(", yes")


@pytest.mark.parametrize(("lines", "more", "words"), [
    (["text\tlabel", "fine\tgood", "great\tgood"], {}, "All 2 examples .* 'good': a classifier needs two"),
    (["text\tlabel", "fine\tgood", "great\tgoood"], {"classes": ("good", "bad")}, "Line 3 .* 'goood'.*good, bad"),
    (["text\tlabel", "fine\tgood", "\tbad"], {}, "Line 3 .* no text"),
    (["text\tlabel", "fine\tgood", "bad"], {}, "Line 3 .* no label"),
    (["sentence\tlabel", "fine\tgood"], {}, "no column 'text'.*sentence, label"),
    (["text\tlabel"], {}, "no example"),
    ([], {}, "no column 'text'"),
    (["text\tlabel", "fine\tgood", "great\tbad"], {}, "too few examples"),
])
def test_a_table_that_cannot_be_learned_from_is_refused_in_a_sentence(tmp_path, lines, more, words):
    with pytest.raises(UserError, match=words):
        tasks.read_task(write_table(tmp_path / "mine.tsv", lines), **more)


def test_a_missing_file_and_one_that_is_no_text_are_named(tmp_path):
    with pytest.raises(UserError, match="no file .*text and label"):
        tasks.read_task(tmp_path / "nowhere.tsv")
    (tmp_path / "odd.tsv").write_bytes(b"text\tlabel\n\xff\xfe\tgood\n")
    with pytest.raises(UserError, match="UTF-8"):
        tasks.read_task(tmp_path / "odd.tsv")


def test_so_many_examples_are_drawn_by_the_seed_and_the_other_sides_stay():
    task = tasks.Task("toy", ("a", "b"), [tasks.Labelled(str(i), i % 2) for i in range(50)], [1], [2])
    assert tasks.first(task, 10, seed=1) == tasks.first(task, 10, seed=1) != tasks.first(task, 10, seed=2)
    assert tasks.first(task, 10).test == [2] and len(tasks.first(task, 10).train) == 10
    assert tasks.first(task, None) is task


# --- questions ----------------------------------------------------------------------------------------------
FACTBOOK = """
{"Government": {"Country name": {"conventional short form": {"text": "Peru"}},
  "Capital": {"name": {"text": "Lima <br>"}}, "Independence": {"text": "28 July 1821 (from Spain)"},
  "National holiday": {"text": "Independence Day, 28-29 July (1821)"},
  "Legislative branch": {"legislature name": {"text": "Congress"}}},
 "Economy": {"Exports - commodities": {"text": "copper ore, gold (2023)"},
  "Exports - partners": {"text": "China 36%, USA 14% (2023)"}, "Exchange rates": {"Currency":
  {"text": "nuevo sol (PEN) per US dollar -"}}},
 "Geography": {"Coastline": {"text": "0 km"}, "Area": {"total ": {"text": "1,285,216 sq km"}},
  "Elevation": {"highest point": {"text": "Nevado Huascaran 6,746 m"}}}}
{"Government": {"Country name": {"conventional short form": {"text": "Nowhere"}}}}
"""


def test_facts_are_read_without_brackets_tags_and_years():
    nameless = FACTBOOK.replace('"conventional short form": {"text": "Peru"}', "")
    countries = tasks.read_factbook((FACTBOOK + nameless).strip())
    assert list(countries) == ["Peru"]  # too little is said about the second, and the third has no name
    assert countries["Peru"] == {
        "capital": "Lima", "independence": "28 July 1821", "holiday": "Independence Day", "parliament": "Congress",
        "goods": "copper ore", "customer": "China", "currency": "nuevo sol", "area": "1,285,216 sq km",
        "highest": "Nevado Huascaran"}


def test_every_answer_stands_in_its_context_among_others_and_is_the_same_each_time():
    countries = list(tasks.read_factbook(FACTBOOK.strip()).items())
    made = tasks.make_questions(countries, draws=2)
    assert made == tasks.make_questions(countries, draws=2) and len(made) == 18
    for one in made:
        assert one.context[one.start: one.start + len(one.answer)] == one.answer
        assert "Peru" in one.question and one.context.count(". ") == 2 and "{" not in one.question + one.context


def test_no_country_stands_on_two_sides():
    if not all(map(lambda source: sources.archive_path(source).exists(), sources.load_sources())):
        pytest.skip("the archives are not in the cache: run `electra-tutorial data`")
    task = tasks.load_questions()
    places = [{one.place for one in side} for side in (task.train, task.valid, task.test)]
    assert sum(map(len, places)) == len(set.union(*places)) > 200 and min(map(len, places)) > 15
    assert len(task.test) > 500
    for one in task.train + task.valid + task.test:
        assert one.context[one.start:].startswith(one.answer) and one.place in one.question


def test_questions_of_ones_own_are_read_and_their_answers_looked_for(tmp_path):
    lines = ["question\tcontext\tanswer", *(f"Who?\t{text}\t{text.split()[1]}" for text in
             (line.split(chr(9))[0] for line in many()))]
    task = tasks.read_questions(write_table(tmp_path / "mine.tsv", lines))
    assert len(task.train) + len(task.valid) + len(task.test) == 300
    assert all(one.context[one.start:].startswith(one.answer) for one in task.train)
    lines[5] = "Who?\tThe dog sees.\tcat"
    with pytest.raises(UserError, match="Line 6 .*'cat' does not stand in its context"):
        tasks.read_questions(write_table(tmp_path / "mine.tsv", lines))


# --- swaps --------------------------------------------------------------------------------------------------
def test_two_neighbours_change_places_and_nothing_tells_but_the_order():
    found = tasks.swap_words("The old man didn't see us.", set())
    assert sorted(found.words) == sorted(("the", "old", "man", "didn't", "see", "us", "."))
    first = found.labels.index(1)
    words = list(found.words)
    words[first], words[first + 1] = words[first + 1], words[first]
    assert words == ["the", "old", "man", "didn't", "see", "us", "."] and sum(found.labels) == 1


def test_a_swap_that_makes_a_known_sentence_or_none_is_left_out():
    assert tasks.swap_words("No, no.", set()) is None
    found = tasks.swap_words("The old man sees us.", set())
    assert tasks.swap_words("The old man sees us.", {found.text}) is None
