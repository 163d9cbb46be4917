# The source of lesson 06. `electra-tutorial notebooks` weaves notebooks/06_train_your_electra.ipynb from it.
# %% [markdown]
# # 06 · Train your ELECTRA
#
# **What you will be able to do.** Train a small ELECTRA on real text, on the machine in front of you. Read
# its curves without being fooled by them. Stop a run, and go on with it later. Look inside the model that you
# trained, and compare it with one that learned nothing and with the one that comes with this course.
#
# **What you need to know.** What a token, a loss and a gradient are, and a little PyTorch. The parts of
# ELECTRA are each named again where they first stand.
#
# <!-- weave: minutes -->
# Ten minutes of that are the training itself, and you can make it shorter.
#
# Lessons do not share memory: this one starts from nothing, in a kernel of its own.

# %%
import math
import threading

import torch

from electra_tutorial.checkpoint import load
from electra_tutorial.corpus import Corpus, load_corpus
from electra_tutorial.course.check import expect, full_or_fast
from electra_tutorial.course.runs import next_run
from electra_tutorial.device import choose_device, describe
from electra_tutorial.evaluation import take_exam
from electra_tutorial.exam import load_exam
from electra_tutorial.judgement import attentions_of, judge, rejudge
from electra_tutorial.model import Electra
from electra_tutorial.presets import PRESETS
from electra_tutorial.tokens import batch_order, collate
from electra_tutorial.training import choose_dtype, clipping_groups, make_optimizer, prepare_text, pretrain
from electra_tutorial.views.attention import attention_map
from electra_tutorial.views.curves import LiveCurves, timelapse_figure, training_curves
from electra_tutorial.views.data_flow import data_flow
from electra_tutorial.views.picture import Picture, new_figure
from electra_tutorial.views.strip import compare_strips, token_strip

# %% [markdown]
# ## 1. The whole idea in one picture
#
# ELECTRA is two networks. The **generator** is small. It sees a sentence with some tokens hidden behind
# `[MASK]` and guesses what stood there. One guess is drawn for each hidden place and written into the
# sentence. The **discriminator** reads the result and says of *every* token whether it is the original one or
# was replaced. That task is called *replaced token detection*. After training the generator is put aside. The
# discriminator is what you keep (paper, section 2).

# %%
data_flow()

# %% [markdown]
# Above the arrows stand the functions that do each step, and whose they are: *reference* is the course's own,
# *yours* is one that you wrote.
#
# ## 2. The text
#
# The course trains on two kinds of English: sentences from Wikipedia (WikiText-2), and everyday sentences
# that people wrote for learners (Tatoeba). Some of each are **held out**: training never sees them, and every
# score below is measured on them. If this text could not be fetched when the course was set up, you get
# sentences that a small grammar makes, and the next cell says so.

# %%
corpus = load_corpus("course", fallback=True)
print(corpus.note)
for source, sentences in corpus.train.items():
    print(f"{source:10} {len(sentences):8,} sentences, for example: {sentences[5]}")
    assert not set(sentences) & set(corpus.heldout[source]), "Training saw a held-out sentence."

# %% [markdown]
# ## 3. From text to a batch
#
# A **preset** is every number that a run depends on. `laptop` is made for ten minutes on two processor cores,
# `gpu` for fifteen minutes on a graphics card. `prepare_text` learns a vocabulary of word pieces from the
# text (the first time that takes some seconds, then it is kept) and turns each sentence into a row of
# numbers.

# %%
device = choose_device()
preset = PRESETS[full_or_fast("gpu" if device.type == "cuda" else "laptop", "tiny")]
corpus, tokenizer, rows = prepare_text(preset, corpus)
vocabulary = tokenizer.get_vocab_size()
print(f"{len(rows):,} rows, {rows.ids.size:,} tokens, a vocabulary of {vocabulary:,} pieces")
print(tokenizer.encode("She unwrapped the parcel.").tokens)

# %% [markdown]
# Sentences of like length go into one batch, so that few places are filled up with `[PAD]`. `B` counts the
# rows of a batch, `T` the tokens of a row.

# %%
batches = batch_order(rows, preset.batch_tokens, seed=0, epoch=0)
ids, attention_mask = collate(rows, batches[0])
padding = 1 - attention_mask.float().mean().item()
print(f"{len(batches):,} batches. The first: (B, T) = {tuple(ids.shape)}, {padding:.0%} of it padding")
assert ids.shape == attention_mask.shape

# %% [markdown]
# ## 4. One step, before anything is learned
#
# `Electra` holds both networks. One call does all of the picture above.
#
# **Guess first.** The vocabulary has some thousand pieces, and the generator knows nothing yet: every piece
# is about equally likely to it. Its loss is the mean of -log P(the right piece). Which number do you expect?

# %%
torch.manual_seed(0)
electra = Electra(preset.with_changes(vocab_size=vocabulary))
step = electra(ids, attention_mask)
even = math.log(vocabulary)
print(f"generator's loss {step.generator_loss:.2f} nats; log of the vocabulary's size {even:.2f}")
assert abs(step.generator_loss - even) < 1.5

# %% [markdown]
# A **nat** is the unit of a loss that uses the natural logarithm. An even guess among V pieces costs log V
# nats.
#
# Here is what happened to one row. A place is *chosen*, hidden, and filled with the generator's draw. If the
# draw happens to be the original, the place counts as original: a lucky sample.

# %%
piece = tokenizer.id_to_token
for place in step.chosen[0].nonzero().flatten().tolist():
    before, after = piece(ids[0, place].item()), piece(step.corrupted_ids[0, place].item())
    print(f"place {place}: {before} -> [MASK] -> {after}, replaced: {step.labels[0, place].item()}")
assert not (step.labels & ~step.chosen).any(), "Only a chosen place can be replaced."
assert torch.equal(step.labels, step.corrupted_ids != ids)

# %% [markdown]
# ## 5. One update
#
# The **learning rate** says how far one update moves the weights. It rises first, because the first gradients
# are wild, and falls to nothing at the end. This cell is the code that `pretrain` runs. Change it if you
# like: what you change here stays in this notebook.

# %%
from electra_tutorial.training import learning_rate  # weave: show

# %%
total = 1000
rates = [learning_rate(number, total, preset.learning_rate, preset.warmup) for number in range(total)]
assert max(rates) <= preset.learning_rate and rates[-1] < 0.01 * preset.learning_rate
figure = new_figure(6, 2.4)
figure.subplots().plot(rates)
figure.axes[0].set(xlabel="step of 1000", ylabel="learning rate")
Picture(figure, "The learning rate rises over the first steps in a straight line, then falls in one to 0.")

# %% [markdown]
# One update is five lines in this order: forward, backward, clip, step, zero. **Clipping** shortens a
# gradient that is longer than a limit, so that one odd batch cannot throw the weights away. Each model is
# clipped for itself.

# %%
from electra_tutorial.training import train_step  # weave: show

# %% [markdown]
# Before a long run, do the cheapest test there is: let the model see *one* batch again and again. If it
# cannot learn even that by heart, something is wrong with the code, and more data will not mend it.

# %%
optimizer, groups = make_optimizer(electra, preset), clipping_groups(electra)
rate = preset.learning_rate
batch, cpu = (ids, attention_mask), torch.device("cpu")
losses = torch.stack([
    train_step(electra, optimizer, groups, batch, rate, preset, cpu, "float32")
    for _ in range(full_or_fast(60, 5))
])  # (number of updates, 2): generator, discriminator
print(f"generator's loss on this one batch: {losses[0, 0]:.2f} -> {losses[-1, 0]:.2f} nats")
expect(losses[-1, 0] < losses[0, 0] - 1, "A single batch is learned by heart.")

# %% [markdown]
# ## 6. Is this adversarial training?
#
# You may have read that ELECTRA trains its two networks against each other, as a GAN does (a *generative
# adversarial network*: its generator is rewarded for fooling the other one). Ask the gradients.
#
# **Guess first.** We send back the discriminator's loss alone. Which of the generator's parameters get a
# gradient?

# %%
electra.zero_grad()
electra(ids, attention_mask).discriminator_loss.backward()
gradients = {name: p.grad for name, p in electra.generator.named_parameters()}
reached = [name for name, gradient in gradients.items() if gradient is not None and gradient.any()]
print(f"{len(reached)} of {len(gradients)} parameter tensors are reached: {reached}")
assert reached == ["encoder.embeddings.token.weight", "encoder.embeddings.position.weight"]

# %% [markdown]
# None of its layers. What is reached are the tables of embeddings, which both networks share. (That tie is a
# choice of the paper, section 3.2.) A drawn token is a whole number, and no gradient flows back through a
# draw.
#
# The other way round: is the generator's body moved in any way by the fact that there is a discriminator?

# %%
def generator_gradient(which):
    """The gradient of a matrix of the generator's body under one of the losses, same masks each time."""
    electra.zero_grad()
    electra.rng.manual_seed(0)
    getattr(electra(ids, attention_mask), which).backward()
    return electra.generator.dense.weight.grad.clone()


alone, joint = generator_gradient("generator_loss"), generator_gradient("loss")
print(f"largest difference: {(alone - joint).abs().max():.1e}")
assert torch.allclose(alone, joint, atol=1e-6)

# %% [markdown]
# The same gradient. The generator is trained to guess right, by maximum likelihood, and never to fool
# anybody. The paper tried the adversarial way too, and it did worse (section 3.2, figure 3). A later lesson
# runs it.
#
# ## 7. How long will it take here?
#
# A run with a time limit measures your machine first, and then fixes its number of steps. You can do the
# same. `bfloat16` is a number format with half the bits. Some chips are faster with it, so both are timed.

# %%
MINUTES = 10  # change this: 2 shows that something is learned, 10 gives a model worth looking into
dtype, seconds = choose_dtype(electra.to(device), rows, preset, device)
steps = int(60 * MINUTES / seconds)
print(f"{1000 * seconds:.0f} ms a step on {describe(device)} in {dtype}.")
print(f"{MINUTES} minutes are about {steps:,} steps, {steps * preset.batch_tokens / 1e6:.1f} million tokens, "
      f"{steps / len(batches):.1f} times through the text.")

# %% [markdown]
# ## 8. Train
#
# Run the next cell and watch. The line says how far the run is. After each twelfth of it the model sits an
# **exam** on held-out sentences, and the curves are drawn anew.
#
# - **Left, the exam.** It asks the same questions of every model. *Easy* and *medium*: one word of a sentence
#   was exchanged, which one? The AUC is the chance that an exchanged word is more suspect than an untouched
#   one: 0.5 is guessing, 1 is perfect. *Hard*: of two sentences one word apart, which is English?
# - **Right, the losses** on held-out text, the generator's above and the discriminator's below, always with
#   the same places hidden. The dashed **floors** belong to models that know next to nothing. A loss says
#   something only beside its floor.
#
# **To stop**, press the square in the toolbar (*Interrupt the kernel*). The step under way is finished and
# everything is saved. A run has a folder of its own, so running this cell again begins a new one and writes
# over nothing.

# %%
folder = next_run("my-electra")
print(f"This run is kept in {folder}")
length = full_or_fast({"minutes": MINUTES}, {"steps": 40, "evaluations": 2})
run = pretrain(preset, corpus, out_dir=folder, dtype=dtype, watch=LiveCurves("Your ELECTRA"), **length)

# %% [markdown]
# Did you stop it? With `GO_ON = True` this cell goes on where it stood. After a restart of the kernel, put
# the run's folder in place of `run.folder`.

# %%
GO_ON = False
if GO_ON and not run.finished:
    run = pretrain(preset, corpus, out_dir=run.folder, resume=True, watch=LiveCurves("Your ELECTRA"))
metrics = run.metrics
print(f"{metrics['steps']:,} steps, {metrics['tokens_seen']:,} tokens, {metrics['seconds'] / 60:.1f} minutes")

# %% [markdown]
# ## 9. Read the curves
#
# **Guess first.** In the evaluation 15 % of the tokens are hidden, and some draws are lucky. A detector that
# answers *original* every time, without reading: how often is it right?

# %%
share = metrics["replaced_share"]
print(f"{share:.1%} of the tokens are replaced: 'always original' is right {1 - share:.1%} of the time.")
print(f"It finds 0 % of the fakes. Yours finds {metrics['rtd_recall']:.0%} of them at P(replaced) > 0.5.")
assert 1 - share > 0.8

# %% [markdown]
# So never judge a detector by its accuracy. The same holds for its loss: 0.4 nats sounds small. Compare with
# the floors. The generator's floor is a model that knows how often each piece occurs, and nothing else. The
# discriminator's is one that always says the same probability. (A detector that met more fakes in training
# than in the evaluation expects too many. That costs it some loss, and no AUC.)

# %%
mlm, mlm_floor = metrics["mlm_loss"], metrics["mlm_loss_unigram"]
rtd, rtd_floor = metrics["rtd_loss"], metrics["rtd_loss_floor"]
print(f"generator      {mlm:.2f} nats; word frequencies alone {mlm_floor:.2f}")
print(f"discriminator  {rtd:.3f} nats; always the same {rtd_floor:.3f}")
print(f"discriminator  AUC {metrics['rtd_auc']:.3f}; always the same 0.5")
expect(mlm < mlm_floor - 0.2, "The generator uses the words around a hidden place.")
if MINUTES >= 10:  # a shorter run may not have learned yet how rare fakes are here
    expect(rtd < rtd_floor, "The discriminator knows more than how rare fakes are.")
expect(metrics["rtd_auc"] > 0.58, "The discriminator tells fakes from originals better than chance.")
training_curves(run.history, "Your run")

# %% [markdown]
# Look at the discriminator's loss again. It may stand still, or rise, while the exam goes on improving. The
# reason: **the opponent improves too**. A better generator makes better fakes, and the game gets harder. That
# is why the exam, whose questions stay the same, is the curve to trust.
#
# ## 10. Sit the exam yourself
#
# **Guess first.** In each of these sentences one word is not what its author wrote. Which one?

# %%
exam = load_exam(corpus)
questions = {"easy": exam.easy[7].after, "medium": exam.medium[7].after, "hard": exam.hard[7].bad}
for part, sentence in questions.items():
    print(f"{part:7} {sentence}")

# %% [markdown]
# Here is what was written, and which word your model suspects most. In the hard part the two sentences are
# compared: the one with less suspicion in all is taken for English.

# %%
originals = {"easy": exam.easy[7].before, "medium": exam.medium[7].before, "hard": exam.hard[7].good}
for part, sentence in questions.items():
    judged = judge(sentence, run, mask=[])
    suspicion = [max(judged.p_replaced[place] for place in word) for word in judged.words]
    word = judged.word_texts[suspicion.index(max(suspicion))]
    print(f"{part:7} {originals[part]}  Most suspect: {word} ({max(suspicion):.0%})")

# %% [markdown]
# ## 11. Untrained, yours, and ours
#
# The same exam for three models: one with fresh random weights, yours, and the mini ELECTRA that comes with
# the course. It was trained for longer. What it was given stands in its model card,
# `data/mini-electra/README.md`.

# %%
torch.manual_seed(1)
models = {"untrained": (Electra(run.electra.preset), run.tokenizer), "yours": (run.electra, run.tokenizer),
          "the course's": load()}
scores = {}
for name, (model, its_tokenizer) in models.items():
    scores[name] = take_exam(model.discriminator, its_tokenizer, exam, limit=full_or_fast(400, 40))
    print(f"{name:14}" + "  ".join(f"{key[5:]} {value:.3f}" for key, value in scores[name].items()))
expect(abs(scores["untrained"]["exam_easy_auc"] - 0.5) < 0.1, "Random weights are at chance.")
expect(scores["yours"]["exam_easy_auc"] > 0.65, "Yours finds a random word far more often than chance.")
expect(scores["yours"]["exam_pairs"] > 0.65, "Yours knows some grammar that nobody told it.")

# %% [markdown]
# ## 12. See it work
#
# Put in a sentence of your own. The strip shows, from top to bottom: the place, the original piece, what the
# generator read, what it put there, and P(replaced) as the discriminator sees it. Orange is more suspect than
# an average token, blue is less. The colours compare with the *base rate*, the share of fakes that the
# discriminator met in training: white is what it says when it knows nothing.

# %%
SENTENCE = "The old man was reading a newspaper in the kitchen."  # yours?
judged = judge(SENTENCE, run, seed=2)  # another seed hides other places
token_strip(judged)

# %% [markdown]
# The same fakes, shown to the three models.

# %%
compare_strips([(name, rejudge(judged, *pair)) for name, pair in models.items()])

# %% [markdown]
# You can also play the generator's part: `mask=[]` hides nothing, so the sentence is judged as you typed it.

# %%
token_strip(judge("The old men was reading a newspaper in the kitchen.", run, mask=[]))

# %% [markdown]
# **Attention** is how a token gathers from others what it needs. Each of the model's heads spreads its
# attention over the sentence; one row of the map adds up to 1. Try other layers and heads. Many look at a
# neighbour, or at `[SEP]`. A map shows where a head looked, not why the model decided as it did. A later
# lesson is about that.

# %%
LAYER, HEAD = 0, 0
pieces, attentions = attentions_of(judged, run)
assert abs(attentions[LAYER][HEAD].sum(axis=1) - 1).max() < 1e-3
attention_map(pieces, attentions[LAYER][HEAD], f"Discriminator, layer {LAYER + 1}, head {HEAD + 1}")

# %% [markdown]
# ## 13. How it came to know
#
# While it trained, the run wrote down at some moments what the discriminator thought of ten fixed sentences.
# From left to right: time. Each row is a piece. Choose another sentence by its number.

# %%
timelapse_figure(run.timelapse, sentence=1)

# %% [markdown]
# ## 14. Stop and go on, exactly
#
# A run that was stopped and resumed should be *the same* run. Weights alone do not give that. What else does
# the next step depend on? The optimiser's averages, the random numbers for masks and draws, the place in the
# data, and the place on the learning rate's way. All of it is in the checkpoint. Here a small run goes 20
# steps without a break, and another is stopped after 10 and resumed.

# %%
def small_run(**more):
    """Twenty steps of a tiny model on a little text."""
    fixed = {"steps": 20, "evaluations": 2, "dtype": "float32", "device": "cpu", "quiet": True}
    return pretrain("tiny", little, **fixed, **more)


def stop_half_way(training):
    if training.step == 10:
        stop.set()


little = Corpus("little", {name: sentences[:2000] for name, sentences in corpus.train.items()},
                {name: sentences[:500] for name, sentences in corpus.heldout.items()})
stop, folder = threading.Event(), next_run("stop-and-go")
whole = small_run()
half = small_run(out_dir=folder, watch=stop_half_way, stop=stop)
rest = small_run(out_dir=folder, resume=True)
assert not half.finished and rest.finished
pairs = zip(whole.electra.parameters(), rest.electra.parameters(), strict=True)
assert all(torch.equal(a, b) for a, b in pairs)
print("Bit for bit the same weights.")

# %% [markdown]
# ## 15. What differs from the paper at this scale
#
# Architecture, objective and joint loss are the paper's. The numbers are not. Here are all that differ (each
# has its reason beside it in `electra_tutorial/presets.py`), beside the paper's ELECTRA-Small.

# %%
laptop, paper = PRESETS["laptop"].to_dict(), PRESETS["paper"].to_dict()
for name in laptop:
    if laptop[name] != paper[name] and name != "name":
        print(f"{name:24}{laptop[name]!s:>12}{paper[name]!s:>16}")
for size in (PRESETS["laptop"], PRESETS["paper"]):
    millions = sum(p.numel() for p in Electra(size).parameters()) / 1e6
    print(f"{size.name}: {millions:.1f} million parameters in both models")

# %% [markdown]
# - **Text.** The paper's small model reads 3.3 billion words, and all of them several times. The course has
#   2.3 million.
# - **Rows.** The paper fills rows of 128 tokens with running text. Here a row is one sentence.
# - **Hidden places.** The paper hides 15 %. A short run learns faster when more is hidden, so the presets for
#   short runs hide more. `keep` is the share of hidden places whose token stays visible: 0 in the paper's
#   text, .15 in its released code.
# - **Narrow layers.** Networks this narrow hardly move when their weights start as small as the paper's.
#   Their linear layers start wider.
#
# Do not expect the paper's scores. Expect curves of the same kind.
#
# ## 16. What usually goes wrong
#
# - **The exam stays at 0.5, and the losses sit on their floors.** The discriminator calls everything
#   original. Early in a run that is normal: the cheapest thing to learn first is how rare fakes are. If it
#   lasts, lower the learning rate or lengthen the warm-up.
# - **The loss becomes `nan`.** The learning rate is too high. The run stops and keeps what it saved before.
# - **The discriminator's loss rises.** Look at the exam. If that rises too, all is well: the fakes got
#   better.
# - **The generator is too good.** With a generator as large as the discriminator, most draws are right and
#   the rest are hard to tell. The paper found 1/4 to 1/2 of the discriminator's size best (section 3.2 and
#   figure 3).
# - **Someone else's numbers are better.** Was it the same exam, the same held-out text, the same minutes? AUC
#   on the training game compares nothing, because each generator makes a game of its own.
# - **It is slow.** Other programs share the processor. Close them, or give the run fewer minutes.
#
# ## 17. Questions
#
# <details><summary>1. At how many places of a sentence do the two losses look?</summary>
#
# The generator's at the hidden places alone, the discriminator's at every token. So each sentence teaches the
# discriminator at all its places: that is the paper's main argument (section 1).
# </details>
#
# <details><summary>2. The generator draws the very word that stood there. The label?</summary>
#
# Original. The label asks whether the token differs from the text, not whether the place was hidden.
# </details>
#
# <details><summary>3. Why draw at random, instead of taking the likeliest piece?</summary>
#
# The likeliest piece is often right, and where it is wrong it is always the same wrong one. Draws give many
# different fakes.
# </details>
#
# <details><summary>4. A friend reports 90 % accuracy at replaced token detection. What do you ask?</summary>
#
# How many tokens were replaced. With 10 % replaced, 90 % is what you get without reading.
# </details>
#
# <details><summary>5. Your discriminator's loss rose from 0.30 to 0.32. Stop the run?</summary>
#
# Look at the exam first. The generator may have improved, so that the fakes are harder to find.
# </details>
#
# <details><summary>6. Through which parameters do the two losses meet?</summary>
#
# Through the shared tables of token and position embeddings. Everything else belongs to one model, and hears
# one loss.
# </details>
#
# <details><summary>7. Why is the discriminator's loss multiplied by 50?</summary>
#
# It is a yes-or-no question, mostly easy, with a loss of some tenths of a nat. The generator chooses among
# thousands of pieces, with a loss of several nats. Without the factor the shared embeddings would hear the
# generator alone.
# </details>
#
# <details><summary>8. Why are sentences held out by their pattern, and not line by line?</summary>
#
# The everyday text has many near-copies: "I am tired.", "He's tired!". With one of them in the training text,
# the other would be a question whose answer was seen.
# </details>
#
# ## 18. Where to read more
#
# - Clark, Luong, Le and Manning 2020, *ELECTRA: Pre-training Text Encoders as Discriminators Rather Than
#   Generators* (arXiv 2003.10555). Section 2: the method. Section 3.2: sharing, small generators. Section
#   3.3: the small model. Section 3.5: what makes it efficient. Appendix A: all numbers of the training.
# - `electra_tutorial/objective.py`, `model.py`, `training.py`: everything that ran here, in that order.
