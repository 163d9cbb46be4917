"""What the two models say about a sentence, piece by piece: the plain data that every picture is drawn from.

`judge` plays one round of the game on a sentence of your own: places are hidden, the generator proposes,
one token a place is drawn, and the discriminator says of every token how likely it is to be a fake.
`rejudge` shows the same fakes to another model. What heads looked at meanwhile is in `heads`. Places count
pieces as printed, [CLS] = 0.

    T pieces of the sentence with [CLS] and [SEP], N hidden places, V vocabulary
"""
import math
import re
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import islice
from numbers import Integral, Real

import numpy as np
import torch

from electra_tutorial.checkpoint import load, model_folder, read_json
from electra_tutorial.errors import UserError
from electra_tutorial.evaluation import MASK_RATE, piece_logits, quietly
from electra_tutorial.model import forbid_special
from electra_tutorial.tokens import CLS_ID, MASK_ID, SEP_ID, SPECIAL_TOKENS, UNK_ID, word_groups

# Sentences of our own, written for the time-lapse: text, and the word that does not belong (None: none).
PROBES = (
    ("The children are playing in the garden.", None),
    ("The children is playing in the garden.", "is"),
    ("She have never been to London.", "have"),
    ("He drank a cup of window before breakfast.", "window"),
    ("I would like to buys a new car.", "buys"),
    ("My brother is taller than me.", None),
    ("It rained all day, so we stayed at yellow.", "yellow"),
    ("Can you tell me where the station is?", None),
    ("They was surprised by the news.", "was"),
    ("The film was released in the United carrots in 1998.", "carrots"),
)
# An English sentence with so few of its words whole in a vocabulary of 8,192 pieces is one in 500; sentences
# in eight other languages in Latin script have .12 to .44.
FEW_WHOLE_WORDS = 0.45
# A short sentence in another language has more: "le", "on", "la" stand in that vocabulary too. But none of its
# words is among the commonest English ones, and so few whole words without a common one are rare in English.
FEWER_THAN_USUAL, COMMONEST = 0.6, 50
LONGEST_WORD = 100  # characters; the tokenizer cuts no longer one


@dataclass(frozen=True)
class Judgement:
    """One round of the game, as plain data. A list without a note: one entry a piece, [CLS] and [SEP] too."""

    text: str
    pieces: list  # the sentence as the model reads it
    ids: list
    words: list  # which places make up each word: a list of lists; [CLS] and [SEP] belong to none
    word_texts: list  # each word as it was typed: one entry a word
    mask: list  # (N,) the hidden places, in order
    open: list  # those of them at which you typed [MASK]: there is no original to compare with
    samples: list  # (N,) the piece put in at each hidden place
    sample_probabilities: list  # (N,) how likely the generator was to draw it
    original_probabilities: list  # (N,) how likely the original was, which would have been no fake
    proposals: list  # (N,) what the generator found likeliest there: a list of (piece, probability)
    corrupted: list  # the pieces after sampling: what the discriminator reads
    corrupted_ids: list
    labels: list  # bool, True = really replaced; a sample equal to the original is not
    p_replaced: list  # P(replaced) of each piece of the corrupted sentence
    p_unedited: list  # P(replaced) of each piece of the sentence as it was typed
    base_rate: float  # the share of fakes in training: what a discriminator says that knows nothing
    temperature: float
    seed: int
    notes: list  # sentences to read beside the numbers

    @property
    def masked(self):
        """The pieces with [MASK] at the hidden places: what the generator reads."""
        return ["[MASK]" if place in self.mask else piece for place, piece in enumerate(self.pieces)]

    @property
    def masked_ids(self):
        """The same as ids."""
        return [MASK_ID if place in self.mask else i for place, i in enumerate(self.ids)]

    @property
    def special(self):
        """(T,) bool: [CLS] and [SEP], which are nobody's words."""
        return [i in (CLS_ID, SEP_ID) for i in self.ids]

    @property
    def most_suspect(self):
        """The place of the piece that the discriminator suspects most."""
        return most_suspected(self.p_replaced, self.special)

    def word_suspicion(self):
        """P(replaced) of each word of the corrupted sentence, the highest of its pieces; None if cut off."""
        return [max((self.p_replaced[place] for place in word), default=None) for word in self.words]

    def word_labels(self):
        """Whether each word holds a replaced piece: one bool a word."""
        return [any(self.labels[place] for place in word) for word in self.words]

    def corrupted_words(self):
        """The words of the corrupted sentence as text; an untouched one as it was typed."""
        joined = ["".join(self.corrupted[place].removeprefix("##") for place in word) for word in self.words]
        touched = [any(place in self.mask for place in word) for word in self.words]
        return [new if hit else old for new, old, hit in zip(joined, self.word_texts, touched, strict=True)]

    def to_dict(self):
        """Plain data for JSON: the fields, and the masked pieces."""
        return {**asdict(self), "masked": self.masked}


# --- judging ----------------------------------------------------------------------------------------------
def most_suspected(p_replaced, special):
    """Find the token that is most likely a fake: its place, where the first token has place 0.

    p_replaced: a list of T probabilities; special: a list of T bools, True at tokens that are nobody's words and
    cannot be fakes. Of several equally suspect places it is the first.
    """
    ordinary = [place for place, is_special in enumerate(special) if not is_special]
    return max(ordinary, key=lambda place: p_replaced[place])


def judge(text, model=None, tokenizer=None, mask=None, seed=0, temperature=1.0, top=5, samples=None):
    """Hide places of a sentence, let the generator fill them, and ask the discriminator about every piece.

    model: an `Electra` (then the tokenizer too), a `Run`, a model folder, or None for the mini ELECTRA that
    comes with the course. mask: the places to hide; None draws 15 % of them by the seed; [] hides none, so
    that the sentence is judged as it is. samples: pieces of your own to put there, one a place,
    instead of drawing. temperature: of the drawing; 0 takes the likeliest. top: how many proposals to keep.
    A typed "[MASK]" is one more place for the generator to fill; "[SEP]" and the like are read as text.

    Returns a `Judgement`, its numbers those of the models' own forward passes (paper, section 2). Raises
    `UserError` for a text without a word, a place that is not there or holds a special token, a sample that
    is not one piece of the vocabulary, and a temperature below 0.
    """
    electra, tokenizer, base_rate = find_model(model, tokenizer)
    if not (isinstance(temperature, Real) and 0 <= temperature < math.inf):
        raise UserError(f"A temperature of {temperature} cannot be used: give 0 (the likeliest) or more "
                        "(1: the generator's own odds).")
    sentence = read_text(text, tokenizer, electra.preset.max_length, common_words(electra, tokenizer))
    mask = draw_mask(sentence, electra, seed) if mask is None else check_mask(mask, sentence)
    if samples is not None:
        samples = check_samples(samples, mask, tokenizer)
    return play(sentence, mask, samples, electra, tokenizer, base_rate, temperature, seed, top)


def rejudge(judgement, model=None, tokenizer=None):
    """Another model's opinion of the same fakes: a `Judgement` with the same words and the same labels.

    With the same vocabulary it reads the very same tokens. With another, it reads the corrupted words as its
    own vocabulary cuts them, nothing is hidden, and the labels are carried over word by word. The base rate
    stays the first judgement's, so that colours can be compared. Raises `UserError` as `judge` does.
    """
    electra, tokenizer, _ = find_model(model, tokenizer)
    sentence = read_text(judgement.text, tokenizer, electra.preset.max_length, common_words(electra, tokenizer))
    corrupted = [tokenizer.token_to_id(piece) for piece in judgement.corrupted]
    if sentence.ids != judgement.ids or corrupted != judgement.corrupted_ids:
        return carry_over(judgement, electra, tokenizer)
    samples = [judgement.corrupted_ids[place] for place in judgement.mask]
    top = max((len(row) for row in judgement.proposals), default=0)
    judged = play(sentence, judgement.mask, samples, electra, tokenizer, judgement.base_rate,
                  judgement.temperature, judgement.seed, top)
    return replace(judged, labels=judgement.labels)


def carry_over(judgement, electra, tokenizer):
    """The corrupted words in another vocabulary, nothing hidden, their labels carried over word by word."""
    texts, fake = judgement.corrupted_words(), judgement.word_labels()
    encoding = tokenizer.encode(texts, is_pretokenized=True, add_special_tokens=False)
    room = electra.preset.max_length - 2
    ids, word_of = [CLS_ID, *encoding.ids[:room], SEP_ID], encoding.word_ids[:room]
    words = [[place + 1 for place, word in enumerate(word_of) if word == w] for w in range(len(texts))]
    notes = ["This model has another vocabulary: it reads the same words cut into its own pieces."]
    pieces = [tokenizer.id_to_token(i) for i in ids]
    sentence = Sentence(" ".join(texts), pieces, ids, words, texts, notes)
    judged = play(sentence, [], [], electra, tokenizer, judgement.base_rate, judgement.temperature,
                  judgement.seed, 0)
    return replace(judged, labels=[False, *(fake[word] for word in word_of), False])


def find_model(model, tokenizer):
    """(electra, tokenizer, base rate) of what was given: an `Electra`, a `Run`, a folder, or None.

    The base rate comes from the share of replaced tokens at the last evaluation; without one, it is the
    share masked.
    """
    if hasattr(model, "electra"):  # a `Run`
        return model.electra, model.tokenizer, base_rate_of(model.electra, model.metrics)
    if hasattr(model, "discriminator"):
        if tokenizer is None:
            raise UserError("A model alone cannot read text: give its tokenizer, or the folder of both.")
        return model, tokenizer, base_rate_of(model, {})
    folder = model_folder(model)
    return load_once(folder, tuple(file.stat().st_mtime_ns for file in sorted(folder.glob("*.*"))))


@lru_cache(maxsize=3)
def load_once(folder, changed):
    """(electra, tokenizer, base rate) of a folder, kept for the next sentence until a file in it changes."""
    electra, tokenizer = load(folder)
    metrics = read_json(folder / "metrics.json") if (folder / "metrics.json").is_file() else {}
    return electra, tokenizer, base_rate_of(electra, metrics)


def base_rate_of(electra, metrics):
    """The share of fakes among the tokens the discriminator was trained on, as far as is known.

    Evaluation masks 15 %, whatever training masked; the share of fakes grows with it.
    """
    share, rate = metrics.get("replaced_share") if isinstance(metrics, dict) else None, electra.preset.mask_rate
    return share * rate / MASK_RATE if isinstance(share, Real) and 0 < share < MASK_RATE else rate


# --- one round of the game ----------------------------------------------------------------------------------
def play(sentence, mask, samples, electra, tokenizer, base_rate, temperature, seed, top):
    """Fill the hidden places, with samples (N,) ids or, if None, from the generator: the `Judgement`."""
    ids, chosen = torch.tensor([sentence.ids]), torch.zeros(1, len(sentence.ids), dtype=torch.bool)  # (1, T)
    chosen[0, mask] = True
    logits = generator_logits(electra, ids, chosen)  # (N, V)
    if samples is None:
        samples = electra.objective.sample(logits, temperature, torch.Generator().manual_seed(2 * seed + 1))
    samples = torch.as_tensor(samples, dtype=torch.long)  # (N,)
    corrupted = electra.objective.corrupt(ids, chosen, samples)  # (1, T)
    labels = electra.objective.label(ids, corrupted)  # (1, T)
    unedited, replaced = probabilities(electra, [sentence.ids, corrupted[0].tolist()])
    open_places = [place for place in mask if sentence.ids[place] == MASK_ID]
    return Judgement(
        **vars(sentence) | {"notes": sentence.notes + open_notes(open_places)},
        mask=list(mask), open=open_places,
        **generator_report(logits, ids[chosen], samples, temperature, top, tokenizer),
        corrupted=[piece_of(i, tokenizer) for i in corrupted[0].tolist()],
        corrupted_ids=corrupted[0].tolist(), labels=labels[0].tolist(),
        p_replaced=replaced, p_unedited=unedited, base_rate=base_rate, temperature=temperature, seed=seed,
    )


def generator_logits(electra, ids, chosen):
    """The generator's logits at the hidden places, special tokens ruled out: (N, V), on the CPU."""
    with quietly(electra) as device:
        masked_ids = ids.masked_fill(chosen, MASK_ID).to(device)  # (1, T)
        visible = torch.ones_like(masked_ids, dtype=torch.bool)
        return forbid_special(electra.generator(masked_ids, visible, chosen.to(device)).float()).cpu()


def tempered(logits, temperature):
    """The odds that samples are drawn with: (N, V) -> (N, V). At temperature 0 all on the likeliest."""
    if temperature == 0:
        return torch.zeros_like(logits).scatter(-1, logits.argmax(dim=-1, keepdim=True), 1.0)
    return torch.softmax(logits / temperature, dim=-1)


def generator_report(logits, originals, samples, temperature, top, tokenizer):
    """What the generator drew, proposed and thought of the original, at each hidden place: fields by name."""
    odds = tempered(logits, temperature)  # (N, V)
    best = logits.topk(min(top, logits.shape[-1]), dim=-1).indices  # (N, top)
    return {
        "samples": [piece_of(i, tokenizer) for i in samples.tolist()],
        "sample_probabilities": odds.gather(1, samples[:, None])[:, 0].tolist(),
        "original_probabilities": odds.gather(1, originals[:, None])[:, 0].tolist(),
        "proposals": [[(piece_of(i, tokenizer), row[i].item()) for i in places.tolist()]
                      for row, places in zip(odds, best, strict=True)],
    }


def piece_of(number, tokenizer):
    """The piece with this id; [UNK] for an id that no text has, of a model larger than its vocabulary."""
    return tokenizer.id_to_token(number) or SPECIAL_TOKENS[UNK_ID]


def probabilities(electra, rows):
    """P(replaced) of every piece of each row of ids: a list of lists."""
    logits = piece_logits(electra.discriminator, rows)
    return [(1 / (1 + np.exp(-x.astype(np.float64)))).tolist() for x in logits]


def open_notes(places):
    """What to say of places at which [MASK] was typed."""
    if not places:
        return []
    return [f"You typed [MASK] at place {', '.join(map(str, places))}: the generator fills it, and there is "
            "no original to compare with."]


# --- reading what was typed ---------------------------------------------------------------------------------
@dataclass(frozen=True)
class Sentence:
    """A text as the model reads it: the first fields of a `Judgement`, and the first notes."""

    text: str
    pieces: list
    ids: list
    words: list
    word_texts: list
    notes: list


def read_text(text, tokenizer, max_length, common=()):
    """Cut a text into pieces, as many as the model has places for: a `Sentence`. `common`: see `common_words`.

    Raises `UserError` when there is no word in it. What is cut off, and words the model cannot know, are said
    in the notes.
    """
    if not isinstance(text, str) or not text.strip():
        raise UserError(f"There is nothing to judge in {text!r}: give a sentence.")
    readable = text.encode("utf-8", "replace").decode("utf-8")  # a terminal may pass on half a character
    # Of the special tokens only [MASK] can be typed; the others become brackets and a word.
    readable = re.sub(r"\[(PAD|UNK|CLS|SEP)\]", r"[ \1 ]", readable)
    encoding = tokenizer.encode(readable)
    words = word_groups(encoding)
    if not words:
        raise UserError(f"There is no word in {shortened(text)!r}, only characters the model leaves out: "
                        "give a sentence.")
    kept = [word for word in words if word[-1] <= max_length - 2] or [words[0][: max_length - 2]]
    end = kept[-1][-1] + 1
    texts = [readable[encoding.offsets[word[0]][0] : encoding.offsets[word[-1]][1]] for word in kept]
    ids = [*encoding.ids[:end], SEP_ID]
    notes = cut_notes(words, kept, max_length) + language_notes(kept, texts, ids, common)
    return Sentence(text, [*encoding.tokens[:end], "[SEP]"], ids, kept, texts, notes)


def shortened(text, limit=40):
    """The beginning of a text, for a message."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def cut_notes(words, kept, max_length):
    """What to say when not all words of a text fit into the model's places."""
    if kept == words:
        return []
    begin = f"The text was cut: this model reads {max_length} pieces at once, "
    if len(kept) == 1 and len(kept[0]) < len(words[0]):
        return [f"{begin}so of its first word only {len(kept[0])} pieces of {len(words[0])} are judged."]
    return [f"{begin}so the first {len(kept)} of {len(words)} words are judged."]


def common_words(electra, tokenizer):
    """The ids of the words that the generator expects most wherever it is asked: its output biases tell.

    An empty set for a generator that was never trained, whose biases are all alike.
    """
    biases = electra.generator.bias.detach().float().cpu().numpy()  # (V,)
    if not biases.any():
        return set()
    likeliest = map(int, np.argsort(-biases))
    return set(islice((i for i in likeliest if (tokenizer.id_to_token(i) or "").isalpha()), COMMONEST))


def language_notes(words, texts, ids, common=()):
    """What to say when the model cannot know the words: all it ever read was its training text."""
    if any(len(text) > LONGEST_WORD for text in texts):
        return [f"A word of more than {LONGEST_WORD} letters is [UNK], a token that tells the model nothing."]
    unknown = sum(UNK_ID in (ids[place] for place in word) for word in words)
    if 2 * unknown > len(words):
        return [f"The model never saw this language: {unknown} of {len(words)} words are [UNK], a token that "
                "tells it nothing."]
    if unknown:
        return [f"[UNK] stands for {unknown} of {len(words)} words, with characters the model does not know."]
    spelled = [word for word, text in zip(words, texts, strict=True) if text[:1].isalpha()]
    whole = [ids[word[0]] for word in spelled if len(word) == 1]
    strange = len(spelled) >= 4 and len(whole) < FEW_WHOLE_WORDS * len(spelled)
    if common and len(spelled) >= 3 and not set(common) & set(whole):
        strange = strange or len(whole) < FEWER_THAN_USUAL * len(spelled)
    if strange:
        return [f"The model hardly knows these words: {len(whole)} of {len(spelled)} stand whole in its "
                "vocabulary, the others are spelled from pieces. Is this a language it never saw?"]
    return []


# --- the hidden places --------------------------------------------------------------------------------------
def draw_mask(sentence, electra, seed):
    """15 % of the places, drawn by the seed, and those at which [MASK] was typed: a sorted list."""
    ids = torch.tensor([sentence.ids])  # (1, T)
    rng = torch.Generator().manual_seed(2 * seed)
    special = ids < len(SPECIAL_TOKENS)
    _, chosen = electra.objective.mask(ids, special, MASK_RATE, MASK_ID, 0.0, rng)  # (1, T)
    return sorted({*chosen[0].nonzero().flatten().tolist(), *typed_masks(sentence)})


def typed_masks(sentence):
    """The places at which "[MASK]" was typed: a list."""
    return [place for place, i in enumerate(sentence.ids) if i == MASK_ID]


def check_mask(mask, sentence):
    """The places to hide, sorted, each once. Raises `UserError` for one that must not be hidden."""
    for place in mask:
        if not isinstance(place, Integral) or isinstance(place, bool):
            raise UserError(f"{place!r} is no place: places are whole numbers. {choices(sentence)}")
        if not 0 <= place < len(sentence.ids):
            raise UserError(f"There is no place {place}: the sentence has the places 0 to "
                            f"{len(sentence.ids) - 1}. {choices(sentence)}")
        if sentence.ids[place] < len(SPECIAL_TOKENS) and sentence.ids[place] != MASK_ID:
            raise UserError(f"Place {place} is {sentence.pieces[place]}, a special token, which is never "
                            f"masked. {choices(sentence)}")
    return sorted({*map(int, mask), *typed_masks(sentence)})


def choices(sentence):
    """The places that may be hidden, with their pieces, for a message."""
    pairs = zip(sentence.pieces, sentence.ids, strict=True)
    ordinary = [f"{place} {piece}" for place, (piece, i) in enumerate(pairs) if i >= len(SPECIAL_TOKENS)]
    return f"Choose from: {' | '.join(ordinary)}" if ordinary else "No piece of this text can be masked."


def check_samples(samples, mask, tokenizer):
    """The ids of pieces to put at the hidden places. Raises `UserError` unless each is one known piece."""
    if isinstance(samples, str) or len(samples) != len(mask):
        raise UserError(f"The samples {samples!r} do not fit: give one piece for each of the places {mask}.")
    return [check_sample(sample, tokenizer) for sample in samples]


def check_sample(sample, tokenizer):
    """The id of one piece, given as text or as an id. Raises `UserError` if there is no such piece."""
    number = tokenizer.token_to_id(sample.strip().lower()) if isinstance(sample, str) else sample
    if isinstance(number, Integral) and len(SPECIAL_TOKENS) <= number < tokenizer.get_vocab_size():
        return int(number)
    read = " ".join(tokenizer.encode(str(sample), add_special_tokens=False).tokens)
    raise UserError(f"{sample!r} is not one piece of the vocabulary, which cuts it {read!r}: take another.")


# --- who read what ------------------------------------------------------------------------------------------
def what_was_read(text, which, electra, tokenizer):
    """The ids, T of them, that one of the two models read: of a sentence, as it is; of a `Judgement`, the generator
    the masked sentence and the discriminator the corrupted one. Raises `UserError` for a `which` that is neither.
    """
    if which not in ("discriminator", "generator"):
        raise UserError(f"There is no {which!r} to look into: choose discriminator or generator.")
    if isinstance(text, Judgement):
        return text.corrupted_ids if which == "discriminator" else text.masked_ids
    return read_text(text, tokenizer, electra.preset.max_length).ids


# --- the time-lapse -----------------------------------------------------------------------------------------
def probe_sentences(tokenizer, longest=None):
    """The probe sentences in pieces: a list of {text, pieces, replaced: the places of the false word}.

    longest: where a sentence is cut, for a model that reads no more pieces.
    """
    return [
        {"text": text, "pieces": tokenizer.encode(text).tokens[:longest],
         "replaced": [place for place in places_of(false, text, tokenizer) if longest is None or place < longest]}
        for text, false in PROBES
    ]


def places_of(word, text, tokenizer):
    """The places of the pieces of a word of the text, where it first stands; none for None."""
    if word is None:
        return []
    start = re.search(rf"\b{re.escape(word)}\b", text).start()
    offsets = tokenizer.encode(text).offsets
    return [place for place, (a, b) in enumerate(offsets) if start <= a < b <= start + len(word)]


def watch_probes(electra, tokenizer):
    """P(replaced) of every piece of every probe sentence: a list of lists, rounded to 4 places."""
    rows = [tokenizer.encode(text).ids[: electra.preset.max_length] for text, _ in PROBES]
    return [np.round(row, 4).tolist() for row in probabilities(electra, rows)]
