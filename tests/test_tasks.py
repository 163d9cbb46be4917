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
    sides = tasks.divide(twins + others, lambda text: text)
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
