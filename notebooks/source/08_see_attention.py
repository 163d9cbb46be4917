# The source of lesson 08. `electra-tutorial notebooks` weaves notebooks/08_see_attention.ipynb from it.
# %% [markdown]
# # 08 · See attention
#
# **What you will be able to do.** Look into every attention head of both networks, live and offline. Say what
# a head does on average, and not only in one lucky sentence. Follow attention through all layers. Switch a
# head off and measure what is lost. Tell what an attention picture shows from what it does not explain.
#
# **What you need to know.** Attention weights from lesson 02: row = who looks, column = who is looked at,
# each row sums to 1. The discriminator and P(replaced) from lesson 05. numpy arrays.
#
# <!-- weave: minutes -->
#
# Everything here looks at the mini ELECTRA that comes with the course. If you trained your own in lesson 06,
# you can look into it instead: give its folder where `load()` stands.

# %% [markdown]
# ## 1. One pass, everything kept
#
# `look_inside` reads a sentence and keeps what each head did: attentions, queries and keys of every layer.
# It also keeps what the model said in that very pass. So no picture below shows other numbers than those
# that made the prediction.

# %%
from electra_tutorial.checkpoint import load
from electra_tutorial.heads import look_inside

electra, tokenizer = load()
GOOD = "The keys to the old house are on the table."
BAD = "The keys to the old house is on the table."
good, bad = (look_inside(text, electra, tokenizer) for text in (GOOD, BAD))
layers, heads = len(bad.attentions), len(bad.attentions[0])
print(f"{layers} layers with {heads} heads each; one attention: {bad.attentions[0].shape}")
assert all(abs(layer.sum(axis=-1) - 1).max() < 1e-5 for layer in bad.attentions)

# %% [markdown]
# To know that *is* is wrong here, one must look past the *house* to the *keys*. Does the discriminator know? The
# first lines below say how suspect the verb is in both sentences. And which head could look that far?
#
# **Guess first.** The verb looks at the whole sentence through every head. How much of its attention will the
# head that looks hardest at *keys* give to that word: about a tenth, a quarter, a half?

# %%
import numpy as np
import torch

verb, subject = bad.pieces.index("is"), bad.pieces.index("keys")
for look in (good, bad):
    p = 1 / (1 + np.exp(-look.logits[verb]))  # a logit as a probability
    print(f"P(replaced) of {look.pieces[verb]!r}: {p:.0%}")
looks = np.stack(bad.attentions)[:, :, verb, subject]  # (L, H)
layer, head = np.unravel_index(looks.argmax(), looks.shape)  # of a flat place: layer, head
print(f"layer {layer}, head {head}: {looks[layer, head]:.0%} of the verb's attention")
assert looks.shape == (layers, heads)

# %% [markdown]
# Is the verb the more suspect one in the second sentence? If not, the discriminator missed the error, or blames
# another word for it: four words stand between the two. A head may look at the subject all the same. Looking and
# using are two things, and section 8 measures the second. Here is that head, large. The arrows mark the two words.

# %%
from electra_tutorial.views.attention import attention_map

attention_map(bad.pieces, bad.attentions[layer][head],
              f"Discriminator, layer {layer}, head {head}", marked=[subject, verb])

# %% [markdown]
# It is tempting to call this *the subject-verb head*. Keep that thought for section 8: one sentence is an
# anecdote, and looking is not yet using.
#
# ## 2. All heads at once, live
#
# The three views that follow are **bertviz** (Vig 2019), which many articles show. It needs a network; here it
# is given what it needs from the disk. The **head view** draws a line from who looks (left) to what is looked
# at (right), one colour a head. Point at a word on the left to see its lines alone. Click on a colour to hide
# a head. Choose another layer above. (All of this goes by keys too: each view says below which.)

# %%
from electra_tutorial.views.bertviz_views import head_view

assert "http" not in head_view(bad).page  # nothing is asked of a network
head_view(bad, layer=int(layer))

# %% [markdown]
# The **model view** shows every head of every layer, a layer a row. Click on one to see it large. Look for
# the *shapes*: parallel slanted lines (a neighbour), a fan into one point (a separator), a cloud (everybody).

# %%
from electra_tutorial.views.bertviz_views import model_view

model_view(bad)

# %% [markdown]
# The **neuron view** goes one level down. A weight comes from the product of the query of who looks and the
# key of who is looked at, feature by feature (lesson 02). Point at a word and click on the plus sign: blue
# features raise the product, orange ones lower it.

# %%
from electra_tutorial.views.bertviz_views import neuron_view

neuron_view(bad, layer=int(layer), head=int(head))

# %% [markdown]
# What it draws is what the model computed. Proof: from queries and keys alone you get the same attention.

# %%
from electra_tutorial.model import attention_weights  # weave: show

# %%
query, key = (torch.from_numpy(found[layer]) for found in (bad.queries, bad.keys))
rebuilt = attention_weights(query, key)  # (H, T, T)
assert abs(rebuilt.numpy() - bad.attentions[layer]).max() < 1e-5
print(f"the same for all {heads} heads of layer {layer}")

# %% [markdown]
# ## 3. The generator looks too
#
# The generator reads the masked sentence. What does the hidden place look at, to guess what stood there? It has
# to agree with *keys*. If *is* or *was* comes first in its list, it has heard no further back than *house*.

# %%
from electra_tutorial.judgement import judge

played = judge(GOOD, electra, tokenizer, mask=[verb])
guess = look_inside(played, electra, tokenizer, which="generator")
assert guess.pieces[verb] == "[MASK]"
print("it proposes:", ", ".join(f"{piece} {p:.0%}" for piece, p in played.proposals[0]))
head_view(guess)

# %% [markdown]
# ## 4. What does one head do on average?
#
# A picture of one sentence shows what a head did there. To say what a head *does*, measure it over many
# sentences. The most common finding about heads is that some look at a neighbour. So measure that: how much
# of its attention goes to the place before?

# %%
from electra_tutorial.heads import attention_at  # weave: exercise

# %%
toy = np.array([[0.1, 0.2, 0.7], [0.8, 0.1, 0.1], [0.3, 0.5, 0.2]])
assert abs(attention_at(toy, -1) - (0.8 + 0.5) / 2) < 1e-9  # by hand: two tokens have one before them
back = [[attention_at(one, -1) for one in layer] for layer in bad.attentions]
print(np.round(back, 2))

# %% [markdown]
# Now over many held-out sentences. Which head of the discriminator most often looks at the token before?

# %%
from electra_tutorial.corpus import load_corpus
from electra_tutorial.course.check import expect, full_or_fast

corpus = load_corpus("course", fallback=True)
sentences = corpus.heldout[min(corpus.heldout, key=lambda name: name != "tatoeba")]
sentences = sentences[:full_or_fast(150, 12)]
inside = [look_inside(sentence, electra, tokenizer) for sentence in sentences]
back = np.mean([[[attention_at(one, -1) for one in layer] for layer in look.attentions]
                for look in inside], axis=0)  # (L, H)
previous = np.unravel_index(back.argmax(), back.shape)
print(f"layer {previous[0]}, head {previous[1]}: {back.max():.0%}; all heads: {back.mean():.0%}")
expect(back.max() > 2 * back.mean(), "One head looks back far more than the average head.")

# %% [markdown]
# How widely does a head look? Its **entropy** says that in one number: 0 if each token looks at one place,
# log T if it looks at all T places alike. (A nat is the unit, as for losses.)

# %%
from electra_tutorial.heads import attention_entropy  # weave: exercise

# %%
from electra_tutorial.views.attention import head_values

T = len(bad.pieces)
assert abs(attention_entropy(np.full((T, T), 1 / T)) - np.log(T)) < 1e-9
entropy = np.mean([[[attention_entropy(one) for one in layer] for layer in look.attentions]
                   for look in inside], axis=0)
head_values(entropy, "How widely each head of the discriminator looks", "entropy in nats")

# %% [markdown]
# ## 5. Every kind of look
#
# `head_summary` shares out all attention over seven kinds of place: previous, next, the token itself, the two
# separators `[CLS]` and `[SEP]`, another token that is the same piece, and the rest. A row sums to 1. (Section 4
# gave larger numbers for *previous*: there `[CLS]` and `[SEP]` looked too, and `[CLS]` counted as the token before
# the first one. Here the separators only are looked at, as separators.)
#
# **Guess first.** Heads that look at a separator have been found in BERT, in great numbers. Will a head of
# this small discriminator give more than half of its attention to `[SEP]`?

# %%
from electra_tutorial.heads import head_summary
from electra_tutorial.views.attention import summary_map

summary = head_summary(sentences, electra, tokenizer)
assert abs(sum(summary.values()) - 1).max() < 1e-5
for kind, shares in summary.items():
    print(f"{kind:10} most of one head {shares.max():4.0%}, mean of all {shares.mean():4.0%}")
summary_map(summary, "The discriminator's heads, over many sentences")

# %% [markdown]
# There is the answer to your guess, in the line of `[SEP]`. Now the generator, which is smaller and has another
# task. **Guess first.** It knows a word by its neighbours. Will its heads look at the previous and the next token
# more than the discriminator's?

# %%
its_summary = head_summary(sentences, electra, tokenizer, "generator")
for name, one in (("discriminator", summary), ("generator", its_summary)):
    print(f"{name:13} {one['previous'].mean() + one['next'].mean():.0%} of all looks go to a neighbour")
summary_map(its_summary, "The generator's heads, over many sentences")

# %% [markdown]
# Clark, Khandelwal, Levy and Manning (2019) found the same kinds in BERT: heads for the next and the previous
# token, and many that rest on `[SEP]` when they have nothing to say. BERT has 144 heads and read over three
# billion words; here are a few heads and two million. **What differs at this scale:** do not expect the heads
# they found for direct objects, or for what a pronoun means.
#
# ## 6. Before and after a replacement
#
# What does the discriminator look at when it suspects a token? Subtract: how each head looks at the wrong
# sentence, minus how it looks at the right one. Which head changes most?

# %%
from electra_tutorial.views.attention import attention_difference

change = [[abs(after - before).sum() for before, after in zip(one, two, strict=True)]
          for one, two in zip(good.attentions, bad.attentions, strict=True)]  # (L, H)
most = np.unravel_index(np.argmax(change), np.shape(change))
assert good.pieces != bad.pieces and len(good.pieces) == len(bad.pieces)
attention_difference(good.pieces, bad.pieces, good.attentions[most[0]][most[1]],
                     bad.attentions[most[0]][most[1]], f"Layer {most[0]}, head {most[1]}: after minus before")

# %% [markdown]
# Layer 0 sees the words alone. There the row of the changed word may change in any way. In every other row one
# score changes, that of the changed word; and since a row must sum to 1, the other shares all grow or shrink by
# one factor. In later layers a token's vector already holds something of its neighbours, and every share can
# change by itself. For layer 0 it can be asserted:

# %%
other = [place for place in range(len(bad.pieces)) if place != verb]
rows = np.ix_(other, other)
first_before, first_after = good.attentions[0][0][rows], bad.attentions[0][0][rows]
ratios = first_after / first_after.sum(axis=1, keepdims=True)
assert np.allclose(ratios, first_before / first_before.sum(axis=1, keepdims=True), atol=1e-5)
print("layer 0: among the unchanged words, who is looked at more than whom stays as it was")

# %% [markdown]
# ## 7. Through all layers: rollout
#
# In layer 3 a token looks at *vectors* that layers 0 to 2 have mixed already. **Attention rollout** (Abnar and
# Zuidema 2020) follows that back to the input: multiply the layers, and let half of each token pass the heads
# by, as the residual connection does (lesson 03).

# %%
from electra_tutorial.heads import rollout  # weave: exercise

# %%
one_layer = [np.array([[[1.0, 0.0], [1.0, 0.0]]])]  # both tokens look at the first one
assert np.allclose(rollout(one_layer), [[1.0, 0.0], [0.5, 0.5]])  # half of the second is itself
sources = rollout(bad.attentions)
assert np.allclose(sources.sum(axis=-1), 1, atol=1e-4)
attention_map(bad.pieces, sources, "Rollout of all layers", marked=[subject, verb])

# %% [markdown]
# The diagonal is strong because every layer keeps half of each token. Rollout forgets much: it takes all heads
# of a layer as equal, and the feed-forward parts as nothing.
#
# ## 8. Looking is not using
#
# Does the answer *depend* on what a head saw? Take the head away and see. `without_heads` sets what a head
# found to 0; the head still looks, and nobody hears it. Afterwards it is back.
#
# **Guess first.** You found the head through which the verb looks hardest at its subject. Switch it off. Will
# the suspicion of *is* fall, rise, or hardly move? And is there a head whose loss moves it more?

# %%
from electra_tutorial.heads import without_heads

moved = np.zeros((layers, heads))  # change of the verb's log-odds when this head is off
for one in range(layers):
    for two in range(heads):
        with without_heads(electra.discriminator, [(one, two)]):
            moved[one, two] = look_inside(BAD, electra, tokenizer).logits[verb] - bad.logits[verb]
assert np.array_equal(look_inside(BAD, electra, tokenizer).logits, bad.logits)  # all of them are back
loudest = np.unravel_index(abs(moved).argmax(), moved.shape)
print(f"the head that looks at the subject: {moved[layer, head]:+.2f}")
print(f"layer {loudest[0]}, head {loudest[1]} matters most: {moved[tuple(loudest)]:+.2f}")
head_values(moved, "Without this head, how suspect is the verb?", "change of its log-odds",
            diverging=True)

# %% [markdown]
# Mind the signs. Below 0: without this head the verb is *less* suspect, so the head spoke against it. Above 0: the
# head spoke *for* it, and without it the verb is more suspect. Is the head that matters most one that found the
# mistake, or one that excused it?
#
# One sentence again. So do it for many wrong words: the first questions of the exam's easy part. For each of
# them and each head, measure two things: how much of the wrong word's attention goes to other *words*, so
# neither to itself nor to a separator, and how far its suspicion moves when the head is off.

# %%
from electra_tutorial.evaluation import encode_questions
from electra_tutorial.exam import load_exam

exam = load_exam(corpus)
questions = encode_questions(exam.easy[:full_or_fast(60, 4)], tokenizer)
texts = [question.after for question in exam.easy[:len(questions)]]
places = [int((words == position).argmax()) for _, words, position in questions]
looked, damage = np.zeros((2, layers, heads))
for text, place in zip(texts, places, strict=True):
    look = look_inside(text, electra, tokenizer)
    rows = np.stack(look.attentions)[:, :, place]  # (L, H, T)
    looked += (rows.sum(axis=-1) - rows[..., place] - rows[..., 0] - rows[..., -1]) / len(texts)
    for one in range(layers):
        for two in range(heads):
            with without_heads(electra.discriminator, [(one, two)]):
                now = look_inside(text, electra, tokenizer).logits[place]
            damage[one, two] += abs(now - look.logits[place]) / len(texts)
assert ((0 <= looked) & (looked <= 1)).all()

# %% [markdown]
# If attention explained the answer, the heads that look hardest would be those whose loss hurts most. The
# **rank correlation** compares the two orders: 1 for the same order, -1 for the reverse, 0 for none.
#
# **Guess first**: which number do you expect?

# %%
ranks = [values.ravel().argsort().argsort() for values in (looked, damage)]  # 0 for the least
agreement = np.corrcoef(ranks)[0, 1]
print(f"rank correlation over {layers * heads} heads: {agreement:+.2f}")
assert -1 <= agreement <= 1
head_values(damage, "How far the wrong word's suspicion moves without this head",
            "mean change of its log-odds")

# %% [markdown]
# Read it with care: with so few heads, a correlation below about 0.5 in size can be chance. In the course's model the
# two orders agree well (0.9 when this was written): the heads that gather from other words are those that the answer
# needs. That is no law: a model from ten minutes of lesson 06 had 0.6. Put yours where `load()` stands, and see.
#
# *Where* a head looks and *whether the answer needs it* are two things all the same, and only the second is an
# explanation. You know which heads are worth asking now. What was used of what they saw, you do not: in lesson 02,
# section 11, the token most looked at is often not the one most needed. The literature has both halves (Jain and
# Wallace 2019, *Attention is not Explanation*; Wiegreffe and Pinter 2019 answer that it can still be a clue).
#
# ## 9. The exam without a head
#
# The last word has the exam (lesson 06). Which heads can it do without?

# %%
from electra_tutorial.evaluation import PreparedExam, take_exam

prepared, limit = PreparedExam.make(exam, tokenizer), full_or_fast(150, 10)
whole = take_exam(electra.discriminator, None, prepared, limit)["exam_medium_auc"]
lost = np.zeros((layers, heads))
for one in range(layers):
    for two in range(heads):
        with without_heads(electra.discriminator, [(one, two)]):
            scores = take_exam(electra.discriminator, None, prepared, limit)
        lost[one, two] = whole - scores["exam_medium_auc"]
print(f"medium AUC with every head: {whole:.3f}")
head_values(lost, "What the exam loses without this head", "medium AUC lost", diverging=True)

# %%
with without_heads(electra.discriminator, [(one, two) for one in range(layers) for two in range(heads)]):
    deaf = take_exam(electra.discriminator, None, prepared, limit)["exam_medium_auc"]
print(f"without any head: {deaf:.3f}")
expect(deaf < whole - 0.1, "Without attention no token knows its neighbours.")
expect(lost.max() < (whole - deaf) / 2, "No single head holds half of it.")

# %% [markdown]
# Many heads can go one at a time, and hardly anything is lost: others do the same work (Michel, Levy and
# Neubig 2019, *Are Sixteen Heads Really Better than One?*). Take all of them, and the words stand alone.
#
# ## 10. What usually goes wrong
#
# - **A story from one picture.** Measure over many sentences before you name a head.
# - **Empty attentions.** PyTorch's fast path does not keep them; `transformers` then returns an empty tuple.
#   Ask for `return_attention=True` here, and for `eager` there.
# - **A picture without the padding mask.** Then padding gets attention that the model never gave it.
# - **Heads compared across layers as if they read words.** From layer 1 on they read mixed vectors.
# - **A blank view.** Is the notebook trusted, and was the cell run? The picture above the view is the same
#   data without scripts.
#
# ## 11. Questions
#
# <details><summary>1. A head of layer 2 gives 80 % of a token's attention to <i>house</i>. Does the answer rest
# on that word?</summary>
#
# Not by that alone. In layer 2 the vector at that place has taken in other words already, and what the head
# brings may not be used at all.
# </details>
#
# <details><summary>2. What does the neuron view show that the head view does not?</summary>
#
# Which features of query and key make a weight large: the product before the softmax, feature by feature.
# </details>
#
# <details><summary>3. A head's entropy is near log T. What does it bring to each token?</summary>
#
# About the mean of all values: it looks everywhere alike.
# </details>
#
# <details><summary>4. Why does rollout add the identity matrix?</summary>
#
# For the residual connection: each layer adds what its heads found to what was there before.
# </details>
#
# <details><summary>5. You switch a head off, and the exam hardly changes. Was the head useless?</summary>
#
# Not necessarily: another one may do the same work. Switch both off together, and see.
# </details>
#
# <details><summary>6. Why do some heads rest on a separator?</summary>
#
# A row of attention must sum to 1. A head that has found nothing must put its attention somewhere, and the
# separators are always there.
# </details>
#
# <details><summary>7. In layer 0, which rows of an attention map can change when one word is replaced?</summary>
#
# The row of that word in any way; every other row only by what it gives that word, with the rest scaled alike.
# </details>
#
# ## 12. Where to read more
#
# - Vig 2019, *A Multiscale Visualization of Attention in the Transformer Model*: the three views.
# - Clark, Khandelwal, Levy and Manning 2019, *What Does BERT Look At?*: kinds of heads.
# - Abnar and Zuidema 2020, *Quantifying Attention Flow in Transformers*: rollout.
# - The ELECTRA paper (arXiv 2003.10555) shows no attention. Every finding here is this course's own.
#
# Next: lesson 09, *fine-tune*. The terms are in the [glossary](glossary.md).

# %%
from electra_tutorial.course.mine import progress

progress(8)
