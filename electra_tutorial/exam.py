"""The frozen exam: the same questions for every model and tokenizer, made once from held-out sentences.

Training's own scores compare nothing: a weak generator makes the game cheap, and a better one makes it
harder. The exam stands still. It is written in words, not in word pieces, so any tokenizer can sit it.

- easy: one word of a sentence is exchanged for a random word of the training text (drawn by how often words
  occur there).
- medium: for a word of like frequency and like ending.
- hard: minimal pairs. One word of a good sentence is changed so that the sentence is no longer English.

Who picks the best of many models by an exam flatters the winner: a part of its lead is luck with these very
questions. So a quarter of the questions choose (`Exam.part("choose")`: what a training run asks on its way, and
what recipes are compared by), and the others report.
"""
import json
import math
import os
import random
import re
from bisect import bisect_left
from collections import Counter
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from itertools import accumulate

from electra_tutorial.corpus import Corpus, hash_share, load_corpus, template
from electra_tutorial.minimal_pairs import make_pairs
from electra_tutorial.sources import cache_dir

VERSION = 1  # goes up when a rule changes, so that scores of different exams are never compared
QUESTIONS = 1500  # easy and medium, each
PAIRS = 3000  # hard, at most
CHOOSING = 0.25  # the share of the sentences whose questions choose; leaves over 2,000 pairs to report
SMALLEST_SPLIT = 1000  # easy questions below which an exam stays whole: a part of it would say little
SHORTEST, LONGEST = 5, 20  # words in a sentence
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")  # a run of letters and digits; "don't" is one word
# Words of one line stand for each other in any sentence: "He is old", "She is old". To exchange them makes
# no error.
ALIKE = [set(line.split()) for line in (
    "i you he she it we they", "me you him her it us them", "a the this that my your his her its our their",
    "is was", "are were", "and or but", "here there", "very so too",
    "can could will would may might must should",
)]


def word_spans(text):
    """Where each word stands: a list of (start, end) places in the text. Punctuation is no word."""
    return [match.span() for match in WORD.finditer(text)]


def normalised(text):
    """A sentence as its words in lower case, for asking whether it was seen before."""
    return " ".join(WORD.findall(text.lower()))


@dataclass(frozen=True)
class Replacement:
    """An easy or medium question: word number `position` of `before` is exchanged for `replacement`."""

    before: str
    position: int
    original: str
    replacement: str

    @property
    def sentence(self):
        """The sentence that the question was made of."""
        return self.before

    @property
    def after(self):
        """The sentence that the model gets to see."""
        start, end = word_spans(self.before)[self.position]
        return self.before[:start] + self.replacement + self.before[end:]


@dataclass(frozen=True)
class Pair:
    """A question of the hard part: which of the two sentences, one word apart, is English?"""

    phenomenon: str
    good: str
    bad: str

    @property
    def sentence(self):
        """The sentence that the question was made of."""
        return self.good


def chooses(sentence):
    """Whether questions about this sentence choose among models; the others report."""
    return hash_share("choose " + template(sentence)) < CHOOSING


@dataclass(frozen=True)
class Exam:
    """All questions. `easy` and `medium` are lists of `Replacement`, `hard` is a list of `Pair`."""

    name: str
    easy: list
    medium: list
    hard: list

    def to_json(self):
        """The exam as text, the same bytes each time."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=0) + "\n"

    @classmethod
    def from_json(cls, text):
        """The exam that `to_json` wrote."""
        data = json.loads(text)
        easy, medium = ([Replacement(**q) for q in data[part]] for part in ("easy", "medium"))
        return cls(data["name"], easy, medium, [Pair(**q) for q in data["hard"]])

    def part(self, name):
        """The exam of the questions that "choose" or that "report": an `Exam`. "all" is the whole one.

        The hash of a sentence's template (see `corpus.template`) decides, so that near-duplicates are on one
        side. A small exam is not split: both parts are the whole.
        """
        if name not in ("choose", "report", "all"):
            raise ValueError(f"An exam has no part {name!r}: say choose, report or all.")
        if name == "all" or len(self.easy) < SMALLEST_SPLIT:
            return self
        chosen = [[q for q in part if chooses(q.sentence) == (name == "choose")]
                  for part in (self.easy, self.medium, self.hard)]
        return Exam(self.name, *chosen)

    @property
    def sha256(self):
        """The fingerprint of all questions: two scores compare only if this is equal."""
        return sha256(self.to_json().encode()).hexdigest()


def make_exam(corpus, seed=0):
    """Make the exam of a corpus by seeded rules: the same in any process and for any order of its sentences.

    Replacements come from its held-out everyday sentences (all held-out text where there are none of that
    name), of 5 to 20 words; pairs likewise, or from the grammar for the grammar corpus. Small corpora get
    fewer questions. Returns an `Exam`: 1,500 easy, 1,500 medium questions, for the course some 3,000 pairs.
    """
    heldout = sorted(set(corpus.heldout.get("tatoeba") or sum(corpus.heldout.values(), [])))
    training = [line for lines in corpus.train.values() for line in lines]
    vocabulary, seen = Vocabulary.count(training), {normalised(line) for line in [*training, *heldout]}
    sentences = [s for s in heldout if SHORTEST <= len(word_spans(s)) <= LONGEST]
    parts = []
    for part, choose in (("easy", vocabulary.random_word), ("medium", vocabulary.similar_word)):
        rng = random.Random(f"{part} {seed}")
        parts.append(replace_words(rng.sample(sentences, len(sentences)), vocabulary, choose, seen, rng))
    if corpus.name == "grammar":
        from electra_tutorial.grammar import minimal_pairs

        hard = [p for p in minimal_pairs(PAIRS, seed) if not seen & {normalised(p[1]), normalised(p[2])}]
    else:
        hard = make_pairs(sentences, training, lambda text: normalised(text) in seen, seed)
    return Exam(corpus.name, *parts, [Pair(*pair) for pair in hard])


def load_exam(corpus="course"):
    """The exam of a corpus (a `Corpus` or the name of one), made at first use and kept in the cache.

    The file's name carries the version of the rules and a fingerprint of the text, so it never belongs to
    another corpus. A corpus of your own gets an exam of its own: the course's would ask about text that
    your model never read.
    """
    corpus = corpus if isinstance(corpus, Corpus) else load_corpus(corpus)
    path = cache_dir() / "exams" / f"v{VERSION}-{fingerprint(corpus)}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.tmp")
        unfinished.write_text(make_exam(corpus).to_json(), encoding="utf-8")
        unfinished.replace(path)  # all or nothing, also when two processes make it at once
    return Exam.from_json(path.read_text(encoding="utf-8"))


def fingerprint(corpus):
    """Twelve hexadecimal digits over the name of a corpus and all its sentences."""
    digest = sha256(corpus.name.encode())
    for part in (corpus.train, corpus.heldout):
        for source in sorted(part):
            digest.update("\n".join([source, *part[source], ""]).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:12]


@dataclass
class Vocabulary:
    """The lower-case words of the training text, counted. No names: a name for a name is no error."""

    words: list  # sorted, so that everything drawn from it is reproducible
    counts: dict

    @classmethod
    def count(cls, lines):
        words = (word for line in lines for word in WORD.findall(line))
        counts = Counter(word for word in words if word.islower() and word.isalpha())
        return cls(sorted(counts), counts)

    @cached_property
    def heights(self):
        """Cumulative counts: a random height falls on a word as often as the word occurs in running text."""
        return list(accumulate(self.counts[word] for word in self.words))

    @cached_property
    def endings(self):
        """Last 3 letters, or last 2 -> the words that end so."""
        groups = {}
        for word in self.words:
            for size in (2, 3):
                if len(word) > size:
                    groups.setdefault(word[-size:], []).append(word)
        return groups

    def rarity(self, word):
        """The logarithm of the count to the base 2, in whole steps: words in the same step are of like
        frequency.
        """
        return int(math.log2(self.counts[word]))

    def random_word(self, word, rng):
        """Any word of the running text, so mostly a common one."""
        return self.words[bisect_left(self.heights, rng.randrange(self.heights[-1]) + 1)]

    def similar_word(self, word, rng):
        """A word of like frequency with the same last 3 letters, or the same last 2, else None."""
        for size in (3, 2):
            for distance in (0, 1):
                near = [
                    other for other in self.endings.get(word[-size:], [])
                    if other != word and abs(self.rarity(other) - self.rarity(word)) <= distance
                ]
                if near:
                    return rng.choice(near)
        return None


def replace_words(sentences, vocabulary, choose, seen, rng, questions=QUESTIONS):
    """One question a sentence, of the first sentences that allow one: a random word exchanged for
    `choose(word, rng)`.

    A result that stands in the corpus (`seen`) is no error, so it is not asked.
    """
    found = []
    for sentence in sentences[: 2 * questions]:
        spans = word_spans(sentence)
        for position in rng.sample(range(len(spans)), len(spans)):
            question = exchange(sentence, position, vocabulary, choose, rng)
            if question and normalised(question.after) not in seen:
                found.append(question)
                break
    return found[:questions]


def exchange(sentence, position, vocabulary, choose, rng):
    """The question in which word number `position` is exchanged, or None if it is a name, a number or finds
    no other.
    """
    start, end = word_spans(sentence)[position]
    original = sentence[start:end]
    word = original.lower()
    other = choose(word, rng) if word in vocabulary.counts else None
    if other is None or other == word or any({other, word} <= alike for alike in ALIKE):
        return None
    return Replacement(sentence, position, original, other.capitalize() if original[0].isupper() else other)
