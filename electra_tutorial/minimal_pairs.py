"""Minimal pairs: a good sentence, and the same with one word changed so that it is no longer English.

A rule is a pattern with closed word lists and one group `x`, the word to be changed, and says what it becomes. Rules are
narrow on purpose: better to pass a sentence over than to call good English bad. What is a verb, what is a noun and which
words take "an" is read off the training text.
"""
import random
import re
from collections import Counter
from dataclasses import dataclass

MOST_OF_ONE = 420  # pairs of one phenomenon, so that none of them decides the score
OFTEN = 3  # a form must stand in the training text this often before we believe in it
TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)?")

BASE_AFTER = set("to can will could would should must may might don't didn't doesn't can't won't couldn't let's".split())
MODAL = "can|could|will|would|should|must|might|can't|won't|couldn't|wouldn't|shouldn't|don't|doesn't|didn't"
WANTS = "want|wants|wanted|need|needs|needed|have|has|had|like|try|tried|decided|able|going|began|started|how|used|ought"
PREPOSITION = "with|for|to|from|about|at|of|without|against|behind|near|towards"
TOLD = "tell|told|ask|asked|help|helped|give|gave|let|call|called|show|showed|made|saw|love|loved|hate|met|visit|invited"
OPENING = r"^(?:and |but |so |then |now |yes, |no, |well, |because )?"
# After a noun comes one of these, or nothing: so "a sport car" is no question about "sport".
CLOSED = (
    "in on at of for from with to by about after before near under over behind into is was are were has had will can and or "
    "but that which who when if because while every last yesterday today tonight tomorrow now again here there ago too").split()
AFTER_NOUN = rf"(?=[.,!?]|$| (?:{'|'.join(CLOSED)})\b)"
# May stand with either number: "my family are", "the police is".
COLLECTIVE = set(
    "family team police government staff crowd group class band company public audience crew pair couple number lot rest "
    "majority committee people data press club army enemy dozen hundred thousand million series means news".split())
PAST = """be been was, begin begun began, break broken broke, choose chosen chose, do done did, drink drunk drank, drive driven
drove, eat eaten ate, fall fallen fell, fly flown flew, forget forgotten forgot, forgive forgiven forgave, freeze frozen froze,
give given gave, go gone went, grow grown grew, hide hidden hid, know known knew, ride ridden rode, rise risen rose, see seen
saw, shake shaken shook, sing sung sang, speak spoken spoke, steal stolen stole, swim swum swam, take taken took, throw thrown
threw, wake woken woke, wear worn wore, write written wrote, come come came, become become became, run run ran"""
PAST = {base: (participle, past) for base, participle, past in (entry.split() for entry in PAST.replace("\n", " ").split(","))}
IRREGULAR_NOUNS = {"man": "men", "woman": "women", "child": "children", "foot": "feet", "tooth": "teeth"}


def add_s(word):
    """The s-form of a verb, or the plural of a noun, by spelling: go -> goes, try -> tries, look -> looks."""
    if word == "have":
        return "has"
    if re.search(r"(s|x|z|ch|sh|[^aeiou]o|^do|^go)$", word):
        return word + "es"
    return word[:-1] + "ies" if re.search(r"[^aeiou]y$", word) else word + "s"


@dataclass
class Lexicon:
    """The forms that the rules need, as the training text uses them."""

    s_form: dict  # base form of a verb -> with -s
    base: dict  # and back
    plural: dict  # singular noun -> plural
    singular: dict  # and back
    article: dict  # word -> "a" or "an"

    @classmethod
    def read(cls, lines):
        """Read it off the training text: a verb stands after "to" or "can" and, with -s, after "he"; a noun after "a"."""
        pairs = Counter()
        for line in lines:
            words = TOKEN.findall(line.lower())
            pairs.update(zip(words, words[1:], strict=False))
        after = {}
        for (first, second), count in pairs.items():
            after.setdefault(first, Counter())[second] = count
        base, third = group(after, BASE_AFTER), group(after, {"he", "she", "it"})
        s_form = {w: add_s(w) for w in base if base[w] >= OFTEN and third[add_s(w)] >= OFTEN and w not in ("be", "do")}
        one = group(after, {"a", "an", "this", "every"})
        many = group(after, {"these", "those", "many", "two", "three", "few", "several", "some"})
        plural = {w: IRREGULAR_NOUNS.get(w, add_s(w)) for w in one if one[w] >= OFTEN}
        plural = {w: p for w, p in plural.items() if many[p] >= OFTEN and one[p] == 0 and w not in COLLECTIVE}
        a, an = after.get("a", Counter()), after.get("an", Counter())
        article = {w: "a" if a[w] else "an" for w in {*a, *an} if a[w] + an[w] >= OFTEN and not a[w] * an[w]}
        return cls(s_form, invert(s_form), plural, invert(plural), article)


def group(after, words):
    """How often each word stands after any of `words`."""
    return sum((after.get(word, Counter()) for word in sorted(words)), Counter())


def invert(forms):
    return {form: base for base, form in forms.items()}


# --- the rules: phenomenon, pattern, and what the word x of a match becomes (None: no question) --------------------------
NOT_SUBJUNCTIVE = r"(?!.*\b(?:if|wish|though|suggest\w*|insist\w*|demand\w*|recommend\w*)\b)"
OTHER_BE = {"am": "are", "are": "is", "is": "are", "was": "were", "were": "was", "isn't": "aren't", "aren't": "isn't",
            "wasn't": "weren't", "weren't": "wasn't", "has": "have", "have": "has", "hasn't": "haven't",
            "haven't": "hasn't", "does": "do", "do": "does", "doesn't": "don't", "don't": "doesn't"}
SUBJECTIVE = {"him": "he", "her": "she", "me": "I", "us": "we", "them": "they"}
OBJECTIVE = {"he": "him", "she": "her", "i": "me", "we": "us", "they": "them"}
SELF = {"i": "myself", "he": "himself", "she": "herself", "we": "ourselves", "they": "themselves"}
RULES = [
    ("verb agreement", NOT_SUBJUNCTIVE + OPENING + r"(?:he|she|it) (?:always |never |often |really |usually )?(?P<x>[a-z]+)\b",
     lambda m, lex, rng: lex.base.get(m["x"])),
    ("verb agreement", OPENING + r"(?:i|you|we|they) (?:always |never |often |really |usually )?(?P<x>[a-z]+)\b",
     lambda m, lex, rng: lex.s_form.get(m["x"]) if m["x"] not in PASTS else None),
    ("be, have, do", NOT_SUBJUNCTIVE + OPENING + rf"(?:i|he|she|it|we|they|you) (?P<x>{'|'.join(OTHER_BE)})\b",
     lambda m, lex, rng: OTHER_BE[m["x"]]),
    ("be, have, do", r"^(?:where |what |when |why |how )?(?P<x>is|are|was|were|does|do|has|have|isn't|aren't|doesn't|don't) "
     r"(?:i|he|she|it|we|they|you)\b", lambda m, lex, rng: OTHER_BE[m["x"]]),
    ("subject noun", NOT_SUBJUNCTIVE + r"^(?:the|this|these|those|my|his|her|our|your) (?:[a-z]+ )?(?P<n>[a-z]+) "
     r"(?P<x>is|are|was|were|has|have|doesn't|don't|isn't|aren't|wasn't|weren't)\b",
     lambda m, lex, rng: OTHER_BE[m["x"]] if m["n"] in (lex.plural if OTHER_BE[m["x"]] in PLURAL_BE else lex.singular) else None),
    ("determiner", r"\b(?:a|an|one|every|each|another|this) (?P<x>[a-z]+)" + AFTER_NOUN, lambda m, lex, rng: lex.plural.get(m["x"])),
    ("determiner", r"\b(?P<x>this|these) (?P<n>[a-z]+)" + AFTER_NOUN,
     lambda m, lex, rng: {"this": "these"}.get(m["x"]) if m["n"] in lex.plural else
     {"these": "this"}.get(m["x"]) if m["n"] in lex.singular else None),
    ("determiner", r"\b(?:these|those|many|several|two|three|four|five|six|ten|few) (?P<x>[a-z]+)" + AFTER_NOUN,
     lambda m, lex, rng: lex.singular.get(m["x"])),
    ("verb after auxiliary", rf"\b(?:i|you|he|she|it|we|they|[a-z]+[^t]) (?:{MODAL}) (?P<x>[a-z]+)\b", lambda m, lex, rng: wrong_base(m, lex, rng)),
    ("verb after auxiliary", rf"\b(?:{MODAL}|did|does|do) (?:i|you|he|she|it|we|they) (?P<x>[a-z]+)\b", lambda m, lex, rng: wrong_base(m, lex, rng)),
    ("verb after auxiliary", rf"\b(?:{WANTS}) to (?P<x>[a-z]+)\b", lambda m, lex, rng: wrong_base(m, lex, rng)),
    ("participle", r"\b(?:has|have|had|haven't|hasn't|hadn't|i've|you've|we've|they've) (?:never |already |just |ever )?(?P<x>[a-z]+)\b",
     lambda m, lex, rng: PASTS_OF.get(m["x"])),
    ("pronoun case", rf"\b(?:{PREPOSITION}|{TOLD}) (?P<x>him|her|me|us|them)\b", lambda m, lex, rng: SUBJECTIVE[m["x"]]),
    ("pronoun case", r"^(?P<x>he|i|we|they) [a-z]", lambda m, lex, rng: OBJECTIVE[m["x"]]),
    ("pronoun case", r"^(?P<x>she) (?:is|was|has|had|will|can|could|would|should|didn't|doesn't|isn't|wasn't|must)\b",
     lambda m, lex, rng: OBJECTIVE[m["x"]]),
    ("a or an", r"\b(?P<x>a|an) (?P<n>[a-z]+)\b",
     lambda m, lex, rng: {"a": "an", "an": "a"}[m["x"]] if lex.article.get(m["n"]) == m["x"] else None),
    ("there is", r"\b(?:there (?P<x>is|was|isn't|wasn't)|(?P<y>is|was) there) (?:a|an|no) (?P<n>[a-z]+)" + AFTER_NOUN,
     lambda m, lex, rng: OTHER_BE[m["x"] or m["y"]] if m["n"] in lex.plural else None),
    ("there is", r"\b(?:there (?P<x>are|were)|(?P<y>are|were) there) (?:many|several|two|three|four|five|six)\b",
     lambda m, lex, rng: OTHER_BE[m["x"] or m["y"]]),
    ("reflexive", r"^(?P<n>i|he|she|we|they) (?!.*\b(?:him|her|me|us|them|you|it|that)\b)[a-z' ]+ (?P<x>myself|himself|herself|ourselves|themselves)\b",
     lambda m, lex, rng: rng.choice([s for s in ("myself", "himself", "ourselves", "themselves") if s != m["x"]
                                     and {s, m["x"]} != {"himself", "herself"}]) if SELF[m["n"]] == m["x"] else None),
]
PLURAL_BE = {"are", "were", "have", "don't", "aren't", "weren't"}
PASTS = {past for _, past in PAST.values()} | {"read", "put", "set", "let", "cut", "hit", "hurt", "cost", "quit"}
PASTS_OF = {participle: (past if past != "was" else "be") for participle, past in PAST.values()}


def wrong_base(match, lex, rng):
    """A form that no auxiliary takes: "can swim" becomes "can swims" or, for irregular verbs, also "can swam"."""
    word = match["x"]
    if word not in lex.s_form:
        return None
    return rng.choice([lex.s_form[word], *PAST.get(word, ())[1:]])


def edits(sentence, lexicon, rng):
    """All (phenomenon, bad sentence) that the rules make of one sentence, at most one a rule."""
    lower = sentence.lower().replace("’", "'")
    for phenomenon, pattern, wrong in RULES:
        match = re.search(pattern, lower)
        form = wrong(match, lexicon, rng) if match else None
        if form:
            start, end = match.span("x") if match["x"] else match.span("y")
            if form != "I" and sentence[start:end] != "I" and sentence[start].isupper() or start == 0:
                form = form.capitalize()
            yield phenomenon, sentence[:start] + form + sentence[end:]


def make_pairs(sentences, training, seen, seed=0):
    """Minimal pairs from held-out sentences: a list of (phenomenon, good, bad), shuffled, at most 420 of a phenomenon.

    `training`: the lines the lexicon is read off; `seen(text)`: whether a sentence stands in the corpus, which no bad one does.
    """
    lexicon, rng = Lexicon.read(training), random.Random(f"pairs {seed}")
    found = {}
    for sentence in rng.sample(sentences, len(sentences)):
        for phenomenon, bad in edits(sentence, lexicon, rng):
            if not seen(bad) and len(found.setdefault(phenomenon, [])) < MOST_OF_ONE:
                found[phenomenon].append((phenomenon, sentence, bad))
    pairs = [pair for phenomenon in sorted(found) for pair in found[phenomenon]]
    return rng.sample(pairs, len(pairs))
