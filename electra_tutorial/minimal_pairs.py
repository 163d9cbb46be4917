"""Minimal pairs: a good sentence, and the same with one word changed so that it is no longer English.

A rule is a pattern with closed word lists and one group `x`, the word to be changed, and a function that
says what it becomes. Rules are narrow on purpose: better to pass a sentence over than to call good English
bad. What is a verb, what is a noun and which words take "an" is read off the training text.
"""
import random
import re
from collections import Counter
from dataclasses import dataclass

MOST_OF_ONE = 420  # pairs of one phenomenon, so that none of them decides the score
MOST_OF_EDIT = 60  # pairs that exchange the same two words ("think", "thinks"), for variety
FEW_EDITS = {"a or an", "subject noun", "there is"}  # where the variety is in the rest of the sentence
OFTEN = 3  # a form must stand in the training text this often before we believe in it
TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)?")

# --- closed word lists ------------------------------------------------------------------------------------
SUBJECT = "i you he she it we they".split()
MODAL = (
    "can could will would should must might can't won't couldn't wouldn't shouldn't don't doesn't didn't"
).split()
WANT = (
    "want wants wanted need needs needed have has had like try tried decided able going began started how "
    "used"
).split()
QUESTION = "where what when why how who".split()
ADVERB = "always never often really usually still also".split()  # may stand between subject and verb
DETERMINER = "the this these those my his her our your their".split()
PREPOSITION = "with for to from about at of without against behind near towards".split()
PLACE = "of in on at with for from near behind".split()
TAKES_PERSON = (
    "tell told ask asked help helped give gave let call called show showed saw love loved met visit invited"
).split()
MASS = (
    "money time water work help food sugar rain noise trouble snow coffee milk homework information advice "
    "traffic"
).split()
OTHER_BE = {
    "am": "are", "are": "is", "is": "are", "isn't": "aren't", "aren't": "isn't",
    "was": "were", "were": "was", "wasn't": "weren't", "weren't": "wasn't",
    "has": "have", "have": "has", "hasn't": "haven't", "haven't": "hasn't",
    "does": "do", "do": "does", "doesn't": "don't", "don't": "doesn't",
}
PLURAL_BE = {"are", "aren't", "were", "weren't", "have", "haven't", "do", "don't"}
NOMINATIVE = {"him": "he", "her": "she", "me": "I", "us": "we", "them": "they"}
OBJECTIVE = {"he": "him", "she": "her", "i": "me", "we": "us", "they": "them"}
SELF = {
    "i": "myself", "he": "himself", "she": "herself", "we": "ourselves", "they": "themselves",
    "tom": "himself", "mary": "herself",
}
IRREGULAR_NOUNS = {"man": "men", "woman": "women", "child": "children", "foot": "feet", "tooth": "teeth"}
# Nouns that take either number ("my family are", "the police is"), or change their meaning with it.
NO_NOUNS = set(
    "family team police government staff crowd group class band company public audience crew pair "
    "couple number lot rest majority committee people data press club army enemy dozen hundred "
    "thousand million series means news school other cost".split()
)
# Verbs that are adjectives or nouns too: "is closing" and "is close", "is working" and "is work" are both
# good.
ALSO_NO_VERBS = set(
    "open close clean dry live free empty slow warm cool clear calm present separate complete "
    "welcome mean lie work play fine land last like rain snow stand fun drive study love hope cook "
    "guess show fire".split()
)
SAME_IN_THE_PAST = set("read put set let cut hit hurt cost quit shut spread come become run".split())
# Irregular verbs whose participle and past tense differ: base form, participle, past tense.
IRREGULAR_VERBS = [entry.split() for entry in (
    "begin begun began, break broken broke, choose chosen chose, do done did, drink drunk drank, drive "
    "driven drove, eat eaten ate, fall fallen fell, fly flown flew, forget forgotten forgot, forgive "
    "forgiven forgave, freeze frozen froze, give given gave, go gone went, grow grown grew, hide hidden "
    "hid, know known knew, ride ridden rode, rise risen rose, see seen saw, shake shaken shook, sing sung "
    "sang, speak spoken spoke, steal stolen stole, swim swum swam, take taken took, throw thrown threw, "
    "wake woken woke, wear worn wore, write written wrote, come come came, become become became, run run "
    "ran"
).split(",")]
PAST = {base: past for base, _, past in IRREGULAR_VERBS}
PAST_OF_PARTICIPLE = {participle: past for _, participle, past in IRREGULAR_VERBS} | {"been": "be"}
# After a noun comes one of these, or nothing: so "a sport car" is no question about "sport".
AFTER_NOUN = (
    "in on at of for from with to by about after before near under over behind into is was are were has "
    "had will can and or but that which who when if because while every last yesterday today tonight "
    "tomorrow now again here there ago too"
).split()
AFTER_VERB = (
    "the a an my his her our your their to me him us them in on at for from very well too like every"
).split()
QUANTITY = "few|lot|number|couple|dozen|hundred|thousand|million|great many|good many|variety|bunch|handful"


# --- pieces of patterns -----------------------------------------------------------------------------------
def one_of(words):
    """Matches one of the words and the space after it."""
    return f"(?:{'|'.join(words)}) "


def maybe(words):
    """Matches one of the words and the space after it, or nothing."""
    return f"(?:{one_of(words)})?"


def x(words=("[a-z]+",)):
    """Matches the word that is to be changed: one of these, or any."""
    return f"(?P<x>{'|'.join(words)})\\b"


def before(words):
    """Holds at the end of a clause, or before one of the words."""
    return rf"(?=[.,!?]|$| (?:{'|'.join(words)})\b)"


NOUN = "(?P<n>[a-z]+)"
# "If I were", "I suggest that he go", "it makes him go": there, another form is right too.
INDICATIVE = r"^(?!.*\b(?:if|wish|though|suggest\w*|insist\w*|demand\w*|recommend\w*|ask\w*|let|ma[dk]es?)\b)"
CLAUSE = r"(?:.*(?:, |\b(?:because|when|where|what|how|but|so|and) ))?"
NO_PERSON = "(?!me |him |her |us |them |you |that |i |he |she |we |they )"


# --- forms of words ---------------------------------------------------------------------------------------
def add_s(word):
    """The s-form of a verb, or the plural of a noun, by spelling: go -> goes, try -> tries, look -> looks."""
    if word == "have":
        return "has"
    if re.search(r"(s|x|z|ch|sh|[^aeiou]o)$", word):
        return word + "es"
    return word[:-1] + "ies" if re.search(r"[^aeiou]y$", word) else word + "s"


def stems(word, ending):
    """What may stand before an ending: making -> mak, make; running -> runn, run; happier -> happi, happy."""
    stem = word[: -len(ending)]
    return [stem, stem + "e", stem[:-1], stem[:-1] + "y" if stem.endswith("i") else stem]


def count_followers(lines):
    """For each word a Counter of the words that follow it: {word: {next word: how often}}."""
    pairs = Counter()
    for line in lines:
        words = TOKEN.findall(line.lower())
        pairs.update(zip(words, words[1:], strict=False))
    followers = {}
    for (first, second), count in sorted(pairs.items()):
        followers.setdefault(first, Counter())[second] = count
    return followers


@dataclass
class Lexicon:
    """The forms that the rules need, as the training text uses them: dictionaries from one form to the
    other.
    """

    with_s: dict  # base form of a verb -> with -s
    gerund_of: dict  # with -ing -> base form
    plural: dict  # singular noun -> plural
    article: dict  # word -> "a" or "an", if only one of them ever stands before it
    comparative: dict  # adjective -> with -er

    def __post_init__(self):
        self.without_s = {form: base for base, form in self.with_s.items()}
        self.singular = {form: base for base, form in self.plural.items()}
        self.positive = {form: base for base, form in self.comparative.items()}

    @classmethod
    def read(cls, lines):
        """Read it off the lines of a text."""
        followers = count_followers(lines)

        def after(*words):
            return sum((followers.get(word, Counter()) for word in words), Counter())

        with_s = find_verbs(after(*MODAL), after("he", "she", "it"))
        verbs = set(with_s) - ALSO_NO_VERBS - SAME_IN_THE_PAST
        gerund_of = {w: s for w in after("am", "is", "are", "was", "were") if w.endswith("ing")
                     for s in stems(w, "ing") if s in verbs}
        many = after("these", "those", "many", "two", "three", "few")
        plural = find_nouns(after("a", "an", "this", "every"), many)
        a, an, very = after("a"), after("an"), after("very", "so", "too", "as")
        article = {w: "a" if a[w] else "an" for w in a + an if a[w] + an[w] >= OFTEN and not a[w] * an[w]}
        compared = [word for word in sorted(followers) if word.endswith("er") and followers[word]["than"]]
        comparative = {s: word for word in compared for s in stems(word, "er") if very[s] >= OFTEN}
        return cls(with_s, gerund_of, plural, article, comparative | {"good": "better", "bad": "worse"})


def find_verbs(after_modal, after_he):
    """A verb stands after "can" and, with -s, after "he": {base form: s-form}."""
    verbs = {word: add_s(word) for word in after_modal if len(word) > 1 and word not in ("be", "do", "have")}
    return {w: form for w, form in verbs.items() if after_modal[w] >= OFTEN and after_he[form] >= OFTEN}


def find_nouns(after_a, after_many):
    """A noun stands after "a" and, in another form, after "many": {singular: plural}."""
    nouns = {word: IRREGULAR_NOUNS.get(word, add_s(word)) for word in after_a if after_a[word] >= OFTEN}
    return {
        word: form for word, form in nouns.items()
        if after_many[form] >= OFTEN and after_a[form] == 0 and word not in NO_NOUNS
    }


# --- what the word x becomes: (match, lexicon, rng) -> a word, or None where the rule does not hold -------
def without_s(m, lexicon, rng):
    """Not "she read": that may be the past."""
    base = lexicon.without_s.get(m["x"])
    return base if base not in SAME_IN_THE_PAST else None


def with_s(m, lexicon, rng):
    return lexicon.with_s.get(m["x"]) if m["x"] not in SAME_IN_THE_PAST else None


def other_be(m, lexicon, rng):
    return OTHER_BE[m["x"]]


def other_number(m, lexicon, rng):
    """The verb in the other number, if the noun n agrees with it now."""
    if m["x"] in OTHER_BE:
        nouns = lexicon.singular if m["x"] in PLURAL_BE else lexicon.plural
        return OTHER_BE[m["x"]] if m["n"] in nouns else None
    if m["n"] in lexicon.singular:
        return with_s(m, lexicon, rng)
    return without_s(m, lexicon, rng) if m["n"] in lexicon.plural else None


def singular_be(m, lexicon, rng):
    return OTHER_BE[m["x"]] if m["n"] in lexicon.singular else None


def to_plural(m, lexicon, rng):
    return lexicon.plural.get(m["x"])


def to_singular(m, lexicon, rng):
    return lexicon.singular.get(m["x"])


def other_determiner(m, lexicon, rng):
    """this book -> these book; these books -> this books; many books -> much books."""
    if m["n"] in lexicon.plural:
        return {"this": "these"}.get(m["x"])
    return {"these": "this", "many": "much"}.get(m["x"]) if m["n"] in lexicon.singular else None


def to_many(m, lexicon, rng):
    return "many"


def not_base(m, lexicon, rng):
    """A form that no auxiliary takes: "can swim" becomes "can swims" or, where it is another form, "can
    swam".
    """
    if m["x"] in lexicon.with_s:
        return rng.choice([lexicon.with_s[m["x"]], PAST.get(m["x"], lexicon.with_s[m["x"]])])


def not_participle(m, lexicon, rng):
    return PAST_OF_PARTICIPLE[m["x"]]


def not_gerund(m, lexicon, rng):
    return lexicon.gerund_of.get(m["x"])


def to_nominative(m, lexicon, rng):
    return NOMINATIVE[m["x"]]


def to_objective(m, lexicon, rng):
    return OBJECTIVE[m["x"]]


def other_article(m, lexicon, rng):
    return {"a": "an", "an": "a"}[m["x"]] if lexicon.article.get(m["n"]) == m["x"] else None


def other_self(m, lexicon, rng):
    """A reflexive of another person. Not "themselves" for Tom, who may be "they" these days."""
    if SELF[m["n"]] != m["x"]:
        return None
    others = ["myself", "ourselves"] if m["n"] in ("tom", "mary") else ["myself", "ourselves", "themselves"]
    return rng.choice([other for other in others if other != m["x"]])


def to_positive(m, lexicon, rng):
    return lexicon.positive.get(m["x"])


def to_comparative(m, lexicon, rng):
    return lexicon.comparative.get(m["x"])


# --- the rules --------------------------------------------------------------------------------------------
RULES = {  # phenomenon -> list of (pattern for a sentence in lower case, change)
    "verb agreement": [
        (INDICATIVE + CLAUSE + one_of(["he", "she", "it"]) + maybe(ADVERB) + x(), without_s),
        ("^" + CLAUSE + one_of(["i", "you", "we", "they"]) + maybe(ADVERB) + x(), with_s),
    ],
    "be, have, do": [
        (INDICATIVE + CLAUSE + one_of(SUBJECT) + x(OTHER_BE), other_be),
        (INDICATIVE + maybe(QUESTION) + x(OTHER_BE) + " " + one_of(SUBJECT), other_be),
    ],
    "subject noun": [
        (INDICATIVE + one_of(DETERMINER) + "(?:[a-z]+ )?" + NOUN + " " + x(OTHER_BE), other_number),
        (INDICATIVE + one_of(DETERMINER) + NOUN + " " + one_of(PLACE)
         + maybe(DETERMINER + ["a"]) + "[a-z]+ " + x(OTHER_BE), other_number),
        (INDICATIVE + one_of(DETERMINER) + "(?:[a-z]+ )?" + NOUN + " " + x() + before(AFTER_VERB),
         other_number),
    ],
    "determiner": [
        (r"\b" + one_of("a an one every each another this".split()) + x() + before(AFTER_NOUN), to_plural),
        (r"\b" + one_of("these those many several two three four five six ten few".split()) + x()
         + before(AFTER_NOUN), to_singular),
        (r"\b" + x(["this", "these", "many"]) + " (?:[a-z]+ )??" + NOUN + before(AFTER_NOUN),
         other_determiner),
        (r"\b" + x(["much"]) + f" (?:{'|'.join(MASS)})" + r"\b", to_many),
    ],
    "verb after auxiliary": [
        (r"\b" + one_of(SUBJECT) + one_of(MODAL) + x(), not_base),
        (r"\b" + one_of([*MODAL, "did", "does", "do"]) + one_of(SUBJECT) + x(), not_base),
        (r"\b" + one_of(WANT) + "to " + x(), not_base),
    ],
    "participle": [
        (r"\b" + one_of("has have had haven't hasn't hadn't i've you've we've they've".split())
         + maybe("never already just ever always".split()) + x(PAST_OF_PARTICIPLE), not_participle),
        (r"\b" + one_of("i'm he's she's it's we're you're they're am are is was were".split())
         + maybe(["not", "still"]) + x() + before(AFTER_VERB), not_gerund),
    ],
    "pronoun case": [
        (r"\b" + one_of(PREPOSITION + TAKES_PERSON) + x(NOMINATIVE), to_nominative),
        ("^" + x(["he", "i", "we", "they"]) + " [a-z]", to_objective),
        ("^" + x(["she"]) + " " + one_of(  # only these, for "her plans" is as good as "she plans"
            "is was has had will can could would should didn't doesn't isn't must".split()), to_objective),
    ],
    "a or an": [(r"\b" + x(["a", "an"]) + " " + NOUN + r"\b", other_article)],
    "there is": [
        (r"\bthere " + x(["is", "was", "isn't", "wasn't"]) + f" an? (?!{QUANTITY})", other_be),
        ("^" + x(["is", "was", "isn't", "wasn't"]) + f" there an? (?!{QUANTITY})", other_be),
        (r"\bthere " + x(["are", "were", "aren't", "weren't"]) + " (?!a )(?:[a-z]+ ){0,3}?" + NOUN
         + before(AFTER_NOUN), singular_be),
    ],
    "reflexive": [
        (f"^(?P<n>{'|'.join(SELF)}) (?:{NO_PERSON}[a-z']+ )+" + x(dict.fromkeys(SELF.values())), other_self),
    ],
    "comparison": [
        (r"\b" + x() + " than ", to_positive),
        (r"\bas " + x() + " as ", to_comparative),
    ],
}
RULES = [(name, re.compile(pattern), change) for name, rules in RULES.items() for pattern, change in rules]


# --- making the pairs -------------------------------------------------------------------------------------
def edits(sentence, lexicon, rng):
    """What the rules make of a sentence: yields (phenomenon, the word, what it becomes, the bad sentence)."""
    lower, made = sentence.lower().replace("’", "'"), set()
    for phenomenon, pattern, change in RULES:
        match = pattern.search(lower)
        form = change(match, lexicon, rng) if match else None
        if form:
            start, end = match.span("x")
            word = sentence[start:end]
            shown = form.capitalize() if start == 0 or (word.istitle() and word != "I") else form
            bad = sentence[:start] + shown + sentence[end:]
            if bad not in made:  # two rules may agree
                made.add(bad)
                yield phenomenon, word.lower(), form, bad


def make_pairs(sentences, training, seen, seed=0):
    """Minimal pairs from good sentences: a shuffled list of (phenomenon, good, bad).

    `training`: the lines that the lexicon is read off. `seen(text)`: whether a sentence stands in the
    corpus; no bad one does. A phenomenon has at most 420 pairs, and at most 60 that exchange the same two
    words.
    """
    lexicon, rng = Lexicon.read(training), random.Random(f"pairs {seed}")
    found, edit_counts = {}, Counter()
    for sentence in rng.sample(sentences, len(sentences)):
        for phenomenon, word, form, bad in edits(sentence, lexicon, rng):
            pairs, edit = found.setdefault(phenomenon, []), (phenomenon, word, form)
            enough = edit_counts[edit] >= MOST_OF_EDIT and phenomenon not in FEW_EDITS
            if not enough and len(pairs) < MOST_OF_ONE and not seen(bad):
                edit_counts[edit] += 1
                pairs.append((phenomenon, sentence, bad))
    pairs = [pair for phenomenon in sorted(found) for pair in found[phenomenon]]
    return rng.sample(pairs, len(pairs))
