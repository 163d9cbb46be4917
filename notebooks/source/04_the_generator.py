# ruff: noqa: I001  (an exercise and the imports of the next cell would be sorted into one block)
# The source of lesson 04. `electra-tutorial notebooks` weaves notebooks/04_the_generator.ipynb from it.
# %% [markdown]
# # 04 · The generator
#
# **What you will be able to do.** Hide words of a sentence the way ELECTRA does. Build the small network that
# guesses them, its *generator*, and train it in a loop of twenty lines, four of whose parts you write. Say how unsure
# a language model is, in a number that a friend understands. Draw from its guesses, and tell why ELECTRA must
# draw and never take the best one.
#
# **What you need to know.** What a token and a tensor are. If you come from lesson 00: a sentence is cut into
# *pieces* of a vocabulary, each piece is a whole number (its *id*), `[CLS]` and `[SEP]` stand around the
# sentence, and `[PAD]` fills short rows up. Everything else is said where it first stands.
#
# <!-- weave: minutes -->
#
# Letters, as everywhere in the course: `B` rows in a batch, `T` tokens in a row, `V` tokens in the
# vocabulary, `N` chosen places of a batch, `E` the width of an embedding, `D` that of the network.

# ## 1. Guess the hidden word
#
# **Guess first.** On paper: for each gap write the three words you find likeliest, and how likely, in
# percent. What is left over is for all the other words.
#
# 1. She lost \_\_\_\_ keys yesterday.
# 2. I drank a cup of \_\_\_\_ .
# 3. The children \_\_\_\_ playing in the garden.
#
# You have now done the job of a **masked language model**: a network that reads a sentence in which some
# tokens are hidden, and gives *every* token of its vocabulary a probability for each hidden place. Run the
# cell to see what the generator that comes with this course writes down. Nobody told it any grammar. It read
# sentences, and guessed.

# %%
import copy
import math
import time

import torch
import torch.nn.functional as F

from electra_tutorial.checkpoint import load
from electra_tutorial.course.check import expect, full_or_fast
from electra_tutorial.judgement import judge
from electra_tutorial.presets import PRESETS
from electra_tutorial.tokens import MASK_ID, SPECIAL_TOKENS
from electra_tutorial.views.picture import BLUE, GREY, ORANGE, Picture, new_figure

GAPS = ["She lost [MASK] keys yesterday.", "I drank a cup of [MASK].",
        "The children [MASK] playing in the garden."]
for gap in GAPS:
    guess = judge(gap, mask=[], top=5)  # mask=[]: hide nothing more
    print(f"{gap:44}", "   ".join(f"{word} {p:.0%}" for word, p in guess.proposals[0]))
    assert 0 < sum(p for _, p in guess.proposals[0]) <= 1

# %% [markdown]
# Compare with your paper. Is there a *right* answer in the second line? There is one word that somebody
# wrote, and several that he could have written. So the answer of a masked language model is never a word. It
# is a **distribution**: a share of belief for each token, which adds up to 1.
#
# ## 2. Hide some tokens
#
# To train such a model you need no teacher, only text: hide some tokens, and what stood there is the answer.
# Hidden means that the id is replaced by that of `[MASK]`. The sentence stays as long as it was. (If you have
# read that ELECTRA *removes* words: it does not.)
#
# Which places may be hidden? Not `[CLS]`, `[SEP]` or `[PAD]`: there is nothing to learn from guessing them.
# The special tokens have the first five ids, so one comparison finds them.
#
# And how would you choose 2 of 6 ordinary places? A coin for each place gives sometimes 0 and sometimes 5.
# Drawing place numbers one by one, with `torch.randint`, has another fault. **Guess first.** You draw 3
# numbers, each from all 20 places. How often do two of them fall on the same place, so that you hide fewer
# than you meant to?
#
# What works is a lottery. Each place gets a random number, and the places with the smallest ones are chosen:
# always as many as you want, never one twice. Special places get a number above all others. The first `argsort`
# says which place is first in line, which second; the second turns that round: where in the line does each
# place stand? Check it with the numbers below.

# %%
electra, tokenizer = load()  # the mini ELECTRA of this course, and its vocabulary
encoding = tokenizer.encode("She lost her keys yesterday.")
ids = torch.tensor([encoding.ids + [0, 0]])  # (B, T) = (1, 10), two places of padding
special = ids < len(SPECIAL_TOKENS)  # (B, T) bool
print(*encoding.tokens, "[PAD]", "[PAD]")
print("ids:    ", ids.tolist()[0])
print("special:", special.int().tolist()[0])

torch.manual_seed(0)
rounds = torch.randint(20, (10_000, 3)).sort(dim=1).values  # 10,000 rounds of 3 places
twice = (rounds.diff(dim=1) == 0).any(dim=1).float().mean()
print(f"drawn one by one: some place comes twice in {twice:.1%} of the rounds")

lottery = torch.tensor([[9.0, 0.7, 0.2, 0.9, 0.4, 0.1, 0.8, 9.0, 9.0, 9.0]])  # (B, T)
in_line = lottery.argsort(dim=1).argsort(dim=1)  # (B, T), 0 = the smallest number
chosen = in_line < 2
print("hidden by lottery:", [encoding.tokens[i] for i in chosen[0].nonzero().flatten()])
assert chosen.sum() == 2 and not (chosen & special).any()

# %%
from electra_tutorial.objective import mask_tokens  # weave: exercise

# %% [markdown]
# Had you drawn place numbers one by one, nothing would have failed. Now and then the model would have had less
# to learn from, and nobody would have known.
#
# See what yours does: one long sentence, and one that is nothing but `[CLS]` and `[SEP]`, masked 2,000 times
# at a rate of 20 %. The bars will count how often each place of the long one was chosen.
#
# **Guess first.** What do the bars look like? Which stand at 0? And is the empty row an error?
#
# The cell below the picture is about `keep`. The paper's text hides *every* chosen token (section 2). Its
# released code leaves 15 % of them visible: chosen, to be predicted, and in plain sight. Our default is 0. **Guess
# first.** With `keep=0.15`, of 10,000 chosen places, how many must the generator predict, and how many become a
# random word?

# %%
text = "The old man who lived by the river sold his boat to a friend."
tokens, long = tokenizer.encode(text).tokens, tokenizer.encode(text).ids
rows = torch.tensor([long, [2, 3] + [0] * (len(long) - 2)])  # (B, T) = (2, T)
rng, rounds = torch.Generator().manual_seed(0), full_or_fast(2000, 200)
often = torch.zeros(rows.shape)  # (B, T)
for _ in range(rounds):
    masked_ids, chosen = mask_tokens(rows, rows < 5, 0.2, MASK_ID, 0.0, rng)
    often += chosen
    assert not (chosen & (rows < 5)).any()
each_round, empty = often.sum(dim=1) / rounds
print(f"chosen a round: {each_round:g} of {len(long) - 2}; of the empty row {empty:g}")
figure = new_figure(8, 2.6)
axes = figure.subplots()
axes.bar(range(len(long)), often[0] / rounds, color=BLUE)
axes.axhline(0.2, color=ORANGE)
axes.set_xticks(range(len(long)), tokens, rotation=60)
axes.set(ylabel="share of rounds", title="How often each place was chosen; line: rate")
Picture(figure, "Bars of nearly equal height near the line at 20 percent, and no bar "
        "at the first and the last place, which are [CLS] and [SEP].")

# %%
many = torch.full((100, 102), 77)  # 100 rows of one token over and over
many[:, 0], many[:, -1] = 2, 3  # [CLS] and [SEP]; 100 ordinary places are left
for keep in (0.0, 0.15):
    masked_ids, chosen = mask_tokens(many, many < 5, 1.0, MASK_ID, keep, rng)
    hidden = masked_ids == MASK_ID
    changed = (masked_ids != many) & ~hidden
    kept = chosen & ~hidden & ~changed
    print(f"keep {keep:4}: {chosen.sum():,} to predict, {hidden.sum():,} of them [MASK],",
          f"{kept.sum():,} left visible, {changed.sum()} random words")
    assert chosen.sum() == hidden.sum() + kept.sum() + changed.sum()

# %% [markdown]
# **What you may have read.** "ELECTRA masks like BERT: 80 % `[MASK]`, 10 % random words, 10 % unchanged, and it
# predicts the next sentence." It does neither. The 80/10/10 is BERT's cure for a mismatch: its network meets
# `[MASK]` in training and never again in use. ELECTRA's discriminator, the model that you keep, never meets a
# `[MASK]` at all (lesson 05). And there is no next-sentence task.
#
# ## 3. What a guess costs
#
# A network puts out **logits**: any numbers, one for each token. *Softmax* makes probabilities of them: e to
# the power of each, divided by their sum. The **loss** says how bad a guess was: -log of the probability that
# was given to what really stood there. Its mean over the places is the **cross entropy**. The unit is the *nat*,
# because the logarithm is the natural one.
#
# Take a vocabulary of three words, and a model that finds `tea` twice as likely as each of the others. **Guess
# first.** What does it cost if it was `tea`? And if it was `milk`? (log 2 is about 0.69.)
#
# There are two ways to see what training does when it makes that mean small. It makes the *product* of the
# probabilities of what was really written large. To choose the weights that make the text most probable has a
# name, **maximum likelihood**, and it is all that ELECTRA's generator is trained for. And undo the logarithm: e
# to the power of the mean cost is the **perplexity**. A model of perplexity 8 is as unsure as somebody who has
# to pick blindly between 8 words.

# %%
words = ["tea", "milk", "sand"]
logits = torch.tensor([[math.log(2), 0.0, 0.0]] * 2)  # (N, V): the same guess twice
targets = torch.tensor([0, 1])  # at the first stood tea, at the second milk

odds = [math.exp(x) for x in logits[0].tolist()]  # by hand
p = [odd / sum(odds) for odd in odds]
costs = [-math.log(p[target]) for target in targets.tolist()]
for word, cost in zip(["tea", "milk"], costs, strict=True):
    print(f"it was {word}: {cost:.3f} nats")

vectorised = -torch.log_softmax(logits, dim=-1)[torch.arange(2), targets]  # (N,)
cross_entropy = F.cross_entropy(logits, targets)  # the mean, straight from the logits
assert torch.allclose(vectorised, torch.tensor(costs))
assert torch.isclose(cross_entropy, vectorised.mean())

likelihood = math.prod(math.exp(-cost) for cost in costs)  # of both words together
perplexity = math.exp(cross_entropy)
print(f"mean {cross_entropy:.3f} nats: as unsure as between {perplexity:.2f} words")
assert math.isclose(perplexity, likelihood ** (-1 / 2), rel_tol=1e-6)
print("the mean over no place at all:", F.cross_entropy(logits[:0], targets[:0]).item())

# %% [markdown]
# The last line is a trap: a batch of `[CLS] [SEP]` rows has nothing to hide, N = 0, and a mean over nothing is
# *not a number*. One such batch spoils every weight. (`Electra` therefore divides the sum by at least 1.)
#
# ## 4. The generator
#
# **The encoder as a given box.** (You built it in lessons 01 to 03. If you skipped them, this is all you need.)
# `Encoder` takes ids `(B, T)` and gives one vector of width `D` for each token, `(B, T, D)`. A table, the
# *embedding*, first gives each id a vector of `E` numbers. Then a few layers of *attention* let each token
# gather from all others what it needs. So the vector at a `[MASK]` knows about the words around it. The box has
# thousands of weights, all of which training moves.
#
# The generator is that box and a head: for each token a score for every word of the vocabulary. And there is a
# saving in it. The score of a word is the product of the place's vector with that word's row in a table
# `(V, E)`; a table `(V, E)` we already have, the embedding. Using it for both is called **the tie**.

# %%
from electra_tutorial.model import Generator  # weave: show

# %% [markdown]
# The tie is more than a saving: the table learns from both ends.
#
# **Guess first.** What share of the generator's parameters is that table? Then you send one sentence of 8
# tokens through the generator, and its loss back. The table has 8,192 rows. Into how many of them does a
# gradient flow? And into how many if the output had a table of its own?

# %%
laptop = PRESETS["laptop"]  # every number a model depends on; lesson 06 trains this
generator = Generator(laptop)
table = generator.encoder.embeddings.token.weight  # (V, E)
count = sum(parameter.numel() for parameter in generator.parameters())
print(f"{count:,} parameters, {table.numel() / count:.0%} of them in the table;",
      f"with another for the output {count + laptop.vocab_size * laptop.embedding:,}")
ids, special = ids[:, :8], special[:, :8]  # without the padding
masked_ids, chosen = mask_tokens(ids, special, 0.3, MASK_ID, 0.0, rng)


def reached(output_table):
    """How many rows of the embedding table get a gradient from one sentence."""
    x, _ = generator.encoder(masked_ids)  # (B, T, D)
    x = generator.norm(F.gelu(generator.dense(x[chosen])))  # (N, E)
    loss = F.cross_entropy(F.linear(x, output_table, generator.bias), ids[chosen])
    gradient = torch.autograd.grad(loss, table)[0]  # (V, E)
    return gradient.any(dim=1).sum().item()


tied, untied = reached(table), reached(table.detach().clone())
print(f"rows reached: tied {tied:,}, untied {untied:,}")
assert tied > untied

# %% [markdown]
# Through the input only the tokens that stand there are reached. Through the output every word is: the right
# one is pulled towards the place's vector, all others are pushed away a little.
#
# ### Break it: two ties that are none
#
# Both of these look tied. **Guess first**: which survives one training step? Which survives a change of number
# format, as when a model moves to another device?

# %%
def try_tie(name, tie):
    """Tie an output to an embedding: one table after a step, and after .double()?"""
    torch.manual_seed(0)
    inside, outside = torch.nn.Embedding(50, 8), torch.nn.Linear(8, 50, bias=False)
    tie(inside, outside)
    model = torch.nn.ModuleList([inside, outside])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    logits = outside(inside(torch.tensor([1, 2])))  # (2, 50)
    F.cross_entropy(logits, torch.tensor([3, 4])).backward()
    optimizer.step()
    after_step = torch.equal(inside.weight, outside.weight)
    model.double()
    inside.weight.data[0] += 1  # what changes one must change the other
    after_double = torch.equal(inside.weight, outside.weight)
    print(f"{name:8} equal after a step {after_step}, after .double() {after_double};",
          f"parameters {len(list(model.parameters()))}")
    return after_step and after_double


try_tie("copy", lambda a, b: setattr(b.weight, "data", a.weight.data.clone()))
try_tie(".data =", lambda a, b: setattr(b.weight, "data", a.weight.data))
assert try_tie("the same", lambda a, b: setattr(b, "weight", a.weight))

# %% [markdown]
# A copy is tied for one moment. `.data =` is worse, because it looks right for longer: two parameters lie on
# the same numbers, the optimiser moves them twice, and the first change of format takes them apart. Nothing
# fails; the model is only worse. So never ask whether two tables are *equal*. Ask whether they are the same
# object (`is`), or look one table up twice, as `Generator` does: then nothing can come loose.
#
# ## 5. Only the chosen places
#
# The loss looks at the chosen places alone, and most of the generator's work is the product with the
# vocabulary. Many programs make all `(B, T, V)` scores, and tell `cross_entropy` by the target -100 which to
# leave out. Our `forward` takes `chosen` and picks these places *before* that product. (`x[chosen]` with a bool
# tensor `(B, T)` takes the N vectors at its True places, row by row: `(B, T, D)` becomes `(N, D)`.)
#
# **Guess first.** With 15 % of the places chosen: how much faster, and how much less memory?

# %%
batch = torch.randint(5, laptop.vocab_size, (50, 20))  # (B, T), a usual size
masked_ids, chosen = mask_tokens(batch, batch < 5, 0.15, MASK_ID, 0.0, rng)


def loss_everywhere():
    logits, targets = generator(masked_ids), batch.masked_fill(~chosen, -100)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())  # (B·T, V), (B·T,)


def loss_at_chosen():
    logits = generator(masked_ids, chosen=chosen)  # (N, V)
    return F.cross_entropy(logits, batch[chosen])


# %%
def price(loss_function):
    """(milliseconds there and back, megabytes that are kept for the way back)."""
    kept, times = {}, []

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    for _ in range(full_or_fast(12, 3)):
        started = time.perf_counter()
        loss_function().backward()
        times.append(time.perf_counter() - started)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss_function()
    return 1000 * min(times), sum(kept.values()) / 1e6


for function in (loss_everywhere, loss_at_chosen):
    print("{}: {:.0f} ms, {:.0f} MB".format(function.__name__, *price(function)))
print(f"(B, T, V) is {50 * 20 * 8192:,} numbers, (N, V) {chosen.sum() * 8192:,}")
assert torch.isclose(loss_everywhere(), loss_at_chosen(), atol=1e-5)

# %% [markdown]
# The same loss to the last digits, for a part of the price. For a generator that is mostly vocabulary there is no
# larger saving.
#
# ## 6. From guesses to a word
#
# ELECTRA's second network, the *discriminator*, shall find out which words were replaced (lesson 05). So the
# generator must not only guess, it must put a word in. Which one? The likeliest (*argmax*) seems best.
#
# **Guess first.** At 15 % of the places of held-out sentences, which training never saw: how often is the
# generator's likeliest word the one that stood there? How often is a word that is drawn by its probability?

# %%
from electra_tutorial.corpus import load_corpus
from electra_tutorial.evaluation import heldout_rows, mask_rows, unigram_counts
from electra_tutorial.model import forbid_special

corpus = load_corpus("course", fallback=True)  # without it, sentences of a grammar
print(corpus.note, end="")
heldout = heldout_rows(corpus.heldout, tokenizer, 64, full_or_fast(20_000, 2000))
parts = []
with torch.no_grad():
    for ids, attention_mask, chosen, _ in mask_rows(heldout):  # (B, T) each
        masked_ids = ids.masked_fill(chosen, MASK_ID)
        guessed = electra.generator(masked_ids, attention_mask, chosen)  # (N, V)
        parts.append((forbid_special(guessed), ids[chosen]))
guessed, originals = (torch.cat(part) for part in zip(*parts, strict=True))
drawn = torch.distributions.Categorical(logits=guessed).sample()  # (N, V) -> (N,)
fillings = {"argmax": guessed.argmax(dim=-1), "a draw": drawn, "the text": originals}
for name, found in fillings.items():
    right, kinds = (found == originals).float().mean(), found.unique().numel()
    print(f"{name:8} right {right:4.0%}, {kinds:5,} different words in {len(found):,}")

# %% [markdown]
# Argmax is right more often, and poorer: look at how many different words each of them uses, beside the text. At
# "I drank a cup of [MASK]." a discriminator would see one and the same word, in every round. It would learn to
# suspect that word, and nothing about the thousand others that may be wrong. A draw takes each word as often as
# the generator believes in it: likely ones often, odd ones now and then. (Sometimes it draws the original. Such a
# lucky sample counts as original: lesson 05.)
#
# **Drawing by hand.** Lay the probabilities side by side on a line from 0 to 1 and throw a dart, a random
# number. Where it sticks, that is your word. The ends of the pieces are the running sums, `cumsum`.
# `torch.multinomial` does the same for you.

# %%
p = torch.tensor([0.5, 0.25, 0.25])  # tea, milk, sand
ends = p.cumsum(dim=0)  # (V,), where each word's piece ends
for dart in (0.1, 0.6, 0.9):
    number = next(i for i, end in enumerate(ends.tolist()) if end > dart)  # the loop
    print(f"dart at {dart}: {words[number]}")
    assert number == torch.searchsorted(ends, dart, right=True)  # all ends at once
darts = torch.rand(20_000, generator=rng)
by_dart = torch.searchsorted(ends, darts, right=True)  # (20,000,)
by_torch = torch.multinomial(p, 20_000, replacement=True, generator=rng)
for draws in (by_dart, by_torch):
    assert torch.allclose(draws.bincount(minlength=3) / 20_000, p, atol=0.02)

# %% [markdown]
# One more knob, the **temperature**: the logits are divided by it before the softmax. Below 1 the likely words
# get likelier. Above 1 all come closer together. At 0 only the likeliest is left. ELECTRA draws at 1: the
# generator's own belief.
#
# **Guess first.** At temperature 1 the generator is as unsure about the cup as between some number of words.
# What happens to that number at 0.5, and at 2?

# %%
guess = judge(GAPS[1], mask=[], top=8)
with torch.no_grad():
    row = electra.generator(torch.tensor([guess.masked_ids]))[0, guess.mask[0]]  # (V,)
names = [name for name, _ in guess.proposals[0]]
figure = new_figure(9, 2.8)
panels = figure.subplots(1, 3, sharey=True)
for axes, temperature in zip(panels, (0.5, 1.0, 2.0), strict=True):
    p = torch.softmax(forbid_special(row) / temperature, dim=-1)  # (V,)
    unsure = torch.distributions.Categorical(p).perplexity()
    axes.bar(names, p[[tokenizer.token_to_id(name) for name in names]], color=BLUE)
    axes.set_title(f"temperature {temperature}\nunsure between {unsure:,.0f}")
    axes.tick_params(axis="x", rotation=60)
figure.axes[0].set_ylabel("probability")
Picture(figure, "The eight likeliest words for the gap in 'I drank a cup of', at three "
        "temperatures. At 0.5 the first few take most, at 2 all bars are low.")

# %%
from electra_tutorial.objective import sample_tokens  # weave: exercise

# %% [markdown]
# Is a sampler right? Count many draws, and compare with the softmax. The *chi-square* adds up (counted -
# expected)² / expected over all words. For a right sampler of 8 words it is about 7, and above 24 once in a
# thousand times.
#
# **Break it.** Another way to draw: add random noise of a certain kind (Gumbel's) to the logits and take the
# largest. In exact arithmetic that is the same. In `bfloat16`, a number format with half the bits and three
# digits, it is not. **Guess first**: a word has probability 9 %, and 8,191 others share the rest. How often does
# it come?
#
# And a rule: the generator must never *draw* a special token, for a `[PAD]` in the middle of a sentence gives
# itself away. `forbid_special` sets their logits to minus infinity, and e to the power of that is 0.

# %%
odds = torch.tensor([0.3, 0.2, 0.15, 0.1, 0.1, 0.08, 0.05, 0.02])
many = odds.log().repeat(full_or_fast(50_000, 5000), 1)  # (N, V)
ways = {"drawn": sample_tokens(many, 1.0, rng), "argmax": many.argmax(dim=-1)}
for name, draws in ways.items():
    counts, expected = draws.bincount(minlength=8), len(many) * odds
    print(f"{name}: chi-square {((counts - expected) ** 2 / expected).sum():,.0f}")

nine = torch.zeros(8192)  # (V,)
nine[77] = math.log(0.09 / 0.91 * 8191)
assert torch.isclose(nine.softmax(dim=0)[77], torch.tensor(0.09))
for dtype in (torch.float32, torch.bfloat16):
    u = torch.rand(full_or_fast(500, 100), 8192, generator=rng, dtype=dtype)  # (N, V)
    draws = (nine.to(dtype) - torch.log(-torch.log(u))).argmax(dim=-1)  # (N,)
    print(f"Gumbel noise in {dtype}: it comes in {(draws == 77).float().mean():.0%}")

raw = torch.randn(full_or_fast(20_000, 2000), 100, generator=rng)  # untrained logits
for name, logits in {"any": raw, "forbidden": forbid_special(raw)}.items():
    special = sample_tokens(logits, 1.0, rng) < len(SPECIAL_TOKENS)
    print(f"special tokens, {name}: {special.float().mean():.1%} of the draws")
assert not special.any()

# %% [markdown]
# Three digits leave no room for rare, large noise: it ends at about 5.5, and hardly another word can catch up.
# So sample in float32, whatever comes in. Your check asked for that.
#
# ## 7. Train it yourself
#
# A training step moves each weight a little against its gradient. The **learning rate** says how far, and it
# changes on the way. At the start the optimiser knows little of how steep things are, so the first steps must
# be short: the **warm-up**. Towards the end the weights should settle, so the steps get shorter again. Both
# together are the **schedule**.

# %%
from electra_tutorial.training import learning_rate  # weave: exercise

# %% [markdown]
# Now the text. In real text nobody knows how well a guesser could do. So you train on sentences of a small
# *grammar* of the course's own making, whose every probability is known: given all other words of a sentence,
# how likely is this one? **Guess first**: "The plates near the oven ____ hot." How likely is *are*?
#
# One more tool before the loop. Now and then a batch is odd, and its gradient is ten times longer than usual.
# One such step can throw away what a thousand steps built. **Clipping** shortens a gradient that is longer than
# a limit, and keeps its direction. ELECTRA has two networks, and clips them *apart*: you will soon see why.

# %%
from electra_tutorial.grammar import guess_probability, read
from electra_tutorial.metrics import unigram_loss
from electra_tutorial.model import Electra
from electra_tutorial.tokens import collate, make_rows
from electra_tutorial.training import batch_stream, prepare_text

sentence = "The plates near the oven are hot."

preset = laptop.with_changes(vocab_size=4096, max_length=32, mask_rate=0.15)
corpus, tokenizer, rows = prepare_text(preset, "grammar")  # a vocabulary, and rows
V = tokenizer.get_vocab_size()  # a small corpus has fewer pieces than asked for
preset = preset.with_changes(vocab_size=V)
full = collate(rows, (rows.lengths == 10).nonzero()[0][:100])  # a batch without padding
device = full[0].device  # the processor
print(f"{len(rows):,} rows, V = {V:,}. For example:")
print(*corpus.train["grammar"][5:8], sep="\n")
print(f"P(are) = {guess_probability(read(sentence), 5):.2f}")

# %%
from electra_tutorial.training import clip_gradients  # weave: exercise

# %% [markdown]
# (What is left is *were*. *Is* and *was* are impossible, though the oven stands nearer than the plates.)
#
# **One step.** The optimiser is **AdamW**. For each weight it keeps two running averages, of the gradient and
# of its square, and divides the first by the root of the second: every weight moves at about the same pace,
# however steep its slope. The W is *weight decay*: each step shrinks the matrices a tiny bit. Biases and norms
# do not decay; they are few.
#
# In every PyTorch training loop you find the same five verbs: forward, backward, clip, step, zero. (The last,
# because `backward` *adds* to the gradients that are there.) Around the step stands the loop, with the
# schedule. Your parts do the work in it, and no library hides a line of it.

# %%
def my_optimizer(model):
    """AdamW; matrices decay, vectors do not."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.01},
              {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6)


def my_step(generator, optimizer, clipped, batch, rate, rng):
    """One update from one batch; returns the loss before it."""
    ids, attention_mask = batch  # (B, T) each, True = a real token
    masked_ids, chosen = mask_tokens(ids, ids < 5, preset.mask_rate, MASK_ID, 0.0, rng)
    logits = generator(masked_ids, attention_mask, chosen)  # forward: (N, V)
    loss = F.cross_entropy(logits, ids[chosen])
    loss.backward()  # backward
    clip_gradients(clipped, 1.0)  # clip
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()  # step
    optimizer.zero_grad()  # zero
    return loss.item()


# %%
def my_training(positions="learned", steps=0, peak=2e-3, seed=0):
    """Train a new generator; returns it and its losses."""
    torch.manual_seed(seed)
    its_preset = preset.with_changes(positions=positions)
    generator = Electra(its_preset).generator  # with new weights
    optimizer, clipped = my_optimizer(generator), [list(generator.parameters())]
    rng, stream = torch.Generator().manual_seed(seed), batch_stream(rows, 1024, seed)
    losses = []
    for step in range(steps):
        batch = collate(rows, next(stream))
        rate = learning_rate(step, steps, peak, 0.05)
        losses.append(my_step(generator, optimizer, clipped, batch, rate, rng))
    return generator, losses


STEPS, started = full_or_fast(1000, 6), time.perf_counter()
generator, losses = my_training(steps=STEPS)
seconds = time.perf_counter() - started
print(f"{STEPS} steps in {seconds:.0f} s: {losses[0]:.2f} -> {losses[-1]:.2f} nats")

# %% [markdown]
# A loss says something only beside what others would pay. On held-out sentences, with one place hidden in each:
#
# - **log V** is what a model pays that finds all words alike;
# - the **unigram** floor is what it pays if it knows how often each word occurs and looks at nothing (lesson 01);
# - the **best possible** is the grammar's own probability of the hidden word. Nobody can do better: what is left
#   is chance. *Are* or *were*, who can know?
#
# **Guess first.** Between how many words is the best possible reader unsure, who knows the grammar by heart? And
# yours?

# %%
sentences = corpus.heldout["grammar"][:full_or_fast(1000, 40)]
heldout = collate(make_rows(sentences, tokenizer, 32), range(len(sentences)))
fixed = torch.Generator().manual_seed(1)  # the same places for every model
hidden = mask_tokens(heldout[0], heldout[0] < 5, 1e-6, MASK_ID, 0.0, fixed)  # one a row
targets = heldout[0][hidden[1]]  # (N,)


@torch.no_grad()
def heldout_loss(generator):
    """Nats a hidden word, over all held-out sentences."""
    return F.cross_entropy(generator(hidden[0], heldout[1], hidden[1]), targets).item()


places = (hidden[1].int().argmax(dim=1) - 1).tolist()  # [CLS] stands before the words
asked = zip(sentences, places, strict=True)
best = [guess_probability(read(sentence), place) for sentence, place in asked]
counts = unigram_counts(rows, V)  # (V,), how often each word stands in the text

# %%
nats = {"untrained": heldout_loss(my_training()[0]), "log V": math.log(V),
        "unigram": unigram_loss(counts, targets.numpy()),
        "yours": heldout_loss(generator),
        "best possible": -sum(map(math.log, best)) / len(best)}
figure = new_figure(8, 3)
axes = figure.subplots()
axes.plot(losses, color=ORANGE, linewidth=0.8)
for name, loss in nats.items():
    print(f"{name:13} {loss:.2f} nats: unsure between {math.exp(loss):7,.1f} words")
    if name != "untrained":
        axes.axhline(loss, color=BLUE if name == "yours" else GREY, linestyle="--")
        axes.annotate(f" {name}", (len(losses), loss), va="center", fontsize=9)
expect(nats["yours"] < nats["unigram"] - 1, "It uses the words around the gap.")
assert nats["best possible"] < nats["unigram"] < nats["log V"]
axes.set(xlabel="step", ylabel="nats a hidden word", ylim=(0, 9), xlim=(0, len(losses)))
Picture(figure, "The loss of each batch falls steeply from log V through the unigram "
        "floor, then slowly to your held-out loss. The best possible lies well below.")

# %% [markdown]
# The first fall, down to the unigram line, is cheap: word frequencies. What lies between that line and the best
# possible is *language*: which words go together, what agrees with what, where in the sentence you are.
#
# ### Is your loop the real one?
#
# Lesson 06 trains with `pretrain`, which moves the weights with its own `train_step`. That trains both networks
# at once, on the generator's loss + λ (*lambda*) times the discriminator's. For an honest comparison all else is
# the same: first weights, batch, random numbers for the masks, rate, and which weights decay. With λ = 0 the
# discriminator is silent, and one step of yours should be one step of theirs. (The cell takes two: AdamW's first
# step is as long whatever the gradient's length, so that a fault in the clipping would not show.)
#
# **Guess first.** And with λ = 50, the paper's: which of the generator's tensors come out otherwise?

# %%
from electra_tutorial.training import clipping_groups, make_optimizer, train_step


def differing(weight, steps):
    """The generator's tensors that differ after these steps, yours and theirs."""
    torch.manual_seed(0)
    theirs = Electra(preset.with_changes(discriminator_weight=weight))
    mine = copy.deepcopy(theirs)
    my_adam, their_adam = my_optimizer(mine.generator), make_optimizer(theirs, preset)
    groups, (own, _, shared) = clipping_groups(theirs), clipping_groups(mine)
    for number in range(steps):
        mine.rng.manual_seed(number), theirs.rng.manual_seed(number)
        my_step(mine.generator, my_adam, [own, shared], (full[0], None), 2e-3, mine.rng)
        train_step(theirs, their_adam, groups, full, 2e-3, preset, device, "float32")
    right = dict(theirs.generator.named_parameters())
    return [name for name, tensor in mine.generator.named_parameters()
            if not torch.allclose(tensor, right[name], rtol=0, atol=1e-6)]


silent, loud = differing(0.0, steps=2), differing(50.0, steps=1)
print(f"lambda 0: {len(silent)} differ; lambda 50: {len(loud)} differ", *loud, sep="\n")
assert not silent

# %% [markdown]
# This loop *is* the real one. And with the discriminator on, fifty times louder, only those tables move
# otherwise that both networks share. No gradient of the discriminator flows back through a drawn word, which is a
# whole number (lesson 05). And the two are clipped apart. Clipped together, an outburst of the discriminator would
# shorten the generator's gradient as well, in that very step, for no reason of its own.
#
# So here is a claim to put right. You may have read that ELECTRA's generator is trained *against* the
# discriminator, to fool it. Then its layers would have to move otherwise when the discriminator speaks. They do
# not. The generator is trained by maximum likelihood alone.
#
# ## 8. Does it matter where a word stands?
#
# Attention looks at all words at once and knows no order. Without help, "the cook peels the onion" and "the
# onion peels the cook" are the same to it (lesson 02). Two ways to tell it about places: *Learned* positions are
# a table with one vector for each place, added to the embedding; that is the paper's way. *Rotary* positions
# turn the vectors by which attention compares words (queries and keys, lesson 02) by an angle that grows with the
# place, so that what comes out depends on the distance of two words.
#
# **Guess first.** The same loop, the same steps, three times: which is best? Does the one *without* positions
# get below the unigram line at all? It does not even know where its gap is.

# %%
results = {"learned": nats["yours"]}  # that one you have trained already
for positions in ("none", "rotary"):
    results[positions] = heldout_loss(my_training(positions, STEPS)[0])
for name in ("none", "learned", "rotary"):
    loss = results[name]
    print(f"{name:8} {loss:.2f} nats: as unsure as between {math.exp(loss):,.0f} words")
expect(results["none"] < nats["unigram"], "A bag of words tells of the missing one.")
expect(results["learned"] < results["none"] - 0.2, "Places say more.")

# %% [markdown]
# What can a model do without places? It sees *which* words are there, and that there is a gap: "peels, the, the,
# onion, [MASK]". A person is missing, from a kitchen. What it cannot see is whether the gap stands before the
# verb or after it.
#
# **How sure are we?** That was one run each, with one *seed*, which decides the first weights, the batches and
# the masks. **Guess first**: with which of these differences would you go to press? Here are the same three runs
# with three seeds, in nats on the same held-out places. (Made by `python benchmarks/positions.py`, kept in
# `benchmarks/positions.jsonl`, one thread.)
#
# | positions | seed 0 | seed 1 | seed 2 |
# |---|---|---|---|
# | none | 4.19 | 4.19 | 4.20 |
# | learned | 3.27 | 3.29 | 3.32 |
# | rotary | 3.43 | 3.32 | 3.30 |
#
# Positions against none: 0.7 nats and more, whatever the seed. Learned against rotary: with seed 0 alone you would
# have called learned the winner, with seed 2 rotary by a hair. Three seeds say: no difference that these runs can
# show. Even the seed is not all. When we ran the cell above on two threads in place of one, rotary came out at
# 3.56: two threads add up in another order, the last digits differ, and after 1,000 steps it is another run. And
# all of it is said of short sentences of one grammar, after 1,000 steps.
#
# ## 9. What differs from the paper at this scale
#
# - **The text.** A grammar with some two thousand words in place of 3.3 billion words of English; 1,000 steps of
#   1,024 tokens in place of a million steps of 16,384 (paper, appendix A).
# - **The size.** The paper's small generator has 12 layers of width 64; this one has 2. (The paper's rule is a
#   quarter of the discriminator's width, section 3.2.)
# - **The start.** Networks this narrow hardly move from BERT's first weights, so ours start wider (lesson 03), and
#   learned positions start as waves and not at random.
#
# ## 10. What usually goes wrong
#
# - **The loss stops at the unigram line.** The model learned frequencies and looks at nothing. The learning rate
#   is too low or the run too short; or it cannot see (a padding mask the wrong way round).
# - **The loss is suspiciously low.** Are the answers still in the input? With `keep` they are, for that share.
# - **The loss is `nan`.** A batch without any chosen place, or a learning rate that is too high.
# - **The loss falls, then jumps.** No clipping, or no warm-up.
# - **The gradients grow from step to step.** You forgot `zero_grad`.
# - **A loaded model is worse than the saved one.** A tie came apart: count the parameters.
#
# ## 11. Questions
#
# <details><summary>1. Why does the loss look at the hidden places alone, and not at all?</summary>
#
# At a place that is not hidden the answer stands in the input. Copying it teaches nothing.
#
# </details>
#
# <details><summary>2. Which share of a row's tokens teaches the generator, at the paper's rate?</summary>
#
# 15 %. The other 85 % are context. Lesson 05 shows how the discriminator learns from all of them.
#
# </details>
#
# <details><summary>3. A model pays 2.08 nats a word. Between how many words is it unsure?</summary>
#
# e to the power of 2.08: as between 8.
#
# </details>
#
# <details><summary>4. With a vocabulary of 8,192, which loss do you expect before the first step, and why?</summary>
#
# About log 8192 = 9.0 nats: all words are about equally likely. A little more, if the first weights make
# some likelier than others by accident.
#
# </details>
#
# <details><summary>5. The generator's argmax is right more often than its draws. Why does ELECTRA draw?</summary>
#
# The goal is a good exercise for the discriminator, not a good guess. Argmax shows one word a gap, again and
# again. Draws show many, the likely ones more often.
#
# </details>
#
# <details><summary>6. Two tables are equal in every number. Are they tied?</summary>
#
# Not for sure. A copy is equal until the first step. Ask whether they are one object, or count parameters.
#
# </details>
#
# <details><summary>7. Why is a gradient of zero not the same as no step with AdamW?</summary>
#
# The averages remember earlier gradients, and weight decay shrinks the matrices all the same.
#
# </details>
#
# <details><summary>8. What would happen if both networks were clipped together?</summary>
#
# Their gradients would count as one vector, and λ = 50 makes the discriminator's part the longer one. Whenever
# it is long, the generator's is shortened with it, although nothing is wrong with the generator.
#
# </details>
#
# <details><summary>9. Could a generator reach a loss of 0 on the grammar's sentences?</summary>
#
# No. *Are* and *were* are both right, and nothing in the sentence decides. The best possible loss is that
# chance; lower means that the answers leaked.
#
# </details>
#
# **Where to read more.** The ELECTRA paper, section 2 (the generator and its loss) and section 3.2 (sharing
# tables, the generator's size); Vaswani et al. 2017, section 3.5, for positions; Su et al. 2021 for rotary ones;
# Loshchilov and Hutter 2019 for AdamW.
#
# **Next.** In lesson 05 the words that you draw here go into the sentence, and a second network has to find
# them.

# %%
from electra_tutorial.course.mine import progress

progress(4)
