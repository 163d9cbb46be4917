"""What the two models say about a sentence, piece by piece: the plain data that every picture is drawn from.

`judge` plays one round of the game on a sentence of your own: places are hidden, the generator proposes, one token a place is
drawn, and the discriminator says of every token how likely it is to be a fake. `rejudge` shows the same fakes to another
model, and `attentions_of` returns what its heads looked at meanwhile. Places count pieces as printed, [CLS] = 0.

    T pieces of the sentence with [CLS] and [SEP], N hidden places, V vocabulary, H heads
"""
import math
import re
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
import torch

from electra_tutorial.checkpoint import load, model_folder, read_json
from electra_tutorial.errors import UserError
from electra_tutorial.evaluation import piece_logits, quietly
from electra_tutorial.model import forbid_special
from electra_tutorial.tokens import CLS_ID, MASK_ID, SEP_ID, SPECIAL_TOKENS, UNK_ID, word_groups

# Sentences of our own, written for the time-lapse: text, and the word that does not belong (None: nothing was replaced).
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


@dataclass(frozen=True)
class Judgement:
    """One round of the game, as plain data. Lists without a note have one entry a piece, [CLS] and [SEP] included: (T,)."""

    text: str
    pieces: list  # the sentence as the model reads it
    ids: list
    words: list  # which places make up each word: a list of lists; [CLS] and [SEP] belong to none
    word_texts: list  # each word as it was typed, one entry a word
    mask: list  # (N,) the hidden places, in order
    open: list  # those of them at which you typed [MASK]: there is no original to compare with
    samples: list  # (N,) the piece put in at each hidden place
    sample_probabilities: list  # (N,) how likely the generator was to draw it
    original_probabilities: list  # (N,) how likely it was to draw the original, which would have been no fake
    proposals: list  # (N, top) what the generator found likeliest there: (piece, probability)
    corrupted: list  # the pieces after sampling, which the discriminator reads
    corrupted_ids: list
    labels: list  # bool, True = really replaced; a sample equal to the original is not
    p_replaced: list  # P(replaced) of each piece of the corrupted sentence
    p_unedited: list  # P(replaced) of each piece of the sentence as it was typed
    base_rate: float  # the share of fakes the discriminator was brought up with: what it says when it knows nothing
    temperature: float
    seed: int
    notes: list  # sentences you should read beside the numbers

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

    def to_dict(self):
        """Plain data for JSON: the fields, and the masked pieces."""
        return {**asdict(self), "masked": self.masked}


# --- judging ----------------------------------------------------------------------------------------------
def judge(text, model=None, tokenizer=None, mask=None, seed=0, temperature=1.0, top=5, samples=None):
    """Hide some places of a sentence, let the generator fill them, and ask the discriminator about every piece.

    model: an `Electra` (then the tokenizer too), a `Run`, a model folder, or None for the one that comes with the course.
    mask: the places to hide; None draws as many as in training, by the seed; [] hides none, so the sentence is judged as it
    is. samples: pieces of your own to put there instead of drawing them. temperature: of the drawing, 0 = the likeliest.
    A typed "[MASK]" is a place for the generator to fill; "[SEP]" and the like are brackets and a word.

    Returns a `Judgement`. Raises `UserError` for a text without a word, a place that is not there or is a special token,
    a sample that is no single piece, a negative temperature.
    """
    electra, tokenizer, base_rate = find_model(model, tokenizer)
    if not (isinstance(temperature, int | float) and 0 <= temperature < math.inf):
        raise UserError(f"The temperature {temperature} is no number from 0 up: 0 takes the likeliest token, 1 the model's own odds.")
    sentence = read_text(text, tokenizer, electra.preset.max_length)
    mask = draw_mask(sentence, electra, seed) if mask is None else check_mask(mask, sentence)
    if samples is not None:
        samples = check_samples(samples, mask, tokenizer)
    return play(sentence, mask, samples, electra, tokenizer, base_rate, temperature, seed, top)


def rejudge(judgement, model=None, tokenizer=None, base_rate=None):
    """Another model's opinion of the same fakes: a `Judgement` with the same words and labels.

    With the same vocabulary it reads the very same tokens. With another, it reads the corrupted words cut its own way, and
    the labels are carried over word by word. The base rate stays the first one's, so that colours can be compared.
    """
    electra, tokenizer, _ = find_model(model, tokenizer)
    base_rate = judgement.base_rate if base_rate is None else base_rate
    read = [tokenizer.token_to_id(piece) for piece in (*judgement.pieces, *judgement.corrupted)]
    if read == judgement.ids + judgement.corrupted_ids and len(judgement.ids) <= electra.preset.max_length:
        sentence = Sentence(judgement.text, judgement.pieces, judgement.ids, judgement.words, judgement.word_texts, judgement.notes)
        samples = [judgement.corrupted_ids[place] for place in judgement.mask]
        return play(sentence, judgement.mask, samples, electra, tokenizer, base_rate, judgement.temperature, judgement.seed,
                    max((len(p) for p in judgement.proposals), default=5))
    return carry_over(judgement, electra, tokenizer, base_rate)


def find_model(model, tokenizer):
    """(electra, tokenizer, base rate) of whatever was given: an `Electra`, a `Run`, a folder, or None.

    The base rate is the share of replaced tokens at the last evaluation; of a model without one, the share it masks.
    """
    if hasattr(model, "electra"):  # a `Run`
        return model.electra, model.tokenizer, model.metrics.get("replaced_share") or model.electra.preset.mask_rate
    if hasattr(model, "discriminator"):
        if tokenizer is None:
            raise UserError("A model alone cannot read text: give its tokenizer too, or the folder both are in.")
        return model, tokenizer, model.preset.mask_rate
    folder = model_folder(model)
    return load_once(folder, tuple(file.stat().st_mtime_ns for file in sorted(folder.glob("*.*"))))


@lru_cache(maxsize=3)
def load_once(folder, changed):
    """(electra, tokenizer, base rate) of a folder, kept for the next sentence until its files change."""
    electra, tokenizer = load(folder)
    metrics = read_json(folder / "metrics.json") if (folder / "metrics.json").is_file() else {}
    return electra, tokenizer, metrics.get("replaced_share") or electra.preset.mask_rate


def play(sentence, mask, samples, electra, tokenizer, base_rate, temperature, seed, top):
    """One round of the game at given places: the `Judgement`. samples (N,) ids, or None to draw them from the generator."""
    ids = torch.tensor([sentence.ids])  # (1, T)
    chosen = torch.zeros_like(ids, dtype=torch.bool)  # (1, T)
    chosen[0, mask] = True
    logits = generator_logits(electra, ids, chosen)  # (N, V)
    odds = tempered(logits, temperature)  # (N, V)
    if samples is None:
        samples = electra.objective.sample(logits, temperature, torch.Generator().manual_seed(2 * seed + 1))
    samples = torch.as_tensor(samples, dtype=torch.long)  # (N,)
    corrupted = electra.objective.corrupt(ids, chosen, samples)  # (1, T)
    labels = electra.objective.label(ids, corrupted)[0].tolist()
    unedited, replaced = probabilities(electra, [sentence.ids, corrupted[0].tolist()])
    best = logits.topk(min(top, logits.shape[-1]), dim=-1).indices  # (N, top)
    open_places = [place for place in mask if sentence.ids[place] == MASK_ID]
    piece = tokenizer.id_to_token
    return Judgement(
        text=sentence.text, pieces=sentence.pieces, ids=sentence.ids, words=sentence.words, word_texts=sentence.word_texts,
        mask=list(mask), open=open_places,
        samples=[piece(i) for i in samples.tolist()],
        sample_probabilities=[row[i] for row, i in zip(odds.tolist(), samples.tolist(), strict=True)],
        original_probabilities=[row[sentence.ids[place]] for row, place in zip(odds.tolist(), mask, strict=True)],
        proposals=[[(piece(i), odds[n, i].item()) for i in row] for n, row in enumerate(best.tolist())],
        corrupted=[piece(i) for i in corrupted[0].tolist()], corrupted_ids=corrupted[0].tolist(), labels=labels,
        p_replaced=replaced, p_unedited=unedited, base_rate=base_rate, temperature=temperature, seed=seed,
        notes=sentence.notes + play_notes(sentence, mask, open_places),
    )


def generator_logits(electra, ids, chosen):
    """What the generator thinks of each token of the vocabulary at the hidden places, special tokens ruled out: (N, V)."""
    with quietly(electra) as device:
        masked = ids.masked_fill(chosen, MASK_ID).to(device)
        visible = torch.ones_like(masked, dtype=torch.bool)
        return forbid_special(electra.generator(masked, visible, chosen.to(device)).float()).cpu()


def tempered(logits, temperature):
    """The probabilities that samples are drawn with: logits (N, V) -> (N, V). At temperature 0 all of it on the likeliest."""
    if temperature == 0:
        return torch.zeros_like(logits).scatter(-1, logits.argmax(dim=-1, keepdim=True), 1.0)
    return torch.softmax(logits / temperature, dim=-1)


def probabilities(electra, rows):
    """P(replaced) of every piece of each row of ids: a list of lists."""
    return [(1 / (1 + np.exp(-x.astype(float)))).tolist() for x in piece_logits(electra.discriminator, rows)]


def carry_over(judgement, electra, tokenizer, base_rate):
    """The corrupted words in another vocabulary, nothing hidden, their labels carried over word by word."""
    texts = corrupted_words(judgement)
    encoding = tokenizer.encode(texts, is_pretokenized=True)
    places = [place for place, word in enumerate(encoding.word_ids) if word is not None][: electra.preset.max_length - 2]
    ids = [CLS_ID, *(encoding.ids[place] for place in places), SEP_ID]
    word_of = [encoding.word_ids[place] for place in places]
    words = [[n + 1 for n, word in enumerate(word_of) if word == w] for w in range(len(texts))]
    fake = [any(judgement.labels[place] for place in word) for word in judgement.words]
    note = "This model cuts words into other pieces, so it judges the replaced words as its own vocabulary spells them."
    sentence = Sentence(" ".join(texts), [tokenizer.id_to_token(i) for i in ids], ids, words, texts, [note])
    judged = play(sentence, [], [], electra, tokenizer, base_rate, judgement.temperature, judgement.seed, 0)
    labels = [False, *(fake[word] for word in word_of), False]
    return Judgement(**{**vars(judged), "labels": labels})


def corrupted_words(judgement):
    """Each word of the corrupted sentence as text; an untouched one as it was typed."""
    joined = ("".join(judgement.corrupted[place].removeprefix("##") for place in word) for word in judgement.words)
    touched = (any(place in judgement.mask for place in word) for word in judgement.words)
    return [new if changed else old for new, old, changed in zip(joined, judgement.word_texts, touched, strict=True)]


# --- reading what was typed --------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Sentence:
    """A text as the model reads it: the first fields of a `Judgement`."""

    text: str
    pieces: list
    ids: list
    words: list
    word_texts: list
    notes: list


def read_text(text, tokenizer, max_length):
    """Cut a text into pieces, as many as the model has places for: a `Sentence`. Raises `UserError` without a word in it."""
    if not isinstance(text, str) or not text.strip():
        raise UserError(f"There is nothing to judge in {text!r}: type a sentence.")
    # Only [MASK] keeps its special sense; the other names of special tokens become brackets and a word.
    spaced = re.sub(r"\[(PAD|UNK|CLS|SEP)\]", r"[ \1 ]", text)
    encoding = tokenizer.encode(spaced)
    words = word_groups(encoding)
    if not words:
        raise UserError(f"There is no word in {shortened(text)!r}, only characters that are left out: type a sentence.")
    kept = [word for word in words if word[-1] <= max_length - 2] or [words[0][: max_length - 2]]
    end = kept[-1][-1] + 1
    ids, pieces = encoding.ids[:end] + [SEP_ID], encoding.tokens[:end] + ["[SEP]"]
    texts = [spaced[encoding.offsets[word[0]][0] : encoding.offsets[word[-1]][1]] for word in kept]
    notes = cut_notes(kept, words, end, len(encoding.ids), max_length) + language_notes(kept, ids)
    return Sentence(text, pieces, ids, kept, texts, notes)


def shortened(text, limit=40):
    """The beginning of a text, for a message."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def cut_notes(kept, words, end, length, max_length):
    """What to say when a text does not fit into the model's places."""
    if end == length - 1:
        return []
    if len(kept) == len(words) == 1:
        return [f"The word is too long: the model reads {max_length} pieces at once, so only its first {end - 1} are judged."]
    return [f"The text was cut: the model reads {max_length} pieces at once, so the first {len(kept)} of {len(words)} words are judged."]


def language_notes(words, ids):
    """What to say when the model cannot know the words: its training text was English."""
    unknown = sum(any(ids[place] == UNK_ID for place in word) for word in words)
    letters = [word for word in words if len(word) > 1 or ids[word[0]] not in range(5)]
    if 2 * unknown > len(words):
        return [f"The model never saw this language: {unknown} of {len(words)} words are [UNK], a token it knows nothing about."]
    if unknown:
        return [f"{unknown} of {len(words)} words {'is' if unknown == 1 else 'are'} [UNK]: made of characters the model never saw."]
    if len(letters) >= 4 and sum(map(len, letters)) > FOREIGN * len(letters):
        return [f"The model hardly knows these words: they fall into {sum(map(len, words)) / len(words):.1f} pieces each, so this may be "
                "a language it never saw."]
    return []


FOREIGN = 2.2  # pieces a word


def play_notes(sentence, mask, open_places):
    """What to say about the hidden places."""
    notes = []
    if open_places:
        places = ", ".join(map(str, open_places))
        notes.append(f"You typed [MASK] at place {places}: the generator fills it, and there is no original to compare with.")
    return notes


# --- the hidden places -----------------------------------------------------------------------------------------
def draw_mask(sentence, electra, seed):
    """Places drawn as in training, by the seed, and those at which [MASK] was typed. A list of int."""
    ids = torch.tensor([sentence.ids])  # (1, T)
    rng = torch.Generator().manual_seed(2 * seed)
    _, chosen = electra.objective.mask(ids, ids < len(SPECIAL_TOKENS), electra.preset.mask_rate, MASK_ID, 0.0, rng)
    return sorted({*chosen[0].nonzero().flatten().tolist(), *typed_masks(sentence)})


def typed_masks(sentence):
    """The places at which "[MASK]" was typed."""
    return [place for place, i in enumerate(sentence.ids) if i == MASK_ID]


def check_mask(mask, sentence):
    """The places to hide, in order, each once. Raises `UserError` for one that is not there or must not be hidden."""
    for place in mask:
        if not isinstance(place, int) or isinstance(place, bool):
            raise UserError(f"{place!r} is no place: places are whole numbers, {choices(sentence)}")
        if not 0 <= place < len(sentence.ids):
            raise UserError(f"There is no place {place} in these {len(sentence.ids)} pieces: choose from {choices(sentence)}")
        if sentence.ids[place] < len(SPECIAL_TOKENS) and sentence.ids[place] != MASK_ID:
            raise UserError(f"Place {place} is {sentence.pieces[place]}, a special token, which is never masked: "
                            f"choose from {choices(sentence)}")
    return sorted({*mask, *typed_masks(sentence)})


def choices(sentence):
    """The places that may be hidden, with their pieces, for a message."""
    ordinary = [f"{place} {piece}" for place, (piece, i) in enumerate(zip(sentence.pieces, sentence.ids, strict=True))
                if i >= len(SPECIAL_TOKENS)]
    return (", ".join(ordinary) or "none: this text has only special tokens") + "."


def check_samples(samples, mask, tokenizer):
    """The ids of pieces to put at the hidden places. Raises `UserError` unless there is one known piece for each."""
    if len(samples) != len(mask):
        raise UserError(f"{len(samples)} samples do not fit {len(mask)} hidden places: give one piece for each of {list(mask)}.")
    ids = []
    for sample in samples:
        number = tokenizer.token_to_id(sample.lower()) if isinstance(sample, str) else sample
        if number is None or not len(SPECIAL_TOKENS) <= number < tokenizer.get_vocab_size():
            raise UserError(f"{sample!r} is not one piece of this model's vocabulary: it reads it as "
                            f"{' '.join(tokenizer.encode(str(sample), add_special_tokens=False).tokens)}; choose another word.")
        ids.append(number)
    return ids


# --- attention ---------------------------------------------------------------------------------------------------
def attentions_of(text, model=None, tokenizer=None, which="discriminator"):
    """What each head of each layer looked at: (pieces, a list with one array (H, T, T) a layer; each row sums to 1).

    text: a sentence, read as it is; or a `Judgement`, and then what the model really read: the generator the masked
    sentence, the discriminator the corrupted one. The numbers are those of the very pass that makes the prediction.
    """
    electra, tokenizer, _ = find_model(model, tokenizer)
    if which not in ("discriminator", "generator"):
        raise UserError(f"There is no {which!r} to look into: choose discriminator or generator.")
    if isinstance(text, Judgement):
        ids = text.corrupted_ids if which == "discriminator" else text.masked_ids
    else:
        ids = read_text(text, tokenizer, electra.preset.max_length).ids
    with quietly(electra) as device:
        row = torch.tensor([ids], device=device)  # (1, T)
        _, attentions = getattr(electra, which)(row, torch.ones_like(row, dtype=torch.bool), return_attention=True)
    return [tokenizer.id_to_token(i) for i in ids], [a[0].float().cpu().numpy() for a in attentions]


# --- the time-lapse ----------------------------------------------------------------------------------------------
def probe_sentences(tokenizer):
    """The probe sentences as pieces: a list of {text, pieces, replaced}, `replaced` the places of the false word's pieces."""
    sentences = []
    for text, false in PROBES:
        encoding = tokenizer.encode(text)
        start = text.find(false) if false else -1
        places = [i for i, (a, b) in enumerate(encoding.offsets) if false and start <= a and b <= start + len(false) and b > a]
        sentences.append({"text": text, "pieces": encoding.tokens, "replaced": places})
    return sentences


def watch_probes(electra, tokenizer):
    """P(replaced) of every piece of every probe sentence: a list of lists, rounded to 4 places."""
    rows = [tokenizer.encode(text).ids for text, _ in PROBES]
    return [np.round(row, 4).tolist() for row in probabilities(electra, rows)]
