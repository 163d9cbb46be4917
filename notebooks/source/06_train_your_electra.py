# The source of lesson 06. `electra-tutorial notebooks` weaves notebooks/06_train_your_electra.ipynb from it.
# %% [markdown]
# # 06 · Train your ELECTRA
#
# **What you will be able to do.** Train a small ELECTRA on real text, with the functions that you wrote, on
# the machine in front of you. Read its curves without being fooled by them, and tell a healthy run from two
# sick ones. Stop a run, and go on with it. Balance the two networks by experiment. And in
# a second reading, say what the same training costs at ten times the size, before you pay for it.
#
# **What you need to know.** Lessons 04 and 05: the generator, the discriminator and one step of training. If
# you take the short route, the terms you need are said again, in half a sentence, where they first stand.
#
# <!-- weave: minutes -->
# Nearly all of that is the training in section 6. You choose its length there: `MINUTES`, but it
# takes 1,000 steps at least.
#
# ## 1. Your parts, put together
#
# ELECTRA is two networks. The small **generator** reads a sentence in which some tokens are hidden behind
# `[MASK]`, and guesses them: that task is a *masked language model* (MLM). One guess is drawn for each hidden
# place and written into the sentence. The **discriminator** reads the result, and says of *every* token
# whether it is original or replaced: *replaced token detection* (RTD). After training you keep the
# discriminator (paper, section 2).
#
# Both begin by looking each token up in a table, its *embedding*: one row of numbers for each piece of the
# vocabulary. The two networks share this table. They are trained together on the **joint loss**: the
# generator's loss plus λ (lambda) times the discriminator's, with λ = 50.
#
# Five functions do the steps between the networks. `mine()` looks into `my_electra.py`, where a check that
# passed has kept yours, and takes the course's own for the others.

# %%
from electra_tutorial.course.mine import mine
from electra_tutorial.views.data_flow import data_flow

objective = mine()
data_flow(objective)

# %% [markdown]
# What is *yours* in this picture is what this lesson trains with, to the end. If *reference* stands beside a box
# and you want it to be yours: write it in lesson 04 or 05, then run this lesson from the top.
#
# ## 2. The text
#
# The course trains on sentences from Wikipedia (WikiText-2) and on everyday sentences that people wrote for
# learners (Tatoeba). Some of each are **held out**: training never sees them, and every score below is
# measured on them. If the text could not be fetched at set-up, you get sentences of a small grammar, and the
# next cell says so.
#
# A **preset** is every number that a run depends on. `laptop` is made for ten minutes of two processor
# cores, `gpu` for fifteen minutes of a graphics card. `prepare_text` cuts each sentence into the *pieces* of
# a vocabulary (a piece that goes on with a word begins with `##`), puts `[CLS]` before and `[SEP]` behind it,
# and makes a row of numbers of that.

# %%
import torch

from electra_tutorial.corpus import load_corpus
from electra_tutorial.course.check import expect, full_or_fast
from electra_tutorial.device import choose_device
from electra_tutorial.presets import PRESETS
from electra_tutorial.training import prepare_text

device = choose_device()
preset = PRESETS[full_or_fast("gpu" if device.type == "cuda" else "laptop", "tiny")]
corpus, tokenizer, rows = prepare_text(preset, load_corpus("course", fallback=True))
print(f"{preset.name}: {len(rows):,} rows, {rows.ids.size:,} tokens. {corpus.note}")
for name, sentences in corpus.train.items():
    assert not set(sentences) & set(corpus.heldout[name]), "Seen in training."
print(tokenizer.encode("She unwrapped the parcel.").tokens)

# %% [markdown]
# ## 3. GPU or CPU: what changes
#
# The code is the same line by line. What changes is this:
#
# | | CPU | NVIDIA GPU | Apple chip |
# |---|---|---|---|
# | preset | `laptop`: 4 layers of width 128 | `gpu`: 8 layers of width 256 | `laptop` |
# | tokens in a batch | 1,024: small batches, many steps | 16,384: the card is idle with less | 1,024 |
# | number format | the faster of two, timed first | the same; nearly always bfloat16 | float32 |
# | `torch.compile` | no: it takes longer than it saves | each layer, once, in the first minute | no |
# | optimiser, AdamW | all parameters in one call (*fused*) | the same | one by one |
# | attention mask | left out where a batch has no padding | the same | the same |
#
# **bfloat16** is a number format of 16 bits in place of 32: half the memory to move, and three digits in
# place of seven. Some chips are fast with it, and some only pretend. So the next cell times both on a copy
# of the model that it throws away. (A layer is one round of attention and a small network behind it; the
# width is how many numbers stand for a token between layers. The optimiser turns gradients into steps.
# `torch.compile` makes one operation of many small ones.)
#
# **Guess first.** Which of the two wins on your machine, and by how much? (On an Apple chip only float32 is tried.)

# %%
from electra_tutorial.device import DTYPES, describe
from electra_tutorial.model import Electra
from electra_tutorial.training import clipping_groups, make_optimizer, seconds_per_step

torch.manual_seed(0)
sizes = preset.with_changes(vocab_size=tokenizer.get_vocab_size())
electra, timed = Electra(sizes, objective).to(device), full_or_fast(8, 2)  # steps
times = {name: seconds_per_step(electra, rows, sizes, device, name, timed)
         for name in (["float32"] if device.type == "mps" else DTYPES)}
for name, seconds in times.items():
    print(f"{describe(device)}, {name:9} {1000 * seconds:5.0f} ms a step, "
          f"{preset.batch_tokens / seconds:8,.0f} tokens a second")

# %% [markdown]
# If bfloat16 lost: that is common on a CPU, also on one that has instructions for it. Batches of sentences
# come in many shapes, and most of such a small network's time goes into other things than multiplying.
#
# ## 4. One step, before anything is learned
#
# `batch_order` puts rows of like length into one batch, and `collate` fills the shorter ones up with `[PAD]`. `B`
# counts the rows, `T` the tokens of a row, `V` the pieces of the vocabulary.
#
# **Guess first.** The generator knows nothing yet: all `V` pieces are about equally likely to it. Its loss is
# the mean of -log P(the right piece), in **nats** (the unit of a loss that uses the natural logarithm). Work
# out on paper which loss you expect, for `V` = 8,192.

# %%
from electra_tutorial.tokens import batch_order, collate

batches = batch_order(rows, preset.batch_tokens, seed=0, epoch=0)
ids, attention_mask = (tensor.to(device) for tensor in collate(rows, batches[0]))
step = electra(ids, attention_mask)
print(f"{len(batches):,} batches. The first: (B, T) = {tuple(ids.shape)}")
print(f"V = {sizes.vocab_size:,}; generator's loss {step.generator_loss:.2f} nats")

# %%
import math

even = math.log(sizes.vocab_size)
print(f"An even guess costs log V = {even:.2f} nats; random opinions, a little more.")
assert abs(step.generator_loss.item() - even) < 1.5
for place in step.chosen[0].nonzero().flatten().tolist():
    pair = ids[0, place].item(), step.corrupted_ids[0, place].item()
    before, after = map(tokenizer.id_to_token, pair)
    print(f"{place}: {before} -> [MASK] -> {after}, replaced: {pair[0] != pair[1]}")
assert not (step.labels & ~step.chosen).any(), "Only chosen places can be replaced."
assert torch.equal(step.labels, step.corrupted_ids != ids), "A lucky draw is original."

# %% [markdown]
# ## 5. The step that `pretrain` takes
#
# In lesson 04 you wrote a step in five verbs: forward, backward, clip, step, zero. Here is the package's own.
# The verbs stand in the same order. What is added:
#
# - `autocast` is the context in which products are taken in bfloat16, if that won above.
# - `to_device` copies a tensor to where the model is, and does nothing on a CPU.
# - `accumulate`: the batch goes through in so many parts, whose gradients add up before the one step. The
#   same update from less memory. In your preset it is 1: one part.
# - `groups`: the generator's own weights, the discriminator's own, and the tables that they share (a second
#   one says which place a token has) are clipped apart. So an outburst of one network does not shorten the
#   other's gradient.

# %%
from electra_tutorial.training import train_step  # weave: show

# %% [markdown]
# Before a long run, do the cheapest test there is: show the model *one* batch again and again. If it cannot
# learn even that by heart, something is wrong with the code, and more data will not mend it. The next cell
# calls the definition above. **Break it** and see: take `optimizer.step()` out, or `zero_grad`, run both cells,
# and put it back. (`pretrain` keeps its own: what you change here stays in this notebook.) Without the step the
# loss stays near 9, and the test fails. Without `zero_grad` it does *not* fail: AdamW gives every step its length
# whatever the gradient's, so the old gradients that pile up only turn the direction. In our run the generator's
# loss came down to 5.6 in place of 3.3, and with another seed to 5.7 in place of 4.8. An error of this kind makes no
# noise: without the other run beside it, who would miss what is not there?

# %%
torch.manual_seed(0)
parrot = Electra(sizes, objective).to(device)
optimizer, groups = make_optimizer(parrot, sizes), clipping_groups(parrot)
batch, rate = (ids.cpu(), attention_mask.cpu()), sizes.learning_rate
losses = torch.stack([
    train_step(parrot, optimizer, groups, batch, rate, sizes, device, "float32")
    for _ in range(full_or_fast(150, 5))
])  # (number of updates, 2): generator, discriminator
print(f"generator's loss on it: {losses[0, 0]:.2f} -> {losses[-1, 0]:.2f} nats")
assert losses.isfinite().all()
expect(losses[-1, 0] < losses[0, 0] - 1, "A single batch is learned by heart.")

# %% [markdown]
# ## 6. Train
#
# A run knows its last step before it takes its first, because the learning rate (how far a step moves the
# weights) has to come down to 0 there. It rises in the first 5 % of the steps: the *warm-up*, since the first
# gradients are wild. So minutes must be turned into steps. (`pretrain` does the same when it is given minutes in
# place of steps.)

# %%
from electra_tutorial.training import steps_in  # weave: exercise

# %%
MINUTES = 10  # change this
LEAST = 1_000  # steps, however long they take: with fewer the model lacks the grammar that section 12 asks for
dtype = min(times, key=times.get)
steps = steps_in(MINUTES, times[dtype])
millions = steps * preset.batch_tokens / 1e6
print(f"{MINUTES} minutes are about {steps:,} steps in {dtype}: {millions:.1f} "
      f"million tokens, {steps / len(batches):.2f} times through the text.")
if steps < LEAST:
    print(f"That is too short to learn grammar, so it will be {LEAST:,} steps, "
          f"about {LEAST * times[dtype] / 60:.1f} minutes.")
assert steps >= 2

# %% [markdown]
# Start the next cell, and read this while it runs. After each twelfth of the run the model sits an **exam**, and
# the picture is drawn anew. (Drawing may take 3 % of the time: on a slow machine some pictures are left out.)
#
# - **Left, the exam.** The same questions for every model, on held-out sentences. *Easy* and *medium*: one
#   word was exchanged, for any word or for one like it; which? The AUC is the chance that an exchanged word is
#   more suspect than an untouched one. *Hard*: *minimal pairs*, two sentences one word apart, of which one is
#   English. Guessing gives 0.5 in all three. (On the way up to 300 questions of each kind are asked. At the end, and
#   where you stop, they are others: so the last point may jump. Section 8 says why. And *medium* need not be harder
#   for a model than *easy*: the names say what was exchanged.)
# - **Middle and right, above: the losses** on held-out text, always with the same places hidden. The dashed
#   line is a **baseline**: what a model gets that answers without reading. For the generator, one that knows
#   how often each piece occurs. For the discriminator, one that says the same probability of every token. It
#   is no lowest possible loss: a good model is *under* it.
# - **Below: the discriminator in its own game**, against its own generator.
#
# **To stop**, press the square in the toolbar (*Interrupt the kernel*), or *Stop and save* above the picture.
# The step under way is finished, and all is saved. The button sets a flag, and the run looks at the flag
# after each step. (The square works everywhere. The button is heard at once in JupyterLab as `make lab` opens
# it; in other notebooks maybe only when the cell has ended.) With `GO_ON = True` the last run goes on, also
# after a restart of the kernel, once the cells above have run. With `GO_ON = False` each run gets a new folder,
# and nothing is written over.

# %%
from electra_tutorial.course.runs import last_run, next_run
from electra_tutorial.training import pretrain
from electra_tutorial.views.dashboard import Dashboard

GO_ON = False  # True: the last run goes on from where it was stopped
torch.manual_seed(0)
model, live = Electra(sizes, objective), Dashboard("Your ELECTRA")
folder = last_run("my-electra") if GO_ON else next_run("my-electra")
length = full_or_fast({"steps": max(steps, LEAST)}, {"steps": 40, "evaluations": 2})
run = pretrain(sizes, corpus, out_dir=folder, model=model, dtype=dtype,
               resume=GO_ON, watch=live, stop=live.stop, **length)
metrics = run.metrics
print(f"{metrics['steps']:,} steps, {metrics['tokens_seen']:,} tokens, "
      f"{metrics['seconds'] / 60:.1f} minutes; the picture took {live.cost():.1%}")
assert run.electra.objective is objective, "It trained with your functions."
if not run.finished:
    print("To go on: GO_ON = True above, and run this cell again.")

# %% [markdown]
# ## 7. Read your curves
#
# **Guess first.** In the evaluation 15 % of the tokens are hidden (of a short row a little more: the number is
# rounded, and at least 1), and some draws are lucky. A detector that answers *original* every time, without
# reading: how often is it right? And what is its **recall**, the share of the fakes that it finds?

# %%
share = metrics["replaced_share"]
print(f"{share:.1%} of the tokens are replaced. 'Always original' is right for "
      f"{1 - share:.1%}.")
print(f"Your discriminator says P(replaced) > 0.5 of {metrics['rtd_recall']:.0%} of them.")

# %% [markdown]
# The sleeping detector is right for nearly nine tokens in ten, and its recall is 0. So never judge a detector
# by its accuracy. What do your other figures say? Each stands beside its baseline.

# %%
assert 0 < share < 0.2, "No more can be replaced than was hidden."
mlm, mlm_baseline = metrics["mlm_loss"], metrics["mlm_loss_unigram"]
rtd, rtd_baseline = metrics["rtd_loss"], metrics["rtd_loss_floor"]  # its baseline
print(f"generator      {mlm:.2f} nats; word frequencies alone {mlm_baseline:.2f}")
print(f"discriminator  {rtd:.3f} nats; always the same answer {rtd_baseline:.3f}")
print(f"discriminator  AUC {metrics['rtd_auc']:.3f}; always the same answer 0.5")
expect(mlm < mlm_baseline - 0.2, "The generator uses the words around a place.")
if metrics["tokens_seen"] > 8e6:  # a shorter run may not have learned yet how rare fakes are
    expect(rtd < rtd_baseline, "The discriminator knows more than how rare fakes are.")
expect(metrics["rtd_auc"] > 0.58, "The discriminator beats chance at its own game.")

# %% [markdown]
# Nor does a loss alone say much: look how far it is under its baseline. Two things in your picture often look
# like faults and are none.
#
# - **The discriminator's loss stands still, or rises, while the exam goes on improving.** The opponent
#   improves too: a better generator makes better fakes, and the game gets harder. The exam's questions stay
#   the same. Trust the exam.
# - **Recall falls to 17 in a hundred or less at first, and comes back slowly.** The cheapest thing to learn is
#   how rare fakes are, so at first P(replaced) is small for every token, and hardly one is above 0.5. The AUC does
#   not ask for a threshold, and rises all the while.
#
# ## 8. Sit the exam yourself
#
# A quarter of the exam's questions *choose*: they are asked while a model trains, and chose among our presets.
# Whoever picks the best of many by some questions flatters the winner: a part of its lead is luck with these.
# So the others, which *report*, are kept for the end.
#
# **Guess first.** In each of the first two sentences one word is not what its author wrote. Which? The third
# is the wrong half of a minimal pair.

# %%
from electra_tutorial.exam import load_exam

exam = load_exam(corpus).part("report")
easy, medium, hard = exam.easy[8], exam.medium[8], exam.hard[8]
asked = {"easy": easy.after, "medium": medium.after, "hard": hard.bad}
for part, sentence in asked.items():
    print(f"{part:7} {sentence}")

# %%
import numpy as np

from electra_tutorial.evaluation import encode_questions, piece_logits, spread, take_exam, word_suspicion
from electra_tutorial.judgement import judge

originals = {"easy": easy.before, "medium": medium.before, "hard": hard.good}
for part, sentence in asked.items():
    judged = judge(sentence, run, mask=[])  # mask=[]: hide nothing, judge it as it is
    suspicion = judged.word_suspicion()  # of a word: that of the worst of its pieces
    word = judged.word_texts[suspicion.index(max(suspicion))]
    print(f"{part:7} most suspect: {word} ({max(suspicion):.0%}). It was: {originals[part]}")

# %% [markdown]
# Did it do better than you? One sentence says little. Ask a hundred: in which share of them is the exchanged
# word the most suspect of all? That is the measure *found*.

# %%
from electra_tutorial.metrics import found  # weave: exercise

# %%
many = full_or_fast(100, 20)
# A row of pieces each, and which word every piece belongs to. Punctuation is no word: the exam never replaces it.
rows_asked, words, positions = zip(*encode_questions(spread(exam.easy, many), run.tokenizer), strict=True)
suspicions = [word_suspicion(logits, words_of_one) for logits, words_of_one in
              zip(piece_logits(run.electra.discriminator, rows_asked), words, strict=True)]
yours = found(suspicions, positions)
guessing = np.mean([1 / len(suspicion) for suspicion in suspicions])
print(f"found in {yours:.0%} of {many} easy ones; guessing finds {guessing:.0%}")
official = take_exam(run.electra.discriminator, run.tokenizer, exam, limit=many)
assert abs(official["exam_easy_found"] - yours) < 1e-9, "Yours is the exam's own."
expect(yours > 2 * guessing, "It finds the word far more often than by guessing.")

# %% [markdown]
# ## 9. Three runs, two of them sick
#
# These are three small runs (the `tiny` preset on a grammar of our own making), each with three seeds. (A
# *seed* is the number that all random draws of a run follow from: its first weights, its masks, its samples.)
# The line is the mean of the seeds, the band reaches from the least to the most (in a table: the mean, and between
# brackets the least and the most). The results come with the
# course. A command made them, and would make them again: `electra-tutorial experiment curves --seeds 3`.
#
# **Guess first.** One of A, B and C is *healthy*. In one the discriminator has *collapsed*: it calls every
# token original, whatever stands there. In one the *generator is too strong* for its discriminator. Which is
# which? Look at the three panels together.

# %%
from electra_tutorial.experiments import by_variant, shipped_results
from electra_tutorial.views.experiment import experiment_figure

lines = shipped_results("curves")
names = sorted(by_variant(lines), key=lambda name: name[-1])  # by their last letters
letter = dict(zip(names, "ABC", strict=True))
hidden = [line | {"variant": letter[line["variant"]]} for line in lines]
hidden.sort(key=lambda line: line["variant"])
keys = ("mlm_loss", "rtd_loss", "exam_easy_auc")
experiment_figure(hidden, keys, "Which is which?")

# %%
from electra_tutorial.experiments import table

print("  ".join(f"{letter[name]}: {name}" for name in names))
print(table(lines, ("exam_easy_auc", "mlm_loss", "rtd_auc", "rtd_recall")))


def ends(experiment, key):
    """{variant: the figure at the end of each of its runs}."""
    groups = by_variant(shipped_results(experiment))
    return {name: [line["history"][-1][key] for line in group]
            for name, group in groups.items()}


scored, recall = ends("curves", "exam_easy_auc"), ends("curves", "rtd_recall")
assert max(recall["collapsed"]) < 0.01, "Collapsed: it never says 'replaced'."
assert max(scored["collapsed"]) < min(scored["generator too strong"])
assert max(scored["generator too strong"]) < min(scored["healthy"])

# %% [markdown]
# How to tell them apart:
#
# | | exam, easy | generator's loss | discriminator's loss | what to do |
# |---|---|---|---|---|
# | healthy | rises | falls under its baseline | falls under its baseline, in a short run not yet | wait |
# | collapsed | stays at 0.5 | falls all the same | stays at its baseline, or over it | lower the learning rate |
# | generator too strong | rises less | falls *lowest* | nearer to its baseline | raise λ |
#
# The trap is the generator's loss: judged by that, one of the sick runs is the best. This collapse was
# made by a learning rate ten times too high. The strong generator was made by λ = 1, so that the
# discriminator's loss weighs no more than the generator's in the joint loss. At that weight the embedding
# tables, which both networks share, learn what serves the generator. It is no larger than the healthy run's: it is
# too strong for a discriminator that is not listened to. You meet these runs again in section 10.
#
# Do you believe it? Re-run one of them here, the same settings and seed, in about half a minute. A warning
# is part of the result: the run notices that something is wrong.

# %%
from dataclasses import replace

from electra_tutorial.experiments import EXPERIMENTS, run_variant

VARIANT = "collapsed"  # or "healthy", or "generator too strong"
curves = replace(EXPERIMENTS["curves"], tokens=full_or_fast(400_000, 5_000))
here = run_variant(curves, VARIANT, seed=0, evaluations=full_or_fast(6, 1))
(shipped,) = [line for line in lines
              if (line["variant"], line["seed"]) == (VARIANT, 0)]
for where, line in (("here", here), ("shipped", shipped)):
    end = line["history"][-1]
    print(f"{where:8} exam {end['exam_easy_auc']:.3f}, recall {end['rtd_recall']:.3f}, "
          f"{end['tokens_seen']:,} tokens, {line['cpu_seconds']:.0f} s of a core")
difference = here["history"][-1]["exam_easy_auc"] - scored[VARIANT][0]
expect(abs(difference) < 0.1, "It came out again, on another machine.")

# %% [markdown]
# ## 10. Balance the two models
#
# How large should the generator be? How much should the discriminator's loss weigh? Judge by the exam. It is
# the one figure that a bad generator cannot make look good.
#
# **Guess first.** The generator's width is 1/4, 1/2, once and twice the discriminator's. Which gets the best
# exam, and by how much does it lead?

# %%
from electra_tutorial.experiments import in_order

lines = in_order(shipped_results("generator-size"))  # by the number in their names
print(table(lines, ("exam_easy_auc", "exam_medium_auc", "mlm_loss", "rtd_auc")))
experiment_figure(lines, title="Generator's width, a share of the discriminator's")

# %% [markdown]
# The paper found 1/4 to 1/2 best (figure 3), and worse beyond. **These runs do not show that.** 1/4 has the
# best mean, but its band overlaps with those of 1 and 2, and 1/2 has the lowest mean: the exam goes down and up
# again as the generator grows. That is how chance looks. (Between brackets stand the least and the most of three
# seeds; where none are, all three agree to two digits.) One run each would have given you a winner, and
# another seed another one. The bands are there to keep you from that.
#
# Now look at the last column, the AUC that each discriminator reaches in its own game. There the lead of 1/4 is
# clear of all the others. It met the weakest fakes: see its generator's loss. On the exam, where all get the
# same questions, little of that lead is left.
#
# **Guess first.** λ is 1, 10, 50 and 250. Where does the exam suffer, and where the generator?

# %%
lines = in_order(shipped_results("lambda"))
print(table(lines, ("exam_easy_auc", "exam_medium_auc", "mlm_loss", "rtd_auc")))
experiment_figure(lines, title="λ, the weight of the discriminator's loss")

# %% [markdown]
# This one is clear. At λ = 1 the generator is at its best and the exam at its worst, and the bands of 1 and 50
# do not touch. From 50 on the exam gains nothing that shows. The authors chose 50 out of 1, 10, 20, 50 and 100
# (appendix A).
#
# **What these small runs can show, and what not.** They read 400,000 tokens of a language of some 2,000 words,
# with a network of 32 numbers a token. A large effect shows (λ, a collapse). A small one drowns in the seeds.
# What needs long training cannot show at all: the generators here are all far from good, so none is *too*
# good by its size. In minimal pairs all of them are near chance, so this says nothing about grammar.
# `electra-tutorial experiment lambda --seeds 5 --out my.jsonl` makes more seeds of it.

# %% [markdown]
# ## 11. How many tokens to hide: 15 % or 25 %, and always as many? <!-- weave: second reading -->
#
# In the paper 15 % of the tokens are hidden; for its large model, 25 % (appendix A). The short presets here hide 25 %
# on average. Hiding more gives both networks more to learn from each sentence, and leaves less of the sentence to
# learn it from. (The asserts are for this section's table and those of section 10.)

# %%
lines = in_order(shipped_results("masking"))
print(table(lines, ("exam_easy_auc", "exam_medium_auc", "mlm_loss", "rtd_auc")))
size = ends("generator-size", "exam_easy_auc")
game = ends("generator-size", "rtd_auc")
weight, hidden = ends("lambda", "exam_easy_auc"), ends("masking", "exam_medium_auc")
for other in ("1", "2"):
    assert min(size["1/4"]) < max(size[other]), "Size: on the exam, bands overlap,"
    assert min(game["1/4"]) > max(game[other]), "in their own games they do not."
assert max(weight["1"]) < min(weight["50"]), "λ: these bands do not touch."
assert max(hidden["15 %"]) < min(hidden["25 %"]), "Hidden places: nor do these."

# %% [markdown]
# A quarter beats 15 % on *medium*, a little, and 40 % is no better than a quarter. On real text one pair of
# runs of the `laptop` size said the same more loudly (2.5 million tokens, one seed each:
# `benchmarks/RECIPE.md`). It need not hold for a long run: the paper's small model read 6,000 times as much as
# that. Whatever is hidden in training, the *evaluation* hides 15 %. So a detector trained at 25 % expects more
# fakes than it meets there. That costs it some loss, and by itself no AUC, which asks for the order alone. (That 15 %
# leads in the last column says nothing: these detectors met different fakes.)
#
# **And always as many?** In the paper's way three of twelve places are hidden at 25 %, never two and never four,
# and about two of the three become fakes.
#
# **Guess first.** A detector was trained on that. Now somebody takes a real sentence and exchanges one word of it.
# You ask about the *other* words, those three or more places away from it, before and after. Does the detector
# suspect them more than before, less, or as much? They are what they were.

# %%
from electra_tutorial.checkpoint import load
from electra_tutorial.experiments import verdict
from electra_tutorial.probes import moved_elsewhere

lines = shipped_results("counting")
print(table(lines, ("exam_easy_auc", "exam_medium_auc", "exam_pairs", "moved_elsewhere")))
fixed, by_lot = "always as many", "each place by lot"
assert verdict(lines, "moved_elsewhere", by_lot, fixed) == "apart", "each seed above each"
assert verdict(lines, "exam_pairs", by_lot, fixed) == "apart", "a little, near chance, but each seed"
assert verdict(lines, "exam_medium_auc", by_lot, fixed) == "overlap"
some, moved = spread(exam.easy, full_or_fast(400, 40)), {}
for name, (one, its_tokenizer) in (("yours", (run.electra, run.tokenizer)), ("ours", load())):
    moved[name], error = moved_elsewhere(some, one.discriminator, its_tokenizer)
    print(f"{name:6} {moved[name]:+.2f} nats, give or take {2 * error:.2f}")
for name in moved:
    expect(moved[name] > -0.15, "On coins a model does not learn to suspect the others less.")

# %% [markdown]
# (`moved_elsewhere`: how far the log-odds of those words move, in nats, the mean over sentences. Below 0 they are
# suspected less. *Give or take*: two standard errors.)
#
# Less, where every row has as many. Nobody told the detector to do that: it has learned to **count**. It expects so
# many fakes in a sentence of this length, and one that is found acquits the other words. How do we know that it is
# counting, and not that an odd word changes what is thought of the others? Because it goes away when there is nothing
# to count. In the second row of the table a coin is tossed for each place, a coin that says *hide* one time in four.
# Then a sentence of eight words has two hidden places on average, but also none, or five, and what became of one says
# nothing about the next. (`mask_by_lot=True`. Programs for masked language models often toss such coins,
# `transformers` among them. There it hardly matters: no network has to say *which* places were hidden. Your
# `mask_tokens` still does the hiding: what the coins spare is handed to it as `special`, with a rate of 1.)
#
# In the game the count is true, and counting is no mistake. In a sentence with one mistake or none it is one. The
# score of a minimal pair adds up all words, so what the wrong form costs is paid back in part by the others. In the
# table coins bring some pairs, near chance as those are after so few tokens. After ten million tokens of the course's
# text, no other change brought as many: eight runs in which all rows of a batch hide the same share had .941 to .957
# of them right, and five with coins .960 to .981 (`benchmarks/RECIPE.md`). The AUC of *easy* and *medium* falls by
# two or three points, and yet the word is found in about as many sentences. An AUC compares words of different
# sentences, too, and there a count helps: a sentence whose fake is found has no more suspects.
#
# `laptop` and `gpu` toss coins, so your run did, and so did ours, the model that comes with the course: neither
# suspects the other words less. (A little more, if anything.) The model that came with the course before had read 34
# million tokens the paper's way. There one random word moved the words far from it by -0.75 nats.

# %% [markdown]
# ## 12. Untrained, yours, and ours
#
# The same exam for three models: one with fresh random weights, yours, and the mini ELECTRA that comes with
# the course. What that one was given stands in its model card, `data/mini-electra/README.md`.

# %%
from electra_tutorial.checkpoint import load

torch.manual_seed(1)
untrained = Electra(run.electra.preset).eval()
models = {"untrained": (untrained, run.tokenizer),
          "yours": (run.electra, run.tokenizer), "the course's": load()}
scores, limit = {}, full_or_fast(400, 40)
for name, (one, its_tokenizer) in models.items():
    scores[name] = take_exam(one.discriminator, its_tokenizer, exam, limit)
    told = (f"{key[5:]} {value:.3f}" for key, value in scores[name].items())
    print(f"{name:14}{'  '.join(told)}")
chance, yours = scores["untrained"], scores["yours"]
expect(abs(chance["exam_easy_auc"] - 0.5) < 0.1, "Random weights are at chance.")
expect(yours["exam_easy_auc"] > 0.65, "Yours beats chance at finding a word.")
expect(yours["exam_pairs"] > 0.65, "Yours knows some grammar that nobody told it.")

# %% [markdown]
# Now a sentence of your own, in four pictures:
#
# 1. The strip. From top to bottom: the place, the piece, what the generator read, what it put there, and
#    P(replaced). Orange is more suspect than the *base rate* (the share of fakes in training: what a detector
#    says that knows nothing), blue is less.
# 2. The same fakes, read by all three models. Lesson 07 is about such strips.
# 3. What one *attention head* looked at. (A head gathers for each token what it needs from the others; a layer
#    has several, side by side.) A row adds up to 1. Many heads look at a neighbour, or at `[SEP]`. Lesson 08.
# 4. What the discriminator thought of one of ten fixed sentences while it trained, from left to right. The wrong
#    word is marked ▶.

# %%
from electra_tutorial.judgement import rejudge
from electra_tutorial.views.strip import compare_strips, token_strip

SENTENCE = "The old man was reading a newspaper in the kitchen."  # yours?
judged = judge(SENTENCE, run, seed=2)  # another seed hides other places
token_strip(judged)

# %%
compare_strips([(name, rejudge(judged, *pair)) for name, pair in models.items()])

# %%
from electra_tutorial.heads import look_inside
from electra_tutorial.views.attention import attention_map

LAYER, HEAD = 0, 0
look = look_inside(judged, run)
assert abs(look.attentions[LAYER][HEAD].sum(axis=1) - 1).max() < 1e-3
title = f"Discriminator, layer {LAYER}, head {HEAD}"
attention_map(look.pieces, look.attentions[LAYER][HEAD], title)

# %%
from electra_tutorial.views.timelapse import timelapse_picture

timelapse_picture(run.timelapse, judged.base_rate, sentence=1)  # 0 to 9

# %% [markdown]
# ## 13. Checkpoint, stop, go on: exactly
#
# A run that was stopped and resumed should be *the same* run.
#
# **Guess first.** Saving the weights is not enough for that. On what else does the next step depend? Find
# four things.

# %%
import threading

from electra_tutorial.corpus import Corpus

parts = [{name: texts[:2000] for name, texts in part.items()}
         for part in (corpus.train, corpus.heldout)]
little, fixed = Corpus("little", *parts), {
    "steps": 20, "evaluations": 2, "dtype": "float32", "device": "cpu", "quiet": True}
stop, folder = threading.Event(), next_run("stop-and-go")


def halfway(training):
    """Called at each exam: stops the run after ten of its twenty steps."""
    if training.step == 10:
        stop.set()


whole = pretrain("tiny", little, **fixed)
half = pretrain("tiny", little, out_dir=folder, stop=stop, watch=halfway, **fixed)
assert whole.finished and not half.finished and half.metrics["steps"] == 10

# %%
from electra_tutorial.checkpoint import STATE, read_tensors

saved = read_tensors(folder / STATE)[0]
print(sorted({name.split(".")[0] for name in saved}), f"in {len(saved)} tensors")
rest = pretrain("tiny", little, out_dir=folder, resume=True, **fixed)
assert rest.finished
weights = zip(whole.electra.parameters(), rest.electra.parameters(), strict=True)
assert all(torch.equal(one, other) for one, other in weights)
print("10 steps, a break and 10 more: bit for bit the weights of 20 steps.")

# %% [markdown]
# The four: the optimiser's running averages (`optimizer`), the random numbers for masks and draws (`random`),
# the place in the data, and the place on the learning rate's way. The last two follow from the number of the
# step, which is saved too. The file is written beside its place and then moved there, so a power cut leaves
# the old checkpoint or the new one, never half of one.

# %% [markdown]
# ## 14. From here to the paper, on one dial <!-- weave: second reading -->
#
# Turn one number, the width, and let all else follow as the paper shapes its small model: layers, heads (one
# for each 64 numbers), the small network behind attention four times as wide, the generator a quarter as wide.
# At 256 the dial shows the paper's ELECTRA-Small itself.
#
# What does training cost? A weight of a matrix takes part in one multiplication and one addition for each
# token; the way back costs about twice the way forth. That is 6 operations for each weight and token. (The
# tables of embeddings are looked up, not multiplied; as an output table they are, at the hidden places.)
# Your machine's speed follows from the step that you timed.
#
# **Guess first.** The paper's small model read 16.4 billion tokens (1,000,000 steps of 128 rows of 128). How
# long would your machine take?

# %%
def dial(width):
    """The shape of the paper's small model at another width: a `Preset`."""
    small = width // 4
    return PRESETS["paper"].with_changes(
        embedding=min(128, width), width=width, layers=width * 12 // 256,
        heads=width // 64, feed_forward=4 * width,
        generator_width=small, generator_layers=width * 12 // 256,
        generator_heads=max(1, width // 256), generator_feed_forward=4 * small)


def operations(electra):
    """Operations of training on one token, attention's own products left out."""
    tables, size = ("token.weight", "position.weight"), electra.preset
    matrices = sum(p.numel() for name, p in electra.named_parameters()
                   if p.dim() == 2 and not name.endswith(tables))
    return 6 * (matrices + size.mask_rate * size.vocab_size * size.embedding)


assert dial(256) == PRESETS["paper"]

# %%
speed = operations(electra) * preset.batch_tokens / times[dtype]  # operations a second
print("width   parameters   10 million tokens   16.4 billion tokens")
for width in (64, 128, 192, 256, 384):
    twin = Electra(dial(width))
    millions = sum(p.numel() for p in twin.parameters()) / 1e6
    seconds = operations(twin) / speed  # for one token
    print(f"{width:5}{millions:11.1f} M{seconds * 10e6 / 60:15,.0f} min"
          f"{seconds * PRESETS['paper'].tokens / 86400:17,.0f} days")
total = operations(Electra(dial(256))) * PRESETS["paper"].tokens
print(f"The paper's model: {total:.1e} operations by this count.")
assert 0.5e18 < total < 2e18

# %% [markdown]
# The paper's table 1 says 1.4e18 operations, 14 million parameters, and four days on one graphics card (a V100).
# Your count has the same size; it leaves out what attention does between tokens. The days are a guess on the
# long side: larger matrices keep a processor busier than those of a small network, which spends much of its time
# on other things.

# %% [markdown]
# ## 15. What differs from the paper at this scale
#
# Architecture, objective and joint loss are the paper's. The numbers are not. All of them stand, each with its
# reason, in `electra_tutorial/presets.py`: `PRESETS["laptop"]` beside `PRESETS["paper"]`.
#
# - **Text.** The paper's small model reads 3.3 billion tokens, and all of them several times. The course has 2.3
#   million words. (The rows of section 2 have more, for everyday sentences stand there more than once.)
# - **Rows.** The paper fills rows of 128 tokens with running text. Here a row is one sentence.
# - **Narrow layers.** Networks this narrow hardly move when their weights start as small as the paper's
#   (lesson 03). Their linear layers start wider.
# - **Hidden places.** A coin for each place here, which hides a quarter on average; 15 % of every row there (section
#   11).
#
# Do not expect the paper's scores. Expect curves of the same kind.
#
# ## 16. What usually goes wrong
#
# - **The exam stays at 0.5.** Early in a run that is normal. If it lasts: section 9, collapsed.
# - **The loss becomes `nan`.** The learning rate is too high. The run stops and keeps what it saved before.
# - **The discriminator's loss rises.** Look at the exam. If that rises too, all is well: the fakes got
#   better.
# - **Someone else's numbers are better.** Was it the same exam, the same held-out text, the same minutes, and
#   more than one seed? AUC in the training game compares nothing: each generator makes a game of its own.
# - **It is slow.** Other programs share the processor. Close them, or give the run fewer minutes (it takes `LEAST`
#   steps all the same). Steps were fixed when it began, so a run that is disturbed takes longer and learns the same.
#
# ## 17. Questions
#
# <details><summary>1. A friend reports 90 % accuracy at replaced token detection. What do you ask?</summary>
#
# How many tokens were replaced. With 10 % replaced, 90 % is what you get without reading (section 7).
# </details>
#
# <details><summary>2. Your discriminator's loss rose from 0.30 to 0.32. Stop the run?</summary>
#
# Look at the exam first. The generator may have improved, so that the fakes are harder to find.
# </details>
#
# <details><summary>3. The exam is at 0.51, the generator's loss falls nicely. What do you have?</summary>
#
# A collapsed discriminator (section 9). Its loss will be on its baseline and its recall 0. Early in a run,
# wait; later, lower the learning rate.
# </details>
#
# <details><summary>4. Why must minutes be turned into steps before the run begins?</summary>
#
# The learning rate rises and falls with the share of the steps done, and must come down at the end. A run
# whose length nobody knew could not come down, and could not be resumed exactly.
# </details>
#
# <details><summary>5. Two settings, one run each, exams .86 and .84. Which is better?</summary>
#
# Nobody knows. In section 10 seeds of one setting lie that far apart. Run more seeds, and look whether the
# bands touch.
# </details>
#
# <details><summary>6. Why does a small generator give the discriminator a better AUC in training?</summary>
#
# Its fakes are worse, so they are found more often. That says nothing about the discriminator: on the exam,
# with equal questions, little of the lead was left, and the bands overlapped.
# </details>
#
# <details><summary>7. At λ = 1 the generator got better. Why is that no reason to choose it?</summary>
#
# You keep the discriminator, and its exam got worse. The shared tables learned for the generator.
# </details>
#
# <details><summary>8. What stands in a checkpoint besides the weights, and what happens without it?</summary>
#
# The optimiser's averages, the random streams, and the number of the step (for data and learning rate).
# Without them a resumed run is another run: other masks, a jump in the size of its steps.
# </details>
#
# ## 18. Where to read more
#
# - Clark, Luong, Le and Manning 2020, *ELECTRA: Pre-training Text Encoders as Discriminators Rather Than
#   Generators* (arXiv 2003.10555). Section 3.2 and figure 3: small generators. Section 3.3 and table 1: the
#   small model and its cost. Appendix A: all numbers of the training.
# - `electra_tutorial/training.py`: the run. `electra_tutorial/experiments.py`: the runner of sections 9 to 11.
#
# **Next: lesson 07.** You type a sentence, the generator plays against you, and you try to fool the
# discriminator that you trained.

# %%
from electra_tutorial.course.mine import progress

progress(6)
