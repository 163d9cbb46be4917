"""The held-out split as an exercise."""
from electra_tutorial import corpus
from electra_tutorial.corpus import template
from electra_tutorial.course.exercise import Exercise, seconds

# --- apart_from -----------------------------------------------------------------------------------

apart_from = Exercise(
    corpus.apart_from, lesson=1, difficulty=1, minutes=6,
    task="""
        Which sentences are really new? `sentences` and `others` are lists of strings. Return, in their
        order, those of `sentences` whose template no sentence of `others` has. Get a template with
        `template(sentence, names)`.
    """,
    hint="""
        First put the templates of all `others` into a set. Then one comprehension over `sentences`. (A set
        finds a string at once, a list looks at every entry: with a hundred thousand sentences that matters.)
    """)

SEEN = ["I am tired.", "The cat sat on the mat.", "She has two dogs.", "Where is Boston?"]
ASKED = ["Is he tired?", "The dog sat on the mat.", "They have three dogs.", "Where is my hat?", "We were tired!"]


@apart_from.cases
def small_splits():
    yield list(ASKED), list(SEEN), frozenset()
    yield ["Tom sleeps.", "The cat sleeps.", "Birds sleep."], ["Mary is sleeping.", "We sleep."], {"tom", "mary"}
    yield ["Tom sleeps.", "Mary is late."], ["Mary sleeps."], frozenset({"tom", "mary"})
    yield ["I know.", "I know.", "It rains."], ["It snows."], frozenset()
    yield ["I know.", "It rains."], [], frozenset()
    yield list(SEEN), list(SEEN), frozenset()


@apart_from.mistake("You compared the sentences themselves: 'Is he tired?' is not 'I am tired.', but both have one "
                    "template.")
def line_by_line(sentences, others, names):
    return [sentence for sentence in sentences if sentence not in others]


@apart_from.mistake("Yours are the sentences that leak: return the others, those that are new.")
def the_leaking_ones(sentences, others, names):
    new = corpus.apart_from(sentences, others, names)
    return [sentence for sentence in sentences if sentence not in new]


@apart_from.mistake("You return templates: return the sentences as they were written.")
def the_templates(sentences, others, names):
    return [template(sentence, names) for sentence in corpus.apart_from(sentences, others, names)]


@apart_from.mistake("You gave `template` no names, so at the start of a sentence it takes Tom for a word like "
                    "others: write `template(sentence, names)`.")
def without_names(sentences, others, names):
    return corpus.apart_from(sentences, others, frozenset())


@apart_from.mistake("You took the templates of one list only: compare templates with templates.")
def one_side_only(sentences, others, names):
    taken = {template(other, names) for other in others}
    return [sentence for sentence in sentences if sentence not in taken]


@apart_from.mistake("The sentences come once each or in another order: keep every one, where it stood.")
def as_a_set(sentences, others, names):
    return sorted(set(corpus.apart_from(sentences, others, names)))


@apart_from.rule
def many_sentences_take_no_longer_each(apart_from):
    for n, most in ((300, 30), (6_000, 4)):  # few first, for an answer that would need minutes for the many
        case = [f"A{i} b{i}." for i in range(n)], [f"C{i} d{i}." for i in range(n)], frozenset()
        slower = min(seconds(apart_from, *case) / seconds(corpus.apart_from, *case) for _ in range(3))
        assert slower < most, (
            f"It is right, and for two lists of {n:,} sentences it takes {slower:.0f} times as long as it need: the "
            "lesson asks about a hundred thousand. A list looks at every entry: put the templates of `others` into "
            "a set, once, before you go through `sentences`.")
