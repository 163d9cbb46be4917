# ruff: noqa: I001  (two exercises in a row would be sorted into one import)
# The source of lesson 05. `electra-tutorial notebooks` weaves notebooks/05_replaced_token_detection.ipynb from it.
# %% [markdown]
# # 05 · Replaced token detection
#
# **What you will be able to do.** Write every step of ELECTRA's game between the generator's draw and the
# joint loss. Say, with gradients on the table, who learns what from a sentence. Judge a detector without
# being fooled by its accuracy, its loss or its recall. And, in a second reading, recognise five bugs by the damage
# they do.
#
# **What you need to know.** Some tokens of a sentence, chosen by chance, are hidden behind `[MASK]`, and a
# *generator* gives every token of the vocabulary a probability to have stood there (lesson 04). One token is
# *drawn* for each hidden place. A *logit* is a score before softmax or sigmoid. Everything else is said where it
# first stands.
#
# <!-- weave: minutes -->
#
# `B` rows in a batch, `T` tokens in a row, `V` tokens in the vocabulary, `N` chosen places of a batch.
#
# ## 1. Corrupt and label, by hand
#
# Take a sentence and the signs that stand around it, `[CLS]` and `[SEP]`: thirteen tokens, places 0 to 12.
#
# `[CLS] the old man was reading a newspaper in the kitchen . [SEP]`
#
# Places 4 and 9 were hidden, `was` and `the`. The generator drew `were` for the first and `the` for the
# second. Write both draws into the sentence. Then somebody else, who sees only the result, shall say of each
# token whether it is the original. So each token needs a right answer, its *label*.
#
# **Guess first.** How many of the thirteen labels say *replaced*?

# %%
import torch

from electra_tutorial.checkpoint import load

electra, tokenizer = load()  # the mini ELECTRA that comes with the course
SENTENCE = "The old man was reading a newspaper in the kitchen."
encoding = tokenizer.encode(SENTENCE)
ids = torch.tensor([encoding.ids])  # (B, T)
original, corrupted = encoding.tokens, list(encoding.tokens)  # a list, and a copy of it
places, drawn = [4, 9], ["were", "the"]
for place, sample in zip(places, drawn, strict=True):
    corrupted[place] = sample
assert len(original) == len(corrupted) == 13

# %%
labels_by_hand = []
for place, (before, after) in enumerate(zip(original, corrupted, strict=True)):
    labels_by_hand.append(after != before)
    hidden = "[MASK]" if place in places else before
    label = "replaced" if labels_by_hand[place] else "original"
    print(f"{place:2}  {before:11}{hidden:11}{after:11}{label}")

# %% [markdown]
# Place 9 was hidden, filled by the generator, and is *original* all the same: the draw was `the`, and `the`
# stood there. A draw that equals the original is a **lucky sample**. Nobody could tell it from the original,
# because it is the original. The label asks one thing only: does this token differ from the text?
#
# Now the same for whole batches, without a loop. Rehearsal: if `chosen` is a bool tensor `(B, T)`, then
# `ids[chosen]` takes the N values at its True places, row by row, from left to right. That is also the order
# in which the generator's N samples come.

# %%
from electra_tutorial.objective import corrupt  # weave: exercise

# %%
from electra_tutorial.objective import replaced_labels  # weave: exercise

# %% [markdown]
# ## 2. Discriminate
#
# The second network, the **discriminator**, reads the corrupted sentence and gives each token *one* logit.
# Its sigmoid, 1 / (1 + e to the power of minus the logit), is **P(replaced)**. (Positive means *replaced*, here
# and in `transformers`. Some code has it the other way round: look before you compare.)
#
# A label is a yes or a no, so the loss of a token is -log of the probability that was given to the right
# answer: -log P if it was replaced, -log(1 - P) if not. The mean over the tokens is the discriminator's loss.
#
# **Guess first.** Which of the 13 tokens will it suspect most? Will it suspect the lucky one?

# %%
from electra_tutorial.judgement import judge
from electra_tutorial.views.strip import token_strip

chosen = torch.zeros_like(ids, dtype=torch.bool)  # (B, T)
chosen[0, places] = True
samples = torch.tensor([tokenizer.token_to_id(word) for word in drawn])  # (N,)
corrupted_ids = corrupt(ids, chosen, samples)  # (B, T)
labels = replaced_labels(ids, corrupted_ids)  # (B, T)
assert labels[0].tolist() == labels_by_hand
token_strip(judge(SENTENCE, mask=places, samples=drawn))

# %% [markdown]
# (*Missed* means: a fake with P below one half. Orange is more suspect than the base rate, the share of fakes in its
# training: sections 5 and 7.) It cannot suspect the lucky token *for being hidden*: it does not see what was hidden.
# To it that token is one original among others. Now the numbers behind the strip, and the loss by hand.

# %%
import torch.nn.functional as F

from electra_tutorial.tokens import MASK_ID

masked_ids = ids.masked_fill(chosen, MASK_ID)
with torch.no_grad():
    guesses = electra.generator(masked_ids, chosen=chosen)
    logits = electra.discriminator(corrupted_ids)
print("generator:     logits of shape", tuple(guesses.shape))
print("discriminator: logits of shape", tuple(logits.shape))
p = torch.sigmoid(logits)  # (B, T)
costs = torch.where(labels, -p.log(), -(1 - p).log())  # (B, T)
print("nats:", *(f"{abs(cost):.3f}" for cost in costs[0].tolist()))
cross_entropy = F.binary_cross_entropy_with_logits(logits, labels.float())
print(f"the mean, and the discriminator's loss: {cross_entropy:.3f}")
assert torch.isclose(costs.mean(), cross_entropy, atol=1e-5)

# %% [markdown]
# **What you may have read.** "A predictor finds the changed words and *predicts their content* (预测内容)." Look
# at the two shapes above. The generator has a score for each of V words at the N hidden places. The
# discriminator has one number for each of the T tokens. One number can say *replaced*; it has no room for a
# word. What stood there is the generator's question, and the discriminator is never asked.
#
# ## 3. How lucky is the generator?
#
# **Guess first.** 15 % of the tokens of held-out text are hidden (text that training never saw), and our
# generator draws for each. In which share of these places does it draw exactly what stood there? For which
# words? (15 % is the paper's rate, and that of our evaluation. In its training our model met 25 % hidden, so more
# fakes: the base rate that its strips are coloured against is higher than the share of fakes here.)

# %%
import numpy as np

from electra_tutorial.corpus import load_corpus
from electra_tutorial.course.check import expect, full_or_fast
from electra_tutorial.evaluation import heldout_rows, mask_rows, play

heldout = heldout_rows(load_corpus("course", fallback=True).heldout, tokenizer, 64,
                       tokens=full_or_fast(20_000, 2000))
batches = mask_rows(heldout)  # ids, attention mask, what is hidden, what is special
# Both networks play: what stood at the hidden places (N,); a logit and the truth for each ordinary token.
_, originals, scores, fake = play(electra, batches)
hidden = torch.cat([hides[~special] for _, _, hides, special in batches]).numpy()
lucky = ~fake[hidden]  # (N,)
print(f"{len(lucky):,} draws, {lucky.mean():.0%} of them lucky")
assert not fake[~hidden].any()  # where nothing was hidden nothing is fake

# %%
from electra_tutorial.views.panels import bar_panels

often = np.bincount(originals).argsort()[::-1][:12].tolist()
names = [tokenizer.id_to_token(number) for number in often]
shares = [lucky[originals == number].mean() for number in often]
bar_panels({"of the twelve tokens hidden most often": (names, shares)},
           "The twelve tokens hidden most often. Full stops are nearly always drawn right, "
           "common words far less. A line shows the mean of all hidden places.",
           "share of lucky draws", line=(lucky.mean(), "all hidden places"))

# %% [markdown]
# It is lucky where there is little to choose: a full stop, a small word that grammar asks for. (Your guess may have
# been lower: many of the hidden tokens are such words.)
#
# **What you may have read.** "Every masked place is fake." About every fourth hidden place here holds the very
# token that stood there, and a better generator is lucky more often (the paper reports an accuracy of 65 % for
# one of its own, section 3.2). Whoever labels all hidden places *replaced* punishes the detector at those
# places for being right. Section 11 trains one like that.
#
# ## 4. Who learns from this sentence?
#
# Back to the thirteen tokens. Both networks read the whole sentence. But a network learns at a place only if
# the loss depends on what it put out there, that is, if a gradient arrives.
#
# **Guess first.** At how many of the 13 places does a gradient arrive from the generator's loss (it is a
# masked language model, MLM)? At how many from the discriminator's (replaced token detection, RTD)?
#
# PyTorch keeps `.grad` for weights alone; `retain_grad()` asks for it at a tensor on the way. The generator is
# asked for logits at *all* places here, so that nobody can say we left some out.

# %%
from electra_tutorial.model import Electra

mlm = electra.generator(masked_ids)  # (B, T, V)
rtd = electra.discriminator(corrupted_ids)  # (B, T)
torch.manual_seed(0)
first_day = Electra(electra.preset).eval().discriminator(corrupted_ids)  # fresh weights
for logits in (mlm, rtd, first_day):
    logits.retain_grad()
F.cross_entropy(mlm[chosen], ids[chosen]).backward()
for logits in (rtd, first_day):
    F.binary_cross_entropy_with_logits(logits, labels.float()).backward()

# %%
pull = torch.stack([mlm.grad[0].abs().sum(-1), rtd.grad[0].abs(), first_day.grad[0].abs()])
print("places at which a gradient arrives:", (pull > 0).sum(dim=1).tolist())  # (3, T)
print(f"{'':11}{'MLM':>9}{'RTD':>9}{'RTD, untrained':>16}")
for token, sizes in zip(corrupted, pull.T.tolist(), strict=True):
    print(f"{token:11}{sizes[0]:9.1g}{sizes[1]:9.1g}{sizes[2]:16.1g}")
assert torch.allclose(rtd.grad, (torch.sigmoid(rtd) - labels.float()) / 13, atol=1e-6)

# %% [markdown]
# This is the paper's main argument (section 1): the discriminator is taught by every token of every sentence,
# the masked language model by the hidden ones alone, 15 % there and 25 % in our short runs. In the paper's table
# 5 an ELECTRA whose loss looks at the hidden places alone falls from 85.0 to 82.4 points on GLUE (a set of
# language tests).
#
# Look at the sizes too. In the columns RTD each is (P - label) / T, without its sign: how wrong the discriminator
# still is there. On its first day every token teaches about alike. Trained, it has next to nothing left to learn at
# `[CLS]` or the full stop (8e-06 is .000008), and most at `were`, which it missed. So "all 13"
# counts the places. It does not say that all teach alike for ever, and a yes or no teaches less than a word among
# thousands.
#
# ## 5. Why accuracy lies
#
# Your discriminator has 90 % accuracy. Good? Hide 15 % of the tokens, let the generator be lucky in a share
# `a` of them: then .15 · (1 - a) of the tokens are fake. Somebody who says "original" every time and reads
# nothing is right at all others. The same with the loss. A detector that reads nothing, and knows only how
# *common* fakes are, says P = share for every token. What it pays is the **floor** of the loss. Nobody who
# learned something should pay more.
#
# By hand for a share of .1: one token in ten costs -log .1 = 2.303, nine in ten cost -log .9 = .105 each. The
# mean is .1 · 2.303 + .9 · .105 = .325 nats.

# %%
from electra_tutorial.metrics import loss_floor  # weave: exercise

# %% [markdown]
# Now by formula and, in brackets, by measurement: 100,000 labels, of which the right share is drawn *replaced*,
# and a predictor that answers with one and the same logit.
#
# **Guess first.** Below the table stand two accuracies on the real game of section 3: that of "all original",
# and that of the discriminator that comes with this course, trained for an hour and a half on two cores. How far
# are they apart?

# %%
for a in (0.0, 0.1, 0.3, 0.6):
    share = 0.15 * (1 - a)
    answers = (torch.rand(100_000) < share).float()
    same = torch.full_like(answers, share).logit()  # says P = share of every token
    cost = F.binary_cross_entropy_with_logits(same, answers)
    print(f"lucky {a:3.0%}, {share:5.1%} fakes: accuracy {1 - share:.3f} "
          f"({1 - answers.mean():.3f}), loss {loss_floor(share):.3f} ({cost:.3f})")
    assert abs(cost - loss_floor(share)) < 0.02
share = fake.mean()
own_loss = np.logaddexp(0, np.where(fake, -scores, scores)).mean()  # -log P(the label)
right = ((scores > 0) == fake).mean()
print(f"real game: 'all original' {1 - share:.3f}, our discriminator {right:.3f}")
print(f"loss floor {loss_floor(share):.3f}, our discriminator {own_loss:.3f}")

# %%
from electra_tutorial.views.panels import line_panels

said = np.linspace(0.01, 0.7, 120)  # the same P for every token
valley = -share * np.log(said) - (1 - share) * np.log(1 - said)
assert np.isclose(valley.min(), loss_floor(share), atol=1e-3)
line_panels({"nats a token": {"always the same P": valley, "ours": [own_loss] * 120}},
            "The loss of a constant answer is a valley. It touches the dotted floor where P is "
            "the share of fakes. The discriminator's dashed line runs a little below.",
            xlabel="the P said of every token", x=said, floor=(loss_floor(share), "the floor"))

# %% [markdown]
# Trained for an hour and a half, and its accuracy is a little *below* that of not reading at all. Yet in lesson 00
# it saw at once that *she have* does not fit. So accuracy asks the wrong question. And a loss says little without
# its floor: the valley is flat at the bottom, and all that was learned lies between the dotted and the dashed line.

# %% [markdown]
# ### The share of fakes, put right <!-- weave: second reading -->
#
# It is judged a little unfairly, too. In its training more tokens were fake, so it may say *replaced* too readily
# here. That can be mended without teaching it anything: take from each logit by how much its mean P is too high, in
# log-odds. **Guess first.** What will that do to accuracy and loss?

# %%
def log_odds(p):
    return np.log(p / (1 - p))


expects = (1 / (1 + np.exp(-scores))).mean()  # the share of fakes that it believes in
mended = scores - (log_odds(expects) - log_odds(share))
loss = np.logaddexp(0, np.where(fake, -mended, mended)).mean()
print(f"it expects {expects:.3f} fakes, there are {share:.3f}")
print(f"mended: accuracy {((mended > 0) == fake).mean():.3f}, loss {loss:.3f}")
expect(loss < own_loss, "Mended, it pays less.")

# %% [markdown]
# It expects a few fakes too many, no more: it goes by what it sees in a sentence, and here it sees fewer. So the loss
# falls by a hair, and the accuracy comes nearer to that of not reading. What it knows about tokens did not change by
# one bit. Both numbers mix that with how common it takes fakes to be.

# %% [markdown]
# ## 6. A measure that cannot be bribed
#
# Take one fake and one original token, at random. Which of the two has the higher score? The share of such
# pairs in which it is the fake, a tie counting one half, is the **AUC** (area under the ROC curve, an old name
# for the same number). Whoever says the same of all tokens gets .5 exactly. Whoever puts every fake above every
# original gets 1.
#
# **Guess first**, on paper: here are eight tokens with their scores, fakes in capitals. How many pairs are
# there, how many are won, and what is the AUC?
#
# `the .05   old .20   man .30   WERE .90   reading .50   A .20   LETTER .40   . .10`
#
# Pairs are many: a thousand fakes and ten thousand originals make ten million. There is a shorter way, and the
# course's function takes it. Put all scores in line, the lowest first, and number them from 1; equal scores
# share the mean of their numbers, their **ranks**. The rank of a fake counts everything up to it, originals and
# fakes. Add up the ranks of the n fakes and take away what they count among themselves, 1 + 2 + ... + n =
# n(n + 1) / 2. What is left are the pairs won. Check it: the three fakes have the ranks 8, 6 and 3.5.

# %%
toy_scores = np.array([0.05, 0.20, 0.30, 0.90, 0.50, 0.20, 0.40, 0.10])
toy_labels = np.array([False, False, False, True, False, True, True, False])
won, pairs = 0.0, 0
for high in toy_scores[toy_labels]:
    for low in toy_scores[~toy_labels]:
        won += 0.5 if high == low else float(high > low)
        pairs += 1
print(f"{won} of {pairs} pairs, AUC {won / pairs:.3f}")
line = np.sort(toy_scores)
ranks = np.array([np.flatnonzero(line == x).mean() + 1 for x in toy_scores])
n = toy_labels.sum()
print("ranks of the fakes:", ranks[toy_labels].tolist())
assert ranks[toy_labels].sum() - n * (n + 1) / 2 == won

# %%
from electra_tutorial.metrics import roc_auc  # weave: exercise

# %% [markdown]
# **Guess first.** What becomes of the AUC if each score is replaced by its logarithm? If True means *original*?
# If the same is said of all tokens?

# %%
toy = roc_auc(toy_scores, toy_labels)
print(f"the eight tokens {toy:.3f}, "
      f"logarithms {roc_auc(np.log(toy_scores), toy_labels):.3f}, "
      f"turned round {roc_auc(toy_scores, ~toy_labels):.3f}, "
      f"always .3 {roc_auc(np.full(8, 0.3), toy_labels):.3f}")
assert np.isclose(toy, won / pairs)
print(f"the real game: {fake.sum():,} fakes, {(~fake).sum():,} originals, "
      f"AUC {roc_auc(scores, fake):.3f}")
expect(roc_auc(scores, fake) > 0.7, "Fakes lie above originals in most pairs.")

# %% [markdown]
# A logarithm keeps the order, and the order is all that counts. Turned round, every pair that was won is lost: 1
# minus the AUC. The same for all is a tie in every pair, one half. (In the
# *exam* of lesson 06 the same model's AUC is higher: there somebody put any word in, here the generator drew.)
#
# ## 7. Recall stays small for a long time
#
# A detector that gives the alarm needs a threshold. The **recall** is the share of the fakes that it finds, those
# above the threshold. Usually that is P(replaced) above .5, which is a logit above 0.

# %%
from electra_tutorial.metrics import recall  # weave: exercise

# %% [markdown]
# **Guess first.** What is the recall of our discriminator? And what was it at the first look after training had
# begun, and before the first step?

# %%
from electra_tutorial.checkpoint import model_folder, read_json

history = read_json(model_folder() / "history.json")  # written while ours was trained
millions = [moment["tokens_seen"] / 1e6 for moment in history]
for n in (0, 1, -1):
    auc, found = history[n]["rtd_auc"], history[n]["rtd_recall"]
    print(f"{millions[n]:5.1f} million tokens: AUC {auc:.3f}, recall {found:.3f}")
print(f"on the game above: {recall(scores, fake):.3f}")

# %%
edges = np.linspace(0, 1, 26)
shares = {}  # of the tokens of a kind, how many lie in each of 25 bins
for name, who in (("originals", ~fake), ("fakes", fake)):
    p = 1 / (1 + np.exp(-scores[who]))
    shares[name] = np.histogram(p, edges)[0] / len(p)
line_panels({"share of the tokens": shares},
            "Originals pile up near P = 0; fakes are spread out, most of them left of .5.",
            xlabel="P(replaced), in 25 bins", x=edges[:-1] + 0.02)

# %%
measures = {name: [moment[f"rtd_{name}"] for moment in history] for name in ("auc", "recall")}
line_panels({"while the mini ELECTRA was trained": measures},
            "The AUC climbs early. The recall falls at once to a twentieth, then rises slowly.",
            xlabel="million tokens read", x=millions)

# %% [markdown]
# The first line is a network that knows nothing: look at its AUC. Its recall is whatever it happens to answer,
# and whoever answers *replaced* every time has a recall of 1. So recall alone can be bribed, too. Then training
# begins, and at the first look the recall is a twentieth, while the AUC says that much has been learned. (Eight
# shorter runs, looked at before they had read a million tokens, stood between .02 and .17:
# `benchmarks/recipe.jsonl`.) Others see the same: a user of the official code reports, at step 5,000, an accuracy of
# .867, a recall of .048 and an AUC of .68 (google-research/electra, issue 81).
#
# Why? In the game that it was trained on about one token in five is a fake. Before you look at a token, the odds
# are 1 to 4. For P > .5 the sentence must multiply these odds by more than four. A detector that is
# honest about its doubts says that rarely, early on hardly ever. The *order* of the scores is good long before any
# of them crosses .5. That is why the course colours its strips against the base rate, the share of fakes, and not
# against .5.
#
# ## 8. The joint loss, and why 50
#
# Both networks are trained at once, with one number: the generator's loss plus **λ** (lambda) times the
# discriminator's. The paper takes λ = 50, picked out of 1, 10, 20, 50 and 100 in early experiments (appendix A).

# %%
from electra_tutorial.objective import electra_loss  # weave: exercise

# %% [markdown]
# That was the last part. Here is the whole step in your own functions, and beside it `Electra`, which does
# the same in its `forward`. With the same random numbers both must come to the same losses. Rows have different
# lengths here, and `[PAD]` fills the short ones: the discriminator's mean is taken over the *real* tokens, and never
# over padding (section 10 shows what becomes of it otherwise).
#
# **Guess first.** The generator chooses among thousands of tokens, the discriminator between two answers. How
# many times larger is the one loss? And how many times longer is its gradient, at the tables of embeddings that
# both networks share?

# %%
from electra_tutorial.evaluation import pad
from electra_tutorial.model import forbid_special
from electra_tutorial.objective import mask_tokens, sample_tokens

rows, real = pad(heldout[::8])  # (B, T): long and short together; True = real
ordinary = real & (rows > 4)  # the special tokens have the ids 0 to 4
rng = torch.Generator().manual_seed(1)
# As in the paper: every fake is drawn at temperature 1, and as many places of each row are hidden. No dropout, so
# that masks and draws are the only chance in it.
preset = electra.preset = electra.preset.with_changes(odd_share=0.0, mask_by_lot=False, dropout=0.0)
rate, keep = preset.mask_rate, preset.keep
masked_rows, hides = mask_tokens(rows, ~ordinary, rate, MASK_ID, keep, rng)
guesses = electra.generator(masked_rows, real, hides)  # (N, V)
generator_loss = F.cross_entropy(guesses, rows[hides])
samples = sample_tokens(forbid_special(guesses), preset.temperature, rng)  # (N,)

# %%
read = corrupt(rows, hides, samples)
truth = replaced_labels(rows, read)
verdict = electra.discriminator(read, real)  # (B, T)
each = F.binary_cross_entropy_with_logits(verdict, truth.float(), reduction="none")
loss = electra_loss(generator_loss, each[real].mean(), preset.discriminator_weight)
electra.rng.manual_seed(1)
step = electra(rows, real)  # the class
print(f"yours {loss:.4f}, the class {step.loss:.4f}")
assert torch.equal(read, step.corrupted_ids) and torch.equal(truth, step.labels)
assert torch.isclose(loss, step.loss, rtol=1e-4)

# %%
from electra_tutorial.training import clipping_groups


def loss_and_pull(model, name):
    """A loss, and the length of its gradient at the tables that both networks share."""
    model.zero_grad()
    model.rng.manual_seed(0)  # the same masks, and draws from the same random numbers
    loss = getattr(model(rows, real), name)
    loss.backward()
    tables = clipping_groups(model)[2]  # the generator's own, the discriminator's own, both's
    shared = [table.grad.flatten() for table in tables]
    return loss.item(), torch.cat(shared).norm().item()

# %%
torch.manual_seed(0)
for name, model in (("fresh", Electra(electra.preset)), ("trained", electra)):
    g, g_pull = loss_and_pull(model, "generator_loss")
    d, d_pull = loss_and_pull(model, "discriminator_loss")
    print(f"{name:8} loss {g:.2f} and {d:.2f}, ratio {g / d:4.1f}; "
          f"gradient {g_pull:.2f} and {d_pull:.2f}, ratio {g_pull / d_pull:4.1f}")

# %% [markdown]
# A yes-or-no question with mostly clear answers costs some tenths of a nat, a choice among thousands several
# nats. Once both have learned, the generator pulls at the shared tables about as many times harder as its loss is
# larger: unweighted, the tables would listen to it alone. Fifty times the discriminator's pull is the longer one, so
# with λ = 50 they listen to both, and more to the discriminator: that is the model you keep. (In a fresh model the
# pulls are another story. λ is chosen for the long run.)
#
# ## 9. Who gets which gradient
#
# You may have read that this is *adversarial training* (对抗训练): the generator is rewarded for fooling the
# discriminator, whose verdict "guides the generator" (指导生成器改进). That would be a **GAN** (generative
# adversarial network). For such a reward to reach the generator, a gradient must flow from the discriminator's loss
# back into the generator's weights. So do not argue. Ask.
#
# **Guess first.** We send back the discriminator's loss *alone*. How many of the generator's parameter tensors
# get a gradient if the two networks share nothing? How many if they share their tables of embeddings, as in
# the paper (section 3.2)?

# %%
print(f"the discriminator reads {read.dtype}; carries a gradient: {read.requires_grad}")
for sharing in ("none", "embeddings"):
    torch.manual_seed(0)
    fresh = Electra(preset.with_changes(sharing=sharing))
    fresh(rows, real).discriminator_loss.backward()
    grads = {name: p.grad for name, p in fresh.generator.named_parameters()}
    reached = [name for name, grad in grads.items() if grad is not None]
    print(f"sharing {sharing}: {len(reached)} of {len(grads)} tensors {reached}")
assert all("embeddings" in name for name in reached)

# %% [markdown]
# None; and if they share, the shared tables alone. **Guess first.** Now the joint loss with λ = 50, then with
# λ = -50, so that the sum gets smaller whenever the discriminator errs. What does the minus sign change in the
# gradient of the generator's own weights?

# %%
own = []
for weight in (50.0, -50.0):  # teach the discriminator; then reward whoever fools it
    fresh.zero_grad()
    fresh.rng.manual_seed(0)
    again = fresh(rows, real)
    electra_loss(again.generator_loss, again.discriminator_loss, weight).backward()
    weights = clipping_groups(fresh)[0]  # the generator's own
    own.append(torch.cat([p.grad.flatten() for p in weights]))
    print(f"lambda {weight:3.0f}: the generator's own gradient: length {own[-1].norm():.5f}")
assert torch.equal(*own)

# %% [markdown]
# A drawn token is a whole number. You can ask how the loss changes if a weight moves a little, but token
# number 77 does not move a little. So no gradient passes the draw, and the generator never hears what the
# discriminator thinks of its fakes. Not even turning the sign round, a reward for fooling it, changes one bit
# of what the generator's own weights are told. It is trained to guess right, by maximum likelihood (lesson
# 04), and that is all. ELECTRA is **not a GAN**.
#
# What the sharing does: the shared tables belong to both, so both losses move them. That is the one place where
# the two meet. (The paper tried the adversarial way as well, by reinforcement learning, which needs no gradient
# through the draw. It did worse: section 3.2, figure 3, and appendix F. Lesson 10 runs it.)

# %% [markdown]
# ## 10. Break it: what counts as a token? <!-- weave: second reading -->
#
# The short rows of a batch are filled up with `[PAD]`, and each begins with `[CLS]` and ends with `[SEP]`. None of
# these is ever replaced. Suppose you forget to leave them out.
#
# **Guess first.** What becomes of the AUC if `[CLS]` and `[SEP]` count? And if padding counts, too? (Nobody
# ever taught the discriminator anything about padding.) And of the *loss* of one sentence, if it is filled up
# to 26 or 52 tokens and the mean is taken over all?

# %%
with torch.no_grad():
    step = electra(rows, real)  # a whole step of the game, and what came of it
as_judged, truth = step.discriminator_logits, step.labels  # (B, T)
called_original = as_judged.masked_fill(~real, -10.0)  # had padding been in the loss

# %%
for name, x, counted in (("ordinary tokens", as_judged, ordinary),
                         ("+ [CLS] and [SEP]", as_judged, real),
                         ("+ padding, as judged", as_judged, rows >= 0),
                         ("+ padding, called original", called_original, rows >= 0)):
    print(f"{name:27} {counted.float().mean():4.0%} of the places, "
          f"AUC {roc_auc(x[counted].numpy(), truth[counted].numpy()):.3f}")
for length in (13, 26, 52):
    print(f"our 13 tokens in a row of {length}: loss over real tokens "
          f"{costs.mean():.3f}, over all {costs.sum() / length:.3f}")

# %% [markdown]
# The same model, the same sentences, and the AUC is whatever you like: it measures what was said of padding. And
# the loss of our sentence halves when a longer one stands in its batch. So does its gradient: a token
# teaches less because its neighbour is long.
#
# So: a **score** counts ordinary tokens alone. The training **loss** counts every *real* token, as the released
# code's does, `[CLS]` and `[SEP]` included, and never padding.

# %% [markdown]
# ## 11. Break it: three bugs that train well <!-- weave: second reading -->
#
# `Electra` takes its five steps from an `Objective`: five functions in a box, for mask, sample, corrupt, label and
# loss. You have met all five. Here three of them are broken, one at a time.

# %%
from electra_tutorial.objective import Objective  # weave: show

# %% [markdown]
# `Objective(label=...)` puts another one in. So break one, train 400 steps of the smallest preset on sentences of a
# small grammar, and compare:
#
# - **every hidden place is fake**: the labels are `chosen`, lucky or not
# - **argmax**: the generator puts in its likeliest token, and draws nothing
# - **no copy**: `corrupt` writes into `ids` itself, and returns it
#
# **Guess first.** One of the four trainings ends with a discriminator's loss of nearly 0. Which? And what will
# it be worth, in an *exam* in which somebody else replaced one word of each sentence?

# %%
from electra_tutorial.presets import PRESETS
from electra_tutorial.tokens import collate
from electra_tutorial.training import batch_stream, make_optimizer, prepare_text, train_step

grammar, pieces, lines = prepare_text(PRESETS["tiny"], "grammar")
tiny = PRESETS["tiny"].with_changes(vocab_size=pieces.get_vocab_size())
STEPS, CPU = full_or_fast(400, 25), torch.device("cpu")

# %%
def short_training(objective):
    """A tiny ELECTRA trained with this objective, and its discriminator's losses."""
    torch.manual_seed(0)
    model, losses = Electra(tiny, objective=objective), []
    optimizer, groups = make_optimizer(model, tiny), clipping_groups(model)
    stream = batch_stream(lines, tiny.batch_tokens, seed=0)
    for number in range(STEPS):
        rate = tiny.learning_rate * (1 - number / STEPS)
        batch = collate(lines, next(stream))
        both = train_step(model, optimizer, groups, batch, rate, tiny, CPU, "float32")
        losses.append(both[1].item())
    return model, losses

# %%
def remember(*arguments):  # for no label function is told which places were hidden
    masked_ids, remember.chosen = mask_tokens(*arguments)
    return masked_ids, remember.chosen


def every_hidden(ids, corrupted_ids):
    return remember.chosen


def no_copy(ids, chosen, samples):
    ids[chosen] = samples
    return ids

# %%
bugs = {"as it should be": Objective(),
        "every hidden is fake": Objective(mask=remember, label=every_hidden),
        "argmax": Objective(sample=lambda logits, *rest: logits.argmax(dim=-1)),
        "no copy": Objective(corrupt=no_copy)}
trained = {name: short_training(bug) for name, bug in bugs.items()}

# %%
from electra_tutorial.evaluation import PreparedExam, take_exam
from electra_tutorial.exam import load_exam

exam, marks = PreparedExam.make(load_exam(grammar), pieces), {}
for name, (model, losses) in trained.items():
    result = take_exam(model.discriminator, None, exam, full_or_fast(600, 20))
    marks[name] = result["exam_easy_auc"]
    print(f"{name:21} loss at the end {np.mean(losses[-20:]):.3f}, exam AUC {marks[name]:.3f}")
best = (~fake).mean() * loss_floor(hidden[~fake].mean())
print(f"labels = hidden: who knows the text by heart still pays {best:.3f} nats")
expect(marks["as it should be"] > 0.7, "It finds words that somebody else replaced.")
worst = max(marks["argmax"], marks["no copy"])
expect(worst < 0.6, "The two with the lowest losses are at chance.")

# %%
curves = {name: np.convolve(losses, np.full(20, 0.05), "valid")  # means of 20 steps
          for name, (_, losses) in trained.items()}
line_panels({"discriminator's loss": curves},
            "Four curves of the discriminator's loss. The one without a copy falls to 0 at "
            "once; argmax ends second lowest. The right one ends above both.", xlabel="step")

# %% [markdown]
# Read the two columns against each other. (One run each: the two that end at chance are plain, the small
# difference between the other two may be luck.)
#
# - **No copy.** `ids` was changed, so the labels compare the corrupted rows with themselves. Nothing is ever
#   replaced, *original* is always right, and the loss falls to 0. That is the most beautiful curve you will see
#   in this course, and the detector is worth nothing.
# - **Argmax.** The fakes are the few words that the generator likes best (lesson 04 counted them). To know
#   that list is enough, so the loss is lower than with draws, and a fake of any other kind passes.
# - **Every hidden place is fake.** It trains, and the curve looks healthy. But nobody can tell a lucky draw
#   from a token that was never hidden, for both are the original. The last line is the price of that in the
#   game of section 3, for somebody who knows the text by heart: with right labels it would be 0. The better
#   the generator, the more draws are lucky, and the higher the price. Such bugs live long.
#
# A loss is a promise about the *training game*. If the game is broken, a low loss means nothing: ask an exam
# that somebody else has set.

# %% [markdown]
# ## 12. Break it: sigmoid twice <!-- weave: second reading -->
#
# `binary_cross_entropy_with_logits` takes logits and applies the sigmoid itself. Give it probabilities, and
# nothing complains.
#
# **Guess first.** The perfect detector says P = 0 of each original and P = 1 of each fake. Its loss is 0. What
# is it with the sigmoid twice?

# %%
truth = torch.from_numpy(fake).float()  # also the P of a detector that is always right
perfect = F.binary_cross_entropy_with_logits(truth, truth)
print(f"always right, sigmoid twice: {perfect:.3f} nats; always .5: {np.log(2):.3f}")
x = torch.linspace(-8, 8, 200).requires_grad_()  # the logit of a fake
loss_of, slope_of = {}, {}
for name, given in (("right", x), ("sigmoid twice", torch.sigmoid(x))):
    cost = F.binary_cross_entropy_with_logits(given, torch.ones(200), reduction="none")
    slope_of[name] = torch.autograd.grad(cost.sum(), x)[0].abs()
    loss_of[name] = cost.detach()
line_panels({"loss of a fake": loss_of, "size of its gradient": slope_of},
            "Left: the right loss falls from 8 to 0, with the sigmoid twice only from .69 to "
            ".31. Right: for a confident mistake, far left, the right gradient is 1, the other "
            "0.", xlabel="logit of a fake", x=x.detach())

# %% [markdown]
# The loss cannot leave a narrow band, and it looks like a bad learning rate. Worse is the right-hand picture. A
# token that was judged *confidently wrong* should teach most. With the sigmoid twice it teaches nothing.

# %% [markdown]
# ## 13. What usually goes wrong
#
# - **The loss falls to 0, or below what you think possible.** The answer stands in the input, or all labels are
#   *original*, as when `corrupt` writes into `ids` itself. Count how many are True: the share that was hidden, times
#   the share of unlucky draws.
# - **Recall is 0.** Early on that is normal. Look at the AUC, then wait.
# - **AUC far below .5.** The polarity: somebody means *original* by 1.
# - **AUC above .95 after minutes.** Is padding in it?
# - **`Subtraction, the - operator, with two bool tensors is not supported`.** Labels are bool, and the loss
#   wants `labels.float()`.
# - **The loss sits at the floor.** The detector says the base rate of everything. Also normal at first.
#
# ## 14. Questions
#
# <details><summary>1. Where in a step does a lucky sample make a difference?</summary>
#
# In the label alone: the token counts as original. The generator learned from this place all the same, for
# its loss asks for the hidden token whatever is drawn afterwards.
# </details>
#
# <details><summary>2. Why is <code>replaced_labels</code> given no mask?</summary>
#
# The label asks whether the token differs from the text. Whether its place was hidden does not matter.
# </details>
#
# <details><summary>3. A sentence of 20 tokens, 15 % hidden. At how many places is each network taught?</summary>
#
# The generator at 3, the discriminator at 20 (and at `[CLS]` and `[SEP]`).
# </details>
#
# <details><summary>4. Someone reports an accuracy of .93. Which number do you ask for first?</summary>
#
# The share of fakes. If it is .07, somebody who reads nothing has .93.
# </details>
#
# <details><summary>5. Recall 0 and AUC .7 at once: how can that be?</summary>
#
# No score has crossed .5 yet, but fakes lie above originals in 70 % of the pairs. The AUC sees the order, the
# recall sees one threshold.
# </details>
#
# <details><summary>6. All logits grow by 3. What becomes of AUC, recall and loss?</summary>
#
# The AUC stays, for the order stays. The recall rises or stays. The loss changes, and for a well-taught
# detector it rises.
# </details>
#
# <details><summary>7. Which of the generator's weights hear the discriminator's loss?</summary>
#
# The shared tables of embeddings alone; none, if nothing is shared. The draw lets no gradient through.
# </details>
#
# <details><summary>8. What would the generator's loss have to contain to make ELECTRA a GAN?</summary>
#
# The discriminator's verdict on the generator's fakes, with the sign turned: a reward for fooling it. ELECTRA's
# generator has the loss of a masked language model and nothing else.
# </details>
#
# **What differs from the paper at this scale.** The game is the same. Our presets for short runs hide 25 % of the
# tokens in training instead of 15 % (as the paper's largest model does, appendix A), so fakes are more common there
# than in the evaluation above, which hides 15 %. They also draw half of the fakes at a temperature of 1.5, so that
# the detector meets odd ones as well as likely ones; the draws in section 8 are the paper's. `laptop` and `gpu` toss
# a coin for each place, which hides 25 % on average (lesson 06, section 11). Our generator is lucky less often than a
# large one. One sentence stands in a row.
#
# **Where to read more.** The ELECTRA paper (Clark et al. 2020, arXiv 2003.10555): section 2 is this lesson,
# section 3.2 the tie, section 3.5 and table 5 who learns from what, appendix A the λ. On AUC: Fawcett 2006, *An
# introduction to ROC analysis*.
#
# ## 15. All of it is yours
#
# With `mask_tokens` and `sample_tokens` of lesson 04 you have now written all five steps of the game: mask, sample,
# corrupt, label, loss. (In the package a box named `Objective` holds them, one function each.) The cell below looks
# into `my_electra.py`, marks each step *yours* or *reference* in the picture of the whole, and says which exercises
# are open.
#
# **Next: 06 · Train your ELECTRA.** It begins with this picture, and trains with these functions.

# %%
from electra_tutorial.course.mine import mine, progress
from electra_tutorial.views.data_flow import data_flow

picture = data_flow(mine())
progress(5)
picture  # noqa: B018
