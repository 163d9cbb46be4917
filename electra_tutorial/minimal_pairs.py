"""Minimal pairs: a good sentence, and the same with one word changed so that it is no longer English.

A rule is a pattern with closed word lists and one group `x`, the word to be changed, and a function that says what it
becomes. Rules are narrow on purpose: better to pass a sentence over than to call good English bad. What is a verb, what is
a noun and which words take "an" is read off the training text.
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

# --- closed word lists ----------------------------------------------------------------------------------------------
MODAL = ("can could will would should must might can't won't couldn't wouldn't shouldn't don't doesn't didn't").split()
SUBJECT = "I you he she it we they".lower().split()
WANT = "want wants wanted need needs needed have has had like try tried decided able going began started how used".split()
OFTEN_WORDS = "always never often really usually still also".split()  # may stand between subject and verb
DETERMINER = "the this these those my his her our your their".split()
PREPOSITION = "with for to from about at of without against behind near towards".split()
TAKES_PERSON = "tell told ask asked help helped give gave let call called show showed saw love loved met visit invited".split()
MASS = "money time water work help food sugar rain noise trouble snow coffee milk homework information advice traffic".split()
OTHER_BE = {"am": "are", "are": "is", "is": "are", "was": "were", "were": "was", "isn't": "aren't", "aren't": "isn't",
            "wasn't": "weren't", "weren't": "wasn't", "has": "have", "have": "has", "hasn't": "haven't",
            "haven't": "hasn't", "does": "do", "do": "does", "doesn't": "don't", "don't": "doesn't"}
PLURAL_BE = {"are", "were", "have", "don't", "do", "aren't", "weren't", "haven't"}
NOMINATIVE = {"him": "he", "her": "she", "me": "I", "us": "we", "them": "they"}
OBJECTIVE = {"he": "him", "she": "her", "i": "me", "we": "us", "they": "them"}
SELF = {"i": "myself", "he": "himself", "she": "herself", "we": "ourselves", "they": "themselves", "tom": "himself",
        "mary": "herself"}
IRREGULAR_NOUNS = {"man": "men", "woman": "women", "child": "children", "foot": "feet", "tooth": "teeth"}
# Take either number ("my family are", "the police is"), or change their meaning with it.
NO_NOUNS = set(
    "family team police government staff crowd group class band company public audience crew pair couple number lot rest "
    "majority committee people data press club army enemy dozen hundred thousand million series means news school other "
    "cost".split())
# "is closing" and "is close", "is working" and "is work" are both good.
ADJECTIVES = set(
    "open close clean dry live free empty slow warm cool clear calm present separate complete welcome mean lie work play "
    "fine land last like rain snow stand fun hurt run drive study love hope cook guess show fire".split())
# base form, participle, past tense, where all three or the last two differ
VERBS = """be been was, begin begun began, break broken broke, choose chosen chose, do done did, drink drunk drank,
drive driven drove, eat eaten ate, fall fallen fell, fly flown flew, forget forgotten forgot, forgive forgiven forgave,
freeze frozen froze, give given gave, go gone went, grow grown grew, hide hidden hid, know known knew, ride ridden rode,
rise risen rose, see seen saw, shake shaken shook, sing sung sang, speak spoken spoke, steal stolen stole, swim swum swam,
take taken took, throw thrown threw, wake woken woke, wear worn wore, write written wrote, come come came,
become become became, run run ran"""
VERBS = [entry.split() for entry in VERBS.replace("\n", " ").split(",")]
PAST = {base: past for base, _, past in VERBS}
PAST_OF_PARTICIPLE = {participle: past for _, participle, past in VERBS} | {"been": "be"}
SAME_IN_THE_PAST = set("read put set let cut hit hurt cost quit shut spread come become run".split())
# After a noun comes one of these, or nothing: so "a sport car" is no question about "sport".
AFTER_NOUN = (
    "in on at of for from with to by about after before near under over behind into is was are were has had will can and or "
    "but that which who when if because while every last yesterday today tonight tomorrow now again here there ago too")
AFTER_VERB = "the a an my his her our your their to me him us them in on at for from very well too like every with"


def one_of(words, optional=False):
    """The part of a pattern that matches any of the words (a list, or a text of words), or none if optional."""
    words = words.split() if isinstance(words, str) else words
    return f"(?:{'|'.join(words)}) " if not optional else f"(?:(?:{'|'.join(words)}) )?"


def x(words="[a-z]+"):
    """The part of a pattern that matches the word to be changed."""
    return f"(?P<x>{words if isinstance(words, str) else '|'.join(words)})\\b"


NOUN = "(?P<n>[a-z]+)"
ENDS_NOUN = rf"(?=[.,!?]|$| (?:{AFTER_NOUN.replace(' ', '|')})\b)"
ENDS_VERB = rf"(?=[.,!?]|$| (?:{AFTER_VERB.replace(' ', '|')})\b)"
# "If I were", "I suggest that he go": where another form is right too.
INDICATIVE = r"^(?!.*\b(?:if|wish|though|suggest\w*|insist\w*|demand\w*|recommend\w*|ask\w*|let|make|makes|made)\b)"
CLAUSE = INDICATIVE + r"(?:.*(?:, |\b(?:because|when|where|what|how|but|so|and) ))?"


# --- forms of words -------------------------------------------------------------------------------------------------
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


@dataclass
class Lexicon:
    """The forms that the rules need, as the training text uses them: dictionaries from one form to the other."""

    with_s: dict  # base form of a verb -> with -s
    without_s: dict
    gerund_of: dict  # with -ing -> base form
    plural: dict  # singular noun -> plural
    singular: dict
    article: dict  # word -> "a" or "an", if only one of them stands before it
    comparative: dict  # adjective -> with -er
    positive: dict

    @classmethod
    def read(cls, lines):
        """Read it off the lines: a verb stands after "can" and, with -s, after "he"; a noun after "a" and "many"."""
        after, than = count_neighbours(lines)
        verb, third, going = after(*MODAL), after("he", "she", "it"), after("am", "is", "are", "was", "were")
        with_s = {w: add_s(w) for w in verb if len(w) > 1 and verb[w] >= OFTEN and third[add_s(w)] >= OFTEN}
        with_s = {w: s for w, s in with_s.items() if w not in ("be", "do", "have")}
        gerunds = {w: s for w in going if w.endswith("ing") for s in stems(w, "ing") if s in with_s and s not in ADJECTIVES | SAME_IN_THE_PAST}
        noun, many = after("a", "an", "this", "every"), after("these", "those", "many", "two", "three", "few", "several")
        plural = {w: IRREGULAR_NOUNS.get(w, add_s(w)) for w in noun if noun[w] >= OFTEN and w not in NO_NOUNS}
        plural = {w: p for w, p in plural.items() if many[p] >= OFTEN and noun[p] == 0}
        a, an = after("a"), after("an")
        article = {w: "a" if a[w] else "an" for w in a + an if a[w] + an[w] >= OFTEN and not a[w] * an[w]}
        very = after("very", "so", "too", "as")
        comparative = {s: w for w in than if w.endswith("er") for s in stems(w, "er") if very[s] >= OFTEN}
        comparative |= {"good": "better", "bad": "worse"}
        return cls(with_s, invert(with_s), gerunds, plural, invert(plural), article, comparative, invert(comparative))


def invert(forms):
    return {form: base for base, form in forms.items()}


def count_neighbours(lines):
    """Two views of the pairs of neighbouring words: after(*words) -> Counter of what follows them, and of what precedes "than"."""
    pairs = Counter()
    for line in lines:
        words = TOKEN.findall(line.lower())
        pairs.update(zip(words, words[1:], strict=False))
    followers, than = {}, Counter()
    for (first, second), count in sorted(pairs.items()):
        followers.setdefault(first, Counter())[second] = count
        if second == "than":
            than[first] = count
    return lambda *words: sum((followers.get(word, Counter()) for word in words), Counter()), than


# --- what the word x becomes: change(match, lexicon, rng) -> a word, or None where the rule does not hold -----------------
def without_s(m, lex, rng):
    return lex.without_s.get(m["x"])


def with_s(m, lex, rng):
    return lex.with_s.get(m["x"]) if m["x"] not in SAME_IN_THE_PAST else None


def other_be(m, lex, rng):
    return OTHER_BE[m["x"]]


def other_number(m, lex, rng):
    """The verb of the noun n in the other number, if n is a noun that agrees with it now."""
    if m["x"] in OTHER_BE:
        return OTHER_BE[m["x"]] if m["n"] in (lex.singular if m["x"] in PLURAL_BE else lex.plural) else None
    return lex.with_s.get(m["x"]) if m["n"] in lex.singular else lex.without_s.get(m["x"]) if m["n"] in lex.plural else None


def to_plural(m, lex, rng):
    return lex.plural.get(m["x"])


def to_singular(m, lex, rng):
    return lex.singular.get(m["x"])


def other_determiner(m, lex, rng):
    """this book -> these book, these books -> this books, many books -> much books."""
    return {"this": "these"}.get(m["x"]) if m["n"] in lex.plural else {"these": "this", "many": "much"}.get(m["x"]) \
        if m["n"] in lex.singular else None


def other_article(m, lex, rng):
    return {"a": "an", "an": "a"}[m["x"]] if lex.article.get(m["n"]) == m["x"] else None


def not_base(m, lex, rng):
    """A form that no auxiliary takes: "can swim" becomes "can swims" or, if the past has a form of its own, "can swam"."""
    return rng.choice([lex.with_s[m["x"]], PAST.get(m["x"], lex.with_s[m["x"]])]) if m["x"] in lex.with_s else None


def not_self(m, lex, rng):
    """A reflexive of another person: "he ... himself" becomes "he ... myself"; Tom may be "themselves" these days."""
    if SELF[m["n"]] != m["x"]:
        return None
    return rng.choice([s for s in ("myself", "ourselves", "themselves") if s[:2] != m["x"][:2]][: None if len(m["n"]) < 3 else 2])


def are_nouns(m, lex, rng):
    return OTHER_BE[m["x"]] if m["n"] in lex.singular else None


RULES = [  # (phenomenon, pattern, change)
    ("verb agreement", CLAUSE + one_of("he she it") + one_of(OFTEN_WORDS, True) + x(), without_s),
    ("verb agreement", r"^(?:.*(?:, |\b(?:because|when|where|what|how|but|so|and|if|that) ))?" + one_of("i you we they")
     + one_of(OFTEN_WORDS, True) + x(), with_s),
    ("be, have, do", CLAUSE + one_of(SUBJECT) + x(OTHER_BE), other_be),
    ("be, have, do", INDICATIVE + one_of("where what when why how who", True) + x(OTHER_BE) + " " + one_of(SUBJECT), other_be),
    ("subject noun", INDICATIVE + one_of(DETERMINER) + "(?:[a-z]+ )?" + NOUN + " " + x(OTHER_BE), other_number),
    ("subject noun", INDICATIVE + one_of(DETERMINER) + NOUN + " " + one_of("of in on at with for from near behind")
     + one_of(DETERMINER + ["a"], True) + "[a-z]+ " + x(OTHER_BE), other_number),
    ("subject noun", INDICATIVE + one_of(DETERMINER) + "(?:[a-z]+ )?" + NOUN + " " + x() + ENDS_VERB, other_number),
    ("determiner", r"\b" + one_of("a an one every each another this") + x() + ENDS_NOUN, to_plural),
    ("determiner", r"\b" + one_of("these those many several two three four five six ten few") + x() + ENDS_NOUN, to_singular),
    ("determiner", r"\b" + x("this|these|many") + " (?:[a-z]+ )?" + NOUN + ENDS_NOUN, other_determiner),
    ("determiner", r"\b" + x("much") + " " + one_of(MASS)[:-1] + r"\b", lambda m, lex, rng: "many"),
    ("verb after auxiliary", r"\b" + one_of(SUBJECT) + one_of(MODAL) + x(), not_base),
    ("verb after auxiliary", r"\b" + one_of([*MODAL, "did", "does", "do"]) + one_of(SUBJECT) + x(), not_base),
    ("verb after auxiliary", r"\b" + one_of(WANT) + "to " + x(), not_base),
    ("participle", r"\b" + one_of("has have had haven't hasn't hadn't i've you've we've they've")
     + one_of("never already just ever always", True) + x(PAST_OF_PARTICIPLE), lambda m, lex, rng: PAST_OF_PARTICIPLE[m["x"]]),
    ("participle", r"\b" + one_of("i'm he's she's it's we're you're they're am are is was were") + one_of("not still", True)
     + x() + ENDS_VERB, lambda m, lex, rng: lex.gerund_of.get(m["x"])),
    ("pronoun case", r"\b" + one_of(PREPOSITION + TAKES_PERSON) + x(NOMINATIVE), lambda m, lex, rng: NOMINATIVE[m["x"]]),
    ("pronoun case", "^" + x("he|i|we|they") + " [a-z]", lambda m, lex, rng: OBJECTIVE[m["x"]]),
    ("pronoun case", "^" + x("she") + " " + one_of("is was has had will can could would should didn't doesn't isn't must"),
     lambda m, lex, rng: OBJECTIVE[m["x"]]),
    ("a or an", r"\b" + x("a|an") + " " + NOUN + r"\b", other_article),
    ("there is", r"\bthere " + x("is|was|isn't|wasn't")
     + " an? (?!few|lot|number|couple|dozen|hundred|thousand|million|great many|good many|variety|total|bunch|handful|series)", other_be),
    ("there is", "^" + x("is|was|isn't|wasn't") + " there an? (?!lot|number|few|couple)", other_be),
    ("there is", r"\bthere " + x("are|were|aren't|weren't") + " (?!a )(?:[a-z]+ ){0,3}" + NOUN + ENDS_NOUN, are_nouns),
    ("reflexive", f"^(?P<n>{'|'.join(SELF)}) " + r"(?:(?!me |him |her |us |them |you |that |i |he |she |we |they )[a-z']+ )+"
     + x({s: 1 for s in SELF.values()}), not_self),
    ("comparison", r"\b" + x() + " than ", lambda m, lex, rng: lex.positive.get(m["x"])),
    ("comparison", r"\bas " + x() + " as ", lambda m, lex, rng: lex.comparative.get(m["x"])),
]
RULES = [(phenomenon, re.compile(pattern), change) for phenomenon, pattern, change in RULES]


# --- making the pairs -----------------------------------------------------------------------------------------------
def edits(sentence, lexicon, rng):
    """What the rules make of one sentence: (phenomenon, the word, what it becomes, the bad sentence), at most one a rule."""
    lower, bad_ones = sentence.lower().replace("’", "'"), set()
    for phenomenon, pattern, change in RULES:
        match = pattern.search(lower)
        form = change(match, lexicon, rng) if match else None
        if form:
            start, end = match.span("x")
            word = sentence[start:end]
            shown = form.capitalize() if start == 0 or (word.istitle() and word != "I") else form
            bad = sentence[:start] + shown + sentence[end:]
            if bad not in bad_ones:  # two rules may agree
                bad_ones.add(bad)
                yield phenomenon, word, form, bad


def make_pairs(sentences, training, seen, seed=0):
    """Minimal pairs from good sentences: a shuffled list of (phenomenon, good, bad), at most 420 of a phenomenon.

    `training`: the lines that the lexicon is read off; `seen(text)`: whether a sentence stands in the corpus. No bad one does.
    """
    lexicon, rng = Lexicon.read(training), random.Random(f"pairs {seed}")
    found, edit_counts = {}, Counter()
    for sentence in rng.sample(sentences, len(sentences)):
        for phenomenon, word, form, bad in edits(sentence, lexicon, rng):
            pairs = found.setdefault(phenomenon, [])
            edit = phenomenon, word.lower(), form
            often = edit_counts[edit] >= MOST_OF_EDIT and phenomenon not in FEW_EDITS
            if not often and len(pairs) < MOST_OF_ONE and not seen(bad):
                edit_counts[edit] += 1
                pairs.append((phenomenon, sentence, bad))
    pairs = [pair for phenomenon in sorted(found) for pair in found[phenomenon]]
    return rng.sample(pairs, len(pairs))
