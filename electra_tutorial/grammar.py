"""A language whose probabilities we know: a seeded sentence grammar of our own, for tests and quick trials.

In real text nobody knows how well a detector could do. Here everybody can: the text is drawn by rules so
plain that the chance of any sentence is a sum one can write down, and with it the best possible guess at
which word was replaced. A sentence is drawn in three steps:

1. a scene: a topic (kitchen, sea, ...) and one of its three groups of verbs with the things they act on;
2. a skeleton: a row of kinds of words, such as det.sg person.sg trans.sg det.pl thing.pl. The numbers of
   subject and verb are part of the kinds, so they agree, also across a phrase or a clause in between;
3. for each kind a word from the list that the scene has for it, the first words of a list most often.

So P(sentence) = sum over scenes and skeletons of P(scene) P(skeleton) product of P(word | kind, scene).
"""
import itertools
import math
import random
import re
from bisect import bisect
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from electra_tutorial.errors import UserError

# --- words: for each topic people, places, adjectives for things, what people do; then verbs > things -----
TOPICS = """
kitchen
  cook baker guest waiter apprentice chef butcher grocer eater helper
  table oven kitchen cupboard fridge counter sink pantry
  hot cold fresh sweet salty empty warm sour expensive oily
  laugh wait eat dine chat rest
  peel slice chop fry taste > onion carrot potato apple tomato egg pepper lemon
  wash dry polish fill break > plate cup glass bowl pot urn ladle spoon
  bake cut share serve burn > cake pie loaf omelet biscuit pizza pancake tart
sea
  sailor captain angler diver pilot admiral passenger islander pirate swimmer
  harbor deck beach island lighthouse pier cabin reef
  wet deep rusty heavy long blue ancient rough open strong
  swim sail drown float dive shiver
  steer repair launch sink board > boat ship ferry yacht outrigger raft canoe iceboat
  catch hook release chase spot > whale shark crab eel octopus seal dolphin lobster
  raise lower coil pull haul > sail rope net flag oar anchor ladder chain
school
  teacher pupil student principal artist tutor librarian assistant janitor classmate
  classroom desk library hall playground corridor board gate
  short difficult easy boring new important thick simple interesting clear
  study listen whisper yawn read arrive
  read write copy translate finish > essay story poem letter report answer sentence book
  ask discuss solve explain repeat > question problem riddle exercise puzzle idea equation lesson
  carry lose open close borrow > bag pencil notebook eraser ruler atlas folder map
farm
  farmer shepherd neighbor worker owner gardener farmhand rider herder breeder
  barn field stable meadow well orchard fence hill
  green muddy fat old healthy tame big small ugly orange
  sleep work sing whistle dig sweat
  feed brush lead count sell > cow goat horse donkey ox hen calf pig
  plant water harvest pick grow > cabbage pumpkin onion bean pear olive cherry apricot
  repair buy push clean borrow > tractor cart plow wagon engine trailer axle pump
city
  driver officer banker tourist mayor architect shopkeeper florist clerk cyclist
  street square station bridge market park corner museum
  busy noisy tall modern narrow crowded famous dirty elegant empty
  walk hurry vote shop argue travel
  drive park stop follow board > bus taxi truck ambulance tram van car train
  build visit enter photograph buy > house tower hotel office palace shop apartment church
  sell wrap order send deliver > coat hat parcel umbrella newspaper ring envelope gift
sport
  player runner coach referee athlete captain goalkeeper umpire fan trainer
  stadium court pool gym track pitch tent arena
  fast slow fair hard final exciting tough brief awful great
  run jump train compete stretch cheer
  throw kick hit catch drop > ball disc arrow javelin puck dart hoop orb
  win lose watch play enjoy > game match race event tournament contest inning duel
  wear pack buy wash forget > glove helmet boot shirt armband jersey cap belt
music
  singer pianist drummer violinist conductor composer organist listener amateur guitarist
  stage studio hall club balcony garden booth orchestra
  loud quiet soft beautiful sad gentle lovely odd brilliant old
  sing dance hum practice perform improvise
  tune play hold strum own > violin guitar organ trumpet flute drum accordion harp
  compose record hear sing remember > song melody opera anthem symphony tune waltz ballad
  print fold copy hide sign > ticket poster program album invitation score sheet magazine
science
  scientist engineer professor chemist biologist inventor astronomer expert student researcher
  laboratory observatory institute basement roof desert shelter dome
  strange tiny bright precise exact invisible rare complex large new
  think experiment calculate hesitate travel dream
  discover observe study describe name > star planet comet asteroid moon galaxy atom insect
  test build improve design start > robot machine engine telescope antenna rocket battery sensor
  publish check prove reject present > theory result formula article method experiment law estimate
hospital
  doctor nurse patient surgeon dentist assistant visitor orderly parent volunteer
  ward bed clinic corridor room entrance elevator window
  sterile clean painful serious mild acute small bitter broken infected
  cough sneeze wait recover faint rest
  treat examine clean bandage touch > wound arm leg knee ear eye shoulder finger
  take swallow prescribe measure order > pill tablet drug antidote syrup vitamin capsule ointment
  hold sterilize replace need pack > needle mask tube glove thermometer apron scalpel inhaler
workshop
  carpenter mechanic welder electrician plumber apprentice blacksmith builder painter inspector
  bench shed garage floor wall ladder yard gate
  sharp blunt rusty wooden solid iron smooth uneven straight cheap
  hammer sweat whistle nod kneel labor
  sharpen grip lend use drop > hammer saw axe chisel drill knife file awl
  nail paint sand glue measure > board plank shelf door frame armchair stool easel
  fix oil bend tighten remove > screw bolt pipe hinge wire axle lock spring
mountain
  climber hiker guide ranger explorer hunter camper adventurer traveler scout
  summit valley cave forest tent river cliff path
  steep high icy wild dark distant snowy lonely unknown ancient
  climb camp stumble hike fall rest
  climb cross reach photograph admire > mountain glacier ridge peak volcano icefall slope canyon
  track frighten avoid hear watch > bear wolf eagle fox owl goat snake marmot
  pack carry drop hang find > backpack lantern tent compass axe blanket anorak bottle
theater
  actor director dancer author critic comedian writer usher magician viewer
  stage curtain balcony lobby seat aisle row box
  funny tragic long short boring amusing original strange clever dull
  clap bow act rehearse smile cry
  write rehearse review perform like > play scene comedy tragedy act monologue dialogue epilogue
  wear sew choose design rent > costume wig mask dress robe apron crown overcoat
  paint move light build carry > lamp prop backdrop arch statue throne ornament mirror
"""
SHARED = {
    "det.sg": "the this that my our every her his one their your each another",
    "det.pl": "the these those my our some her his two their your many three several all few four both",
    "person_adjective": "tired happy angry young old tall polite clever nervous proud shy hungry lazy brave "
    "calm careful curious eager friendly generous kind lonely loyal patient rich rude silly thirsty wise "
    "anxious impatient active elderly unhappy cheerful foolish modest grumpy stubborn sleepy",
    "preposition": "near behind beside by opposite around",
    "frequency": "often always never sometimes usually rarely still seldom also",
    "manner": "quickly slowly carefully happily quietly loudly again well badly gladly calmly bravely "
    "proudly patiently suddenly eagerly politely gently silently early late today alone cheerfully nervously "
    "outside inside upstairs downstairs everywhere",
    "modal": "can will must should may could would might",
    "be.sg": "is was",
    "be.pl": "are were",
    "have.sg": "has had",
    "have.pl": "have had",
    "do.sg": "does did",
    "do.pl": "do did",
    "self.unknown": "himself herself",
    "name.f": "Anna Maria Clara Emma Julia Laura Lucy Nora Olivia Sarah Alice Amy Bella Diana Ella Eva Fiona "
    "Hanna Irene Jane Karen Linda Mary Nina Paula Rita Sophie Susan Tina Vera Wendy Zoe Aiko Fatima Priya",
    "name.m": "Adam Ben Carl Daniel David Eric Felix George Henry Hugo Ivan James John Kevin Leo Luke Martin "
    "Max Oliver Oscar Paul Peter Philip Robert Sam Simon Thomas Tim Victor Amir Kofi Ravi Yusuf",
}
REFLEXIVE = "hurt blame help prepare introduce trust surprise praise ask defend describe encourage admire"
PLURALS = {"loaf": "loaves", "ox": "oxen", "calf": "calves", "knife": "knives", "shelf": "shelves",
           "wolf": "wolves", "potato": "potatoes", "tomato": "tomatoes", "volcano": "volcanoes"}
PASTS = """
eat ate eaten, break broke broken, cut cut cut, swim swam swum, sink sank sunk, catch caught caught, read
read read, write wrote written, lose lost lost, sleep slept slept, sing sang sung, dig dug dug, feed fed
fed, lead led led, sell sold sold, grow grew grown, buy bought bought, drive drove driven, build built
built, send sent sent, run ran run, throw threw thrown, hit hit hit, win won won, wear wore worn, forget
forgot forgotten, hold held held, hear heard heard, hide hid hidden, think thought thought, take took taken,
lend lent lent, bend bent bent, kneel knelt knelt, fall fell fallen, hang hung hung, find found found, sew
sewed sewn, choose chose chosen, prove proved proven, hurt hurt hurt, teach taught
taught
"""
IRREGULAR = {base: (past, done) for base, past, done in (verb.split() for verb in PASTS.split(","))}
DOUBLES = "chop stop drop wrap hum strum grip nod cut swim dig run hit win forget clap shop chat spot".split()


# --- forms of words ---------------------------------------------------------------------------------------
def with_s(word):
    """The plural of a noun, or the -s form of a verb, by the rules of spelling."""
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def plural(noun):
    """The plural of a noun: "loaf" -> "loaves"."""
    return PLURALS.get(noun) or with_s(noun)


def verb_forms(base):
    """Base, -s, -ing, past and participle of a verb: "chop" -> chop, chops, chopping, chopped, chopped."""
    stem = base + base[-1] if base in DOUBLES else base.removesuffix("e")
    regular = base[:-1] + "ied" if base.endswith("y") and base[-2] not in "aeiou" else stem + "ed"
    past, done = IRREGULAR.get(base, (regular, regular))
    return base, with_s(base), stem + "ing", past, done


def starts_with_vowel(word):
    """Whether "an" stands before the word. Our lists hold no "hour" and no "unit", so the letter decides."""
    return word[0] in "aeiou"


# --- lexicon: (kind, scene) -> words with their probabilities ---------------------------------------------
def weigh(words, flat=3):
    """Words of a list with their probabilities: the n-th word (n = 0, 1, ...) weighs 1/(n + flat)."""
    weights = [1 / (n + flat) for n in range(len(words))]
    return [(word, weight / sum(weights)) for word, weight in zip(words, weights, strict=True)]


def by_first_letter(kind, weighted):
    """The entries for a kind, and for those of its words that follow "a" (kind.c) and "an" (kind.v)."""
    entries = {kind: weighted}
    for ending, vowel in ((".c", False), (".v", True)):
        part = [(word, p) for word, p in weighted if starts_with_vowel(word) == vowel]
        whole = sum(p for _, p in part)
        if part:
            entries[kind + ending] = [(word, p / whole) for word, p in part]
    return entries


def noun_entries(role, nouns):
    """The entries for a list of nouns: singular (also by first letter) and plural."""
    singular = weigh(nouns)
    many = [(plural(noun), p) for noun, p in singular]
    return by_first_letter(f"{role}.sg", singular) | {f"{role}.pl": many}


def verb_entries(role, verbs):
    """The entries for a list of verbs; finite forms are present (.6) or past (.4)."""
    entries = {f"{role}.{form}": [] for form in ("sg", "pl", "base", "ing", "done")}
    for verb, p in weigh(verbs):
        base, s, ing, past, done = verb_forms(verb)
        entries[f"{role}.sg"] += [(s, 0.6 * p), (past, 0.4 * p)]
        entries[f"{role}.pl"] += [(base, 0.6 * p), (past, 0.4 * p)]
        for form, word in (("base", base), ("ing", ing), ("done", done)):
            entries[f"{role}.{form}"].append((word, p))
    return entries


@dataclass(frozen=True)
class Scene:
    """One topic with one of its groups of verbs, and the words that each kind can be there."""

    topic: str
    entries: dict  # kind -> [(word, probability)]


@lru_cache
def scenes():
    """All scenes, equally likely: a list of `Scene`."""
    shared = {kind: weigh(words.split()) for kind, words in SHARED.items()}
    shared |= {kind: weigh(SHARED[kind].split(), flat=1) for kind in ("det.sg", "det.pl")}  # mostly "the"
    shared |= by_first_letter("person_adjective", shared["person_adjective"])
    shared |= verb_entries("reflexive", REFLEXIVE.split())
    found = []
    for topic in re.split(r"\n(?=\w)", TOPICS.strip()):
        name, people, places, adjectives, acts, *groups = topic.split("\n  ")
        common = shared | noun_entries("person", people.split()) | noun_entries("place", places.split())
        common |= by_first_letter("thing_adjective", weigh(adjectives.split()))
        common |= verb_entries("act", acts.split())
        for verbs, things in (group.split(" > ") for group in groups):
            own = verb_entries("trans", verbs.split()) | noun_entries("thing", things.split())
            found.append(Scene(name, common | own))
    return found


# --- skeletons: a phrase is a list of (probability, kinds); a kind that has no list is a word itself ------
def either(*options):
    """One of several phrases: `(probability, phrase), ...`; a phrase may be text, "det.sg thing.sg"."""
    return [(p * q, kinds) for p, phrase in options for q, kinds in spelled(phrase)]


def spelled(phrase):
    """A phrase written as text as a list of (probability, kinds)."""
    return [(1.0, tuple(phrase.split()))] if isinstance(phrase, str) else phrase


def row(*phrases):
    """Phrases one after the other, chosen independently."""
    found = []
    for parts in itertools.product(*(spelled(phrase) for phrase in phrases)):
        found.append((math.prod(p for p, _ in parts), sum((kinds for _, kinds in parts), ())))
    return found


def noun_phrase(role, number):
    """A person or a thing with its determiner and perhaps an adjective."""
    noun, adjective = f"{role}.{number}", f"{role}_adjective"
    if number == "pl":
        return either((0.7, f"det.pl {noun}"), (0.3, f"det.pl {adjective} {noun}"))
    return either(
        (0.45, f"det.sg {noun}"), (0.2, f"a {noun}.c"), (0.07, f"an {noun}.v"),
        (0.15, f"det.sg {adjective} {noun}"),
        (0.08, f"a {adjective}.c {noun}"), (0.05, f"an {adjective}.v {noun}"),
    )


def subject(number):
    """Who does it: people, a name, or two joined by "and"."""
    if number == "sg":
        return either((0.6, noun_phrase("person", "sg")), (0.2, "name.f"), (0.2, "name.m"))
    return either((0.7, noun_phrase("person", "pl")), (0.15, "name.f and name.m"),
                  (0.15, "det.sg person.sg and det.sg person.sg"))


def verb_phrase(verb, number):
    """A verb that agrees with its subject: finite, progressive, perfect, after a modal, or negated."""
    return either(
        (0.45, f"{verb}.{number}"), (0.1, f"frequency {verb}.{number}"),
        (0.15, f"be.{number} {verb}.ing"), (0.1, f"have.{number} {verb}.done"),
        (0.1, f"modal {verb}.base"), (0.1, f"do.{number} not {verb}.base"),
    )


def being(role, number):
    """How somebody or something is: "are hot", "was very tired"."""
    adjective = f"{role}_adjective"
    return either((0.7, f"be.{number} {adjective}"), (0.2, f"be.{number} very {adjective}"),
                  (0.1, f"be.{number} frequency {adjective}"))


SOME_PLACE = either((0.75, "preposition det.sg place.sg"), (0.25, "preposition det.pl place.pl"))
SOME_THING = either((0.65, noun_phrase("thing", "sg")), (0.35, noun_phrase("thing", "pl")))
A_THING = either((0.6, "det.sg thing.sg"), (0.4, "det.pl thing.pl"))


def transitive(n):
    """Somebody does something to a thing: "An old cook is peeling these onions near the table"."""
    place = either((0.75, ""), (0.25, "preposition the place.sg"))
    return row(subject(n), verb_phrase("trans", n), SOME_THING, place)


def intransitive(n):
    """Somebody does something: "Anna and Ben often laugh loudly"."""
    return row(subject(n), verb_phrase("act", n), either((0.2, ""), (0.4, "manner"), (0.4, SOME_PLACE)))


def copula(n):
    """How things and people are: "Those plates were very hot"."""
    return either((0.6, row(noun_phrase("thing", n), being("thing", n))),
                  (0.4, row(subject(n), being("person", n))))


def across_phrase(n):
    """Agreement past another noun, of any number: "The plates near the oven are hot"."""
    company = either((0.6, SOME_PLACE), (0.4, row("with", A_THING)))
    doing = either((0.5, row(verb_phrase("trans", n), A_THING)), (0.5, being("person", n)))
    return either((0.6, row(f"det.{n} person.{n}", company, doing)),
                  (0.4, row(f"det.{n} thing.{n}", SOME_PLACE, being("thing", n))))


def across_clause(n):
    """Agreement past a clause with a verb of its own: "The onions that this cook peels are fresh"."""
    inner = either((0.5, "det.sg person.sg trans.sg"), (0.5, "det.pl person.pl trans.pl"))
    doing = either((0.5, verb_phrase("act", n)), (0.5, being("person", n)))
    return either((0.5, row(f"det.{n} person.{n} who trans.{n}", A_THING, doing)),
                  (0.5, row(f"det.{n} thing.{n} that", inner, being("thing", n))))


def reflexive(n):
    """Somebody does something to themselves: "Nora can help herself"."""
    doing = verb_phrase("reflexive", n)
    if n == "pl":
        return row(subject(n), doing, "themselves")
    return either((0.3, row("name.f", doing, "herself")), (0.3, row("name.m", doing, "himself")),
                  (0.4, row(noun_phrase("person", n), doing, "self.unknown")))


def because(n):
    """A pronoun that goes back to the subject: "Hugo sells the coat because he is tired"."""
    if n == "pl":
        return row(subject(n), "trans.pl", A_THING, "because they", being("person", n))
    return either((0.5, row("name.f trans.sg", A_THING, "because she", being("person", n))),
                  (0.5, row("name.m trans.sg", A_THING, "because he", being("person", n))))


SENTENCES = {transitive: 0.25, intransitive: 0.15, copula: 0.08, across_phrase: 0.18, across_clause: 0.18,
             reflexive: 0.08, because: 0.08}
NUMBERS = {"sg": 0.6, "pl": 0.4}


@dataclass(frozen=True)
class Skeleton:
    """A row of kinds with its probability, and what it was built as ("transitive", "across_phrase", ...)."""

    probability: float
    kinds: tuple
    pattern: str


@lru_cache
def skeletons():
    """All skeletons; their probabilities sum to 1."""
    return [Skeleton(p * share * often, kinds, build.__name__) for build, share in SENTENCES.items()
            for number, often in NUMBERS.items() for p, kinds in build(number)]


# --- drawing sentences ------------------------------------------------------------------------------------
def choices(kind, scene):
    """The words that a kind can be in a scene, with probabilities."""
    return scene.entries.get(kind, [(kind, 1.0)])


def drawer(options):
    """A function of a number in [0, 1) that picks from `[(choice, probability), ...]`."""
    heights = list(itertools.accumulate(p for _, p in options))[:-1]
    return lambda height: options[bisect(heights, height)][0]


def draw(seed):
    """Draw for ever: yields (skeleton, words). The same seed gives the same sentences in any process."""
    rng, everywhere = random.Random(seed), scenes()
    skeleton_at = drawer([(skeleton, skeleton.probability) for skeleton in skeletons()])
    word_at = {}
    while True:
        scene, skeleton = int(rng.random() * len(everywhere)), skeleton_at(rng.random())
        words = []
        for kind in skeleton.kinds:
            if (kind, scene) not in word_at:
                word_at[kind, scene] = drawer(choices(kind, everywhere[scene]))
            words.append(word_at[kind, scene](rng.random()))
        yield skeleton, words


def write(words):
    """A sentence as text, with a capital and a full stop."""
    return words[0][0].upper() + " ".join(words)[1:] + "."


def read(sentence):
    """The words of a sentence as the grammar writes them: lower case but for names, without the full stop."""
    words = sentence.rstrip(".").split()
    return words if not words or words[0] in tables().numbers else [words[0].lower(), *words[1:]]


def sentences(n, seed=0):
    """Draw n sentences: a list of text, the same in any process. Raises UserError if n is negative."""
    if n < 0:
        raise UserError(f"{n} sentences cannot be drawn: give a number from 0 on.")
    return [write(words) for _, words in itertools.islice(draw(seed), n)]


# --- known probabilities ----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Tables:
    """The grammar as arrays; V words, K kinds, S scenes, and for each length M skeletons."""

    words: list
    numbers: dict  # word -> its number
    kinds: list
    chances: np.ndarray  # (V, K, S): P(word | kind, scene)
    by_length: dict  # length -> (kinds (M, length), probabilities (M,))
    usage: np.ndarray  # (V, K): how often a sentence has this word as this kind, on average


@lru_cache
def tables():
    """The grammar as arrays, built at first use (a fraction of a second)."""
    everywhere, kinds = scenes(), sorted({kind for skeleton in skeletons() for kind in skeleton.kinds})
    words = sorted({word for scene in everywhere for kind in kinds for word, _ in choices(kind, scene)})
    numbers = {word: number for number, word in enumerate(words)}
    chances = np.zeros((len(words), len(kinds), len(everywhere)))
    for (k, kind), (s, scene) in itertools.product(enumerate(kinds), enumerate(everywhere)):
        for word, p in choices(kind, scene):
            chances[numbers[word], k, s] += p
    by_length, used = skeleton_arrays(kinds)
    return Tables(words, numbers, kinds, chances, by_length, chances.mean(2) * used)


def skeleton_arrays(kinds):
    """Skeletons by length as arrays, and how often a sentence has each kind, on average: (K,)."""
    number_of, by_length, used = {kind: k for k, kind in enumerate(kinds)}, {}, np.zeros(len(kinds))
    for length in sorted({len(skeleton.kinds) for skeleton in skeletons()}):
        chosen = [skeleton for skeleton in skeletons() if len(skeleton.kinds) == length]
        rows = np.array([[number_of[kind] for kind in skeleton.kinds] for skeleton in chosen])
        p = np.array([skeleton.probability for skeleton in chosen])
        by_length[length] = rows, p
        np.add.at(used, rows, p[:, None])
    return by_length, used


def word_chances(words):
    """P(word | kind, scene) for each skeleton of this length (M, T, S), and P(skeleton) (M,); else None."""
    t = tables()
    if len(words) not in t.by_length or not all(word in t.numbers for word in words):
        return None
    kinds, p = t.by_length[len(words)]
    return t.chances[[t.numbers[word] for word in words], kinds], p


def probability(words):
    """P(sentence), exactly: words as `read` gives them. Zero for what the grammar cannot say."""
    found = word_chances(words)
    return float((found[1] @ found[0].prod(1)).mean()) if found else 0.0


def guess_probability(words, place):
    """P(the word at this place | all the others), exactly; 1.0 for the full stop behind the last word.

    The mean of its -log over held-out sentences is the lowest loss that a masked language model can have on
    them when one place is hidden: what is left is chance. Raises UserError for what the grammar cannot say.
    """
    if not probability(words):
        raise UserError(f"{' '.join(words)!r} is nothing that the grammar can say.")
    if place == len(words):
        return 1.0
    each, p = word_chances(words)  # (M, T, S), (M,)
    others = p @ np.delete(each, place, axis=1).prod(1)  # (S,): the chance of all the others, in each scene
    return probability(words) / float(others.mean())


# --- the best possible detector ---------------------------------------------------------------------------
CLASSES = {"person": "noun", "place": "noun", "thing": "noun", "trans": "verb", "act": "verb",
           "reflexive": "verb", "person_adjective": "adjective", "thing_adjective": "adjective"}


def replacement_rule(rule):
    """How one word is replaced: (V, V) chances, row = original, column = what is put in its place.

    "easy": any other word, as often as the text uses it. "medium": the same, among the words of the
    original's class (see `word_classes`). As in the exam, names are neither replaced nor put in. A row of
    zeros is a word that is never replaced; other rows sum to 1. Raises UserError for another name.
    """
    if rule not in ("easy", "medium"):
        raise UserError(f"There is no rule {rule!r} by which words are replaced: choose easy or medium.")
    t = tables()
    ordinary = np.array([word.islower() for word in t.words])
    allowed = ordinary[:, None] & ordinary & ~np.eye(len(t.words), dtype=bool)
    if rule == "medium":
        classes = word_classes()
        allowed &= classes[:, None] == classes
    weights = allowed * t.usage.sum(1)
    return weights / np.maximum(weights.sum(1, keepdims=True), 1e-300)


def word_classes():
    """The class of each word, as a number (V,): what the text uses it as most, whatever the topic.

    Singular nouns are one class, verbs that end in -ing another; "paint" is a noun or a verb, whichever is
    commoner.
    """
    t, classes = tables(), {}
    for k, kind in enumerate(t.kinds):
        role, _, form = kind.removesuffix(".c").removesuffix(".v").partition(".")
        classes.setdefault((CLASSES.get(role, role), form), []).append(k)
    return np.stack([t.usage[:, columns].sum(1) for columns in classes.values()], axis=1).argmax(1)


class BestDetector:
    """The best that can be known about which word was replaced, if exactly one was, by a known rule.

    The place is drawn first, each replaceable one alike, then the word. So for a sentence y of words y[i]:

        P(word i is the replaced one | y) = c * sum over originals w of P(y with w at place i) * P(y[i] | w)

    where c makes the sum over i equal 1. No detector, however trained, has a higher expected AUC over words
    than these numbers (Neyman and Pearson), and none names the right word more often than their maximum.
    `rule` is "easy" or "medium", or chances (V, V) as `replacement_rule` gives them, for another exam.
    """

    def __init__(self, rule="easy"):
        self.rule = replacement_rule(rule) if isinstance(rule, str) else rule
        t = tables()  # put_in (V, K, S): P(this word stands where one of this kind was replaced)
        self.put_in = (self.rule.T @ t.chances.reshape(len(t.words), -1)).reshape(t.chances.shape)

    def suspicion(self, words):
        """P(word i is the replaced one) for each word: (T,). Raises UserError for words it cannot know."""
        found = word_chances(words)
        if not found:
            raise UserError(f"{' '.join(words)!r} has a word or a length that the grammar never uses.")
        each, p = found  # (M, T, S), (M,)
        ones = np.ones_like(each[:, :1])
        before = np.concatenate([ones, each[:, :-1]], axis=1).cumprod(1)
        after = np.concatenate([each[:, 1:], ones], axis=1)[:, ::-1].cumprod(1)[:, ::-1]
        kinds = tables().by_length[len(words)][0]
        replaced = self.put_in[[tables().numbers[word] for word in words], kinds]  # (M, T, S)
        joint = np.einsum("m,mts->t", p, before * after * replaced)
        return joint / joint.sum()

    def replace(self, words, rng):
        """One word replaced by the rule: (words, place), None if no word can be; `rng` a numpy Generator."""
        rows = self.rule[[tables().numbers[word] for word in words]]  # (T, V)
        places = np.flatnonzero(rows.sum(1) > 0)
        if not len(places):
            return None
        place = rng.choice(places)
        word = tables().words[rng.choice(len(rows[place]), p=rows[place])]
        return [*words[:place], word, *words[place + 1 :]], place


def best_scores(rule="easy", n=2000, seed=0):
    """The best reachable figures on n sentences with one word replaced: {"auc", "found", "chance"}.

    auc: the chance that a replaced word is more suspect than an original one, over the words of all
    sentences. found: the share of sentences in which the replaced word is the most suspect. chance: found
    by guessing. What is left of error comes from the draw: at most about 1 / (2 sqrt(n)). `rule` as in
    `BestDetector`, or one that is made already (making it takes a second).
    """
    detector = rule if isinstance(rule, BestDetector) else BestDetector(rule)
    rng, scores, labels, found = np.random.default_rng(seed), [], [], []
    asked = (detector.replace(words, rng) for _, words in draw(seed))
    for words, place in itertools.islice(filter(None, asked), n):
        suspicion = detector.suspicion(words)
        scores.append(suspicion)
        labels.append(np.arange(len(words)) == place)
        found.append(suspicion.argmax() == place)
    chance = np.mean([1 / len(words) for words in scores])
    auc = area(np.concatenate(scores), np.concatenate(labels))
    return {"auc": auc, "found": float(np.mean(found)), "chance": float(chance)}


def area(scores, labels):
    """The ROC AUC: how often a True score is above a False one, ties half."""
    low = np.sort(scores[~labels])
    below, up_to = (np.searchsorted(low, scores[labels], side) for side in ("left", "right"))
    return float(((below + up_to) / 2).mean() / len(low))


def best_auc(rule="easy", n=2000, seed=0):
    """The highest AUC over words that any detector can reach: see `best_scores` and `BestDetector`."""
    return best_scores(rule, n, seed)["auc"]


# --- minimal pairs ----------------------------------------------------------------------------------------
PHENOMENA = ("agreement", "across_phrase", "across_clause", "in_clause", "determiner", "article",
             "reflexive", "pronoun", "verb_form")
AGREEING = ("be", "have", "do", "trans", "act", "reflexive")
FINITE = {f"{verb}.{number}" for verb in AGREEING for number in NUMBERS}
SWAPS = [("is", "are"), ("was", "were"), ("has", "have"), ("does", "do"),
         ("this", "these"), ("that", "those"), ("a", "an")]
EXACT = {"a": "article", "an": "article", "det.sg": "determiner", "det.pl": "determiner",
         "self.unknown": "reflexive", "himself": "reflexive", "herself": "reflexive",
         "themselves": "reflexive", "he": "pronoun", "she": "pronoun", "they": "pronoun"}


@lru_cache
def wrong_forms():
    """What is exchanged in a minimal pair: {word: its other number, gender or letter}."""
    kinds = ("trans.base", "act.base", "reflexive.base")
    verbs = {word for scene in scenes() for kind in kinds for word, _ in choices(kind, scene)}
    pairs = SWAPS + sorted((verb, with_s(verb)) for verb in verbs)
    forms = dict(pairs) | {second: first for first, second in pairs}
    return forms | {"himself": "themselves", "herself": "themselves", "themselves": "himself",
                    "he": "she", "she": "he", "they": "he"}


def phenomenon(skeleton, place):
    """Which phenomenon the word at a place of a skeleton shows, or None."""
    kind = skeleton.kinds[place]
    if kind in FINITE:
        first = not any(earlier in FINITE for earlier in skeleton.kinds[:place])
        if skeleton.pattern == "across_clause":
            return "in_clause" if first else "across_clause"
        return "across_phrase" if skeleton.pattern == "across_phrase" else "agreement"
    if kind.endswith(".base"):
        return "verb_form"
    return EXACT.get(kind)


def minimal_pairs(n, seed=0):
    """Draw n minimal pairs, as many of each phenomenon: a list of (phenomenon, good sentence, bad sentence).

    The two differ in one word; the bad one has probability zero. The phenomena: `PHENOMENA`. The same for
    the same seed in any process; no pair comes twice. Raises UserError if n is negative.
    """
    if n < 0:
        raise UserError(f"{n} minimal pairs cannot be drawn: give a number from 0 on.")
    missing = {name: n // len(PHENOMENA) + (i < n % len(PHENOMENA)) for i, name in enumerate(PHENOMENA)}
    found, seen, drawn = [], set(), draw(f"minimal pairs {seed}")
    while len(found) < n:
        skeleton, words = next(drawn)
        for place, word in enumerate(words):
            name, other = phenomenon(skeleton, place), wrong_forms().get(word)
            bad = [*words[:place], other, *words[place + 1 :]]
            if other and missing.get(name) and tuple(bad) not in seen and probability(bad) == 0:
                found.append((name, write(words), write(bad)))
                missing[name] -= 1
                seen.add(tuple(bad))
                break
    return found
