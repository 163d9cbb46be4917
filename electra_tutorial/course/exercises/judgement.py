"""Reading a judgement as an exercise: the first of the course, to see how exercises work."""
import random

from electra_tutorial import judgement
from electra_tutorial.course.exercise import Exercise

# --- most_suspected -------------------------------------------------------------------------------

most_suspected = Exercise(
    judgement.most_suspected, lesson=0, difficulty=1, minutes=4,
    task="""
        Which token does the discriminator suspect most? `p_replaced` is a list of probabilities, one a token.
        `special` is a list of bools of the same length, True at [CLS] and [SEP], which never count. Return
        the *place* of the highest probability among the other tokens, counted from 0. Of several equal ones it
        is the first.
    """,
    hint="""
        First make a list of the places that count: `[place for place, skip in enumerate(special) if not skip]`.
        Then `max(places, key=...)`: the key of a place is its probability, and `max` keeps the first of equals.
    """)


@most_suspected.cases
def short_sentences():
    yield [0.01, 0.73, 0.88, 0.06, 0.02], [True, False, False, False, True]
    yield [0.97, 0.20, 0.10, 0.30, 0.99], [True, False, False, False, True]
    yield [0.00, 0.50, 0.10, 0.50, 0.00], [True, False, False, False, True]
    yield [0.40, 0.30, 0.20], [False, False, False]
    yield [0.90, 0.10, 0.90], [True, False, True]
    yield [0.50, 0.20, 0.50, 0.10], [True, False, False, True]
    for length in (6, 12, 30):
        inside = [round(random.random(), 2) for _ in range(length - 2)]
        yield [0.001, *inside, 0.002], [True, *[False] * (length - 2), True]


@most_suspected.mistake("You return the probability itself: what is asked for is its place in the list.")
def the_probability(p_replaced, special):
    return max(p for p, skip in zip(p_replaced, special, strict=True) if not skip)


@most_suspected.mistake("You counted [CLS] and [SEP] too: leave out the places where `special` is True.")
def special_ones_too(p_replaced, special):
    return p_replaced.index(max(p_replaced))


@most_suspected.mistake("You counted places without [CLS]: once the special tokens are taken out of the list, the "
                        "others move up. Keep the place that each had in the sentence.")
def places_without_special_ones(p_replaced, special):
    ordinary = [p for p, skip in zip(p_replaced, special, strict=True) if not skip]
    return ordinary.index(max(ordinary))


@most_suspected.mistake("You found the highest number among the right tokens, and then its place among all: a "
                        "special token before it may have the same number.")
def looked_up_among_all(p_replaced, special):
    return p_replaced.index(max(p for p, skip in zip(p_replaced, special, strict=True) if not skip))


@most_suspected.mistake("You found the least suspected token: you took the lowest probability.")
def the_least(p_replaced, special):
    places = [place for place, skip in enumerate(special) if not skip]
    return min(places, key=lambda place: p_replaced[place])


@most_suspected.mistake("Of several equal tokens you took the last, and the first is asked for: `>=` in a loop does "
                        "that, and `>` does not.")
def the_last_of_equals(p_replaced, special):
    places = [place for place, skip in enumerate(special) if not skip]
    return max(reversed(places), key=lambda place: p_replaced[place])


@most_suspected.mistake("You began to count at 1: the first token of the list has place 0.")
def counted_from_one(p_replaced, special):
    places = [place for place, skip in enumerate(special) if not skip]
    return max(places, key=lambda place: p_replaced[place]) + 1


@most_suspected.mistake("You took the largest place, and not the place of the largest probability: give `max` a key.")
def the_largest_place(p_replaced, special):
    return max(place for place, skip in enumerate(special) if not skip)
