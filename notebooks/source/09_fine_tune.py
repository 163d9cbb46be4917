# ruff: noqa: I001  (an exercise and the imports of the next cell would be sorted into one block)
# The source of lesson 09. `electra-tutorial notebooks` weaves notebooks/09_fine_tune.ipynb from it.
# %% [markdown]
# # 09 · Fine-tune
#
# **What you will be able to do.** Put a head on your discriminator and teach it a task: judge film reviews,
# find words out of place and, in a second reading, the answer to a question. Measure it fairly, against plain
# rivals and against the same network without pre-training. See overfitting, and know what is done about it. Hand
# the result on to `transformers`.
#
# **What you need to know.** The encoder (lesson 03) and the discriminator (lesson 05). `cross_entropy` of
# logits `(N, C)` and class numbers `(N,)` is the mean of minus log P(right class), in nats.
#
# <!-- weave: minutes -->
#
# Everything here starts from the mini ELECTRA that comes with the course. To fine-tune your own from lesson 06,
# give its folder where `load()` stands, such as `load("../runs/my-electra-1")`. You see one run of each fine-tuning.
# What several seeds say stands in section 11.

# %% [markdown]
# ## 1. What is kept, and what is new
#
# Pre-training made two networks, each with a head. For a task you keep one thing: the discriminator's **body**,
# its encoder. The generator goes, and the replaced-token head goes (paper, section 2). On top comes a new
# head, small and random.
#
# **Guess first.** Which share of the weights of a classifier with two classes is new: a tenth, a hundredth?

# %%
import math
from collections import Counter  # noqa: F401  (the exercises use it)

import torch

from electra_tutorial.checkpoint import load
from electra_tutorial.course.check import expect, full_or_fast
from electra_tutorial.finetune import body_of

electra, tokenizer = load()
body = body_of(electra)
assert body is not electra.discriminator.encoder  # a copy: the model you loaded stays as it is
print(f"{sum(p.numel() for p in body.parameters()):,} weights know something already")

# %%
from electra_tutorial.finetune import Classifier  # weave: show

# %%
model = Classifier(body, classes=2)
inside = {id(p) for p in model.encoder.parameters()}
sizes = {name: p.numel() for name, p in model.named_parameters() if id(p) not in inside}
print(sizes, f"{sum(sizes.values()) / sum(p.numel() for p in model.parameters()):.2%} is new")
ids = torch.tensor([tokenizer.encode("What a warm and funny film.").ids])  # (1, T)
assert model(ids).shape == (1, 2)

# %% [markdown]
# The head reads one vector: that of `[CLS]`. In pre-training nothing was ever asked of `[CLS]` but whether it
# was replaced, and it never was. So attention must first learn to *bring* something there.
#
# ## 2. The task
#
# Sentences from film reviews. Some 15 people rated each from -4 to 4 (Hutto and Gilbert 2014). We keep those
# with a clear rating. They come in three *sides*, to train, to choose and to judge with; `other` is something else
# (section 7). No near-twins stand on two sides: the template decides, which is what is left of a sentence when names,
# numbers and endings are folded (lesson 01).

# %%
from dataclasses import replace

from electra_tutorial.finetune import count_by_class, naive_bayes
from electra_tutorial.tasks import load_sentiment

task = load_sentiment()
few = full_or_fast(None, 48)  # in the tests a few examples will do
task = replace(task, **{side: getattr(task, side)[:few] for side in ("train", "valid", "test", "other")})
for example in task.train[:6]:
    print(f"{task.classes[example.label]:9} {example.text}")
print({side: len(getattr(task, side)) for side in ("train", "valid", "test", "other")})
assert not {e.text for e in task.train} & {e.text for e in task.test}

# %% [markdown]
# Three sides, three purposes. *train*: what gradients see. *valid*: what you choose with: when to stop, which
# setting. *test*: what you report, looked at once. Whoever chooses with the test side reports a number that is
# too good.
#
# ## 3. A plain rival first
#
# Before you train a network, ask what counting can do. **Naive Bayes** counts how often each word stands in
# reviews of each kind, and adds up what the words of a review speak for. It knows nothing of order: *not good,
# bad* and *not bad, good* are the same to it.

# %%
from electra_tutorial.finetune import word_log_odds  # weave: exercise

# %%
counts = torch.tensor([[1, 0, 1],  # class 0: bad, good, film
                       [0, 2, 1]])
assert abs(word_log_odds(counts)[1] - math.log((3 / 6) / (1 / 5))) < 1e-5  # good: 2 + 1 of 6, 0 + 1 of 5
words, counts = count_by_class(task.train)
ranked = [words[n] for n in word_log_odds(counts).argsort()]
print("speaks against:", ", ".join(ranked[:12]))
print("speaks for:", ", ".join(ranked[-12:]))

# %% [markdown]
# Names of actors and places stand among the words that "speak" for or against: it has counted *these* films, and
# nothing told it that the next ones have other actors.
#
# **Guess first.** How many of the reviews held out will it get right: six in ten, seven, eight?

# %%
from electra_tutorial.finetune import Recipe
from electra_tutorial.views.panels import bar_panels, line_panels

rival, (low, high) = naive_bayes(task.train, task.test)
print(f"naive Bayes: {rival:.3f}, 95 % interval {low:.3f} to {high:.3f}, {len(task.test)} reviews")
expect(rival > 0.7, "Counting words goes a long way.")
assert low <= rival <= high

# %% [markdown]
# The interval comes from the **bootstrap**: draw as many reviews with replacement, score again, 500 times. Two
# scores whose intervals overlap by much may differ by luck alone.
#
# ## 4. How fast may each layer learn?
#
# The head is random and must move far. The lowest layers know what words are, and a large step would wreck
# that. So each part gets its own rate: the head the full one, and each step down a constant factor less. This
# is **layer-wise learning-rate decay** (paper, appendix B).

# %%
from electra_tutorial.finetune import layer_scales  # weave: exercise

# %%
assert layer_scales(2, 0.5) == [0.125, 0.25, 0.5, 1.0]  # embeddings, two layers, head
recipe, layers = Recipe(), len(body.blocks)
print(recipe)
names = ["embeddings", *(f"layer {n}" for n in range(layers)), "head"]
bar_panels({"share of the learning rate": (names, layer_scales(layers, recipe.layer_decay))},
           "Bars that rise from the embeddings over each layer to the head, which has 1.", "share")

# %% [markdown]
# The rate itself first rises, for a tenth of all steps, and then falls to 0, as in lesson 06. All numbers of a
# fine-tuning stand in its `Recipe`; the cell above prints its defaults. Where the two meet: each part of the network
# is a *group* of the optimiser and carries its `scale`, and before each step every group gets the rate times that.
# (Matrices and the rest are groups of their own: norms and biases do not decay.)

# %%
from electra_tutorial.finetune import layer_groups  # weave: show

# %% [markdown]
# ## 5. When to stop
#
# A small task is soon known by heart. Then the loss on *train* goes on falling, and nothing is gained on *valid*
# any more. **Early stopping** looks at *valid* now and then, keeps the weights of the best look, and ends when
# several looks in a row brought no gain. What is a gain? Your function takes any numbers that should fall. The loop
# below gives it the share of errors, and not the loss; section 8 shows why.

# %%
from electra_tutorial.finetune import should_stop  # weave: exercise

# %%
curve = [0.69, 0.55, 0.48, 0.50, 0.49, 0.53]
stops = [n for n in range(1, len(curve) + 1) if should_stop(curve[:n], patience=3)]
assert stops[0] == 6  # looks 4, 5 and 6 did not go below 0.48
print(f"after look {stops[0]}; the weights of look {curve.index(min(curve)) + 1} are kept")

# %% [markdown]
# Here is the whole loop, and one step of it. Nothing in it is new to you but the looks.

# %%
from electra_tutorial.finetune import train, train_step  # weave: show

# %% [markdown]
# First one step, with four reviews: which rate did each group get? Then the loop, with eight reviews in batches of
# four, twice over: four steps, and a look after the second and the last. What a look finds is told by a function,
# the *judge*; this one always says the same, for here only the looks are counted.

# %%
eight = task.train[:8]
rows, labels = [tokenizer.encode(one.text).ids for one in eight], [one.label for one in eight]
optimizer = torch.optim.AdamW(layer_groups(model, recipe), lr=0.0)
loss = train_step(model, optimizer, rows, labels, range(4), recipe.learning_rate)
print(f"loss {loss:.2f}; rates", *(f"{group['lr']:.5f}" for group in optimizer.param_groups[::2]))


def judge(model):
    return {"loss": 0.7, "accuracy": 0.5}


seen = train(model, rows, labels, Recipe(epochs=2, batch=4, looks=2), judge)
assert [row["step"] for row in seen] == [2, 4]

# %% [markdown]
# ## 6. Fine-tune
#
# Everything together: your body, a new head, the recipe above.
#
# **Guess first.** Naive Bayes has read every review. So has this network, which has read 2.3 million words
# before. By how much will it win, if it wins?

# %%
from electra_tutorial.finetune import finetune_sentiment, from_scratch


def say(row):
    print(f"epoch {row['epoch']:4.1f}   train loss {row['train_loss']:.3f}   "
          f"valid loss {row['loss']:.3f}   valid accuracy {row['accuracy']:.3f}")


recipe = replace(recipe, epochs=full_or_fast(recipe.epochs, 1), looks=full_or_fast(recipe.looks, 2))
fit = finetune_sentiment(electra, tokenizer, recipe=recipe, task=task, tell=say)
print(f"test: {fit.score:.3f}, interval {fit.interval[0]:.3f} to {fit.interval[1]:.3f}", *fit.notes, sep="\n")
assert fit.interval[0] <= fit.score <= fit.interval[1] and fit.history
epochs = [row["epoch"] for row in fit.history]
curves = {"loss (nats)": {"train": [row["train_loss"] for row in fit.history],
                          "valid": [row["loss"] for row in fit.history]}}
alt = "; ".join(f"on {side} from {some[0]:.2f} to {some[-1]:.2f}" for side, some in curves["loss (nats)"].items())
line_panels(curves, f"The loss over the epochs: {alt}.", "epochs", x=epochs, floor=(0.693, "a coin: log 2"))

# %% [markdown]
# (At first *train* may lie above *valid*. It is a mean over the steps since the last look, when the model knew less,
# and dropout is on while it trains.)
#
# Now the question of this course: what did pre-training bring? Take the *same network* with random weights,
# and the same recipe.

# %%
scratch = finetune_sentiment(from_scratch(electra), tokenizer, recipe=recipe, task=task)
for name, score, interval in (("naive Bayes", rival, (low, high)), ("from scratch", scratch.score, scratch.interval),
                              ("pre-trained", fit.score, fit.interval)):
    print(f"{name:13} {score:.3f}   {interval[0]:.3f} to {interval[1]:.3f}")
expect(fit.score > 0.6, "It has learned something about reviews: a coin is right in half of them.")

# %% [markdown]
# Read it as it stands. When this was written, **pre-training did not pay for this task**: naive Bayes had
# .79, the one from scratch .77 and the pre-trained network .75 (seed 0). Do not expect what you know of large
# models. Three things may explain it:
#
# - *What it has read*: an encyclopaedia and everyday sentences, hardly an opinion, and of that 2.3 million
#   words. BERT read 3,300 million (Devlin et al. 2019).
# - *What it was asked*: does this token fit here? *Good* and *bad* fit in the same places, so nothing ever
#   pulled them apart, and a review hangs on that.
# - *Where the head looks*: at `[CLS]`, of which nothing was ever asked. What the upper layers do for replaced
#   tokens has to be unlearned first, and the recipe lets the lower ones move slowly. New weights have nothing
#   to unlearn.
#
# So look at sections 10 and 11, too: other tasks, where what it did learn is of use.
#
# ## 7. Ask it
#
# Type sentences of your own. Try *not*, irony, and a word it cannot know.

# %%
from electra_tutorial.finetune import classify

mine = ["A warm, funny and moving film.", "A dull, lifeless mess.", "Not bad at all.", "Hardly a masterpiece."]
for text, (_, positive) in zip(mine, classify(fit, mine), strict=True):
    print(f"{positive:4.0%} positive   {text}")
assert abs(classify(fit, mine).sum(axis=1) - 1).max() < 1e-5

# %% [markdown]
# For a task of your own make a table with the columns *text* and *label*. Then:
#
#     from electra_tutorial.finetune import finetune_classes
#     from electra_tutorial.tasks import read_task
#     own = finetune_classes(electra, tokenizer, read_task("mine.csv"))
#
# Now sentences about things that a shop sells, rated by the same people. No film in them: what carries over?

# %%
from electra_tutorial.finetune import accuracy_on

other, interval = accuracy_on(fit, task.other)
print(f"films {fit.score:.3f}; goods {other:.3f}, interval {interval[0]:.3f} to {interval[1]:.3f}")
print("naive Bayes on goods:", round(naive_bayes(task.train, task.other)[0], 3))

# %% [markdown]
# ## 8. Overfitting, and what is done about it
#
# Take 500 examples, no dropout, no decay, the same rate for all layers, and train on and on.

# %%
bare = Recipe(epochs=full_or_fast(20, 1), layer_decay=1.0, weight_decay=0.0, dropout=0.0, patience=0,
              looks=full_or_fast(8, 2))
over = finetune_sentiment(electra, tokenizer, full_or_fast(500, 16), bare, task=task, tell=say)
gap = over.history[-1]["loss"] - over.history[-1]["train_loss"]
expect(gap > 0.2, "It knows the 500 reviews better than others.")
curves = {"loss (nats)": {"train": [row["train_loss"] for row in over.history],
                          "valid": [row["loss"] for row in over.history]}}
alt = "; ".join(f"on {side} from {some[0]:.2f} to {some[-1]:.2f}" for side, some in curves["loss (nats)"].items())
line_panels(curves, f"The loss over the epochs: {alt}.", "epochs", x=[row["epoch"] for row in over.history],
            floor=(0.693, "a coin: log 2"))

# %% [markdown]
# Where the lines part, it learns these 500 reviews more than it learns to judge reviews. And the accuracy, in the
# last column above the picture? The loss on *valid* can rise far while its accuracy hardly falls: then the model is
# not wrong more often, it is *surer* where it is wrong.
#
# Six things are said to help: dropout, weight decay, fewer layers (`layers=2` keeps the lower two of the body),
# slower lower layers, early stopping, four times the examples. **Guess first:** which one helps most? Each was tried
# alone, over three seeds and for 30 epochs. 21 runs take a quarter of an hour of a fast core, so their results
# come with the course. They were made by this command, in the course's own folder:
#
#     python benchmarks/finetune.py overfitting
#
# Or try one yourself: give `bare` above another `dropout`, `weight_decay`, `layers`, `layer_decay` or `patience`.

# %%
from electra_tutorial.experiments import compare, read_results, verdict
from electra_tutorial.views.tuning import cures_picture, results_path, results_table

print(results_table("overfitting"))
lines = read_results(results_path("overfitting"))
helped = [cure for cure in dict.fromkeys(line["variant"] for line in lines)
          if verdict(lines, "score", cure, "none of them") == "apart"]
print("every seed more accurate than each without:", *helped, sep="\n   ")
assert helped == ["4 times the examples"]
cures_picture()

# %% [markdown]
# More examples help, to the accuracy and to the loss. Of the other five none is clear of doing nothing, with three
# seeds each; dropout has the best mean of them, three points above. They are not useless by that: a large network has
# far more to restrain. And early stopping takes half of the time, and loses nothing that shows.

# %% [markdown]
# ## 9. Where is the answer? <!-- weave: second reading -->
#
# A second task, of another form: given a question and a text, mark the answer. The facts are from the World
# Factbook. **The questions were made by template**, so this is a toy: real questions are asked in words that
# nobody foresaw. No country stands on two sides.

# %%
from electra_tutorial.tasks import load_questions

questions = load_questions()
limit = full_or_fast(None, 24)
questions = replace(questions, **{side: getattr(questions, side)[:limit] for side in ("train", "valid", "test")})
for one in questions.test[:3]:
    print(one.context, "\n   ", one.question, "->", one.answer)
assert all(one.context[one.start:].startswith(one.answer) for one in questions.train)

# %% [markdown]
# The model reads both at once, `[CLS] question [SEP] context [SEP]`, and the head gives each piece two numbers:
# does the answer begin here, does it end here? It is one matrix, `(D, 2)`, and the loss is that of a choice among T
# places, made twice. The pair with the highest sum wins; an end before its start is no pair.

# %%
from electra_tutorial.finetune import SpanReader  # weave: show

# %%
from electra_tutorial.finetune import best_span  # weave: exercise

# %%
assert SpanReader(body)(ids).shape == (*ids.shape, 2)  # two numbers a token
begins, ends = torch.tensor([0.0, 0.0, 5.0]), torch.tensor([4.0, 1.0, 0.0])
assert (begins.argmax().item(), ends.argmax().item()) == (2, 0)  # each alone: it ends before it begins
assert best_span(begins, ends, longest=3) == (2, 2)

# %% [markdown]
# A text may be longer than the model reads. Then it reads **windows** that overlap, and the surest answer wins.

# %%
from electra_tutorial.finetune import window_starts  # weave: exercise

# %%
assert window_starts(41, 20, 10) == [0, 10, 20, 30]
assert window_starts(20, 20, 10) == [0]
covered = {place for start in window_starts(41, 20, 10) for place in range(start, start + 20)}
assert set(range(41)) <= covered

# %% [markdown]
# If *Port Louis* is right, *Louis* is a better answer than *Lima*. So beside **exact match** stands **F1**, the
# harmonic mean of precision and recall over words (Rajpurkar et al. 2016).

# %%
from electra_tutorial.finetune import span_f1  # weave: exercise

# %%
assert abs(span_f1(["in", "port", "louis"], ["port", "louis"]) - 0.8) < 1e-9  # 2 of 3, 2 of 2
assert span_f1(["lima"], ["port", "louis"]) == 0

# %% [markdown]
# A rival without a network: take the sentence that shares most words with the question, and of that the
# longest run of words that the question does not have.

# %%
from electra_tutorial.finetune import finetune_questions, overlap_answer, score_answers

exact, f1 = score_answers([overlap_answer(one.question, one.context) for one in questions.test], questions.test)
print(f"the rival: exact {exact.mean():.3f}, F1 {f1.mean():.3f}")
assert (exact <= f1 + 1e-9).all()
reading = replace(Recipe(), epochs=full_or_fast(6, 1), looks=full_or_fast(6, 1))
reader = finetune_questions(electra, tokenizer, questions, reading, tell=say)
print(f"exact {reader.score:.3f}, interval {reader.interval[0]:.3f} to {reader.interval[1]:.3f}; "
      f"F1 {reader.figures['f1']:.3f}", *reader.notes, sep="\n")
expect(reader.score > 0.3, "It finds answers about countries that no example was about.")

# %%
from electra_tutorial.finetune import answer_all
from electra_tutorial.views.answers import answer_view

one = questions.test[0]
(answer,) = answer_all(reader.model, tokenizer, [(one.question, one.context)])
assert one.context[answer.start:answer.end] == answer.text
answer_view(one.question, one.context, answer, one.answer)

# %% [markdown]
# Now a text of yours. Ask it something that is *not* in the text: it answers all the same. It has no way to say
# *I do not know*; SQuAD 2.0 was made to teach that.

# %%
asked = "What is the capital of Freedonia?"
text = "People in Freedonia pay in clams. The capital of Freedonia is Glory. 12,000 people live in Freedonia."
(answer,) = answer_all(reader.model, tokenizer, [(asked, text)])
answer_view(asked, text, answer)

# %% [markdown]
# ## 10. One decision a word
#
# A third form. In each sentence two neighbours have changed places; find the first of the two. This is close to
# what the discriminator did all along: *does this token belong here?* So it has a rival that needs no
# fine-tuning at all, its own P(replaced). The head is one matrix, `(D, 2)`, asked at each token. Label 1 is for the
# first of the two words, 0 for every other word; later pieces of a word have the label `IGNORED`, so that a long word
# counts once. The word with the highest log-odds is the answer, and the score is the share of right ones.

# %%
from electra_tutorial.finetune import Tagger  # weave: show

# %%
from electra_tutorial.evaluation import piece_logits
from electra_tutorial.finetune import encode_tags, finetune_tags
from electra_tutorial.metrics import found
from electra_tutorial.tasks import load_swaps

assert Tagger(body, classes=2)(ids).shape == (*ids.shape, 2)  # two numbers a token
swaps = load_swaps(most=full_or_fast(6000, 120))
print(" ".join(swaps.test[0].words), "->", swaps.test[0].words[swaps.test[0].labels.index(1)])
rows, labels, places = encode_tags(swaps.test, tokenizer, electra.preset.max_length)
raw = [logits[starts] for logits, starts in zip(piece_logits(electra.discriminator, rows), places, strict=True)]
wanted = [int(torch.tensor(one)[starts].argmax()) for one, starts in zip(labels, places, strict=True)]
chance = sum(1 / (len(starts) - 1) for starts in places) / len(places)
second = found(raw, [place + 1 for place in wanted])  # the other of the two that changed places
print(f"chance {chance:.3f}; P(replaced), not fine-tuned: {found(raw, wanted):.3f}, and the second {second:.3f}")
tagger = finetune_tags(electra, tokenizer, swaps, replace(Recipe(), epochs=full_or_fast(4, 1), looks=2), tell=say)
print(f"fine-tuned: {tagger.score:.3f}, interval {tagger.interval[0]:.3f} to {tagger.interval[1]:.3f}")
expect(tagger.score > 2 * chance, "It finds words out of place.")

# %% [markdown]
# Be fair to the rival: nobody told it that the *first* of the two is wanted, and either may look odd. Add its two
# figures, and you have how often it points at the pair. Fine-tuning had less to teach than it seems.

# %% [markdown]
# ## 11. Where does pre-training pay?
#
# One run of each task is not much. What is luck in it? And with few examples there is little to learn from, so what a
# network knows beforehand should weigh more: does it? This command (in the course's own folder) fine-tunes on all
# three tasks, reviews (*sentiment*), words out of place (*swaps*) and answers (*questions*), with 100, 500, 2,000
# and all examples, pre-trained and from scratch, and asks the plain rivals: naive Bayes, P(replaced) without
# fine-tuning, and for answers a rule that goes by the words shared with the question. (The score is the share right;
# an answer is right if it is so word for word.) It takes an hour or two of a core, so what it wrote comes with the
# course:
#
#     python benchmarks/finetune.py examples
#
# **Guess first.** Reviews, words out of place, answers: for which of the three does pre-training pay, and with how
# many examples most?
#
# Below the table stands one claim at a time. *Apart* means that every seed of the one is above every seed of the
# other. (What the small table at the end is about is told below it.)

# %%
from electra_tutorial.views.tuning import examples_picture

print(results_table("examples"))
examples_picture()

# %%
lines, verdicts = read_results(results_path("examples")), {}
for task_name in ("sentiment", "swaps", "questions"):
    for number in (100, 500, 2000, None):
        some = [line for line in lines if (line["task"], line["examples"]) == (task_name, number)]
        verdicts[task_name, number] = verdict(some, "score", "pre-trained", "from scratch")
        print(f"{task_name:10}{number or 'all':>6}   {compare(some, 'score', 'pre-trained', 'from scratch')}")
assert {verdicts["swaps", number] for number in (100, 500, 2000, None)} == {"apart"}, "words out of place"
assert verdicts["questions", 500] == verdicts["questions", None] == "apart", "answers"
assert verdicts["questions", 2000] == "overlap", "answers"
assert {verdicts["sentiment", number] for number in (500, 2000, None)} == {"apart, the other way round"}, "reviews"
print("\n" + results_table("texts"))
some = [line for line in read_results(results_path("texts")) if line["examples"] == 500]
assert verdict(some, "score", "counts, reviews", "counts, course") == "apart", "the text counts"
assert verdict(some, "score", "ELECTRA's table", "counts, course") == "apart", "the game: two points"

# %% [markdown]
# **It depends on what is asked.**
#
# - *Words out of place*: pre-training is worth more than anything else in this lesson. With 100 examples the
#   pre-trained network finds nearly as many as the one from scratch finds with all 5,659. The lead is 36 points with
#   100 and 19 with all of them.
# - *Answers*: it pays with 500 examples, by 10 points, and with all 5,502, by 15. With 100 and with 2,000 the seeds
#   of the pre-trained network lie too far apart to tell: with 2,000 one has .28, stopped early, and another .47.
# - *Reviews*: it pays nowhere. With 500 and more the network from scratch is ahead, apart. Part of that is the
#   recipe, the same for all here: with 500 and the dropout of section 8 the pre-trained network gets .64, as much as
#   the one from scratch. Naive Bayes has the best mean throughout, and from 2,000 on it is apart from both.
#
# The first task is nearly the game of pre-training: which token does not belong here? For the second it helps to know
# which words go together. For the third one has to know which words people praise with. Is it the game that does not
# teach this, or the text (section 6)? That can be told without a network. **Count** which pieces stand within ten
# places of each other, and how much oftener than by chance. That is a table with a row for each piece; shortened to a
# hundred numbers (by its singular value decomposition) a row is a vector for its piece, from a text and nothing else.
# A review is the mean of its vectors, and a linear classifier judges it. The small table has this for two texts,
# beside vectors drawn at random and ELECTRA's own token table (`python benchmarks/finetune.py texts`).
#
# Counted on the course's text they do nearly as well as ELECTRA's table: .59 and .61 with 500 examples, .64 both with
# 2,000. Counted on the *reviews'* text, 140,000 words without their labels, they get .68 with 500.
# **So the text comes first**: even plain counting finds little praise and blame in ours, and the game cannot teach
# what is not there. Whether it would teach it where it is, these runs do not show: our ELECTRA never read reviews.
# "Pre-training helps" is no law. It helps where a task needs what the text holds and the game asks for.
#
# One row of the first table live: words out of place, 100 examples, seed 0.

# %%
from electra_tutorial.finetune import recipe_for
from electra_tutorial.tasks import first

few_swaps = first(swaps, full_or_fast(100, 16), seed=0)
short = replace(recipe_for(100), epochs=full_or_fast(30, 1))
for name, one in (("pre-trained", electra), ("from scratch", from_scratch(electra))):
    small = finetune_tags(one, tokenizer, few_swaps, short)
    print(f"{name:13} {len(few_swaps.train)} examples: {small.score:.3f}   (chance {chance:.3f})")

# %% [markdown]
# ## 12. No fine-tuning at all
#
# What does the model know about grammar by itself? Minimal pairs: *she knows* and *she know*. The discriminator
# prefers the sentence that it takes for less tampered with, the generator the likelier one, and a bigram model,
# which counted pairs of neighbours in the same text, does the same.

# %%
from electra_tutorial.corpus import load_corpus
from electra_tutorial.exam import load_exam
from electra_tutorial.probes import Bigram, score_by_phenomenon
from electra_tutorial.training import prepare_text

corpus = load_corpus("course", fallback=True)
once = electra.preset.with_changes(balance=0.0)  # each sentence once
_, _, train_rows = prepare_text(once, corpus, tokenizer)
bigram = Bigram(train_rows.ids, electra.preset.vocab_size)
scored = score_by_phenomenon(load_exam(corpus).hard, electra, tokenizer, bigram, full_or_fast(60, 3))
for row in scored:
    print(f"{row['phenomenon'][:34]:34} {row['n']:4}  " + "  ".join(
        f"{name} {row[name][0]:.2f} [{row[name][1]:.2f} {row[name][2]:.2f}]"
        for name in ("discriminator", "generator", "bigram")))
assert scored[-1]["n"] == sum(row["n"] for row in scored[:-1])

# %% [markdown]
# **The discriminator is no better than counting pairs of neighbours**, in the last line, and the generator is first.
# These pairs differ in a word or two, mostly side by side with what they must agree with, and there counting does
# well. The generator is asked the very question: how likely is each word? The discriminator was asked another: could
# this come from *that* generator? So look at the single phenomena, where the words that must agree stand apart, as
# they may after *there is*. (Between brackets: the 95 % interval. Of each phenomenon up to 60 pairs.)
# `electra-tutorial score PAIRS.tsv` does this for a file of yours, one `good<TAB>bad` a line.
#
# ## 13. Hand it on
#
# `transformers` has these very models. Export, load, compare.

# %%
import tempfile
from pathlib import Path

from transformers import AutoModelForSequenceClassification, AutoTokenizer, logging

from electra_tutorial.hub import export_tuned

logging.disable_progress_bar()
with tempfile.TemporaryDirectory() as place:
    folder = export_tuned(fit, electra.preset, Path(place) / "reviews")
    theirs = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    batch = AutoTokenizer.from_pretrained(folder)(mine, padding=True, return_tensors="pt")
    with torch.no_grad():
        odds = theirs(batch["input_ids"], batch["attention_mask"]).logits.softmax(dim=-1).numpy()
assert abs(odds - classify(fit, mine)).max() < 1e-5
print("the same answers:", [theirs.config.id2label[int(n)] for n in odds.argmax(axis=1)])

# %% [markdown]
# ## 14. What usually goes wrong
#
# - **It says the same to everything.** The rate is too high and the body was wrecked, or too low and the head
#   never moved. Look at the loss of the first looks: it must fall below log 2.
# - **Chosen with the test side.** Whatever you chose with it, it no longer judges.
# - **Near-twins on two sides.** Then memory looks like understanding. Split by template, source or country.
# - **One seed.** Another one moves the score, and by how much you know when you have tried (Mosbach et al. 2021).
# - **A label for every piece of a word.** Label its first piece and leave the others out of the loss.
# - **No plain rival.** A network that loses to counting words has not been shown to understand anything.
#
# ## 15. Questions
#
# <details><summary>1. Why is the generator thrown away, though it knows which word fits?</summary>
#
# It is the narrower one, for a strong generator would make the game too hard (paper, section 3.2). And it learned
# from the hidden places alone, the discriminator from every token.
# </details>
#
# <details><summary>2. Accuracy on valid stands still while its loss rises. What happened?</summary>
#
# The model became surer, also where it is wrong. The loss counts how sure, accuracy does not.
# </details>
#
# <details><summary>3. What does <code>layer_decay</code> = 0 do?</summary>
#
# Every part below the head is multiplied by 0: the body stands still, and the head alone learns.
# </details>
#
# <details><summary>4. What can naive Bayes learn from many examples, and what not from any number?</summary>
#
# Which words stand in praise and which in scorn: it counts each of them. It cannot see what *not* turns round.
# </details>
#
# <details><summary>5. (Section 9.) Why do windows overlap?</summary>
#
# An answer that an edge cuts in two stands whole in the next window.
# </details>
#
# <details><summary>6. (Section 9.) The reader is asked what is not in the text. Why does it answer?</summary>
#
# It chooses among the places of the text, and one of them is always the best.
# </details>
#
# <details><summary>7. Two scores, .78 and .80, each good to .02. Is the second better?</summary>
#
# It may be luck. Score both on the same examples and over several seeds before you say so.
# </details>
#
# ## 16. Where to read more
#
# - The ELECTRA paper (arXiv 2003.10555), section 3.1 and appendix B: how it is fine-tuned.
# - Devlin et al. 2019, *BERT*, section 4: heads for a text, a span, a token.
# - Rajpurkar et al. 2016, *SQuAD*: exact match and F1; 2018, *Know What You Don't Know*: no answer.
# - Mosbach, Andriushchenko and Klakow 2021, *On the Stability of Fine-tuning BERT*: why seeds differ so much.
#
# Next: lesson 10, *is it a GAN?* The terms are in the [glossary](glossary.md).

# %%
from electra_tutorial.course.mine import progress

progress(9)
