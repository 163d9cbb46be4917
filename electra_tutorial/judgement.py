"""What the two models say about a sentence, piece by piece: the plain data that every picture is drawn from."""
import numpy as np

from electra_tutorial.evaluation import piece_logits

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
    logits = piece_logits(electra.discriminator, rows)
    return [np.round(1 / (1 + np.exp(-x.astype(float))), 4).tolist() for x in logits]
