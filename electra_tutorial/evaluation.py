"""What a model can do, measured the same way each time: the frozen exam, and the losses at fixed masks and samples.

The exam tells whether the discriminator learns. Its training losses do not, because the opponent improves too: they are
reported with the score of a trivial model beside them. Evaluation is in float32, without dropout, leaves [CLS], [SEP] and
padding out, and takes no number from the random streams that training uses: a run goes on as if nobody had looked.
"""
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from electra_tutorial.exam import load_exam, word_spans
from electra_tutorial.metrics import average_precision, loss_floor, recall, roc_auc, unigram_loss
from electra_tutorial.model import forbid_special
from electra_tutorial.objective import corrupt, mask_tokens, replaced_labels, sample_tokens
from electra_tutorial.tokens import MASK_ID, PAD_ID, SPECIAL_TOKENS, make_rows

BATCH_TOKENS = 4096  # padding included: large enough for a GPU, small enough for any laptop
MASK_RATE = 0.15  # of the evaluation, whatever the training's
LOSS_TOKENS = 20_000  # pieces of held-out text for the losses: 3,000 masked places, so the loss is good to about .05 nats


@contextmanager
def quietly(model):
    """Evaluation mode, no gradients, no autocast; afterwards each part is in the mode it came in. Gives the device."""
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
    """Rows of ids -> ids (B, T) long, filled up with [PAD], and attention_mask (B, T) bool, True = a real token."""
    ids = torch.full((len(rows), max(len(row) for row in rows)), PAD_ID)  # (B, T)
    for row, line in zip(rows, ids, strict=True):
        line[: len(row)] = torch.as_tensor(np.asarray(row, dtype=np.int64))
    return ids, ids != PAD_ID


def piece_logits(discriminator, rows):
    """The log-odds that each piece was replaced: for rows of ids (T,) a list of float32 arrays (T,), [CLS] and [SEP] included."""
    logits = [None] * len(rows)
    with quietly(discriminator) as device:
        for numbers in batches_by_length(rows):
            ids, attention_mask = pad([rows[n] for n in numbers])
            scores = discriminator(ids.to(device), attention_mask.to(device)).float().cpu().numpy()  # (B, T)
            for number, score in zip(numbers, scores, strict=True):
                logits[number] = score[: len(rows[number])]
    return logits


# --- the exam -------------------------------------------------------------------------------------------------------
def words_of_pieces(encoding, text):
    """The number of the word that each piece belongs to, (T,); -1 for [CLS], [SEP] and punctuation."""
    word_at = np.full(len(text) + 1, -1)
    for word, (start, end) in enumerate(word_spans(text)):
        word_at[start:end] = word
    special = np.asarray(encoding.special_tokens_mask, dtype=bool)
    return np.where(special, -1, word_at[[start for start, _ in encoding.offsets]])


def word_suspicion(logits, words):
    """A word is as suspect as the most suspect of its pieces: logits (T,), words (T,) -> (number of words,)."""
    suspicion = np.full(words.max() + 1, -np.inf)
    np.maximum.at(suspicion, words[words >= 0], logits[words >= 0])
    return suspicion


def log_original(logits):
    """The sum of log P(original) over the pieces of one sentence, [CLS] and [SEP] left out: logits (T,) -> a float."""
    return float(-np.logaddexp(0, logits[1:-1].astype(np.float64)).sum())  # log(1 - sigmoid(x)) = -log(1 + e^x)


@dataclass
class PreparedExam:
    """An exam in a tokenizer's pieces, encoded once, since a training run sits it many times.

    `questions[part]`: for easy and medium a list of (row of ids, word of each piece, position of the replaced word).
    `pairs`: a list of (row of the good sentence, row of the bad one).
    """

    questions: dict
    pairs: list

    @classmethod
    def make(cls, exam, tokenizer):
        questions = {}
        for part in ("easy", "medium"):
            texts = [question.after for question in getattr(exam, part)]
            encodings = tokenizer.encode_batch(texts)
            words = [words_of_pieces(encoding, text) for encoding, text in zip(encodings, texts, strict=True)]
            positions = [question.position for question in getattr(exam, part)]
            questions[part] = list(zip([e.ids for e in encodings], words, positions, strict=True))
        good, bad = (tokenizer.encode_batch([getattr(pair, side) for pair in exam.hard]) for side in ("good", "bad"))
        return cls(questions, [(g.ids, b.ids) for g, b in zip(good, bad, strict=True)])


def that_fit(discriminator, items, rows_of):
    """The items whose rows the model has positions for; the exam's sentences are short, so that is nearly always all."""
    longest = discriminator.encoder.max_length
    return [item for item in items if all(len(row) <= longest for row in rows_of(item))]


def spread(items, limit):
    """At most `limit` of the items, evenly spread over the list; all of them if limit is None."""
    if limit is None or limit >= len(items):
        return items
    return [items[i * len(items) // limit] for i in range(limit)]


def find_replaced(discriminator, questions):
    """One part of the exam: (word-level AUC over all words, share of sentences whose most suspect word is the replaced one)."""
    logits = piece_logits(discriminator, [row for row, _, _ in questions])
    suspicions = [word_suspicion(x, words) for x, (_, words, _) in zip(logits, questions, strict=True)]
    labels = [np.arange(len(s)) == position for s, (_, _, position) in zip(suspicions, questions, strict=True)]
    found = [(s == s.max()) @ label / (s == s.max()).sum() for s, label in zip(suspicions, labels, strict=True)]
    return roc_auc(np.concatenate(suspicions), np.concatenate(labels)), float(np.mean(found))


def pair_scores(discriminator, pairs):
    """log P(original) of both sentences of each pair of rows: an array (number of pairs, 2)."""
    logits = piece_logits(discriminator, [row for pair in pairs for row in pair])
    return np.array([log_original(x) for x in logits]).reshape(-1, 2)


def pair_accuracy(scores):
    """The share of pairs (good, bad) whose good sentence scores higher; a tie counts one half. scores (N, 2)."""
    good, bad = scores[:, 0], scores[:, 1]
    return float(((good > bad) + 0.5 * (good == bad)).mean())


def take_exam(discriminator, tokenizer, exam, limit=None):
    """Let a discriminator sit the exam; `limit` asks only that many questions of each part, evenly spread.

    `exam`: an `Exam`, or a `PreparedExam` (then the tokenizer is not needed). Returns a dict of five shares: exam_easy_auc,
    exam_easy_found, exam_medium_auc, exam_medium_found, exam_pairs; None where the exam has no such question.
    The word-level AUC of a constant predictor is .5, its share found one in the number of words; pairs .5.
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


# --- the losses -----------------------------------------------------------------------------------------------------
def heldout_rows(heldout, tokenizer, max_length, tokens=LOSS_TOKENS):
    """Rows from held-out text, as many pieces from each source, evenly spread over it: a list of arrays of ids (T,)."""
    chosen = []
    for source in sorted(heldout):
        rows = make_rows(spread(heldout[source], tokens // 4), tokenizer, max_length)  # a sentence has more than 4 pieces
        share = tokens / len(heldout) / rows.ids.size
        chosen += spread(list(rows), None if share >= 1 else int(len(rows) * share))
    return chosen


def unigram_counts(rows, vocab_size):
    """How often each piece stands in the training rows: an array (V,), special tokens counted as 0."""
    counts = np.bincount(np.asarray(rows.ids), minlength=vocab_size)
    counts[: len(SPECIAL_TOKENS)] = 0
    return counts


def mask_rows(rows, seed=0):
    """The fixed masks: for each batch of rows (ids, attention_mask, chosen, special), all (B, T), on the CPU."""
    rng, masked = torch.Generator().manual_seed(seed), []
    for numbers in batches_by_length(rows):
        ids, attention_mask = pad([rows[n] for n in numbers])
        special = ids < len(SPECIAL_TOKENS)
        _, chosen = mask_tokens(ids, special, MASK_RATE, MASK_ID, rng=rng)
        masked.append((ids, attention_mask, chosen, special))
    return masked


def fixed_losses(electra, masked, counts, seed=0):
    """Both models' losses on the same masks and, as far as the generator allows, the same samples each time.

    masked: what `mask_rows` made; counts (V,): how often each piece stands in the training rows. Every chosen place is
    [MASK], the samples are drawn at temperature 1 by a random stream of their own. Returns a dict: rtd_auc,
    rtd_average_precision, rtd_recall (at P > .5), rtd_loss and its floor, replaced_share (of all ordinary tokens),
    mlm_loss and mlm_loss_unigram (nats a masked place).
    """
    rng = torch.Generator().manual_seed(seed)
    mlm, targets, scores, labels = [], [], [], []
    with quietly(electra) as device:
        for ids, attention_mask, chosen, special in masked:
            masked_ids = ids.masked_fill(chosen, MASK_ID)
            logits = electra.generator(masked_ids.to(device), attention_mask.to(device), chosen.to(device)).float().cpu()
            mlm.append(F.cross_entropy(logits, ids[chosen], reduction="none"))  # (N,)
            targets.append(ids[chosen])
            corrupted = corrupt(ids, chosen, sample_tokens(forbid_special(logits), 1.0, rng))
            judged = electra.discriminator(corrupted.to(device), attention_mask.to(device)).float().cpu()  # (B, T)
            scores.append(judged[~special])
            labels.append(replaced_labels(ids, corrupted)[~special])
    scores, labels = torch.cat(scores), torch.cat(labels)
    share = labels.float().mean().item()
    return {
        "rtd_auc": roc_auc(scores.numpy(), labels.numpy()),
        "rtd_average_precision": average_precision(scores.numpy(), labels.numpy()),
        "rtd_recall": recall(scores.numpy(), labels.numpy()),
        "rtd_loss": F.binary_cross_entropy_with_logits(scores, labels.float()).item(),
        "rtd_loss_floor": loss_floor(share),
        "replaced_share": share,
        "mlm_loss": torch.cat(mlm).mean().item(),
        "mlm_loss_unigram": unigram_loss(counts, torch.cat(targets).numpy()),
    }


@dataclass
class Evaluation:
    """All that training needs to evaluate itself, encoded once: the exam, the masked rows, the counts for the floor."""

    exam: PreparedExam
    masked: list
    counts: np.ndarray

    @classmethod
    def make(cls, corpus, tokenizer, rows, max_length, exam=None):
        """corpus: a `Corpus`; rows: its training rows (for the unigram floor); exam: the corpus's own unless given."""
        exam = PreparedExam.make(exam or load_exam(corpus), tokenizer)
        masked = mask_rows(heldout_rows(corpus.heldout, tokenizer, max_length))
        return cls(exam, masked, unigram_counts(rows, tokenizer.get_vocab_size()))

    def run(self, electra, limit=None):
        """A dict of the exam's five shares and the eight figures of `fixed_losses`. `limit`: see `take_exam`."""
        return take_exam(electra.discriminator, None, self.exam, limit) | fixed_losses(electra, self.masked, self.counts)
