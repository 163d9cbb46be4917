# The source of lesson 03. `electra-tutorial notebooks` weaves notebooks/03_the_encoder.ipynb from it.
# %% [markdown]
# # 03 · The encoder
#
# **What you will be able to do.** Build the body that both networks of ELECTRA share, from a row of token ids
# to one vector for each token in its context. Say of each part what it is for, and what breaks without it.
# Show that your encoder and the one of `transformers` give the same numbers. Count every parameter by hand.
#
# **What you need to know.** Token ids, rows and padding (lesson 01), attention (lesson 02). A *gradient* says
# how much a result changes when a number before it changes a little. The *spread* of numbers is here their
# standard deviation: how far they lie from their mean.
#
# <!-- weave: minutes -->
# Letters: B rows in a batch, T tokens in a row, V tokens in the vocabulary, E numbers in an embedding, D
# numbers for a token inside the encoder (its **width**).
#
# ## 1. A token becomes a vector
#
# An id is a name, not a quantity: token 7 is not more than token 3. So the first step looks each id up in a
# table that has a row of E numbers for every token of the vocabulary. Such a row is the token's
# **embedding**. The table begins at random and is learned.
#
# You will also read that an embedding is a matrix product. The **one-hot** form of an id has a 1 in the
# token's own column and 0 elsewhere. **Guess first.** What do these three one-hot rows times the table give?

# %%
import torch
import torch.nn.functional as F
from torch import nn

table = torch.tensor([[0.1, 0.2, 0.3],
                      [1.0, 2.0, 3.0],
                      [4.0, 5.0, 6.0],
                      [7.0, 8.0, 9.0]])  # (V, E)
ids = torch.tensor([3, 1, 3])  # (T,): three tokens of a vocabulary of V = 4
one_hot = torch.eye(4)[ids]  # (T, V)
print(one_hot)
print(one_hot @ table)  # (T, V) times (V, E) -> (T, E)
assert torch.equal(one_hot @ table, table[ids])

# %% [markdown]
# The 1 picks a row, and every other row is multiplied by 0. So the product is the **lookup** `table[ids]`,
# and only the lookup is ever computed. `nn.Embedding` is such a table. (The product also tells who learns:
# the rows of tokens that are not in the batch get the gradient 0.)
#
# ## 2. A width of their own
#
# In BERT, ELECTRA's forerunner, an embedding is as wide as the encoder: E = D. ELECTRA-Small has D = 256, and
# embeddings of E = 128. A learned matrix then **projects** the 128 numbers to 256.
#
# **Guess first.** The vocabulary has 30,522 pieces. How many parameters does that save, of some 14 million
# in the whole model? Thousands, or millions?

# %%
from electra_tutorial.presets import PRESETS

paper = PRESETS["paper"]  # the paper's ELECTRA-Small
V, E, D = paper.vocab_size, paper.embedding, paper.width
wide = V * D
narrow = V * E + E * D + D  # a narrower table, a matrix and its bias
print(f"V x D          {wide:10,}")
print(f"V x E + E x D  {narrow:10,}   saved: {wide - narrow:,}")

# %% [markdown]
# Half of the largest table in the model, for a projection of 33 thousand. (The idea is ALBERT's, Lan et al.
# 2019: what a word *is* takes fewer numbers than what it means *here*.)
#
# In ELECTRA there is a second reason. The generator is 64 wide, the discriminator 256, and they share one
# table of embeddings (paper, section 3.2). They can, because each has a projection of its own.
#
# ## 3. Where a token stands
#
# In lesson 02 you shuffled a sentence, and attention did not notice. So a second table holds a vector for
# each *place*, and it is added to the token's vector.
#
# The paper's position table begins at random and is learned. Ours is learned too, but begins with **waves**
# (Vaswani et al. 2017, section 3.5). Think of a clock with several hands. From place to place each hand moves
# on by an angle of its own, the first hand fast, the last hardly at all. A hand at angle a is written as two
# numbers, sin a and cos a. One that moves a quarter of the circle a place goes through
#
# | place | 0 | 1 | 2 | 3 | 4 |
# |---|---|---|---|---|---|
# | sin a | 0 | 1 | 0 | -1 | 0 |
# | cos a | 1 | 0 | -1 | 0 | 1 |
#
# By that hand alone, places 0 and 4 are the same. Several hands of unlike speed tell all places apart.

# %%
from electra_tutorial.model import position_waves  # weave: exercise

# %%
from electra_tutorial.views.picture import Picture, new_figure

waves = position_waves(48, 64)  # (places, E)
figure = new_figure(9.2, 3.6)
left, right = figure.subplots(1, 2)
left.imshow(waves, cmap="cividis", aspect="auto")
left.set(title="the table", xlabel="column: 32 sines, 32 cosines", ylabel="place")
image = right.imshow(waves @ waves.T, cmap="cividis")
right.set(title="each row times each other", xlabel="place", ylabel="place")
figure.colorbar(image, ax=right)
Picture(figure,
        "Left, the position table as colours: fast stripes in the first columns of "
        "either half, nearly even columns at the end. Right, the products of all "
        "pairs of its 48 rows: bands along the diagonal, so a product depends on the "
        "distance alone.")

# %% [markdown]
# Look at the right picture. Along a diagonal the product of two rows is always the same: it depends on how
# far apart two places are, and not on where they are. Attention scores are made of such products.
#
# Still better: **"one place to the left" is the same rotation everywhere**. Turn each hand back by the angle
# that it moves in one place, and the row of *any* place becomes the row before it. So a head that learns from
# one pair of neighbours to look to the left has learned it for all. Random rows would have to learn it place
# by place. (That is the reason; a gain on the exam is not proven.)

# %%
angle = torch.atan2(waves[1, :32], waves[1, 32:])  # what each hand moves in one place
sines, cosines = waves[:, :32], waves[:, 32:]  # (places, E/2) each
turned = torch.cat([sines * angle.cos() - cosines * angle.sin(),
                    cosines * angle.cos() + sines * angle.sin()], dim=1)
assert torch.allclose(turned[1:], waves[:-1], atol=1e-5)
rows = torch.randn(48, 64)
for name, one in (("waves", waves), ("random rows", rows)):
    neighbours = (one @ one.T).diagonal(1)  # (places - 1,)
    print(f"{name}: products of neighbours spread by {neighbours.std():.4f}")

# %% [markdown]
# ## 4. The residual connection
#
# A layer takes x and computes some f(x). ELECTRA-Small has 12 layers. The plain way is to hand f(x) on to the
# next one. The **residual connection** (He et al. 2015) hands on x + f(x): a layer says what to *change*.
#
# **Guess first.** Take a layer that halves whatever comes in. What is left of a 1 after twelve of them, the
# plain way? And of the gradient, on its way back through the same twelve?
#
# The picture does it with vectors: each layer is a random matrix that halves their length. Its change points
# anywhere, and in 256 dimensions two such directions are nearly perpendicular. Then the squares of their lengths
# add up, so x + f(x) should grow by the root of 1 + 1/4 a layer.

# %%
from electra_tutorial.views.panels import line_panels


def through(residual, layers=12, width=256):
    """The spreads of signal and gradient, before the first layer and after each."""
    torch.manual_seed(0)
    states = [torch.randn(16, width, requires_grad=True)]
    for _ in range(layers):
        change = 0.5 * states[-1] @ torch.randn(width, width) / width**0.5
        states.append(states[-1] + change if residual else change)
        states[-1].retain_grad()
    states[-1].backward(torch.randn(16, width))
    return [s.std().item() for s in states], [s.grad.std().item() for s in states]

# %%
plain, kept = through(residual=False), through(residual=True)
print(f"twelve times one half: {0.5**12:.5f}; twelve times root 1.25: {1.25**6:.1f}")
assert plain[0][-1] < 1e-3 < 1 < kept[0][-1] < 6  # the signal, after the last layer
assert plain[1][0] < 1e-3 < 1 < kept[1][0] < 6  # the gradient, before the first
line_panels({"spread of the signal": {"f(x) alone": plain[0], "x + f(x)": kept[0]},
             "spread of the gradient": {"f(x) alone": plain[1], "x + f(x)": kept[1]}},
            "Two panels over 12 layers, logarithmic. Without the residual the signal "
            "falls to 0.0002 on its way up, and the gradient likewise on its way "
            "down. With it, both stay between 1 and 5.", xlabel="after layer", log=True)

# %% [markdown]
# Without the residual the first layers hear next to nothing of the loss. With it each factor is 1 plus
# something, and the 1 is a way through past all twelve layers, for the signal and for the gradient. (And without it
# the tokens of a row become more and more alike, for each layer mixes them: section 15, for a second reading.)
#
# ## 5. Layer norm
#
# What no longer fades now grows. A **layer norm** (Ba et al. 2016) brings each token's vector back to mean 0
# and spread 1. It looks at the D numbers of *one* token, never at other tokens or rows. By hand, for D = 4:
#
# | | | |
# |---|---|---|
# | x | 1, 7, 7, 9 | mean 24 / 4 = 6 |
# | away from the mean | -5, 1, 1, 3 | squares 25, 1, 1, 9: their mean is 9 |
# | divided by the root of 9 | -5/3, 1/3, 1/3, 1 | that is the norm of x |
#
# **Guess first.** Now take ten times x, or add 100 to each of its numbers. What does the norm make of these?

# %%
def norm(x):
    """Every vector along the last axis: mean 0, spread 1."""
    away = x - x.mean(dim=-1, keepdim=True)  # (..., D) - (..., 1)
    return away / (away**2).mean(dim=-1, keepdim=True).sqrt()


x = torch.tensor([1.0, 7.0, 7.0, 9.0])
for vector in (x, 10 * x, x + 100):
    print(vector.tolist(), "->", norm(vector))
assert torch.allclose(norm(x), torch.tensor([-5 / 3, 1 / 3, 1 / 3, 1.0]))

# %% [markdown]
# The norm forgets how large a vector was and on which level; how its numbers lie around their mean goes on.
# `nn.LayerNorm` does that, then multiplies by a **gain** and adds a **shift**, two learned vectors of D numbers
# that begin at 1 and 0. A tiny `eps` keeps it from dividing by 0.

# %%
x = 3 + 5 * torch.randn(2, 7, 64)  # (B, T, D)
by_loop = torch.stack([torch.stack([norm(token) for token in row]) for row in x])
layer_norm = nn.LayerNorm(64, eps=1e-12)  # the released code's eps
assert torch.allclose(norm(x), by_loop, atol=1e-5)
assert torch.allclose(layer_norm(x), norm(x), atol=1e-5)
print({name: tuple(p.shape) for name, p in layer_norm.named_parameters()})

# %% [markdown]
# ## 6. A small network on each token
#
# Attention moves information between tokens. What is done *with* it happens in the **feed-forward
# network**: the D numbers of a token become more (in our laptop size 512 from 128), are bent, and become D
# again. The bend is a **GELU** (Hendrycks and Gimpel 2016): a number times the chance that a draw from the
# bell curve lies below it. That chance is .8413 for 1, so 1 becomes .8413; it is .1587 for -1, so -1
# becomes -.1587. Large numbers pass and very negative ones become 0. Between them it bends smoothly, and dips a
# little below 0 on the way.
#
# **Guess first,** and see behind the exercise: shuffle the tokens of a row, and send them through. What is
# different?

# %%
from electra_tutorial.model import feed_forward  # weave: exercise

# %%
bent = F.gelu(torch.tensor([1.0, -1.0]))
assert torch.allclose(bent, torch.tensor([0.8413, -0.1587]), atol=1e-4)
tokens = torch.randn(1, 6, 8)  # (B, T, D)
up, down = nn.Linear(8, 32), nn.Linear(32, 8)
order = torch.tensor([3, 0, 5, 1, 4, 2])
straight = feed_forward(tokens, up, down)
shuffled = feed_forward(tokens[:, order], up, down)
away = (straight[:, order] - shuffled).abs().max()
print(f"largest difference after undoing the shuffle: {away:.1g}")
assert away < 1e-5

# %% [markdown]
# Their order, and nothing else: each token is worked on alone.
#
# ## 7. The block
#
# A **block** (or layer) is these parts in this order. `norm="post"` is the paper's: norm **after** the sum.
# Later models (GPT-2 was a famous one) norm what goes *into* a part, and leave the sum alone: `norm="pre"`.
#
#     post   x -> attention -> + -> norm ->         feed-forward -> + -> norm ->
#     pre    x -> norm -> attention -> + -> norm -> feed-forward -> + ->
#
# Each + adds what stood before the part (in *pre*, before its norm).
#
# Here it is as the package has it. It calls *your* `feed_forward`. `dropout` sets a share of the numbers to 0
# while training. Our share is 0, the paper's .1.

# %%
from electra_tutorial.model import Block  # weave: show

# %% [markdown]
# ## 8. How weights begin
#
# Weights begin as random numbers around 0. An output of a linear layer adds up D products (D is its **fan
# in**), so it is about std times the root of D as large as its inputs, std being the spread of the weights.
# BERT and ELECTRA begin with a std of .02, whatever the width.
#
# **Guess first.** Send a signal of spread 1 through twelve linear layers of width 64 that begin so. What
# arrives? And for which width would .02 be right? Below the picture stands how *our* layers begin.

# %%
def spreads(width, std, layers=12):
    """The spread of a signal before the first of some linear layers and after each."""
    torch.manual_seed(0)
    x, found = torch.randn(64, width), [1.0]  # (tokens, D)
    for _ in range(layers):
        x = x @ (std * torch.randn(width, width))
        found.append(x.std().item())
    return found

# %%
widths = (64, 128, 256, 512, 1024)
print(f"width 64: {spreads(64, 0.02)[-1]:.0e}; .02 is 1 / root of {1 / 0.02**2:.0f}")
small = {f"width {D}": spreads(D, 0.02) for D in widths}
right = {f"width {D}": spreads(D, D**-0.5) for D in widths}
line_panels({"begun with .02": small, "begun with 1 / root of D": right},
            "Spread of a signal through 12 linear layers, logarithmic, widths 64 to "
            "1024. Begun with .02 all fall in straight lines, the narrower the "
            "steeper: width 1024 to .005, width 64 to 3e-10. Begun with 1 over the "
            "root of the width, all stay near 1.",
            xlabel="after layer", log=True, one_scale=True)

# %% [markdown]
# At width 64 nothing arrives. And .02 would be right for a width of 2,500, three times that of BERT-Base. So our
# linear layers begin with 1 / root of the fan in, unless a preset says otherwise (`paper` says .02).

# %%
from electra_tutorial.model import start_weights  # weave: show

# %% [markdown]
# ## 9. Norm after, or norm before <!-- weave: second reading -->
#
# Which is better, the norm after the sum, or before a part? **Guess first.** With `norm="pre"` nobody norms the
# sum. What happens to it over twelve blocks?

# %%
def twelve(norm, width=128):
    """For each block: the spread of what it hands on, the length of its gradient."""
    torch.manual_seed(0)
    blocks = nn.ModuleList(Block(width, 4, 4 * width, norm=norm) for _ in range(12))
    blocks.apply(start_weights)
    x, found = torch.randn(8, 12, width), []
    for block in blocks:
        x = block(x)[0]
        found.append(x.std().item())
    F.layer_norm(x, (width,)).backward(torch.randn(8, 12, width))
    return found, [block.down.weight.grad.norm().item() for block in blocks]

# %%
post, pre = twelve("post"), twelve("pre")
assert all(abs(spread - 1) < 0.01 for spread in post[0]) and pre[0][-1] > 3
line_panels({"spread of what goes on": {"norm after": post[0], "norm before": pre[0]},
             "length of the gradient": {"norm after": post[1], "norm before": pre[1]}},
            "Left: with the norm after, the spread is 1 behind each of 12 blocks; "
            "with the norm before it grows to over 3. Right: the gradient of a "
            "block's weights is about even with the norm after, and shrinks towards "
            "the last blocks with the norm before.",
            xlabel="block", x=range(1, 13))

# %% [markdown]
# With the norm before, the sum takes in change after change and grows, about as the root of the number of
# blocks. A late block adds its change to a larger sum, so it counts for less, and so does its gradient. With
# the norm after, all blocks count alike. The price is larger gradients at the start: the learning rate must
# *warm up*, rise from near 0 over the first steps (Xiong et al. 2020). We keep the paper's order.

# %% [markdown]
# ## 10. The encoder
#
# Now everything in its order: `Embeddings` adds the two tables' rows and norms; `Encoder` projects that to
# the width and sends it through the blocks. Out comes one vector for each token, in its context. (Your waves are not
# called here: a bare `Encoder`, as in this lesson, begins with random positions. When `Electra` builds its two
# networks, `start_positions` writes the waves once into the position tables, scaled down to the spread of the token
# embeddings, so that they drown no word. From there on they are learned like everything else.)
#
# **Guess first.** Behind the definitions two rows go in, the second with three places of padding. Then the
# token at place 3 of the first row is exchanged, and what stands at place 7 of the second, in the padding.
# Whose vectors move?

# %%
from electra_tutorial.model import Embeddings, Encoder  # weave: show

# %%
torch.manual_seed(0)
encoder = Encoder(vocab_size=1000, max_length=64, embedding=32, width=64, layers=4,
                  heads=2, feed_forward=256).eval()
ids = torch.randint(5, 1000, (2, 9))  # (B, T)
attention_mask = torch.ones(2, 9, dtype=torch.bool)
attention_mask[1, 6:] = False  # the second row is shorter: three places of padding
assert isinstance(encoder.embeddings, Embeddings)

# %%
vectors = encoder(ids, attention_mask)[0]  # beside it, the attentions if asked for
print("vectors", tuple(vectors.shape), "= (B, T, D)")
other = ids.clone()
other[0, 3], other[1, 7] = 7, 8
moved = (encoder(other, attention_mask)[0] - vectors).norm(dim=-1) > 1e-4  # (B, T)
print(moved.int())
assert moved[0].all() and not moved[1, :6].any()

# %% [markdown]
# All of the first row, for attention looks everywhere. Of the second row only the padding's own vector, which
# nobody reads: to the real tokens padding does not exist.
#
# ## 11. The same numbers as `transformers`
#
# Is this *the* encoder, the paper's, or something of our own fancy? The library `transformers` has an ELECTRA
# that many have checked. With the same weights ours must give the same numbers. So we stir **all** weights of
# a new encoder of your class (a forgotten bias of 0 would never show), copy them over, and compare.
# `to_transformers` does the copying: it knows the name that each weight has there.

# %%
from transformers import ElectraConfig, ElectraForPreTraining, ElectraModel

from electra_tutorial.hub import to_transformers, transformers_config
from electra_tutorial.model import Electra

preset = PRESETS["tiny"].with_changes(vocab_size=1000, embedding=24, layers=3)
electra = Electra(preset).eval()
mine = Encoder(1000, 64, 24, 32, 3, 2, 64).eval()  # your class, in the sizes of `preset`
with torch.no_grad():
    for parameter in mine.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
electra.discriminator.encoder = mine

# %%
config = ElectraConfig(**transformers_config(preset, "discriminator"))
theirs = ElectraModel(config).eval()
tensors = to_transformers(electra, "discriminator")  # the head's too, under other names
tensors = {name.removeprefix("electra."): tensor for name, tensor in tensors.items()
           if name.startswith("electra.")}
theirs.load_state_dict(tensors)  # one too few or too many would be an error

# %%
with torch.no_grad():
    ours = mine(ids, attention_mask)[0]
    output = theirs(ids, attention_mask=attention_mask.long())
    mine.blocks[1].up.bias[0] += 0.01  # would we notice one wrong number?
    wrong = mine(ids, attention_mask)[0]
apart = [one - output.last_hidden_state for one in (ours, wrong)]  # (B, T, D) each
away = [difference[attention_mask].abs().max() for difference in apart]
print(f"largest difference {away[0]:.1g}; with one bias a hundredth off {away[1]:.1g}")
assert away[0] < 1e-5 < 1e-4 < away[1]

# %% [markdown]
# The same to rounding, padding and all.
#
# ## 12. What comes out, and what does not
#
# You may meet a program that loads `ElectraModel`, takes `outputs.logits`, and decodes what it finds back into
# words. (A **logit** is a score before it is made a probability.) You have such an output at
# hand. **Guess first.** Which words are in it?

# %%
try:
    print(output.logits.argmax(dim=2))
except AttributeError as error:
    print("AttributeError:", error)
print("what there is:", {name: tuple(value.shape) for name, value in output.items()})
with torch.no_grad():
    words, verdicts = electra.generator(ids), electra.discriminator(ids)
print("our generator     ", tuple(words.shape), "= (B, T, V)")
print("our discriminator ", tuple(verdicts.shape), "= (B, T)")
assert not hasattr(output, "logits")

# %% [markdown]
# None. An encoder gives vectors. What is made of them is decided by a **head** on top (the word has two meanings:
# this one has nothing to do with the heads of attention). The discriminator's
# is a linear layer, a GELU, and a linear layer to *one* number a token: the log-odds that it was replaced.
# One number has no room for a word. **The discriminator does not predict content.** It says *replaced* or
# *original*; to name a word is the generator's job, and its head is as wide as the vocabulary (lesson 04).
#
# ## 13. What a small start does
#
# Back to .02. In a block the norms hide it: the spread is 1 behind each of them, however the weights began.
# Is it harmless there? A discriminator lives on what tokens hear of each other, for a wrong word shows in
# its neighbours. **Guess first.** Exchange one token. How far do the vectors of the *others* move, in
# percent of their length, when the weights began with .02?

# %%
for std in (0.02, None):
    torch.manual_seed(0)
    encoder = Encoder(1000, 64, 64, 64, 4, 2, 256).eval()
    encoder.apply(lambda module, std=std: start_weights(module, std))
    with torch.no_grad():
        moved = (encoder(other)[0] - encoder(ids)[0])[0].norm(dim=-1)  # (T,)
    others = moved[torch.arange(9) != 3].mean() / 64**0.5  # normed: root of D long
    print(f"{std or '1/root of fan in':<17} the others move by {others:.1%}")

# %% [markdown]
# Begun with .02, a wrong word is a private matter. Blocks change so little that hardly anything passes from
# token to token, and hardly any gradient passes back. They can grow out of it. How long does that take?
#
# Here is a task of ELECTRA's kind, without a generator: in sentences of a small grammar of the course's own (lesson
# 04 says more of it) about one token in seven is exchanged for another token of the batch. Which ones? In
# `exchange`, `chosen` is True at some places; `masked_scatter` writes a list of values into these places, one after
# the other. In `learn`, the loss is that of a yes-or-no question (lesson 05), and the loop goes forward, backward,
# step (lesson 04). Both runs see the same sentences with the same exchanges. (This is a training before its time.
# You need not follow every line: the two runs differ in one number, how the weights begin. The cell that trains
# takes half a minute on two quiet cores, and says nothing until it is done.)

# %%
from electra_tutorial.tokens import batch_order, collate
from electra_tutorial.training import prepare_text

size = dict(embedding=64, width=64, layers=4, feed_forward=256, balance=False)
_, tokenizer, rows = prepare_text(PRESETS["tiny"].with_changes(**size), "grammar")
small = PRESETS["tiny"].with_changes(vocab_size=tokenizer.get_vocab_size(), **size)
batches = batch_order(rows, 512, seed=0, epoch=0)


def exchange(ids, rate=0.15):
    """Exchange some tokens for others of the batch: the ids and which changed."""
    ordinary = ids >= 5  # the first five ids are special tokens
    chosen = ordinary & (torch.rand(ids.shape) < rate)
    drawn = torch.randint(int(ordinary.sum()), (int(chosen.sum()),))  # (N,)
    changed = ids.masked_scatter(chosen, ids[ordinary][drawn])
    return changed, changed != ids

# %%
changed, labels = exchange(collate(rows, batches[0])[0])
for row, fake in zip(changed[:3].tolist(), labels[:3].tolist(), strict=True):
    pieces = [tokenizer.id_to_token(i) for i in row]
    print(*(piece + "*" * f for piece, f in zip(pieces, fake, strict=True)))

# %%
def loss_of(model, batch):
    """The loss of one batch, some of whose tokens are exchanged: a number."""
    ids, real = collate(rows, batch)
    changed, labels = exchange(ids)
    logits = model(changed, real)[real]  # (N,): of the real tokens
    return F.binary_cross_entropy_with_logits(logits, labels[real].float())

# %%
def learn(linear_std, steps, peak=1e-3):
    """Train a discriminator to find exchanged tokens: mean losses of 20 steps each."""
    torch.manual_seed(0)
    model = Electra(small.with_changes(initial_std=linear_std)).discriminator
    optimizer, losses = torch.optim.Adam(model.parameters(), betas=(0.9, 0.98)), []
    torch.manual_seed(1)
    for step in range(steps):
        loss = loss_of(model, batches[step % len(batches)])
        loss.backward()
        optimizer.param_groups[0]["lr"] = peak * min(1, (step + 1) / 80)  # rises over 80 steps: the warm-up
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return torch.tensor(losses).view(-1, 20).mean(dim=1).tolist()

# %%
from electra_tutorial.course.check import expect, full_or_fast

steps = full_or_fast(600, 40)
curves = {"1 / root of fan in": learn(None, steps), "std .02": learn(0.02, steps)}
good, late = (sum(curve[-5:]) / 5 for curve in curves.values())  # the last 100 steps
print(f"the last 100 steps: {good:.3f} and {late:.3f} nats")

# %%
from electra_tutorial.metrics import loss_floor

some = [collate(rows, batch) for batch in batches[:100]]
fakes, reals = (sum(part.sum().item() for part in parts) for parts in (
    [exchange(ids)[1] for ids, _ in some], [real for _, real in some]))
floor = loss_floor(fakes / reals)  # of who reads nothing
expect(good < floor - 0.05, "Begun with 1 / root of fan in, it finds exchanged tokens.")
expect(good + 0.02 < late, "Begun with .02, it is behind at the end.")
line_panels({"loss (nats a token)": curves},
            "Loss of two runs over 600 steps. Begun with 1 over the root of the fan "
            "in, it leaves the dotted floor of a model that reads nothing after 50 "
            "steps; begun with .02 only after 250, and stays above the other.",
            xlabel="step", x=range(20, steps + 1, 20), floor=(floor, "reads nothing"))

# %% [markdown]
# The run that began with .02 lay on the floor for its first 250 steps or so, while the other was learning. (We ran
# it with three other seeds too: what it reached in 600 steps, the other had reached after 160 to 280.)
#
# That is no error of the paper's. Its small model trains for a million steps, with a discriminator 256
# wide. A run of minutes at width 64 cannot wait. (Nor is a larger start always better. Begun with 1 / root of the
# fan in, every block makes the tokens of a row a little more alike, and with .02 hardly: section 15, for a second
# reading.)
#
# ## 14. Count the parameters
#
# A **parameter** is a number that is learned. Code can count them. Count by hand first: whoever can do that knows
# what is in a model. Begin with one layer.
#
# **Guess first,** and see behind the exercise: where do most parameters of our laptop size sit, in its
# table of 8,192 tokens or in its four layers? And in the paper's, with 30,522 tokens and twelve layers?

# %%
from electra_tutorial.model import layer_parameters  # weave: exercise


# %%
def parameter_table(preset):
    """The discriminator's parameters, part by part, by arithmetic alone."""
    V, E, D = preset.vocab_size, preset.embedding, preset.width
    return {
        "token embeddings": V * E, "position embeddings": preset.max_length * E,
        "norm of the embeddings": 2 * E,
        "projection E -> D": E * D + D if E != D else 0,
        "layers": preset.layers * layer_parameters(D, preset.feed_forward),
        "head": (D * D + D) + (D + 1),
    }

# %%
for name in ("laptop", "paper"):
    found, model = parameter_table(PRESETS[name]), Electra(PRESETS[name]).discriminator
    print(f"{name}: {(total := sum(found.values())):,} parameters")
    for part, n in found.items():
        print(f"  {part:24}{n:11,} {n / total:5.0%}")
    assert total == sum(p.numel() for p in model.parameters())
released = ElectraForPreTraining(ElectraConfig()).parameters()
more = sum(p.numel() for p in released) - total
print(f"released code: {total + more:,}, {more:,} more")
assert more == (512 - 128) * 128 + 2 * 128

# %% [markdown]
# In the laptop size more than half of the model is its table; in the paper's, most is in the layers. Ours of
# that size has 13.5 million. The paper says **14 million**. The released code gives its model places for 512
# tokens, where the paper trains on rows of 128, and a table of two *token types* (first or second sentence of
# a pair): that makes 13.55. The rest is rounding.

# %% [markdown]
# ## 15. Break it <!-- weave: second reading -->
#
# **Forget the residual.** In the first cell of this section stands the block of somebody who did. It runs, and all
# shapes are right. **Guess first.** Each block mixes the tokens of a row a little more. What has become of twelve
# different tokens after four such blocks? (The **cosine** of two vectors is 1 if they point the same way, and about
# 0 if they have nothing to do with each other.)

# %%
class Forgetful(Block):
    """A block without its two residual connections."""

    def forward(self, x, attention_mask=None, return_attention=False):
        mixed, attention = self.attention(x, attention_mask, return_attention)
        x = self.attention_norm(mixed)
        return self.feed_forward_norm(self.feed_forward(x)), attention

# %%
def alike(kind, std, blocks=12):
    """The mean cosine of all pairs of 12 tokens, after each of some blocks."""
    torch.manual_seed(0)
    blocks = nn.ModuleList(kind(128, 4, 512) for _ in range(blocks))
    blocks.apply(lambda module: start_weights(module, std))
    x, cosines, others = torch.randn(1, 12, 128), [], ~torch.eye(12, dtype=torch.bool)
    for block in blocks:
        x = block(x)[0]
        pairs = F.cosine_similarity(x[0][:, None], x[0][None], dim=-1)  # (T, T)
        cosines.append(pairs[others].mean().item())
    return cosines

# %%
without, wide, narrow = alike(Forgetful, None), alike(Block, None), alike(Block, 0.02)
print("after block", *(f"{n:5}" for n in range(1, 13)))
for name, cosines in (("forgetful", without), ("1 / root", wide), (".02", narrow)):
    print(f"{name:11}", *(f"{c:5.2f}" for c in cosines))
assert without[3] > 0.95 and max(narrow) < 0.1
assert wide[3] < 0.9 < wide[7] < wide[11]

# %% [markdown]
# First line: without residuals all tokens of a row become one vector, and from one vector the head reads one
# number. Whoever must judge each token by itself cannot even begin. (Dong et al. 2021 proved it for attention
# alone.) The residual keeps a token itself.
#
# Now the other lines, both *with* residuals. Begun with 1 / root of the fan in, every block makes the tokens of a
# row a little more alike. After four blocks, the depth of our laptop size, the cosine is about .7; after eight,
# the depth of the `gpu` preset, .98; after twelve the tokens point one way to two digits. They are not lost, for the
# residual still carries what is each token's own, and training can pull them apart. But a deep network begins that
# much further from what its head needs. (What it costs a run is not measured here.) Begun with .02, nothing is mixed
# at all. A start is a compromise between hearing too little and too much, the more so the deeper the network, and
# the `paper` preset, twelve blocks deep, keeps the paper's .02.
#
# **Share one norm for both places.** Shorter code, and nothing complains. **Guess first.** What gives it
# away?

# %%
block, lazy = Block(128, 4, 512), Block(128, 4, 512)
lazy.load_state_dict(block.state_dict())
lazy.feed_forward_norm = lazy.attention_norm  # one norm, used twice
x = torch.randn(1, 5, 128)
print("the same output at the start:", torch.equal(block(x)[0], lazy(x)[0]))
for one in (block, lazy):
    count = sum(p.numel() for p in one.parameters())
    print(f"{count:,} of {layer_parameters(128, 512):,} parameters")
assert torch.equal(block(x)[0], lazy(x)[0])

# %% [markdown]
# No output shows it, because all norms begin alike. The count does: 2 D numbers are missing. (`parameters()`
# names a shared tensor once.) That is what counting by hand is for.

# %% [markdown]
# ## 16. What usually goes wrong
#
# - **The norm divides by another spread.** `x.std()` divides by D - 1, `LayerNorm` by D. And it must look along
#   the last axis: a norm over the whole batch mixes sentences.
# - **Places are looked up by token id.** Shapes fit, and the loss even falls. Compare with a known model.
# - **Positions are added behind the projection,** at width D. It works, and no published weights fit.
# - **Biases are forgotten in a comparison.** They begin at 0, so their lack shows only once all are stirred.
# - **Padding is compared.** What stands at padded places means nothing. Compare real tokens.
# - **A narrow encoder stays on its floor.** Ask how it began: do its tokens hear of each other?
#
# ## 17. What differs from the paper at this scale
#
# The architecture is the paper's to the last addition: section 11 showed it. What differs are the sizes
# (laptop: 4 layers of 128; paper: 12 of 256; E is 128 in both, so laptop needs no projection), how weights
# begin (1 / root of the fan in, not .02), how positions begin (as waves, not at random), dropout (0, not
# .1), and that we have no token types, for a row of ours is never a pair.
#
# ## 18. Questions
#
# <details><summary>1. Why is a one-hot product never computed?</summary>
#
# It multiplies all rows of the table but one by 0. Reading that one row gives the same numbers.
# </details>
#
# <details><summary>2. Generator and discriminator differ in width. How can they share embeddings?</summary>
#
# The table has a width E of its own, and each model projects from E to its own width.
# </details>
#
# <details><summary>3. What does it buy that one place to the left is the same rotation everywhere?</summary>
#
# What a head learns from one pair of neighbours holds for all pairs.
# </details>
#
# <details><summary>4. What happens without the residual, to the signal, the gradient, the tokens?</summary>
#
# Signal and gradient fade by a factor a layer, and the tokens of a row become alike.
# </details>
#
# <details><summary>5. All numbers that go into a layer norm are multiplied by ten. What comes out?</summary>
#
# The same as before. The norm keeps the pattern around the mean and forgets the size.
# </details>
#
# <details><summary>6. Through which part do tokens hear of each other?</summary>
#
# Through attention alone. Embedding, norm, feed-forward network and head work on each token by itself.
# </details>
#
# <details><summary>7. Width 64, std .02: what is left of a signal after one linear layer?</summary>
#
# .02 times the root of 64, which is .16 of it.
# </details>
#
# <details><summary>8. You cut the attention into 8 heads instead of 4. How many parameters more?</summary>
#
# None. The heads share out the same D columns; the matrices stay D x D.
# </details>
#
# <details><summary>9. Can you read from the discriminator which word should stand there?</summary>
#
# No. Its head gives one number a token, the log-odds of *replaced*. The generator names words.
# </details>
#
# <details><summary>10. An encoder runs, and its loss falls. Which two checks find a quiet mistake?</summary>
#
# Comparing with a known model on stirred weights, and counting the parameters by hand.
# </details>
#
# ## 19. Where to read more
#
# - ELECTRA (Clark et al. 2020), sections 3.1 and 3.2 (sizes, shared embeddings) and appendix A (all numbers).
# - Vaswani et al. 2017, *Attention Is All You Need*, sections 3.3 to 3.5: feed-forward, embeddings, waves.
# - Xiong et al. 2020, *On Layer Normalization in the Transformer Architecture*: norm after and before.
# - `electra_tutorial/model.py`: all of this lesson.
#
# **Next:** lesson 04 puts a head with a whole vocabulary on this encoder, hides words, and trains it to guess
# them.

# %%
from electra_tutorial.course.mine import progress

progress(3)
