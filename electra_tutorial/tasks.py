"""Tasks to fine-tune on: labelled text, made from archives that set-up has fetched, or read from a file of yours.

    sentiment    snippets of film reviews, rated by people: thumbs up or down?
    questions    about countries, made by template from the World Factbook: where in the text is the answer?
    swaps        everyday sentences in which two neighbours have changed places: which?

A task is three lists of examples, to train on, to choose with (when to stop, which setting), and to judge with, once.
No sentence template (`corpus.template`), and of the questions no country, stands in two of them.
"""
import csv
import html
import json
import random
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from electra_tutorial import corpus, sources
from electra_tutorial.errors import UserError

CLEAR = 0.5  # a mean rating nearer to 0 than this, on the scale from -4 to 4, is no clear opinion
TEST_SHARE, VALID_SHARE = 0.15, 0.10
SENTIMENT = ("negative", "positive")


@dataclass(frozen=True)
class Labelled:
    """A text and the number of its class."""

    text: str
    label: int


@dataclass(frozen=True)
class Task:
    """Examples to train on, to choose with and to judge with; `other` comes from a source never trained on."""

    name: str
    classes: tuple
    train: list
    valid: list
    test: list
    other: list = field(default_factory=list)


# --- reading and dividing -----------------------------------------------------------------------------------
def member_text(name, from_dir=None):
    """The text of a member that `sources.toml` names, its archive fetched if it is not there."""
    for source in sources.load_sources():
        for member in source.members:
            if member.name == name:
                return sources.read_member(sources.fetch(source, from_dir), member.path).decode("utf-8")
    raise UserError(f"sources.toml lists no {name!r}: restore it with `git checkout data/sources.toml`.")


def divide(examples, key_of, test=TEST_SHARE, valid=VALID_SHARE):
    """(train, valid, test), each in order; the hash of an example's key decides, so equal keys stay together."""
    sides = [], [], []
    for example in examples:
        place = corpus.hash_share(key_of(example))
        sides[2 if place < test else 1 if place < test + valid else 0].append(example)
    return sides


def mixed(examples, text_of):
    """The examples in an order that has nothing to do with what they are: that of a hash, always the same."""
    return sorted(examples, key=lambda example: corpus.hash_share(text_of(example)))


def template_of(example):
    """What near-twins have in common: the template of an example's text."""
    return corpus.template(example.text)


# --- sentiment ----------------------------------------------------------------------------------------------
def load_sentiment(from_dir=None):
    """Film-review snippets as a `Task`: negative 0, positive 1. `other`: sentences about goods sold by a shop.

    Each has the mean of the ratings of some 15 people (Hutto and Gilbert 2014, ICWSM). Those near 0 are left out,
    and so are crude ones. Raises `UserError` if the archive cannot be had.
    """
    films, goods = (mixed(clean_ratings(member_text(name, from_dir)), lambda example: example.text)
                    for name in ("movie-snippets", "amazon-snippets"))  # the file has all the praise first
    return Task("sentiment", SENTIMENT, *divide(films, template_of), goods)


def clean_ratings(table):
    """The clear examples of a table of id, mean rating, text: a list of `Labelled`, each text once."""
    found = {}
    for line in table.splitlines():
        _, rating, text = line.split("\t", 2)
        text = clean_snippet(text)
        if text and abs(float(rating)) > CLEAR:
            found.setdefault(text, Labelled(text, int(float(rating) > 0)))
    return [found[text] for text in corpus.fit_for_classrooms(found, corpus.left_out_words())]


def clean_snippet(text):
    """A snippet as people write: '' is a quotation mark, and a wide gap was a dash."""
    text = text.translate(corpus.PLAIN).replace("''", '"').strip()
    return re.sub(" +", " ", re.sub("(?<=[A-Za-z,;:)\"']) {3,}(?=[A-Za-z(\"'])", " - ", text))


# --- questions about countries ------------------------------------------------------------------------------
@dataclass(frozen=True)
class Question:
    """A question, a context, and the answer, which begins at character `start` of the context."""

    question: str
    context: str
    answer: str
    start: int
    kind: str = ""
    place: str = ""


@dataclass(frozen=True)
class Fact:
    """One kind of fact: where it stands in the Factbook, what of it is the answer, and how one says and asks it."""

    kind: str
    path: tuple
    pattern: str  # the answer is its one group
    says: tuple
    asks: tuple


CAPITALISED = "([A-Z][^,:/0-9]*)"
FACTS = (
    Fact("capital", ("Government", "Capital", "name"), CAPITALISED,
         ("{answer} is the capital of {place}.", "The capital of {place} is {answer}.",
          "The government of {place} sits in {answer}."),
         ("What is the capital of {place}?", "In which city does the government of {place} sit?")),
    Fact("currency", ("Economy", "Exchange rates", "Currency"), "(.+?) per US dollar",
         ("People in {place} pay in {answer}.", "The money of {place} is called {answer}."),
         ("What do people in {place} pay in?", "What is the money of {place} called?")),
    Fact("highest", ("Geography", "Elevation", "highest point"), r"([A-Z][^\d]*?) [\d,.]+ m",
         ("The highest point of {place} is {answer}.", "{answer} is the highest point of {place}."),
         ("What is the highest point of {place}?", "Which mountain or hill of {place} is the highest?")),
    Fact("lowest", ("Geography", "Elevation", "lowest point"), r"([A-Z][^\d]*?) -?[\d,.]+ m",
         ("The lowest point of {place} is {answer}.", "{answer} is the lowest point of {place}."),
         ("What is the lowest point of {place}?", "Which place of {place} lies lowest?")),
    Fact("anthem", ("Government", "National anthem(s)", "title"), '"([^"]+)"',
         ('The anthem of {place} is called "{answer}".', 'At feasts the people of {place} sing "{answer}".'),
         ("What is the anthem of {place} called?", "What do the people of {place} sing at feasts?")),
    Fact("population", ("People and Society", "Population", "total"), "([0-9,]{3,})",
         ("{answer} people live in {place}.", "The population of {place} is {answer}."),
         ("How many people live in {place}?", "How large is the population of {place}?")),
    Fact("area", ("Geography", "Area", "total"), "([0-9,.]+ sq km)",
         ("The area of {place} is {answer}.", "All in all {place} covers {answer}."),
         ("How large is the area of {place}?", "How much does {place} cover?")),
    Fact("coast", ("Geography", "Coastline"), "([0-9,.]*[1-9][0-9,.]* km)",
         ("The coast of {place} is {answer} long.", "There are {answer} of coast in {place}."),
         ("How long is the coast of {place}?", "How much coast is there in {place}?")),
    Fact("independence", ("Government", "Independence"), "([0-9]{1,2} [A-Z][a-z]+ [0-9]{4})",
         ("On {answer} {place} became independent.", "The independence of {place} dates from {answer}."),
         ("When did {place} become independent?", "From when does the independence of {place} date?")),
    Fact("age", ("People and Society", "Median age", "total"), "([0-9.]+ years)",
         ("The median age in {place} is {answer}.", "Half of the people in {place} are younger than {answer}."),
         ("What is the median age in {place}?", "Half of the people in {place} are younger than what?")),
    Fact("life", ("People and Society", "Life expectancy at birth", "total population"), "([0-9.]+ years)",
         ("People in {place} live for {answer} on average.", "The life expectancy in {place} is {answer}."),
         ("How long do people in {place} live on average?", "What is the life expectancy in {place}?")),
    Fact("goods", ("Economy", "Exports - commodities"), "([a-z][a-z -]*[a-z])",
         ("What {place} sells most is {answer}.", "The main export of {place} is {answer}."),
         ("What does {place} sell most?", "What is the main export of {place}?")),
    Fact("customer", ("Economy", "Exports - partners"), "([A-Z][A-Za-z. ]*?) [0-9]",
         ("{answer} buys most of what {place} sells.", "The best customer of {place} is {answer}."),
         ("Who buys most of what {place} sells?", "Who is the best customer of {place}?")),
    Fact("supplier", ("Economy", "Imports - partners"), "([A-Z][A-Za-z. ]*?) [0-9]",
         ("{place} buys most from {answer}.", "Most of what {place} buys comes from {answer}."),
         ("From whom does {place} buy most?", "Where does most of what {place} buys come from?")),
    Fact("parliament", ("Government", "Legislative branch", "legislature name"), CAPITALISED,
         ("The laws of {place} are made by the {answer}.", "The parliament of {place} is called {answer}."),
         ("Who makes the laws of {place}?", "What is the parliament of {place} called?")),
    Fact("holiday", ("Government", "National holiday"), "([A-Z][A-Za-z' ]*Day)",
         ("The national holiday of {place} is {answer}.", "Each year the people of {place} celebrate {answer}."),
         ("What is the national holiday of {place}?", "What do the people of {place} celebrate each year?")),
    Fact("map", ("Geography", "Map references"), CAPITALISED,
         ("On a map {place} is found in {answer}.", "{place} belongs to the region of {answer}."),
         ("Where on a map is {place} found?", "To which region does {place} belong?")),
)
IN_A_CONTEXT = 3  # facts: one is asked for, the others lead astray; together short enough for 64 pieces, mostly
LONGEST_VALUE = 40  # characters


def load_questions(from_dir=None):
    """Questions about countries as a `Task` of `Question`s; no country stands on two sides.

    People did not write these: facts of the World Factbook were put into sentences and questions by template.
    Raises `UserError` if the archive cannot be had.
    """
    countries = read_factbook(member_text("factbook", from_dir))
    train, valid, test = divide(list(countries.items()), lambda country: country[0])
    made = make_questions(train, draws=2), make_questions(valid), make_questions(test)
    return Task("questions", (), *(mixed(side, lambda one: one.context + one.question) for side in made))


def read_factbook(text):
    """{country: {kind: value}} from the Factbook's files, one after the other; few facts about a place: left out."""
    decoder, place, countries = json.JSONDecoder(), 0, {}
    while place < len(text):
        entry, place = decoder.raw_decode(text, place)
        place = re.compile(r"\s*").match(text, place).end()
        name = value_at(entry, ("Government", "Country name", "conventional short form"))
        if name in ("", "none"):
            name = value_at(entry, ("Government", "Country name", "conventional long form"))
        facts = {fact.kind: value for fact in FACTS if (value := value_of(entry, fact))}
        if name and len(facts) >= 8 and corpus.ALLOWED.fullmatch(name):
            countries[name] = facts
    return countries


def value_at(entry, path):
    """The text at a path of keys, without tags, brackets and what follows a semicolon; "" if there is none."""
    for key in path:
        entry = next((value for name, value in entry.items() if name.strip() == key), {})
    text = re.sub("<[^>]*>", " ", html.unescape(entry.get("text", ""))).translate(corpus.PLAIN)
    return re.sub(" +", " ", re.sub(r"\([^)]*\)", "", text.partition(";")[0])).strip(" ,.")


def value_of(entry, fact):
    """The answer that a country has for a fact; "" if there is none that is short and plain."""
    match = re.match(fact.pattern, value_at(entry, fact.path))
    value = match[1].strip(" ,.") if match else ""
    return value if len(value) <= LONGEST_VALUE and corpus.ALLOWED.fullmatch(value) else ""


def make_questions(countries, draws=1):
    """`draws` Questions for each fact about each (country, facts), each in a context of its own; always the same."""
    return [make_question(place, facts, fact, random.Random(f"{place} {fact.kind} {draw}"))
            for place, facts in countries for fact in FACTS if fact.kind in facts for draw in range(draws)]


def make_question(place, facts, fact, rng):
    """Ask for one fact, in a context of it and two others in any order, each said in one of its ways."""
    others = [one for one in FACTS if one.kind in facts and one is not fact]
    told = rng.sample([fact, *rng.sample(others, min(IN_A_CONTEXT - 1, len(others)))], IN_A_CONTEXT)
    context, start = "", 0
    for one in told:
        before, _, after = rng.choice(one.says).partition("{answer}")
        before, after = (part.replace("{place}", place) for part in (before, after))
        if one is fact:
            start = len(context) + len(before)
        context += f"{before}{facts[one.kind]}{after} "
    asked = rng.choice(fact.asks).replace("{place}", place)
    return Question(asked, context.strip(), facts[fact.kind], start, fact.kind, place)


# --- words out of place -------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Tagged:
    """The words of a sentence, punctuation apart, and a label for each."""

    words: tuple
    labels: tuple

    @property
    def text(self):
        return " ".join(self.words)


def load_swaps(source=None, most=6_000):
    """Everyday sentences in which two neighbours have changed places: a `Task` of `Tagged`, 1 = the first of the two.

    source: a `Corpus`; else the course's. `most` of its training sentences are used, one in ten of them to choose
    with; judged is with held-out ones. Which words are swapped, the sentence alone decides.
    """
    source = source or corpus.load_corpus("course", fallback=True)
    everyday = "tatoeba" if "tatoeba" in source.train else next(iter(source.train))
    seen = {line for lines in source.train.values() for line in lines}
    made = list(filter(None, (swap_words(line, seen) for line in source.train[everyday][:4 * most])))
    made = mixed(made, lambda one: one.text)[:most]
    judged = list(filter(None, (swap_words(line, seen) for line in source.heldout[everyday])))
    train, valid, _ = divide(made, template_of, test=0)
    return Task("swaps", ("in place", "swapped"), train, valid, judged[: most // 4])


def swap_words(sentence, seen):
    """A `Tagged` sentence of 5 to 15 words with one pair of neighbours swapped; None if it cannot have one."""
    words = re.findall(r"\w+(?:'\w+)*|[^\w\s]", sentence)
    places = [n for n in range(len(words) - 1)
              if words[n][0].isalnum() and words[n + 1][0].isalnum() and words[n].lower() != words[n + 1].lower()]
    if not 5 <= len(words) <= 15 or not places:
        return None
    first = random.Random(sentence).choice(places)
    words = [word.lower() for word in words]  # or the capital would tell where the first word went
    words[first], words[first + 1] = words[first + 1], words[first]
    labels = tuple(int(n == first) for n in range(len(words)))
    return None if " ".join(words) in seen else Tagged(tuple(words), labels)


# --- a task of your own -------------------------------------------------------------------------------------
def read_task(path, text="text", label="label", classes=None):
    """A `Task` from a table with a header line: .csv with commas, any other name with tabs.

    text, label: the names of its columns. classes: the labels allowed, in order; else all that stand there.
    Raises `UserError`, naming the line, for a column or file that is not there, an empty text, an unknown label,
    and a table in which all have one label.
    """
    rows = read_table(path, (text, label))
    for number, row in rows:
        if missing := [name for name in (text, label) if not row[name]]:
            raise UserError(f"Line {number} of {path} has no {missing[0]}: fill it in, or take the line out.")
    classes = tuple(classes or sorted({row[label] for _, row in rows}))
    if len(classes) < 2:
        raise UserError(f"All {len(rows)} examples of {path} are {classes[0]!r}: a classifier needs two classes.")
    examples = []
    for number, row in rows:
        if row[label] not in classes:
            raise UserError(f"Line {number} of {path} has the label {row[label]!r}: use one of {', '.join(classes)}.")
        examples.append(Labelled(row[text], classes.index(row[label])))
    return check_sides(Task(Path(path).stem, classes, *divide(examples, template_of)))


def read_table(path, columns):
    """[(line number, {column: text})] of a table with a header. Raises `UserError` when it is not one."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no file {path}: give a table with a header line and the columns "
                        f"{' and '.join(columns)}.")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="," if path.suffix == ".csv" else "\t")
            found = list(reader.fieldnames or [])
            for column in columns:
                if column not in found:
                    raise UserError(f"{path} has no column {column!r}: name one that its header has, "
                                    f"{', '.join(found) or 'and it has none'}.")
            rows = [(reader.line_num, {name: (row[name] or "").strip() for name in columns}) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a table ({error}): save it as UTF-8 text.") from None
    if not rows:
        raise UserError(f"{path} has a header and no example: write one a line.")
    return rows


def read_questions(path, question="question", context="context", answer="answer"):
    """A `Task` of `Question`s from a table with a header line, as in `read_task`; equal contexts stay on one side.

    Raises `UserError`, naming the line, for an empty cell and an answer that does not stand in its context.
    """
    found = []
    for number, row in read_table(path, (question, context, answer)):
        for name in (question, context, answer):
            if not row[name]:
                raise UserError(f"Line {number} of {path} has no {name}: fill it in, or take the line out.")
        start = row[context].find(row[answer])
        if start < 0:
            raise UserError(f"Line {number} of {path}: the answer {row[answer]!r} does not stand in its context: "
                            "copy it from there, letter for letter.")
        found.append(Question(row[question], row[context], row[answer], start))
    task = Task(Path(path).stem, (), *divide(found, lambda one: corpus.template(one.context)))
    if not (task.train and task.valid and task.test):
        raise UserError(f"{path} has too few contexts, {len(found)}: give some hundred.")
    return task


def check_sides(task):
    """The same task, if its sides can be trained on and judged with; else a `UserError`."""
    for side in ("train", "valid", "test"):
        if len({example.label for example in getattr(task, side)}) < 2:
            raise UserError(f"{task.name} has too few examples: of the {len(getattr(task, side))} that fall on the "
                            f"side {side!r} none or all are of one class. Give some hundred.")
    return task


def first(task, examples, seed=0):
    """The same task with only so many examples to train on, drawn by the seed; the other sides stay as they are."""
    if examples is None or examples >= len(task.train):
        return task
    return replace(task, train=random.Random(seed).sample(task.train, examples))
