"""The replacement explorer: play rounds of the game by hand, fool the detector, let the two models duel.

The page sends a request, plain data with a number that counts up; `answer` has `judge` and friends look at it,
and returns plain data, which the page draws. Nothing here computes a probability. A mistake in a request comes
back as a sentence and the next request is answered as if nothing had been. Of several requests that arrive
while one is answered, only the newest is answered.
"""
import math
import threading
from contextlib import contextmanager

import torch
import traitlets

from electra_tutorial.errors import UserError
from electra_tutorial.judgement import judge, rejudge
from electra_tutorial.suspicion import FOOL, duel, exchange, put_words, untrained
from electra_tutorial.views.columns import (
    best_guess,
    columns_of,
    drawn_in_words,
    percent,
    summary,
    word_columns,
)
from electra_tutorial.views.live import STYLE, Live, front_end, paper, said_html
from electra_tutorial.views.strip import compare_strips, compared_with, scale, shade, token_strip

LONGEST = 5000  # characters of a text that are looked at
HOTTEST = 100  # the highest temperature
SENTENCES = (  # to begin with; our own
    "The old man was reading a newspaper in the kitchen.",
    "She has never been to London in the winter.",
    "The children are playing football in the park after school.",
    "He drank a cup of tea and went back to work.",
    "My sister would like to buy a new car next year.",
    "The film was released in the United States in the summer.",
)
PARTS = ("round", "fool", "duel")


class Explorer(Live):
    """The live view. models: {name: a model as `judge` takes one, or (Electra, tokenizer)}."""

    _esm = front_end("explorer")
    _css = STYLE
    setting = traitlets.Dict().tag(sync=True)  # what the page needs to know once
    request = traitlets.Dict().tag(sync=True)  # from the page
    answer = traitlets.Dict().tag(sync=True)  # to the page

    def __init__(self, models, first, part):
        self.models, self.picture, self.won, self.lock = models, "", {}, threading.Lock()
        setting = {"models": list(models), "sentences": list(SENTENCES), "part": part, "hottest": HOTTEST,
                   "fool": [{"text": text, "word": word} for text, word in FOOL]}
        super().__init__(setting=setting, request=first)
        self.reply(first)
        self.observe(lambda change: self.reply(change["new"]), "request")

    def reply(self, request):
        """Answer a request, unless a newer one came meanwhile: that one has its own call of this."""
        with self.lock:  # a notebook may call from several threads
            if is_older(request, self.request):
                return
            answered, picture = answer(request, self.models)
            if is_older(request, self.request):
                return
            if "caught" in answered:
                answered["score"] = self.keep_score(request, answered["caught"])
            self.picture, self.answer = picture, answered
            self.refresh()

    def keep_score(self, request, caught):
        """The score of "fool the detector" so far, in a sentence. A sentence once won stays won."""
        key = request["model"], request["number"]
        self.won[key] = self.won.get(key, False) or not caught
        mine = [won for (model, _), won in self.won.items() if model == request["model"]]
        return (f"Your score against {request['model']}: you fooled it in {sum(mine)} of the {len(mine)} sentences "
                f"you tried; there are {len(FOOL)}.")

    def static(self):
        return self.picture


def explore(text=SENTENCES[0], models=None, part="round", mask=None, seed=0, temperature=1.0):
    """The explorer, open at one of its parts: "round", "fool" or "duel".

    models: {name: a model folder, a `Run`, (Electra, tokenizer) or None for the course's own}; without any, the
    course's and an untrained one. text, mask, seed, temperature: the first round, as `judge` takes them.
    Raises `UserError` for a part that is not there, and for no models.
    """
    if part not in PARTS:
        raise UserError(f"The explorer has no part {part!r}: choose from {', '.join(PARTS)}.")
    models = {"the course's": None, "untrained": untrained()} if models is None else models
    if not models:
        raise UserError("There is no model to explore: give {name: model}.")
    first = {"seq": 0, "kind": part, "text": text, "mask": None if mask is None else list(mask), "own": {},
             "words": {}, "seed": seed, "temperature": temperature, "against": "base rate",
             "model": next(iter(models)), "compare": False, "number": 0, "word": ""}
    return Explorer(models, first, part)


def is_older(request, other):
    """Whether a request was made before another."""
    return request.get("seq", 0) < other.get("seq", 0)


# --- answering ------------------------------------------------------------------------------------------------
def answer(request, models):
    """What the page draws in answer to a request, and the same as static HTML: (plain data, text).

    Whatever goes wrong is a sentence in the answer; nothing is raised.
    """
    head = {"seq": request.get("seq", 0), "kind": request.get("kind", "round")}
    try:
        if head["kind"] not in ANSWERS:
            raise UserError(f"The explorer has no part {head['kind']!r}: choose from {', '.join(PARTS)}.")
        with one_thread():
            data, picture = ANSWERS[head["kind"]](request, models)
        return head | data, picture
    except UserError as why:
        problem = str(why)
    except Exception as error:  # whatever it is, the next request must be answered
        problem = f"This could not be answered ({type(error).__name__}: {error}). Change something and try again."
    return head | {"problem": problem}, said_html(problem)


@contextmanager
def one_thread():
    """A sentence is so little work that several threads only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def play_round(request, models):
    """One round: places hidden and filled, every piece judged; on request by the other models too."""
    text, notes = cut(request.get("text"))
    model, against = model_of(request, models), request.get("against") or "base rate"
    drawn, own = draw_round(request, text, model)
    words = yours_in(request, "words", drawn)
    judged, slots = put_words(drawn, words, *model)
    tokens = tokens_of(judged, columns_of(judged, against))
    for token, slot in zip(tokens, slots, strict=True):
        token |= {"origin": slot.origin, "yours": key_of(slot, drawn, words)}
    data = {"tokens": tokens, "places": places_of(judged, tokens, {**own, **words}), "mask": drawn.mask,
            "words": summary(judged), "notes": notes + judged.notes, "legend": legend_of(judged, against),
            "score": score_of(judged), "others": []}
    picture = token_strip(judged, against).html
    if request.get("compare") and len(models) > 1:
        readers = [(name, read_again(drawn, judged, words, pair(models[name]))) for name in models]
        data["others"] = [reader(name, one, judged) for name, one in readers]
        picture += compare_strips(readers).html
    return data, picture


def draw_round(request, text, model):
    """The round with what was drawn, but for single pieces of yours: (`Judgement`, {place: piece})."""
    more = {"seed": whole(request.get("seed"), "seed"), "temperature": heat(request.get("temperature"))}
    judged = judge(text, *model, mask=request.get("mask"), **more)
    if own := yours_in(request, "own", judged):
        samples = [own.get(place, drawn) for place, drawn in zip(judged.mask, judged.samples, strict=True)]
        judged = judge(text, *model, mask=judged.mask, samples=samples, **more)
    return judged, own


def yours_in(request, name, judged):
    """{place: what you typed or chose} for the places that are hidden."""
    typed = {int(place): text for place, text in (request.get(name) or {}).items() if text.strip()}
    return {place: text for place, text in typed.items() if place in judged.mask}


def key_of(slot, drawn, words):
    """The place at which the page asked for the word of yours that a piece belongs to, or None."""
    if not slot.yours:
        return None
    group = next(group for group in drawn.words if slot.origin in group)
    return next(place for place in words if place in group)


def read_again(drawn, judged, words, model):
    """The same fakes read by another model, which may have another vocabulary."""
    again = rejudge(drawn, *model)
    return put_words(again, words, *model)[0] if again.pieces == drawn.pieces else rejudge(judged, *model)


def play_fool(request, models):
    """One word of a sentence of ours exchanged for yours: was it noticed?"""
    text, word = FOOL[whole(request.get("number"), "number") % len(FOOL)]
    new = request.get("word") or ""
    if not new.strip():
        judged = judge(text, *model_of(request, models), mask=[])
        data = {"before": words_of(judged), "after": [], "notes": [], "words": "", "legend": legend_of(judged)}
        return data, token_strip(judged).html
    found = exchange(text, word, cut(new)[0], *model_of(request, models))
    after, p = found.after, percent(found.suspicion)
    said = f"{word} → {after.word_texts[found.number]}: {p}, {'caught' if found.caught else 'it went unnoticed'}. " \
           f"The detector {best_guess(after, after.word_texts, judged=False)}"
    data = {"before": words_of(found.before), "after": words_of(after, found.number), "caught": found.caught,
            "notes": after.notes, "words": said, "legend": legend_of(after)}
    return data, compare_strips([("with your word", after)]).html + paper(said)


def play_duel(request, models):
    """One round on each sentence of ours, and what came of all."""
    model = model_of(request, models)
    seed, temperature = whole(request.get("seed"), "seed"), heat(request.get("temperature"))
    rounds = [judge(text, *model, seed=seed + number, temperature=temperature)
              for number, (text, _) in enumerate(FOOL)]
    count = duel(rounds)
    rows = [["sentences", len(rounds)], ["places hidden", count.hidden],
            ["the draw was the original", count.lucky], ["fakes", count.fakes],
            ["fakes caught (P(replaced) of 50% or more)", count.caught],
            ["fakes missed", count.fakes - count.caught],
            ["false alarms", f"{count.alarms} of {count.untouched} untouched pieces"],
            ["mean P(replaced) of fakes", shown(count.mean_fake)],
            ["mean P(replaced) of originals", shown(count.mean_original)]]
    rows = [[name, str(value)] for name, value in rows]
    fakes = [f"{one.pieces[place]} → {one.corrupted[place]} ({percent(one.p_replaced[place])})"
             for one in rounds for place in one.mask if one.labels[place]]
    words = f"At temperature {temperature:g}: {count.caught} of {count.fakes} fakes caught."
    data = {"rows": rows, "fakes": fakes, "words": words, "notes": []}
    return data, paper(words) + "".join(paper(f"{name}: {value}") for name, value in rows[:4])


ANSWERS = {"round": play_round, "fool": play_fool, "duel": play_duel}


# --- reading a request ----------------------------------------------------------------------------------------
def cut(text):
    """A text of at most so many characters, and what to say if it was longer."""
    text = text if isinstance(text, str) else ""
    if len(text) <= LONGEST:
        return text, []
    return text[:LONGEST], [f"The text was cut: of {len(text):,} characters the first {LONGEST:,} are read."]


def model_of(request, models):
    """(model, tokenizer) of the chosen name. Raises `UserError` for a name that is not there."""
    name = request.get("model")
    if name not in models:
        raise UserError(f"There is no model {name!r} here: choose from {', '.join(models)}.")
    return pair(models[name])


def pair(model):
    """(model, tokenizer) as `judge` takes them, of either one thing or the two."""
    return tuple(model) if isinstance(model, tuple | list) else (model, None)


def whole(value, name):
    """A whole number of at least 0. Raises `UserError` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or value < 0 or value > 1e9:
        raise UserError(f"The {name} {value!r} cannot be used: give a whole number from 0 to 1,000,000,000.")
    return int(value)


def heat(value):
    """A temperature. Raises `UserError` for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= HOTTEST:
        given = "An empty temperature" if value is None else f"A temperature of {value!r}"
        raise UserError(f"{given} cannot be used: give 0 (always the likeliest piece) to "
                        f"{HOTTEST} (nearly every piece alike).")
    return float(value)


# --- what the page draws --------------------------------------------------------------------------------------
def tokens_of(judged, columns):
    """One dict a piece: its words for each row, its colour, and how it is joined to a word."""
    word_of = {place: number for number, word in enumerate(judged.words) for place in word}
    return [{**column.rows, "known": column.known, "colour": shade(column.nats), "nats": f"{column.nats:+.1f}",
             "word": word_of.get(place, -1 - place), "special": judged.special[place],
             "hidden": place in judged.mask}
            for place, column in enumerate(columns)]


def places_of(judged, tokens, own):
    """One dict a hidden place: what the generator proposed there, what was put in, and what is yours."""
    asked = [one["origin"] if one["yours"] is None else one["yours"] for one in tokens]
    return [{"place": place, "own": own.get(asked[place], ""), "drawn": drawn_in_words(judged, number),
             "top": [{"piece": piece, "p": percent(p), "share": round(p, 4)}
                     for piece, p in judged.proposals[number]]}
            for number, place in enumerate(judged.mask)]


def score_of(judged):
    """Generator against discriminator in this round, in a sentence."""
    count = duel([judged])
    if not count.hidden:
        return "Nothing is hidden: the discriminator reads the sentence as it is."
    lucky = f" {count.lucky} of {count.hidden} draws were the original: no fakes." if count.lucky else ""
    return f"The discriminator caught {count.caught} of {count.fakes} fakes.{lucky}"


def words_of(judged, changed=None):
    """One dict a word, the exchanged one marked."""
    words = judged.corrupted_words()
    return [{"sampled": column.rows["sampled"], "p": column.rows["p"], "colour": shade(column.nats),
             "changed": number == changed} for number, column in enumerate(word_columns(judged, words))]


def reader(name, judged, first):
    """What one model says of the same fakes, word by word."""
    fakes = judged.word_labels()
    words = [word | {"changed": fake} for word, fake in zip(words_of(judged), fakes, strict=True)]
    return {"name": name, "guess": best_guess(judged, judged.corrupted_words(), any(first.labels)),
            "words": words, "notes": [note for note in judged.notes if note not in first.notes]}


def legend_of(judged, against="base rate"):
    """The scale of colours, as in a strip: what they compare with, and five colours with their labels."""
    reference = judged.base_rate if against == "base rate" else None
    return {"what": compared_with(reference),
            "steps": [{"colour": colour, "label": label} for colour, label in scale(reference)]}


def shown(p):
    """A mean as a percentage; a dash where there was nothing."""
    return "–" if math.isnan(p) else percent(p)
