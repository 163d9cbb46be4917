"""Text is split, cleaned and held out the same way everywhere, and a bad corpus is named."""
import ast
import gzip
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_tutorial import corpus, sources
from electra_tutorial.errors import UserError

# --- sentences ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "expected"), [
    ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
    ("Dr. Smith met Mr. Jones. They spoke.", ["Dr. Smith met Mr. Jones.", "They spoke."]),
    ("J. R. R. Tolkien and J.R.R. Tolkien wrote. So did I. You too.",
     ["J. R. R. Tolkien and J.R.R. Tolkien wrote.", "So did I.", "You too."]),
    ('"Go," she said. "Now." He went.', ['"Go," she said.', '"Now."', "He went."]),
    ("It is No. 5. No. I mean six.", ["It is No. 5.", "No.", "I mean six."]),
    ("It costs 3.50 today. e.g. this. It cost 2 in 1999. Then more.",
     ["It costs 3.50 today. e.g. this.", "It cost 2 in 1999.", "Then more."]),
    ("李华去了北京。他很高兴！真的吗？", ["李华去了北京。", "他很高兴！", "真的吗？"]),
    ("A title\n\nA sentence that is\nwrapped. Another\none.",
     ["A title", "A sentence that is wrapped.", "Another one."]),
    ("no full stop here\nnor in this line\nnor here", ["no full stop here", "nor in this line", "nor here"]),
    ("Windows\r\n\r\nline\u00a0 ends.\tHere.", ["Windows", "line ends.", "Here."]),
    ("", []), (" \n\t\n", []),
])
def test_text_is_split_where_a_reader_would(text, expected):
    assert corpus.split_sentences(text) == expected


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="aB1I.!? \n\"')(。,éÉ…\t", max_size=60))
def test_splitting_loses_nothing_but_white_space(text):
    def without_space(string):
        return re.sub("[ \t\n]", "", string)

    sentences = corpus.split_sentences(text)
    assert without_space("".join(sentences)) == without_space(text)
    assert all(sentence and sentence == sentence.strip() and "\n" not in sentence for sentence in sentences)


def test_long_lines_of_prose_are_joined():
    wrapped = "It was a long way from the house on the hill to\nParis, and they went on foot. They\nsang."
    assert corpus.split_sentences(wrapped) == [
        "It was a long way from the house on the hill to Paris, and they went on foot.", "They sang."]


# --- the held-out split -------------------------------------------------------------------------------

@pytest.mark.parametrize("variants", [
    ("I am tired.", "He is tired.", "We're tired!", "Is she tired?", "They have been tired."),
    ("She knows Tom.", "I know Mary.", "They know him."),
    ("I don't like my dog.", "He doesn't like her dogs.", "You do not like our dog."),
    ("I have 3 cats.", "She has two cats.", "We've 1,500 cats."),
    ("I can't go.", "We cannot go.", "He can’t go."),
    ("He watches birds.", "They watch birds."),
    ("I met Tom Jackson and Mary in Boston.", "I met Alice in Paris."),
    ("You can see the pool from here.", "From here, you can see the pool."),
], ids=lambda variants: variants[0])
def test_near_duplicates_have_one_template(variants):
    assert len({corpus.template(variant) for variant in variants}) == 1


def test_a_name_at_the_start_is_known_from_elsewhere():
    names = corpus.learn_names(["I saw Tom.", "You know Tom, the cat.", "The cat in The Cat.", "A cat sat."])
    assert names == {"tom"}
    assert corpus.template("Tom is tired.", names) == corpus.template("He is tired.", names)
    assert corpus.template("The cat is tired.", names) != corpus.template("He is tired.", names)


@pytest.mark.parametrize(("one", "other"), [
    ("I am tired.", "I am hungry."), ("I know.", "I do not know."), ("I like tea.", "I drink tea."),
    ("The cat sleeps.", "The dog sleeps."), ("李华去了北京。", "李华去了上海。"), ("Это хлеб.", "Это вода.")])
def test_different_sentences_have_different_templates(one, other):
    assert corpus.template(one) != corpus.template(other)


WORDS = st.sampled_from("I he she Tom is are has have not cats cat know knows tired in 3 two Boston".split())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(WORDS, min_size=1, max_size=5).map(" ".join), max_size=60))
def test_no_template_is_on_both_sides_and_nothing_is_lost(sentences):
    train, heldout = corpus.split_by_template(sentences)
    assert not set(map(corpus.template, train)) & set(map(corpus.template, heldout))
    assert sorted(train + heldout) == sorted(sentences)


def test_about_five_percent_are_held_out_and_the_order_of_the_text_does_not_matter():
    sentences = [f"The {a} {b} {c}." for a in "abcdefghij" for b in "klmnopqrs" for c in "tuvwxyz" * 3]
    sentences = [sentence + "x" * (number % 7) for number, sentence in enumerate(sentences)]
    train, heldout = corpus.split_by_template(sentences)
    assert 0.03 < len(heldout) / len(sentences) < 0.07
    shuffled = random.Random(0).sample(sentences, len(sentences))
    assert set(corpus.split_by_template(shuffled)[1]) == set(heldout)


@pytest.mark.parametrize(("size", "least"), [(4, 1), (12, 3), (40, 8), (100, 8)])
def test_a_tiny_corpus_has_some_sentences_held_out(size, least):
    sentences = [f"The {'abcdefghij'[n % 10]}{'klmnopqrst'[n // 10]} is here." for n in range(size)]
    train, heldout = corpus.split_by_template(sentences)
    assert len(heldout) >= least and len(train) >= 0.7 * size


# --- cleaning -----------------------------------------------------------------------------------------

@pytest.mark.parametrize(("raw", "clean"), [
    ("red or red @-@ tipped , about 1 @,@ 000 of 2 @.@ 5 kg .", "red or red-tipped, about 1,000 of 2.5 kg."),
    ('It became " lobster red " ( when cooked ) .', 'It became "lobster red" (when cooked).'),
    ("Tom 's dog won 't bark ; they don 't .", "Tom's dog won't bark; they don't."),
    ("the ' princess ' of the coins ' owners", "the 'princess' of the coins' owners"),
    ("sold for $ 690 @,@ 000 , 60 % of 1809 – 1873 at 19 : 03",
     "sold for $690,000, 60% of 1809–1873 at 19:03"),
    ('" [t] his is how O \'Brien put it "', '"this is how O\'Brien put it"'),
    ("a .30 cal bullet ... and more ...", "a .30 cal bullet ... and more..."),
])
def test_wikitext_is_written_as_people_write(raw, clean):
    assert corpus.detokenise(raw) == clean


@pytest.mark.parametrize(("sentence", "reason"), [
    ("The cat is on the mat.", ""),
    ('"The cat," he said, "is (nearly) on the mat."', ""),
    ("The cat sleeps.", "under 4 or over 60 words"),
    ("The " + "very " * 60 + "old cat sleeps.", "under 4 or over 60 words"),
    ("The cat of Hangzhou (杭州) sleeps there.", "other characters"),
    ("The <unk> cat is on the mat.", "other characters"),
    ("and the cat is on the mat.", "fragment"),
    ("Cats of the old world:", "fragment"),
    ("The cat (and the dog is here.", "unpaired quote or bracket"),
    ("On 5 May 1980 and 6 May 1981 it sold 20 of 30.", "mostly digits"),
    ("Dan Dee met Ann Bee and Cy Cee of New York.", "mostly names"),
])
def test_a_sentence_is_left_out_for_a_reason(sentence, reason):
    assert corpus.unfit(sentence) == reason


def test_headings_go_and_half_a_quotation_loses_its_mark():
    raw = (' \n = The Cat = \n \n The cat said : " I am here . I was always here " , did it . '
           'Nobody heard it at all . \n = = Life = = \n')
    counts = {}
    assert corpus.clean_wikitext(raw, counts) == [
        "The cat said: I am here.", "I was always here, did it.", "Nobody heard it at all."]
    assert counts == {"kept": 3}


ATTRIBUTION = "CC-BY 2.0 (France) Attribution: tatoeba.org #{} ({}) & #2 (translator)"


def tatoeba_line(sentence, author="CK", number=1):
    return f"{sentence}\tuna frase\t{ATTRIBUTION.format(number, author)}"


def test_tatoeba_sentences_come_once_with_the_author_of_the_english():
    table = "\n".join([tatoeba_line("I am here.", "ann"), tatoeba_line("I am here.", "bob"),
                       tatoeba_line("Go on."), tatoeba_line("Isn’t  he here?", "cy_1"), ""])
    assert corpus.clean_tatoeba([table]) == {"I am here.": "ann", "Isn't he here?": "cy_1"}


def test_no_name_is_everywhere_and_the_hash_decides_who_stays():
    sentences = [f"Tom likes the {n}." for n in range(300)] + [f"We like the {n}." for n in range(700)]
    sentences += [f"Mary likes the {n}." for n in range(100)]
    names = frozenset({"tom", "mary"})
    thinned = corpus.thin_names(sentences, names)
    for name in ("Tom", "Mary"):
        assert 0.03 < sum(name in sentence for sentence in thinned) / len(thinned) <= 0.05
    assert thinned == [sentence for sentence in sentences if sentence in set(thinned)]
    backwards = corpus.thin_names(sentences[::-1], names)
    assert set(backwards) == set(thinned)


def test_crude_words_are_kept_out_but_not_words_that_contain_them():
    words = corpus.left_out_words()
    sentences = ["What shit.", "SEXY!", "Fags, he said.", "Essex is classy.", "I assess it."]
    assert corpus.fit_for_classrooms(sentences, words) == ["Essex is classy.", "I assess it."]
    assert 50 < len(words) < 400 and all(word == word.strip().lower() for word in words)


def test_no_predicate_asks_pythons_unicode_tables():
    """`str.lower()` and the like change with Python's version; the cleaned bytes would change with them."""
    asking = {"lower", "upper", "casefold", "title", "capitalize", "isalpha", "isupper", "islower", "isdigit",
              "isspace", "isalnum", "isnumeric", "isprintable", "splitlines"}
    for node in ast.walk(ast.parse(Path(corpus.__file__).read_text("utf-8"))):
        if isinstance(node, ast.Attribute):
            assert node.attr not in asking, f"line {node.lineno}: {node.attr}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args:
            # strip() takes all Unicode white space; so does split(), harmless on the ASCII word lists here
            assert node.func.attr not in {"strip", "lstrip", "rstrip"}, f"line {node.lineno}: strip()"
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not re.search(r"\\[wsdbWSDB]", node.value), f"line {node.lineno}: {node.value}"


# --- the course's corpus ------------------------------------------------------------------------------

def small_course(folder):
    """Make a data folder whose source is a small zip with the five members; return the folder of the zip."""
    rng = random.Random(0)
    nouns, verbs = "cat dog bird horse tree house".split(), "sees likes finds knows hears".split()

    def prose(n, nouns=nouns):
        lines = (f"The {rng.choice(nouns)} {rng.choice(verbs)} the {rng.choice(nouns)} of the "
                 f"{rng.choice(nouns)}" for _ in range(n))
        return gzip.compress((" \n = Heading = \n \n " + " . ".join(lines) + " . \n").encode(), mtime=0)

    def table(n):
        lines = (f"{rng.choice(['Tom', 'He', 'The ' + rng.choice(nouns)])} {rng.choice(verbs)} the "
                 f"{rng.choice(nouns)} of the {rng.choice(nouns)}." for _ in range(n))
        return "".join(tatoeba_line(line, f"author{k % 3}") + "\n" for k, line in enumerate(lines)).encode()

    offered = folder / "offered"
    offered.mkdir(parents=True)
    paths = ("train.gz", "valid.gz", "test.gz", "spa.tsv", "ukr.tsv")
    with zipfile.ZipFile(offered / "small.whl", "w") as archive:
        contents = prose(400), prose(90, ["king", *nouns]), prose(90), table(400), table(300)
        for path, data in zip(paths, contents, strict=True):
            archive.writestr(zipfile.ZipInfo(path), data)
    content = (offered / "small.whl").read_bytes()
    members = "".join(f'[[archive.member]]\nname = "{member}"\npath = "{path}"\nlicence = "CC0"\n'
                      'attribution = "this test"\n'
                      for member, path in zip(corpus.COURSE_MEMBERS, paths, strict=True))
    (folder / "sources.toml").write_text(
        f'[[archive]]\nname = "small"\npackage = "small"\nversion = "1"\nkind = "wheel"\nfile = "small.whl"\n'
        f'bytes = {len(content)}\nsha256 = "{hashlib.sha256(content).hexdigest()}"\nlicence = "CC0"\n'
        f'about = "made by this test"\n{members}\n[outputs]\n')
    return offered


@pytest.fixture
def offered(tmp_path, monkeypatch):
    monkeypatch.setenv("ELECTRA_TUTORIAL_DATA", str(tmp_path / "data"))
    return small_course(tmp_path / "data")


def course_bytes():
    return {path.name: path.read_bytes() for path in corpus.course_dir().iterdir()}


def test_the_course_is_cleaned_once_and_then_needs_no_source(offered):
    assert not corpus.course_is_ready()
    text = corpus.load_corpus("course", from_dir=offered)
    assert corpus.course_is_ready()
    assert set(text.train) == set(text.heldout) == {"wikitext", "tatoeba"}
    assert all(lines for part in (text.train, text.heldout) for lines in part.values())
    (offered / "small.whl").unlink()
    sources.archive_path(sources.load_sources()[0]).unlink()
    assert corpus.load_corpus("course") == text


def test_in_the_course_no_template_is_on_both_sides(offered):
    text = corpus.load_corpus("course", from_dir=offered)
    train, heldout = ({corpus.template(line) for lines in part.values() for line in lines}
                      for part in (text.train, text.heldout))
    assert train and heldout and not train & heldout


def test_the_note_says_when_the_text_is_not_the_recorded_one(offered):
    assert "not, byte for byte" in corpus.load_corpus("course", from_dir=offered).note
    corpus.record_outputs()
    assert corpus.load_corpus("course").note == ""
    assert corpus.read_stamp()["as_recorded"] is True


def test_a_changed_word_list_or_a_damaged_file_cleans_again(offered):
    corpus.prepare_course(from_dir=offered)
    (corpus.course_dir() / "train-tatoeba.txt").write_text("half a file")
    assert not corpus.course_is_ready()
    corpus.prepare_course()
    spoilt = corpus.course_dir() / "heldout-tatoeba.txt"
    right = spoilt.read_bytes()
    spoilt.write_bytes(right[:-2] + b"?\n")  # of the same size
    corpus.prepare_course()
    assert spoilt.read_bytes() == right
    (sources.data_dir() / "left_out_words.txt").write_text("# more\ndog\n")
    assert not corpus.course_is_ready()
    assert not any("dog" in line for lines in corpus.load_corpus("course").train.values() for line in lines)
    (corpus.course_dir() / "stamp.json").write_text("{")
    assert not corpus.course_is_ready()


def test_a_disk_that_fills_up_while_cleaning_leaves_the_old_text(offered, monkeypatch):
    corpus.prepare_course(from_dir=offered)
    before = course_bytes()
    (sources.data_dir() / "left_out_words.txt").write_text("dog\n")

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(corpus.Path, "write_bytes", full)
    with pytest.raises(UserError, match="disk filled up"):
        corpus.prepare_course()
    assert course_bytes() == before
    assert sorted(path.name for path in sources.cache_dir().iterdir()) == ["archives", "course"]


def test_a_crash_between_two_files_is_mended_by_the_next_call(offered, monkeypatch):
    corpus.prepare_course(from_dir=offered)
    before = course_bytes()
    (sources.data_dir() / "left_out_words.txt").write_text("dog\n")
    with monkeypatch.context() as patched:
        replace, calls = os.replace, []

        def crash(source, target):
            calls.append(target)
            if len(calls) == 3:
                raise KeyboardInterrupt
            replace(source, target)

        patched.setattr(corpus.os, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            corpus.prepare_course()
    (sources.data_dir() / "left_out_words.txt").unlink()
    assert not corpus.course_is_ready() and not (corpus.course_dir() / "stamp.json").exists()
    corpus.prepare_course()
    assert {name: text for name, text in course_bytes().items() if name != "stamp.json"} == {
        name: text for name, text in before.items() if name != "stamp.json"}


def test_the_same_bytes_come_out_in_any_process(offered, tmp_path):
    code = "from electra_tutorial import corpus; corpus.prepare_course(from_dir='{}')"
    for seed in ("1", "2"):
        environment = os.environ | {"ELECTRA_TUTORIAL_DATA": str(tmp_path / "data"), "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code.format(offered)], check=True, env=environment)
        found = {name: content for name, content in course_bytes().items() if name.endswith(".txt")}
        corpus.course_dir().rename(tmp_path / f"course{seed}")
        if seed == "1":
            first = found
    assert first == found and all(first.values())


def test_the_real_text_is_the_recorded_one_in_any_process():
    """Cleans the real archive (some 13 s) under another hash seed and compares with `sources.toml`."""
    source = corpus.course_sources()[0]
    if not sources.archive_path(source).exists():
        pytest.skip(f"{source.file} is not in the cache: run `electra-tutorial data`")
    code = """
import hashlib, json
from electra_tutorial import corpus, sources
where = {m.name: (sources.archive_path(s), m.path) for s in corpus.course_sources() for m in s.members}
files, _ = corpus.clean_course(lambda name: sources.read_member(*where[name]).decode("utf-8"))
print(json.dumps({name: corpus.describe("".join(line + "\\n" for line in lines).encode())
                  for name, lines in files.items()}))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True,
                          env=os.environ | {"PYTHONHASHSEED": "12345"})
    assert json.loads(done.stdout) == sources.read_description()["outputs"]


def test_the_real_course_holds_its_promises():
    if not corpus.course_is_ready():
        pytest.skip("the course's text is not in the cache: run `electra-tutorial data`")
    text = corpus.load_corpus("course")
    train, heldout = ({corpus.template(line) for lines in part.values() for line in lines}
                      for part in (text.train, text.heldout))
    assert not train & heldout
    everyday = text.train["tatoeba"]
    assert sum("Tom" in re.findall("[A-Za-z]+", line) for line in everyday) <= 0.055 * len(everyday)
    for line in [*text.train["wikitext"], *everyday, *text.heldout["wikitext"]]:
        assert not re.search("<unk>|@| ,|  |[^ -~À-ſ–—£€°]", line), line
    assert len(text.heldout["tatoeba"]) > 5_000 and len(text.heldout["wikitext"]) > 10_000


def test_the_datasheet_has_the_recorded_figures():
    page = (sources.REPOSITORY_DATA / "README.md").read_text("utf-8")
    for name, entry in sources.read_description()["outputs"].items():
        assert f"| `{name}` | {entry['sentences']:,} | {entry['words']:,} |" in page
    if not corpus.course_is_ready():
        pytest.skip("the course's text is not in the cache: run `electra-tutorial data`")
    counts = corpus.read_stamp()["counts"]
    wikitext, train_with = counts["wikitext"].values(), counts["train_with"]
    figures = [sum(wikitext), *wikitext, *counts["tatoeba_top_authors"].values()]
    figures += [counts[key] for key in counts if isinstance(counts[key], int)]
    figures += [train_with[kind][word] for kind in ("wikitext", "tatoeba") for word in ("he", "she")]
    assert [figure for figure in figures if f"{figure:,}" not in page] == []


def test_readiness_is_answered_at_once(offered):
    corpus.prepare_course(from_dir=offered)
    code = ("import time; from electra_tutorial import corpus; start = time.process_time(); "
            "assert corpus.course_is_ready(); assert time.process_time() - start < 0.1")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_data_command_says_what_there_is(offered, capsys):
    found = corpus.main_data(from_dir=offered)
    assert json.loads(json.dumps(found))["sources"][0]["state"] == "complete"
    assert set(found["course"]["files"]) == set(corpus.COURSE_FILES)
    assert found["course"]["counts"]["tatoeba_authors"] == 3
    output = capsys.readouterr()
    assert output.out == "" and "heldout-wikitext.txt" in output.err and "small.whl: done" in output.err


def test_a_stick_that_is_not_there_is_an_error_even_where_nothing_is_missing(offered, tmp_path):
    corpus.main_data(from_dir=offered)
    with pytest.raises(UserError, match="not a folder: --from"):
        corpus.main_data(from_dir=tmp_path / "no stick")


def test_a_course_that_cannot_be_had_is_an_error_or_the_grammar_with_a_note(offered, tmp_path):
    with pytest.raises(UserError, match="has no small.whl"):
        corpus.load_corpus("course", from_dir=tmp_path)
    text = corpus.load_corpus("course", from_dir=tmp_path, fallback=True)
    assert text.name == "grammar" and text.train["grammar"]
    assert "has no small.whl" in text.note and "differs" in text.note
    assert corpus.load_corpus("grammar") == corpus.Corpus("grammar", text.train, text.heldout)


# --- a corpus of your own -----------------------------------------------------------------------------

STORY = "".join(f"The {a} {b} the {c}. " for a in ("cat", "dog", "cow") for b in ("sees", "hears")
                for c in ("tree", "road", "house"))


def test_a_text_a_gz_and_a_folder_are_corpora(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "story.txt").write_text("\ufeff" + STORY, "utf-8")
    (tmp_path / "b" / "verse.txt.gz").write_bytes(gzip.compress("Über allem ist Ruh. Warte nur.".encode()))
    (tmp_path / "notes.pdf").write_bytes(b"\0\1\2")
    text = corpus.load_corpus(tmp_path / "story.txt")
    assert len(text.train["text"]) + len(text.heldout["text"]) == 18 and text.heldout["text"]
    assert not any("\ufeff" in line for line in text.train["text"] + text.heldout["text"])
    folder = corpus.load_corpus(str(tmp_path))
    assert len(folder.train["text"]) + len(folder.heldout["text"]) == 20
    assert corpus.read_texts(tmp_path)[0].startswith("Über")  # by path: b/verse before story


@pytest.mark.parametrize(("name", "content", "word"), [
    ("none.txt", None, "There is no corpus .*none.txt"),
    ("empty.txt", b"", "empty.txt is empty"),
    ("blank.txt", b" \n\n\t", "blank.txt is empty"),
    ("latin.txt", STORY.encode() + "Äpfel.".encode("latin-1"),
     rf"not UTF-8 \(byte {len(STORY)} is 0xc4\).*iconv"),
    ("wide.txt", STORY.encode("utf-16"), "UTF-16"),
    ("picture.txt", b"PNG\0\1", r"not text \(byte 3 is zero\)"),
    ("half.gz", gzip.compress(STORY.encode())[:-9], "no whole gzip file"),
    ("not.gz", STORY.encode(), "no whole gzip file"),
    ("one.txt", b"One sentence.", "1 different sentence"),
    ("same.txt", b"The same sentence. " * 50, "1 different sentence"),
])
def test_a_bad_corpus_is_named_with_its_remedy(tmp_path, name, content, word):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=word):
        corpus.load_corpus(tmp_path / name)


def test_a_folder_without_text_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no \.txt or \.gz file"):
        corpus.load_corpus(tmp_path)


def fake_datasets(monkeypatch, rows):
    """Let `import datasets` give a library whose every dataset streams `rows`, or raises them."""
    def load_dataset(name, config, split, streaming):
        assert streaming and split == "train"
        if isinstance(rows, Exception):
            raise rows
        return iter(rows)
    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))


def test_a_hub_dataset_is_read_by_its_text_column_up_to_a_limit(monkeypatch):
    read = []
    rows = (read.append(n) or {"id": str(n), "text": f"The cat number {n} sits. The {'dog' * n} runs."}
            for n in range(1000))
    fake_datasets(monkeypatch, rows)
    monkeypatch.setattr(corpus, "read_hub", lambda name, read=corpus.read_hub: read(name, limit=50))
    text = corpus.load_corpus("hf:somebody/cats:small")
    assert text.name == "hf:somebody/cats:small" and len(read) == 25  # of two sentences each
    assert "The cat number 0 sits." in text.train["text"] + text.heldout["text"]
    fake_datasets(monkeypatch, [{"story": "One is here. Two is there.", "n": 3}])
    assert corpus.read_hub("x") == ["One is here.", "Two is there."]


@pytest.mark.parametrize(("rows", "word"), [
    (ConnectionError("Couldn't reach the hub\nmore"), "cannot be read: Couldn't reach the hub[.] Check"),
    ([{"question": "Why?", "answer": "So."}], r"no column text or sentence \(it has question, answer\)"),
    ([], "0 different sentence"),
])
def test_a_hub_dataset_that_cannot_be_had_is_named(monkeypatch, rows, word):
    fake_datasets(monkeypatch, rows)
    with pytest.raises(UserError, match=word):
        corpus.load_corpus("hf:somebody/cats")


@pytest.mark.parametrize("name", ["hf:", "hf::small"])
def test_a_hub_dataset_needs_a_name(monkeypatch, name):
    fake_datasets(monkeypatch, [{"text": "One is here."}])
    with pytest.raises(UserError, match=f"{name} names no dataset: write hf:NAME"):
        corpus.load_corpus(name)


def test_a_missing_datasets_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match="pip install datasets"):
        corpus.load_corpus("hf:somebody/cats")
