"""What an encoder knows, asked without its head: a linear classifier on its vectors, which themselves stand still.

Objectives that train different heads cannot be compared by these. So all heads are taken off, and the same small
question is put to each encoder: can a straight cut through its vectors tell a replaced word from an original one, a
bad sentence from a good one, a kind review from an unkind one? The classifier (logistic regression) learns on one
half of the questions and is judged on the other.

    T tokens in a row, D width, N things to classify
"""
import numpy as np
import torch
import torch.nn.functional as F

from electra_tutorial.evaluation import batches_by_length, pad, quietly
from electra_tutorial.metrics import roc_auc

DECAY = 0.01  # weight of the squares in the regression's loss, for features of standard deviation 1
STEPS = 100  # of L-BFGS, at most: it comes to rest sooner


def row_vectors(encoder, rows):
    """What the encoder makes of rows of ids (T,): a list of float32 arrays (T, D), [CLS] and [SEP] included."""
    vectors = [None] * len(rows)
    with quietly(encoder) as device:
        for numbers in batches_by_length(rows):
            ids, attention_mask = pad([rows[n] for n in numbers])
            x = encoder(ids.to(device), attention_mask.to(device))[0].float().cpu().numpy()  # (B, T, D)
            for number, row in zip(numbers, x, strict=True):
                vectors[number] = row[: len(rows[number])]
    return vectors


def fit_logistic(features, labels, decay=DECAY):
    """Logistic regression: features (N, D), labels (N,) bool -> a function that scores features (N, D) -> (N,).

    Features are brought to mean 0 and standard deviation 1 first, by those of this call. No random number.
    """
    mean, spread = features.mean(0), features.std(0) + 1e-6
    x, y = torch.from_numpy((features - mean) / spread), torch.from_numpy(np.asarray(labels)).float()
    weight = torch.zeros(x.shape[1] + 1, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        value = F.binary_cross_entropy_with_logits(x @ weight[1:] + weight[0], y) + decay * (weight[1:] ** 2).mean()
        value.backward()
        return value

    optimizer.step(loss)
    learned = weight.detach().numpy()
    return lambda others: (others - mean) / spread @ learned[1:] + learned[0]


def word_vectors(encoder, questions):
    """(vectors (N, D) of all words of all sentences, is it the replaced one (N,)); a word is the mean of its pieces.

    questions: (row of ids, word of each piece, number of the replaced word) each, as a `PreparedExam` has them.
    """
    features, labels, rows = [], [], [row for row, _, _ in questions]
    for x, (_, words, position) in zip(row_vectors(encoder, rows), questions, strict=True):
        for word in range(words.max() + 1):
            features.append(x[words == word].mean(0))
            labels.append(word == position)
    return np.stack(features), np.array(labels)


def probe_words(encoder, questions):
    """AUC of a linear probe for "this word was replaced": learned on every second question, judged on the others."""
    score = fit_logistic(*word_vectors(encoder, questions[::2]))
    features, labels = word_vectors(encoder, questions[1::2])
    return roc_auc(score(features), labels)


def probe_pairs(encoder, pairs):
    """The share of pairs (good row, bad row) in which a linear probe of the mean vector prefers the good one."""
    x = [vectors.mean(0) for vectors in row_vectors(encoder, [row for pair in pairs for row in pair])]
    x = np.stack(x).reshape(len(pairs), 2, -1)  # (pairs, 2, D)
    learn, judge = x[::2], x[1::2]
    score = fit_logistic(learn.reshape(-1, x.shape[-1]), np.tile([True, False], len(learn)))
    good, bad = score(judge[:, 0]), score(judge[:, 1])
    return float(((good > bad) + 0.5 * (good == bad)).mean())


def probe_exam(encoder, exam):
    """The exam asked of an encoder without a head: probe_easy_auc, probe_medium_auc, probe_pairs.

    exam: a `PreparedExam`. Chance is .5 in all three. None where there are fewer than four questions.
    """
    result = {f"probe_{part}_auc": probe_words(encoder, questions) if len(questions) > 3 else None
              for part, questions in exam.questions.items()}
    return result | {"probe_pairs": probe_pairs(encoder, exam.pairs) if len(exam.pairs) > 3 else None}


def probe_texts(encoder, train, test):
    """Accuracy of a linear probe of texts' mean vectors; train and test: (rows of ids, labels 0 or 1) each."""
    features = [np.stack([x.mean(0) for x in row_vectors(encoder, rows)]) for rows, _ in (train, test)]
    score = fit_logistic(features[0], np.array(train[1], dtype=bool))
    return float(((score(features[1]) > 0) == np.array(test[1], dtype=bool)).mean())
