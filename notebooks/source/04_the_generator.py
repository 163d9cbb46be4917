# ruff: noqa: I001  (an exercise and the imports of the next cell would be sorted into one block)
# The source of lesson 04. `electra-tutorial notebooks` weaves notebooks/04_the_generator.ipynb from it.
# %% [markdown]
# # 04 · The generator
#
# **What you will be able to do.** Hide words of a sentence the way ELECTRA does. Build the small network that
# guesses them, its *generator*, and train it in a loop of twenty lines, whose masking and whose step you write.
# Say how unsure a language model is, in a number that a friend understands. Draw from its guesses, and tell why
# ELECTRA must draw and never take the best one.
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
from electra_tutorial.judgement import judge

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
# And how would you choose 3 of 20 ordinary places? A coin for each place gives sometimes 0 and sometimes 7. Or draw
# place numbers one by one, with `torch.randint`. **Guess first.** You draw 3 numbers, each from all 20 places.
# In what share of such rounds do two of them fall on the same place, so that you hide fewer than you meant to?
# (The cell below makes the sentence that you will hide tokens of, and then draws.)

# %%
import torch

from electra_tutorial.checkpoint import load
from electra_tutorial.tokens import MASK_ID, SPECIAL_TOKENS

electra, tokenizer = load()  # the mini ELECTRA of this course, and its vocabulary
encoding = tokenizer.encode("She lost her keys yesterday.")
ids = torch.tensor([encoding.ids + [0, 0]])  # (B, T) = (1, 10), two places of padding
special = ids < len(SPECIAL_TOKENS)  # (B, T) bool
print(*zip([*encoding.tokens, "[PAD]", "[PAD]"], ids[0].tolist(), strict=True))
assert special.sum() == 4 and MASK_ID < len(SPECIAL_TOKENS)
torch.manual_seed(0)
rounds = torch.randint(20, (10_000, 3)).sort(dim=1).values  # 10,000 rounds of 3 places
twice = (rounds.diff(dim=1) == 0).any(dim=1).float().mean()
print(f"some place comes twice in {twice:.1%} of the rounds")
assert abs(twice - (1 - 19 / 20 * 18 / 20)) < 0.02

# %% [markdown]
# In one round of seven: the second number misses the first in 19 cases of 20, the third misses both in 18 of 20,
# and that leaves 1 - .95 · .9 = 14.5 %. Nothing would have failed. Now and then the model would have had less to
# learn from, and nobody would have known.
#
# What works is a lottery. Each place gets a random number, and the places with the smallest ones are chosen:
# always as many as you want, never one twice. Special places get a number above all others. One `argsort`
# gives the line itself: the place that is served first, then the next, and so on. `argsort` of that turns it round:
# where in the line does each place stand? Both are printed below.
#
# How many are wanted? At a rate of 25 %, 1.5 of these six: rounded, and at least 1. One half goes up, so .5 is
# added before `floor`: `round`, in Python and in PyTorch, goes to the even number and makes 2 of 2.5.

# %%
lottery = torch.tensor([[9.0, 0.7, 0.2, 0.9, 0.4, 0.1, 0.8, 9.0, 9.0, 9.0]])  # (B, T)
line = lottery.argsort(dim=1)  # (B, T) places, that with the smallest number first
in_line = line.argsort(dim=1)  # (B, T), 0 = first in the line
chosen = in_line < 2  # 1.5 + .5
print("the line:         ", line.tolist()[0])
print("place in the line:", in_line.tolist()[0])
print("hidden:", [encoding.tokens[i] for i in chosen[0].nonzero().flatten()])
assert chosen.sum() == 2 and not (chosen & special).any()

# %%
from electra_tutorial.objective import mask_tokens  # weave: exercise

# %% [markdown]
# See what yours does: one long sentence, and one that is nothing but `[CLS]` and `[SEP]`, masked 2,000 times
# at a rate of 20 %. The bars will count how often each place of the long one was chosen.
#
# **Guess first.** What do the bars look like? Which stand at 0? And is the empty row an error?

# %%
from electra_tutorial.course.check import full_or_fast  # full_or_fast(a, b): a here; b, smaller, in the tests

text = "The old man who lived by the river sold his boat to a friend."
tokens, long = tokenizer.encode(text).tokens, tokenizer.encode(text).ids
rows = torch.tensor([long, [2, 3] + [0] * (len(long) - 2)])  # (B, T) = (2, T)
rng, rounds = torch.Generator().manual_seed(0), full_or_fast(2000, 200)
often = torch.zeros(rows.shape)  # (B, T)
for _ in range(rounds):
    masked_ids, chosen = mask_tokens(rows, rows < 5, 0.2, MASK_ID, 0.0, rng)
    often += chosen
each_round, empty = (often.sum(dim=1) / rounds).tolist()
print(f"chosen a round: {each_round:g} of {len(long) - 2}; of the empty row {empty:g}")
assert not often[rows < 5].any()  # no special token was ever chosen

# %%
from electra_tutorial.views.panels import bar_panels

bar_panels({"How often each place was chosen": (tokens, often[0] / rounds)},
           "Bars of nearly equal height near the line at 20 percent, and no bar at the "
           "first and the last place, which are [CLS] and [SEP].",
           "share of rounds", line=(0.2, "the rate"))

# %% [markdown]
# About equal bars, for chance likes no place better; none at `[CLS]` and `[SEP]`. It is 20 % of the 15 ordinary
# places, 3 in every round and never 2 or 4. The empty row is no error: it has nothing to hide, so nothing is chosen.
#
# Now `keep`. The paper's text hides *every* chosen token (paper, section 2). Its released code leaves 15 % of them
# visible: chosen, to be predicted, and in plain sight. Our default is 0. **Guess first.** With `keep=0.15`, of
# 10,000 chosen places, how many must the generator predict, and how many become a random word?

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
# All 10,000, both times: a visible place is chosen like the others, and the loss asks for it. None becomes a random
# word.
#
# **What you may have read.** "ELECTRA masks like BERT: 80 % `[MASK]`, 10 % random words, 10 % unchanged, and it
# predicts the next sentence." It does neither. The 80/10/10 is BERT's cure for a mismatch: its network meets
# `[MASK]` in training and never again in use. ELECTRA's discriminator, the model that you keep, never meets a
# `[MASK]` at all (lesson 05). And there is no next-sentence task (paper, appendix A).
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

# %%
import math

words = ["tea", "milk", "sand"]
logits = torch.tensor([[math.log(2), 0.0, 0.0]] * 2)  # (N, V): the same guess twice; e to the log 2 is 2
targets = torch.tensor([0, 1])  # at the first stood tea, at the second milk
odds = [math.exp(x) for x in logits[0].tolist()]  # by hand
p = [odd / sum(odds) for odd in odds]
costs = [-math.log(p[target]) for target in targets.tolist()]
for word, cost in zip(["tea", "milk"], costs, strict=True):
    print(f"it was {word}: {cost:.3f} nats")

# %% [markdown]
# The odds are 2 : 1 : 1. So `tea` has a half, which costs log 2 = 0.69 nats, and `milk` a quarter, which costs
# log 4, twice as much. Half the probability is always 0.69 nats more.
#
# There are two ways to see what training does when it makes the mean cost small. It makes the *product* of the
# probabilities of what was really written large. To choose the weights that make the text most probable has a
# name, **maximum likelihood**, and it is all that ELECTRA's generator is trained for. And undo the logarithm: e
# to the power of the mean cost is the **perplexity**. A model of perplexity 8 is as unsure as somebody who has
# to pick blindly between 8 words. **Guess first.** Between how many is the model above? The cell does it for all
# places at once, as PyTorch does. Its last line prints the mean over no place at all.

# %%
import torch.nn.functional as F

vectorised = -torch.log_softmax(logits, dim=-1)[torch.arange(2), targets]  # (N,)
cross_entropy = F.cross_entropy(logits, targets)  # the mean, straight from the logits
assert torch.allclose(vectorised, torch.tensor(costs))
assert torch.isclose(cross_entropy, vectorised.mean())
likelihood = math.prod(math.exp(-cost) for cost in costs)  # of both words together
perplexity = math.exp(cross_entropy)
print(f"mean {cross_entropy:.3f} nats: as unsure as between {perplexity:.2f} words")
assert math.isclose(perplexity, likelihood ** (-1 / 2), rel_tol=1e-6)
print("over no place:", F.cross_entropy(logits[:0], targets[:0]).item())

# %% [markdown]
# Nearly 3, though it prefers one word: it was right to do so only once in two. The last line is a trap: a batch of
# `[CLS] [SEP]` rows has nothing to hide, N = 0, and a mean over nothing is *not a number*. One such batch spoils
# every weight. (So the course's own model, `Electra`, divides the sum by at least 1.)
#
# ## 4. The generator
#
# **The encoder as a given box.** (You built it in lessons 02 and 03. If you skipped them, this is all you need.)
# `Encoder` takes ids `(B, T)` and gives one vector of width `D` for each token, `(B, T, D)`. A table, the
# *embedding*, first gives each id a vector of `E` numbers. Then a few layers of *attention* let each token
# gather from all others what it needs. So the vector at a `[MASK]` knows about the words around it. The box has
# weights of its own, and more in that table; training moves them all.
#
# The generator is that box and a head: for each token a score for every word of the vocabulary. And there is a
# saving in it. The score of a word is the product of a vector of the place with that word's row in a table
# `(V, E)`; a table `(V, E)` we already have, the embedding. Using it for both is called **the tie**.
#
# The box's vector has `D` numbers, and the rows have `E`. So three small parts stand between them: `dense`, a
# product with a matrix, makes `E` numbers of `D`; `gelu` lets what is positive pass and holds back the rest (two
# products with nothing between them would be one product); `norm`, a *layer norm*, brings the vector to one common
# length. And `bias` `(V,)` adds a number to each word's score: how common it is.
#
# In the code below `preset` holds all sizes (the next cell takes one), `attention_mask` says which places are real
# tokens and not padding, and `return_attention` you may pass over. Tied means *one object*, not two tables with equal
# numbers: a copy is equal until the first step and no longer, and counting the parameters shows which it is. (Lesson
# 05 shares the table with the second network as well.)
#
# **Guess first.** What share of the generator's parameters is that table? The cell after the next counts them.

# %%
from electra_tutorial.model import Generator  # weave: show

# %%
from electra_tutorial.presets import PRESETS

laptop = PRESETS["laptop"]  # every number a model depends on; lesson 06 trains this
generator = Generator(laptop)
table = generator.encoder.embeddings.token.weight  # (V, E)
count = sum(parameter.numel() for parameter in generator.parameters())
print(f"{count:,} parameters, {table.numel() / count:.0%} of them in the table;",
      f"with another for the output {count + laptop.vocab_size * laptop.embedding:,}")

# %% [markdown]
# ### The tie: what it brings, and two that only look like ties <!-- weave: second reading -->
#
# The tie is more than a saving: the table learns from both ends. **Guess first.** You send one sentence of 8 tokens
# through the generator, and its loss back. The table has 8,192 rows. Into how many of them does a gradient flow?
# And into how many if the output had a table of its own? (`reached` does what `forward` does, with the output's
# table as an argument. Of 8 tokens two are hidden, so `[MASK]` stands there twice.)
#
# **Break it.** The cell ties an output to an embedding in three ways: it *copies* the numbers; it sets `.data`, so
# that two parameters lie on the same numbers; it makes both one and the same object. **Guess first**: which are
# still equal after one training step? Which after a change of number format, `.double()`?

# %%
short, tied_one = torch.tensor([encoding.ids]), Generator(laptop)  # (B, T) = (1, 8)
masked_short, chosen_short = mask_tokens(short, short < 5, 0.3, MASK_ID, 0.0, rng)
ours = tied_one.encoder.embeddings.token.weight  # (V, E)


def reached(output_table):
    """How many rows of the embedding table get a gradient from one sentence."""
    x, _ = tied_one.encoder(masked_short)  # (B, T, D)
    x = tied_one.norm(F.gelu(tied_one.dense(x[chosen_short])))  # (N, E)
    loss = F.cross_entropy(F.linear(x, output_table, tied_one.bias), short[chosen_short])
    return torch.autograd.grad(loss, ours)[0].any(dim=1).sum().item()  # of (V, E)


tied, untied = reached(ours), reached(ours.detach().clone())
print(f"rows reached: tied {tied:,}, untied {untied:,}")
assert untied <= 8 and tied == len(ours)

# %%
def try_tie(tie):
    """Tie an output to an embedding: still one table after a step? After .double()?"""
    inside, outside = torch.nn.Embedding(50, 8), torch.nn.Linear(8, 50, bias=False)
    tie(inside, outside)
    model = torch.nn.ModuleList([inside, outside])
    logits = outside(inside(torch.tensor([1, 2])))  # (2, 50)
    F.cross_entropy(logits, torch.tensor([3, 4])).backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    after_step = torch.equal(inside.weight, outside.weight)
    model.double()
    inside.weight.data[0] += 1  # what changes one must change the other
    return after_step, torch.equal(inside.weight, outside.weight), len(list(model.parameters()))

# %%
TIES = {"copy": lambda a, b: setattr(b.weight, "data", a.weight.data.clone()),
        ".data =": lambda a, b: setattr(b.weight, "data", a.weight.data),
        "the same": lambda a, b: setattr(b, "weight", a.weight)}
for name, tie in TIES.items():
    after_step, after_double, parameters = try_tie(tie)
    print(f"{name:8} equal after a step {after_step}, after .double() {after_double};",
          f"parameters {parameters}")
assert after_step and after_double and parameters == 1

# %% [markdown]
# Through the input only the tokens that stand there are reached. Through the output every word is: the right
# one is pulled towards the place's vector, all others are pushed away a little.
#
# A copy is tied for one moment. `.data =` is worse, because it looks right for longer: two parameters lie on
# the same numbers, the optimiser moves them twice, and the first change of format takes them apart. Nothing
# fails; the model is only worse. So never ask whether two tables are *equal*. Ask whether they are the same
# object (`is`), or look one table up twice, as `Generator` does: then nothing can come loose.

# %% [markdown]
# ## 5. Only the chosen places
#
# The loss looks at the chosen places alone, and most of the generator's work is the product with the
# vocabulary. Many programs make all `(B, T, V)` scores, and tell `cross_entropy` by the target -100 which to
# leave out. Our `forward` takes `chosen` and picks these places *before* that product. (`x[chosen]` with a bool
# tensor `(B, T)` takes the N vectors at its True places, row by row: `(B, T, D)` becomes `(N, D)`.)
#
# **Guess first.** With 15 % of the places chosen: how much faster is the second, there and back? And how much
# memory do its scores need?

# %%
batch = torch.randint(5, laptop.vocab_size, (50, 20))  # (B, T), a usual size
masked_ids, chosen = mask_tokens(batch, batch < 5, 0.15, MASK_ID, 0.0, rng)


def loss_everywhere():
    logits, targets = generator(masked_ids), batch.masked_fill(~chosen, -100)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())  # (B·T, V), (B·T,)


def loss_at_chosen():
    logits = generator(masked_ids, chosen=chosen)  # (N, V)
    return F.cross_entropy(logits, batch[chosen])


assert torch.isclose(loss_everywhere(), loss_at_chosen(), atol=1e-5)

# %%
import time


def milliseconds(loss_function):
    """The fastest of some rounds there and back: others on this computer slow some down."""
    times = []
    for _ in range(full_or_fast(12, 3)):
        started = time.perf_counter()
        loss_function().backward()
        times.append(time.perf_counter() - started)
    return 1000 * min(times)


for function, numbers in ((loss_everywhere, chosen.numel()), (loss_at_chosen, chosen.sum())):
    megabytes = numbers * laptop.vocab_size * 4 / 1e6  # four bytes a number
    print(f"{function.__name__:16} {milliseconds(function):4.0f} ms, scores {megabytes:5.1f} MB")

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
# (`forbid_special` sets the logits of special tokens to minus infinity, and e to the power of that is 0: a `[PAD]`
# in the middle of a sentence would give itself away.)

# %%
from electra_tutorial.corpus import load_corpus
from electra_tutorial.evaluation import heldout_rows, mask_rows
from electra_tutorial.model import forbid_special

corpus = load_corpus("course", fallback=True)  # without it, sentences of a grammar
print(corpus.note or f"Held-out sentences of {', '.join(corpus.heldout)}.")
heldout = heldout_rows(corpus.heldout, tokenizer, 64, full_or_fast(20_000, 2000))
parts = []
with torch.no_grad():
    for ids, attention_mask, chosen, _ in mask_rows(heldout):  # (B, T) each
        masked_ids = ids.masked_fill(chosen, MASK_ID)
        guessed = electra.generator(masked_ids, attention_mask, chosen)  # (N, V)
        parts.append((forbid_special(guessed), ids[chosen]))

# %%
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
# Two things more, before you write the draw yourself. `torch.multinomial` draws from probabilities. And the logits
# may be divided by a **temperature** before the softmax: below 1 the likely words get likelier, above 1 all come
# closer together, at 0 only the likeliest is left. ELECTRA draws at 1: the generator's own belief. (The short runs
# of lesson 06 draw half of the words at 1.5: see section 9 below.)

# %%
from electra_tutorial.objective import sample_tokens  # weave: exercise

# %% [markdown]
# Is a sampler right? Count many draws, and compare with the softmax. The *chi-square* adds up (counted -
# expected)² / expected over all words. For a right sampler of 8 words it is about 7, and above 24 once in a
# thousand times.
#
# And does yours keep the rule that a special token is never drawn?

# %%
odds = torch.tensor([0.3, 0.2, 0.15, 0.1, 0.1, 0.08, 0.05, 0.02])
many = odds.log().repeat(full_or_fast(50_000, 5000), 1)  # (N, V)
expected = len(many) * odds
for name, draws in {"drawn": sample_tokens(many, 1.0, rng), "argmax": many.argmax(-1)}.items():
    counts = draws.bincount(minlength=8)
    print(f"{name}: chi-square {((counts - expected) ** 2 / expected).sum():,.0f}")

raw = torch.randn(full_or_fast(20_000, 2000), 100, generator=rng)  # untrained logits
for name, logits in {"any": raw, "forbidden": forbid_special(raw)}.items():
    special = sample_tokens(logits, 1.0, rng) < len(SPECIAL_TOKENS)
    print(f"special tokens, {name}: {special.float().mean():.1%} of the draws")
assert not special.any()

# %% [markdown]
# ### By hand, at other temperatures, and in half precision <!-- weave: second reading -->
#
# Lay the probabilities side by side on a line from 0 to 1 and throw a dart, a random number. Where it sticks, that is
# your word. The ends of the stretches are the running sums, `cumsum`. `torch.multinomial` does the same for you.

# %%
p = torch.tensor([0.5, 0.25, 0.25])  # tea, milk, sand
ends = p.cumsum(dim=0)  # (V,), where each word's stretch ends
for dart in (0.1, 0.6, 0.9):
    number = next(i for i, end in enumerate(ends.tolist()) if end > dart)  # the loop
    print(f"dart at {dart}: {words[number]}")
    assert number == torch.searchsorted(ends, dart, right=True)  # all ends at once
darts = torch.rand(20_000, generator=rng)
by_dart = torch.searchsorted(ends, darts, right=True)  # (20,000,)
by_torch = torch.multinomial(p, 20_000, replacement=True, generator=rng)
for name, draws in (("darts", by_dart), ("multinomial", by_torch)):
    shares = draws.bincount(minlength=3) / 20_000
    print(f"{name:12}", dict(zip(words, shares.tolist(), strict=True)))
    assert torch.allclose(shares, p, atol=0.02)

# %% [markdown]
# **Guess first.** At temperature 1 the generator is as unsure about the cup as between some number of words.
# What happens to that number at 0.5, and at 2?

# %%
guess = judge(GAPS[1], mask=[], top=8)
names = [name for name, _ in guess.proposals[0]]
numbers = [tokenizer.token_to_id(name) for name in names]
with torch.no_grad():
    row = electra.generator(torch.tensor([guess.masked_ids]))[0, guess.mask[0]]  # (V,)
panels = {}
for temperature in (0.5, 1.0, 2.0):
    p = torch.softmax(forbid_special(row) / temperature, dim=-1)  # (V,)
    unsure = torch.distributions.Categorical(p).perplexity()
    panels[f"temperature {temperature}: between {unsure:,.0f} words"] = names, p[numbers]
bar_panels(panels, "The eight likeliest words for the gap in 'I drank a cup of', at three "
           "temperatures. At 0.5 the first few take most, at 2 all bars are low.", "probability")

# %% [markdown]
# Dividing by a half doubles every difference between logits, and a few words take all. Dividing by 2 halves them,
# and the thousands of unlikely words, each still next to nothing, together take nearly everything.
#
# **Break it.** Another way to draw: add random noise of a certain kind (Gumbel's) to the logits and take the
# largest. In exact arithmetic that is the same. In `bfloat16`, a number format with half the bits and three
# digits, it is not. **Guess first**: a word has probability 9 %, and 8,191 others share the rest. How often does
# it come?

# %%
nine = torch.zeros(8192)  # (V,)
nine[77] = math.log(0.09 / 0.91 * 8191)
assert torch.isclose(nine.softmax(dim=0)[77], torch.tensor(0.09))
for dtype in (torch.float32, torch.bfloat16):
    u = torch.rand(full_or_fast(2000, 100), 8192, generator=rng, dtype=dtype)  # (N, V)
    draws = (nine.to(dtype) - torch.log(-torch.log(u))).argmax(dim=-1)  # (N,)
    print(f"Gumbel noise in {dtype}: it comes in {(draws == 77).float().mean():.0%}")

# %% [markdown]
# Large noise comes of a `u` close to 1, and with three digits the last number before 1 is .996: the noise ends at
# about 5.5. The one word leads the others by 6.7 in its logit, so hardly another can catch up. So sample in float32,
# whatever comes in. (Your check gave yours logits in bfloat16, too.)

# %% [markdown]
# ## 7. Train it yourself
#
# In real text nobody knows how well a guesser could do. So you train on sentences of a small *grammar* of the
# course's own making, whose every probability is known: given all other words of a sentence, how likely is this
# one? **Guess first**: "The plates near the oven ____ hot." How likely is *are*?

# %%
from electra_tutorial.grammar import guess_probability, read
from electra_tutorial.tokens import collate
from electra_tutorial.training import prepare_text

as_in_the_paper = {"mask_rate": 0.15, "mask_by_lot": False}
preset = laptop.with_changes(vocab_size=4096, max_length=32, **as_in_the_paper)
grammar, grammar_tokenizer, grammar_rows = prepare_text(preset, "grammar")
V = grammar_tokenizer.get_vocab_size()  # a small corpus has fewer pieces than asked for
preset = preset.with_changes(vocab_size=V)
print(f"{len(grammar_rows):,} rows, V = {V:,}. For example:")
print(*grammar.train["grammar"][5:8], sep="\n")
sentence = read("The plates near the oven are hot.")
print(f"P(are) = {guess_probability(sentence, 5):.2f}")

# %% [markdown]
# What is left is *were*; this grammar is a little fonder of the present. *Is* and *was* are impossible, though the
# oven stands nearer than the plates.
#
# A training step moves each weight a little against its gradient; the part of the program that does it is the
# **optimiser**. The **learning rate** says how far, and it
# changes on the way. At the start the optimiser knows little of how steep things are, so the first steps must
# be short: the **warm-up**. Towards the end the weights should settle, so the steps get shorter again. Both
# together are the **schedule**. Sketch it before you run the cell: 1,000 steps, of which a twentieth warms up.
#
# Now and then a batch is odd, and its gradient is ten times longer than usual. One such step can throw away what a
# thousand steps built. **Clipping** shortens a gradient that is longer than a limit, and keeps its direction.
# ELECTRA has two networks, and clips them *apart*, each group of parameters for itself, so that an outburst of one
# does not shorten the other's gradient.

# %%
from electra_tutorial.training import clip_gradients, learning_rate
from electra_tutorial.views.panels import line_panels

two = torch.nn.Parameter(torch.zeros(2))
for gradient in ([3.0, 4.0], [0.3, 0.4]):  # 5 long, and half as long as the limit
    two.grad = torch.tensor(gradient)
    clip_gradients([[two]], 1.0)
    print(gradient, "->", [round(x, 2) for x in two.grad.tolist()])
assert torch.equal(two.grad, torch.tensor([0.3, 0.4]))  # a short one is left alone
rates = [learning_rate(step, 1000, 2e-3, 0.05) for step in range(1000)]
line_panels({"the learning rate": {"schedule": rates}},
            "The rate climbs in a straight line to .002 within the first 50 steps, and falls "
            "in a straight line to 0 at the last.", xlabel="step")

# %% [markdown]
# **One step.** In every PyTorch training loop you find the same five verbs: forward, backward, clip, step, zero.
# *Forward* computes the loss. *Backward* sends it back, and leaves at each parameter its gradient. Then clip, and
# let the optimiser take its step. *Zero*, because `backward` adds to the gradients that are there. The last four
# are yours to write.

# %%
from electra_tutorial.training import update  # weave: exercise

# %% [markdown]
# Our optimiser is **AdamW**. For each weight it keeps two running averages, of the gradient and of its square, and
# divides the first by the root of the second: every weight moves at about the same pace, however steep its slope.
# The W is *weight decay*: each step shrinks the matrices a tiny bit. Biases and norms do not decay; they are few.
#
# Around the step stands the loop, with the schedule. Your parts do the work in it. (`collate` makes a padded batch
# of some rows, `batch_stream` says which rows come next. The generator is taken out of an `Electra`, where it shares
# its tables with the discriminator, as in lesson 06. On two quiet cores the run takes about a minute.)

# %%
def my_optimizer(model):
    """AdamW; matrices decay, vectors do not."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.01},
              {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6)

# %%
def my_step(generator, optimizer, groups, batch, rate, rng):
    """One update from one batch; returns the loss before it."""
    ids, attention_mask = batch  # (B, T) each, True = a real token
    masked_ids, chosen = mask_tokens(ids, ids < 5, preset.mask_rate, MASK_ID, 0.0, rng)
    logits = generator(masked_ids, attention_mask, chosen)  # (N, V)
    loss = F.cross_entropy(logits, ids[chosen])
    for group in optimizer.param_groups:
        group["lr"] = rate
    update(loss, optimizer, groups, 1.0)
    return loss.item()

# %%
from electra_tutorial.model import Electra
from electra_tutorial.training import batch_stream


def my_training(positions="learned", steps=0):  # other positions: section 8
    """Train a new generator, one half of an `Electra`; returns it and its losses."""
    torch.manual_seed(0)
    generator = Electra(preset.with_changes(positions=positions)).generator
    optimizer, groups = my_optimizer(generator), [list(generator.parameters())]
    rng, stream, losses = torch.Generator().manual_seed(0), batch_stream(grammar_rows, 1024, seed=0), []
    for step in range(steps):
        batch, rate = collate(grammar_rows, next(stream)), learning_rate(step, steps, 2e-3, 0.05)
        losses.append(my_step(generator, optimizer, groups, batch, rate, rng))
        if step % 200 == 0:
            print(f"{positions}, step {step:4}: {losses[-1]:.2f} nats")
    return generator, losses

# %%
STEPS, started = full_or_fast(1000, 6), time.perf_counter()
generator, losses = my_training(steps=STEPS)
seconds = time.perf_counter() - started
print(f"{STEPS} steps in {seconds:.0f} s: {losses[0]:.2f} -> {losses[-1]:.2f} nats")

# %% [markdown]
# A loss says something only beside what others would pay. On held-out sentences, with one place hidden in each:
#
# - **log V** is what a model pays that finds all words alike;
# - the **unigram** baseline is what it pays if it knows how often each word occurs and looks at nothing (lesson 01);
# - the **best possible** is the grammar's own probability of the hidden word. Nobody can do better: what is left
#   is chance. *Are* or *were*, who can know?
#
# **Guess first.** Between how many words is the best possible reader unsure, who knows the grammar by heart? And
# yours?

# %%
from electra_tutorial.tokens import make_rows

sentences = grammar.heldout["grammar"][:full_or_fast(1000, 40)]
grammar_heldout = collate(make_rows(sentences, grammar_tokenizer, 32), range(len(sentences)))
fixed = torch.Generator().manual_seed(1)  # the same places for every model
hidden = mask_tokens(grammar_heldout[0], grammar_heldout[0] < 5, 1e-6, MASK_ID, 0.0, fixed)  # one a row
targets = grammar_heldout[0][hidden[1]]  # (N,)


@torch.no_grad()
def heldout_loss(generator):
    """Nats a hidden word, over all held-out sentences."""
    return F.cross_entropy(generator(hidden[0], grammar_heldout[1], hidden[1]), targets).item()

# %%
from electra_tutorial.evaluation import unigram_counts
from electra_tutorial.metrics import unigram_loss

places = (hidden[1].int().argmax(dim=1) - 1).tolist()  # [CLS] stands before the words
asked = zip(sentences, places, strict=True)
best = [guess_probability(read(sentence), place) for sentence, place in asked]
levels = {"log V": math.log(V),
          "unigram": unigram_loss(unigram_counts(grammar_rows, V), targets.numpy()),
          "best possible": -sum(map(math.log, best)) / len(best)}
assert levels["best possible"] < levels["unigram"] < levels["log V"]

# %%
from electra_tutorial.course.check import expect

levels["yours"] = heldout_loss(generator)
for name, loss in {"untrained": heldout_loss(my_training()[0]), **levels}.items():
    print(f"{name:13} {loss:.2f} nats: unsure between {math.exp(loss):7,.1f} words")

expect(levels["yours"] < levels["unigram"] - 1, "It uses the words around the gap.")
lines = {name: [loss] * len(losses) for name, loss in levels.items()}
line_panels({"nats a hidden word": {"each batch": losses, **lines}},
            "The loss of each batch falls steeply from log V through the unigram baseline, then "
            "slowly to your held-out loss. The best possible lies well below.", xlabel="step")

# %% [markdown]
# The first fall, down to the unigram line, is cheap: word frequencies. What lies between that line and the best
# possible is *language*: which words go together, what agrees with what, where in the sentence you are.

# %% [markdown]
# ### Write the schedule <!-- weave: second reading -->
#
# One part of the loop was handed to you: the learning rate of each step. Write it. What trains from here on
# uses yours.

# %%
from electra_tutorial.training import learning_rate  # weave: exercise

# %% [markdown]
# ### Is your loop the real one? <!-- weave: second reading -->
#
# Lesson 06 trains with `pretrain`, which moves the weights with its own `train_step`. That trains both networks
# at once, on the generator's loss + λ (*lambda*) times the discriminator's. For an honest comparison all else is
# the same: first weights, batch, random numbers for the masks, rate, and which weights decay. With λ = 0 the
# discriminator is silent, and one step of yours should be one step of theirs. (The cell takes two: AdamW's first
# step is as long whatever the gradient's length, so that a fault in the clipping would not show.)
#
# **Guess first.** And with λ = 50, the paper's: which of the generator's tensors come out otherwise, after *one*
# step? (One, because in the second all would: the first has moved the shared tables otherwise, and everything
# reads those.)

# %%
import copy

from electra_tutorial.training import clipping_groups, make_optimizer, train_step

full = collate(grammar_rows, (grammar_rows.lengths == 10).nonzero()[0][:100])  # a batch without padding
device = full[0].device  # the processor
print(f"a batch of {len(full[0])} rows on the {device}")
assert full[1].all()  # no padding

# %%
def both_ways(weight, steps):
    """Two copies of one model after some steps: with `my_step`, and with `train_step`."""
    torch.manual_seed(0)
    theirs = Electra(preset.with_changes(discriminator_weight=weight))
    mine, their_groups = copy.deepcopy(theirs), clipping_groups(theirs)
    own, _, shared = clipping_groups(mine)  # the generator's own; the tables of both
    my_adam, their_adam = my_optimizer(mine.generator), make_optimizer(theirs, preset)
    for number in range(steps):
        mine.rng.manual_seed(number), theirs.rng.manual_seed(number)  # the same masks
        my_step(mine.generator, my_adam, [own, shared], (full[0], None), 2e-3, mine.rng)
        train_step(theirs, their_adam, their_groups, full, 2e-3, preset, device, "float32")
    return mine.generator, theirs.generator

# %%
def differing(mine, theirs):
    """The names of the tensors that are not the same in both."""
    pairs = zip(mine.named_parameters(), theirs.parameters(), strict=True)
    return [name for (name, one), other in pairs
            if not torch.allclose(one, other, rtol=0, atol=1e-6)]


silent, loud = differing(*both_ways(0.0, 2)), differing(*both_ways(50.0, 1))
print(f"lambda 0: {len(silent)} differ; lambda 50: {len(loud)} differ", *loud, sep="\n")
assert not silent and all("embeddings" in name for name in loud)

# %% [markdown]
# This loop *is* the real one. (But for one thing: lesson 06 tosses a coin for each place, see section 9.) And with
# the discriminator on, fifty times louder, a step moves only those tables otherwise that both networks share. No
# gradient of the discriminator flows back through a drawn word, which is a whole number (lesson 05). And the two are
# clipped apart. Clipped together, an outburst of the discriminator would shorten the generator's gradient as well, in
# that very step, for no reason of its own.
#
# So here is a claim to put right. You may have read that ELECTRA's generator is trained *against* the
# discriminator, to fool it. Then the gradient of its layers would have to be another when the discriminator speaks.
# It is the same to the last digit. The generator is trained by maximum likelihood alone.

# %% [markdown]
# ## 8. Does it matter where a word stands? <!-- weave: second reading -->
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
results = {"learned": levels["yours"]}  # that one you have trained already
for positions in ("none", "rotary"):
    results[positions] = heldout_loss(my_training(positions, STEPS)[0])
for name in ("none", "learned", "rotary"):
    loss = results[name]
    print(f"{name:8} {loss:.2f} nats: as unsure as between {math.exp(loss):,.0f} words")
expect(results["none"] < levels["unigram"], "A bag of words tells of the missing one.")
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

# %% [markdown]
# ## 9. What differs from the paper at this scale
#
# - **The text.** A grammar with some two thousand words in place of 3.3 billion tokens of English; 1,000 steps of
#   1,024 tokens in place of a million steps of 16,384 (paper, appendix A).
# - **The size.** The paper's small generator has 12 layers of width 64; this one has 2 of that width. (The
#   paper's rule is a quarter of the discriminator's width, section 3.2.)
# - **The hidden places.** As here, the paper hides as many of each row. In lesson 06 a coin is tossed for each place,
#   one that says *hide* one time in four; section 11 there shows what for.
# - **The draws.** Our presets for short runs draw half of the replacements at a temperature of 1.5, so that the
#   discriminator meets odd words too (benchmarks/RECIPE.md). The paper draws all at 1.
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
# <details><summary>1. Why does the loss look at the hidden places alone, and not at every place?</summary>
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
# Their gradients would count as one vector, and the discriminator's loss counts fifty times (lesson 05). Whenever
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
