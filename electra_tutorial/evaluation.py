"""What a model can do, measured the same way each time: the frozen exam, and the losses at fixed masks.

The exam tells whether the discriminator learns. Its training losses do not, because the opponent improves
too: they stand beside the score of a trivial model. Evaluation is in float32 and without dropout, leaves
[CLS], [SEP] and padding out, and takes no number from the random streams of training: a run goes on as if
nobody had looked.

    B batch, T tokens in a row, V vocabulary, N masked places of a batch
"""
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from electra_tutorial.exam import load_exam, word_spans
from electra_tutorial.metrics import average_precision, found, loss_floor, recall, roc_auc, unigram_loss
from electra_tutorial.model import forbid_special
from electra_tutorial.objective import corrupt, mask_tokens, replaced_labels, sample_tokens
from electra_tutorial.tokens import MASK_ID, PAD_ID, SPECIAL_TOKENS, make_rows

BATCH_TOKENS = 4096  # padding included: large enough for a GPU, small enough for any laptop
MASK_RATE = 0.15  # of the evaluation, whatever the training's
LOSS_TOKENS = 20_000  # pieces of held-out text, so 2,700 masked places: the MLM loss is good to some .05 nats


@contextmanager
def quietly(model):
    """Evaluation mode, no gradients, no autocast; afterwards each part is in the mode it came in. Gives the
    device.
    """
    before, device = [(part, part.training) for part in model.modules()], next(model.parameters()).device
    model.eval()
    try:
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            yield device
    finally:
        for part, training in before:
            part.training = training


def batches_by_length(rows, batch_tokens=BATCH_TOKENS):
    """Row numbers in batches of like length, so that little padding is computed: a list of lists of int."""
    batches, batch = [], []
    for number in sorted(range(len(rows)), key=lambda n: len(rows[n])):
        if batch and (len(batch) + 1) * len(rows[number]) > batch_tokens:
            batches.append(batch)
            batch = []
        batch.append(number)
    return batches + [batch] if batch else batches


def pad(rows):
    """Rows of ids (T,) -> ids (B, T) long, filled up with [PAD], and attention_mask (B, T), True = a real
    token.
    """
    ids = torch.full((len(rows), max(len(row) for row in rows)), PAD_ID)  # (B, T)
    for row, line in zip(rows, ids, strict=True):
        line[: len(row)] = torch.as_tensor(np.asarray(row, dtype=np.int64))
    lengths = torch.tensor([len(row) for row in rows])
    return ids, torch.arange(ids.shape[1]) < lengths[:, None]


def piece_logits(discriminator, rows):
    """The log-odds that each piece was replaced: for rows of ids (T,) a list of float32 arrays (T,).

    The numbers of [CLS] and [SEP] are included, those of padding are not. Any length, any order; batched
    inside.
    """
    logits = [None] * len(rows)
    with quietly(discriminator) as device:
        for numbers in batches_by_length(rows):
            ids, attention_mask = pad([rows[n] for n in numbers])
            scores = discriminator(ids.to(device), attention_mask.to(device)).float().cpu().numpy()  # (B, T)
            for number, score in zip(numbers, scores, strict=True):
                logits[number] = score[: len(rows[number])]
    return logits


# --- the exam ---------------------------------------------------------------------------------------------
def words_of_pieces(encoding, text):
    """The number of the word that each piece belongs to, (T,); -1 for [CLS], [SEP] and punctuation."""
    word_at = np.full(len(text) + 1, -1)
    for word, (start, end) in enumerate(word_spans(text)):
        word_at[start:end] = word
    special = np.asarray(encoding.special_tokens_mask, dtype=bool)
    return np.where(special, -1, word_at[[start for start, _ in encoding.offsets]])


def word_suspicion(logits, words):
    """A word is as suspect as the most suspect of its pieces: logits (T,), words (T,) -> (number of
    words,).
    """
    suspicion = np.full(words.max() + 1, -np.inf)
    np.maximum.at(suspicion, words[words >= 0], logits[words >= 0])
    return suspicion


def log_original(logits):
    """The sum of log P(original) over one sentence's pieces, [CLS] and [SEP] left out: logits (T,) -> a
    float.
    """
    return float(-np.logaddexp(0, np.float64(logits[1:-1])).sum())  # log(1 - sigmoid(x)) = -log(1 + e^x)


@dataclass
class PreparedExam:
    """An exam in a tokenizer's pieces, encoded once, since a training run sits it many times.

    `questions`: part ("easy", "medium") -> list of (row of ids, word of each piece, number of the replaced
    word). `pairs`: list of (row of the good sentence, row of the bad one).
    """

    questions: dict
    pairs: list

    @classmethod
    def make(cls, exam, tokenizer):
        """Encode an `Exam`."""
        questions = {part: encode_questions(getattr(exam, part), tokenizer) for part in ("easy", "medium")}
        good = [encoding.ids for encoding in tokenizer.encode_batch([pair.good for pair in exam.hard])]
        bad = [encoding.ids for encoding in tokenizer.encode_batch([pair.bad for pair in exam.hard])]
        return cls(questions, list(zip(good, bad, strict=True)))


def encode_questions(questions, tokenizer):
    """(row of ids, word of each piece, number of the replaced word) of each `Replacement`."""
    texts = [question.after for question in questions]
    return [
        (encoding.ids, words_of_pieces(encoding, text), question.position)
        for question, text, encoding in zip(questions, texts, tokenizer.encode_batch(texts), strict=True)
    ]


def spread(items, limit):
    """At most `limit` of the items, evenly spread over the list; all of them if limit is None."""
    if limit is None or limit >= len(items):
        return items
    return [items[i * len(items) // limit] for i in range(limit)]


def that_fit(discriminator, items, rows_of):
    """The items whose rows the model has positions for. The exam's sentences are short: nearly always all."""
    longest = discriminator.encoder.max_length
    return [item for item in items if all(len(row) <= longest for row in rows_of(item))]


def find_replaced(discriminator, questions):
    """One part of the exam: (word-level AUC over all words of all sentences, share of sentences found).

    Found means that the replaced word is the most suspect of its sentence; if k words tie for that, it
    counts 1/k.
    """
    logits = piece_logits(discriminator, [row for row, _, _ in questions])
    suspicions = [word_suspicion(x, words) for x, (_, words, _) in zip(logits, questions, strict=True)]
    positions = [position for _, _, position in questions]
    labels = [np.arange(len(words)) == position for words, position in zip(suspicions, positions, strict=True)]
    return roc_auc(np.concatenate(suspicions), np.concatenate(labels)), found(suspicions, positions)


def pair_scores(discriminator, pairs):
    """log P(original) of both sentences of each pair of rows: an array (number of pairs, 2)."""
    logits = piece_logits(discriminator, [row for pair in pairs for row in pair])
    return np.array([log_original(x) for x in logits]).reshape(-1, 2)


def pair_accuracy(scores):
    """The share of pairs whose good sentence scores higher; a tie counts one half. scores (number of pairs,
    2).
    """
    good, bad = scores[:, 0], scores[:, 1]
    return float(((good > bad) + 0.5 * (good == bad)).mean())


def pair_loss(scores):
    """Nats lost by betting on the good sentence of each pair as the scores (number of pairs, 2) advise.

    The mean of log(1 + exp(bad - good)): log 2 for a judge that sees no difference, above it for one that is surely
    wrong. An accuracy counts a pair once the order turns; this moves with every pair, so it tells two models apart
    sooner.
    """
    good, bad = scores[:, 0], scores[:, 1]
    return float(np.logaddexp(0.0, bad - good).mean())


def take_exam(discriminator, tokenizer, exam, limit=None):
    """Let a discriminator sit the exam; `limit` asks only so many questions of each part, evenly spread.

    `exam`: an `Exam`, or a `PreparedExam` (then the tokenizer may be None). Returns a dict of five shares:
    exam_easy_auc, exam_easy_found, exam_medium_auc, exam_medium_found, exam_pairs; None where there is no
    question. A constant predictor gets an AUC of .5, finds one word in as many as there are, and half the
    pairs.
    """
    if not isinstance(exam, PreparedExam):
        exam = PreparedExam.make(exam, tokenizer)
    result = {}
    for part, questions in exam.questions.items():
        questions = spread(that_fit(discriminator, questions, lambda question: question[:1]), limit)
        auc, found = find_replaced(discriminator, questions) if questions else (None, None)
        result |= {f"exam_{part}_auc": auc, f"exam_{part}_found": found}
    pairs = spread(that_fit(discriminator, exam.pairs, lambda pair: pair), limit)
    result["exam_pairs"] = pair_accuracy(pair_scores(discriminator, pairs)) if pairs else None
    return result


# --- the losses -------------------------------------------------------------------------------------------
def heldout_rows(heldout, tokenizer, max_length, tokens=LOSS_TOKENS):
    """Rows of held-out text, as many pieces from each source, evenly spread over it: a list of arrays of
    ids (T,).
    """
    chosen = []
    for source in sorted(heldout):
        lines = spread(heldout[source], tokens // 4)  # enough: a sentence has 4 pieces or more
        rows = make_rows(lines, tokenizer, max_length)
        share = tokens / len(heldout) / rows.ids.size
        chosen += spread(list(rows), None if share >= 1 else int(len(rows) * share))
    return chosen


def unigram_counts(rows, vocab_size):
    """How often each piece stands in the training rows: an array (V,), special tokens counted as 0."""
    counts = np.bincount(rows.ids, minlength=vocab_size)
    counts[: len(SPECIAL_TOKENS)] = 0
    return counts


def mask_rows(rows, seed=0):
    """The fixed masks: a list of batches (ids, attention_mask, chosen, special), each (B, T), on the CPU."""
    rng, batches = torch.Generator().manual_seed(seed), []
    for numbers in batches_by_length(rows):
        ids, attention_mask = pad([rows[n] for n in numbers])
        special = (ids < len(SPECIAL_TOKENS)) | ~attention_mask
        _, chosen = mask_tokens(ids, special, MASK_RATE, MASK_ID, rng=rng)
        batches.append((ids, attention_mask, chosen, special))
    return batches


def play(electra, batches, seed=0):
    """Let the generator fill the fixed masks and the discriminator judge the result.

    Returns four arrays: at the masked places the generator's loss in nats and the true piece, (N,) each; at
    the ordinary tokens the discriminator's logit and the label, True = replaced. The samples come from a
    random stream of their own, on the CPU: the same numbers for every model and device.
    """
    rng, parts = torch.Generator().manual_seed(seed), []
    with quietly(electra) as device:
        for ids, attention_mask, chosen, special in batches:
            visible, places = attention_mask.to(device), chosen.to(device)
            masked_ids = ids.masked_fill(chosen, MASK_ID).to(device)
            logits = electra.generator(masked_ids, visible, places).float().cpu()  # (N, V)
            loss = F.cross_entropy(logits, ids[chosen], reduction="none")  # (N,)
            corrupted = corrupt(ids, chosen, sample_tokens(forbid_special(logits), 1.0, rng))  # (B, T)
            scores = electra.discriminator(corrupted.to(device), visible).float().cpu()  # (B, T)
            labels = replaced_labels(ids, corrupted)
            parts.append((loss, ids[chosen], scores[~special], labels[~special]))
    return [torch.cat(column).numpy() for column in zip(*parts, strict=True)]


def fixed_losses(electra, batches, counts, seed=0):
    """Both models' losses at the same masks each time, with the scores of trivial models beside them.

    batches: from `mask_rows`; counts (V,): how often each piece stands in the training rows. Every chosen
    place is [MASK], the temperature is 1, special tokens are left out. Returns a dict: rtd_auc,
    rtd_average_precision, rtd_recall (at P > .5), rtd_loss and rtd_loss_floor (nats a token),
    replaced_share (of ordinary tokens), mlm_loss and mlm_loss_unigram (nats a masked place).
    """
    mlm, targets, scores, labels = play(electra, batches, seed)
    share = float(labels.mean())
    return {
        "rtd_auc": roc_auc(scores, labels),
        "rtd_average_precision": average_precision(scores, labels),
        "rtd_recall": recall(scores, labels),
        "rtd_loss": float(np.logaddexp(0, np.where(labels, -scores, scores)).mean()),  # -log P(the label)
        "rtd_loss_floor": loss_floor(share),
        "replaced_share": share,
        "mlm_loss": float(mlm.mean()),
        "mlm_loss_unigram": unigram_loss(counts, targets),
    }


@dataclass
class Evaluation:
    """All that training needs to evaluate itself, made once: exams, masks, and the counts for the floor."""

    quick: PreparedExam  # on the way
    exam: PreparedExam  # at the end
    batches: list
    counts: np.ndarray

    @classmethod
    def make(cls, corpus, tokenizer, rows, max_length, exam=None, parts=("choose", "report")):
        """corpus: a `Corpus`; rows: its training rows (for the unigram floor); exam: the corpus's own
        unless given; parts: of the exam, on the way and at the end (see `Exam.part`).
        """
        exam = exam or load_exam(corpus)
        quick, last = (PreparedExam.make(exam.part(part), tokenizer) for part in parts)
        batches = mask_rows(heldout_rows(corpus.heldout, tokenizer, max_length))
        return cls(quick, last, batches, unigram_counts(rows, tokenizer.get_vocab_size()))

    def run(self, electra, limit=None):
        """A dict of the exam's five shares and the eight figures of `fixed_losses`.

        With a `limit`, on the way, at most so many of the questions that choose; without one, at the end,
        all that report.
        """
        exam = take_exam(electra.discriminator, None, self.exam if limit is None else self.quick, limit)
        return exam | fixed_losses(electra, self.batches, self.counts)
