# The source of lesson 02. `electra-tutorial notebooks` weaves notebooks/02_attention.ipynb from it.
# %% [markdown]
# # 02 · Attention
#
# **What you will be able to do.** Compute one attention head with a pencil. Write it in one line of PyTorch,
# with scaling, mask and several heads, and show that it equals the library's. Say what a head cannot know,
# and test what a picture of one seems to say.
#
# **What you need to know.** Lesson 01: a sentence becomes a row of T tokens, and short rows are filled up
# with `[PAD]`. The product of two matrices. Broadcasting, `transpose` and `view` are rehearsed where you
# need them.
#
# <!-- weave: minutes -->
#
# ## 1. Which word is wrong?
#
# Two of these sentences are wrong: *My key is lost. My key are lost. My keys is lost. My keys are lost.* Yet
# each of the four words *key*, *keys*, *is*, *are* is good English.
#
# **Guess first.** Somebody builds a detector that gives each word a fixed number of its own, its suspicion, and
# adds the numbers up. Which numbers make both wrong sentences come out above both right ones? Then see what the
# mini ELECTRA of lesson 00 says: P(replaced) of both words, added up. The last cell of this section prints two
# pairs of sentences from the exam that all models of this course sit. (The first time somebody asks for the exam it
# has to be made. That may take a minute.)

# %%
from electra_tutorial.course.check import expect
from electra_tutorial.judgement import judge

suspicion = {}
for subject in ("key", "keys"):
    for verb in ("is", "are"):
        judged = judge(f"My {subject} {verb} lost.", mask=[])
        suspicion[subject, verb] = judged.p_replaced[2] + judged.p_replaced[3]
        print(f"My {subject:4} {verb:3} lost.   {suspicion[subject, verb]:.2f}")
right = suspicion["key", "is"] + suspicion["keys", "are"]
wrong = suspicion["key", "are"] + suspicion["keys", "is"]
expect(wrong > 1.5 * right, "It suspects the pairs that do not go together.")

# %%
from electra_tutorial.corpus import load_corpus
from electra_tutorial.exam import load_exam

exam = load_exam(load_corpus("course", fallback=True))
examples = [f"{pair.good} -> {pair.bad}" for pair in exam.hard[4:6]]
print(f"From the {len(exam.hard):,} pairs of the exam:", *examples, sep="\n")

# %% [markdown]
# No numbers do. The two right sentences together hold the words *key, is, keys, are*. So do the two wrong
# ones. Whatever numbers the words have, both sums are the same. The network's are not: it must look at one
# word *while it judges another*. Nearly all pairs of the exam are of this kind: each changed word is good
# English, and wrong only beside another.
#
# **Attention** is how a token gathers from the others what it needs. It is the only part of the network in
# which tokens meet. All the rest treats each token by itself.
#
# ## 2. Four tokens, three numbers each
#
# Take *my keys is lost*. Inside a network a token is a list of numbers, its **features**. Ours has three, so
# that you can follow with a pencil, and we give them names: is it like a *noun*? like a *verb*? is it
# *plural*? In a trained network there are many more, and they have no names.
#
# The **dot product** of two lists multiplies them number by number and adds up. It is large where both are
# large in the same places. So it can measure how relevant one token is to another.
#
# **Guess first.** Multiply the row of *is* with each of the four rows. Who is most relevant to *is*?

# %%
import torch
import torch.nn.functional as F

TOKENS = ["my", "keys", "is", "lost"]
x = torch.tensor([  # noun, verb, plural
    [1.0, 0.0, 0.0],  # my: a noun is near
    [2.0, 0.0, 1.0],  # keys
    [0.0, 1.0, 0.0],  # is
    [-1.0, 1.0, 0.0],  # lost: somewhat a verb, and surely no noun
])  # (T, D) = (4, 3)
print("relevant to 'is':", dict(zip(TOKENS, (x @ x[2]).tolist(), strict=True)))
assert torch.equal(x @ x.T, (x @ x.T).T)  # and as relevant to each other both ways

# %% [markdown]
# *is* finds itself, and its own kind. But a verb needs its *noun*, which is unlike it. And what makes *keys*
# relevant, that it is a noun, is not what the verb wants to know about it: is it plural?
#
# ## 3. Three questions
#
# So each token gets three lists, each by a matrix of its own, and the matrices are learned:
#
# - the **query**: what am I looking for?
# - the **key**: what can I be found by?
# - the **value**: what do I hand over to whoever finds me?
#
# The relevance of token j to token i, its **score**, is the dot product of i's query and j's key. Below, a
# verb asks for a noun, every token shows what it is, and hands over whether it is plural.

# %%
W_query = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 0, 0]])  # from verb (row 1) to noun (column 0)
W_key = torch.eye(3)  # as it is
W_value = torch.tensor([[0.0, 0, 0], [0, 0, 0], [0, 0, 1]])  # plural alone
query, key, value = x @ W_query, x @ W_key, x @ W_value  # (T, D) each
scores = query @ key.T  # (T, T), row = who looks, column = who is looked at
for token, row in zip(TOKENS, scores.tolist(), strict=True):
    print(f"{token:4} looks:", row)
assert not torch.equal(scores, scores.T)  # to ask is not to be asked

# %% [markdown]
# *is* now finds *keys*. The **softmax** makes shares of a row of scores: take e to the power of each, and
# divide by their sum. Every share is above 0, and they add up to 1. These shares are the **attention
# weights** of the token that looks.
#
# **Your pencil.** The scores of *is* are 1, 2, 0 and -1. With e² ≈ 7.39, e¹ ≈ 2.72, e⁰ = 1 and e⁻¹ ≈ 0.37,
# what share does *keys* get? Put your number into the first line.

# %%
YOUR_SHARE = None  # of keys, such as 0.25

weights = scores.softmax(dim=-1)  # (T, T), each row sums to 1
if YOUR_SHARE is None:
    print("You have put in no number yet. The next cell tells the answer.")
elif abs(YOUR_SHARE - weights[2, 1]) < 0.01:
    print("Right.")
else:
    print(f"Not {YOUR_SHARE}: divide e to the power of 2 by the sum of all four.")

# %%
for token, row in zip(TOKENS, weights.tolist(), strict=True):
    shares = "  ".join(f"{to} {w:.3f}" for to, w in zip(TOKENS, row, strict=True))
    print(f"{token:4} looks: {shares}")
assert torch.allclose(weights.sum(dim=-1), torch.ones(4))

# %% [markdown]
# Look at *my*, too. It asks for nothing, all its scores are 0, and so it looks at everybody alike. **A head
# cannot look away.** What heads do that have nothing to look for, lesson 08 shows in real ones.
#
# Last step: each token takes the values of all, each times its share, and adds them up. Then the whole head
# once more: number by number, as you did it, and as one line.

# %%
mixed = weights @ value  # (T, D)
one_key = x.clone()
one_key[1, 2] = 0.0  # keys -> key
print("my keys is lost: 'is' has gathered", mixed[2].tolist())
print("my key  is lost: 'is' has gathered", (weights @ one_key @ W_value)[2].tolist())
assert mixed[2, 2] == weights[2, 1]

# %%
def attend_in_a_loop(query, key, value):
    """One head, number by number: (T, D) each -> (T, D)."""
    mixed = torch.zeros_like(value)
    for i in range(len(query)):  # who looks
        powers = [(query[i] @ key[j]).exp() for j in range(len(key))]
        for j in range(len(key)):  # who is looked at
            mixed[i] += powers[j] / sum(powers) * value[j]
    return mixed


assert torch.allclose(attend_in_a_loop(query, key, value), mixed)
assert torch.allclose((query @ key.T).softmax(dim=-1) @ value, mixed)  # in one line

# %% [markdown]
# What *is* has gathered is the message that a noun it found is plural. That it is a verb, and which, is not in the
# sum: the values here carry *plural* alone. So lesson 03 adds what stood there before: then a later layer has both,
# *I am singular* and *my noun is plural*, and can be suspicious. That is the whole mechanism.
#
# ## 4. Why the scores are divided by √d
#
# A dot product of d pairs of numbers is a sum of d products. Below, queries and keys are random numbers
# around 0 with **standard deviation** 1 (their typical distance from 0), and there are 16 tokens to look at.
#
# How many of them does a row really look at? Its **entropy** -Σ p log p says how spread out shares are, and
# e to the entropy says it as a number of tokens: 16 where all shares are equal, 1 where one token has all.
# The **slope** p (1 - p) is how far a share moves when its score moves a little.
#
# **Guess first.** d = 256 has 64 times as many products to sum as d = 4. By which factor do the scores spread
# further?

# %%
def tokens_looked_at(weights):
    """e to the entropy of each row: (..., T) -> (...), from 1 to T."""
    return torch.special.entr(weights).sum(dim=-1).exp()

# %%
torch.manual_seed(0)
looked = {"scores as they are": [], "scores / √d": []}
for d in (4, 16, 64, 256, 1024):
    raw = torch.randn(500, 1, d) @ torch.randn(500, d, 16)  # 500 rows of 16 scores
    for kind, some in zip(looked, (raw, raw / d**0.5), strict=True):
        p = some.softmax(dim=-1)
        looked[kind].append(tokens_looked_at(p).mean().item())
        print(f"d {d:4}  {kind:18}  spread {some.std():5.1f}   "
              f"looks at {looked[kind][-1]:4.1f}   slope {(p * (1 - p)).mean():.3f}")

# %%
from electra_tutorial.views.panels import line_panels

assert max(looked["scores / √d"]) - min(looked["scores / √d"]) < 1
line_panels({"tokens looked at": looked},
            "As d grows, a row of undivided scores looks at fewer and fewer of 16 tokens, in the "
            "end at one; divided by the root of d, always at about 11.",
            xlabel="features of a head, d", x=(4, 16, 64, 256, 1024), log="x",
            floor=(16, "all 16 alike"))

# %% [markdown]
# A sum of d independent numbers spreads √d times as far, not d times: 64 times the products, 8 times the
# spread. Undivided, a wide head looks at one token only, *before it has learned anything*, and the slope is
# so small (the last column) that hardly any gradient comes back to teach it something else. Dividing by √d gives
# every width the same start. (It forbids nothing: a head may learn large queries, and be sharp.)
#
# ## 5. Padding must not be looked at
#
# The rows of a batch have one length, so short ones are filled up with `[PAD]` (lesson 01). Say its row of
# features is all zeros: it is no noun, no verb, and hands over nothing.
#
# **Guess first.** We put two such rows behind *my keys is lost*. Does what *is* gathers change?

# %%
padded = torch.cat([x, torch.zeros(2, 3)])  # (6, 3)
all_scores = (padded @ W_query) @ (padded @ W_key).T  # (6, 6)
print("scores of 'is':", all_scores[2].tolist())
leaking = all_scores.softmax(dim=-1)
print(f"it has gathered {(leaking @ padded @ W_value)[2, 2]:.3f}")
print(f"without padding  {mixed[2, 2]:.3f}")

# %% [markdown]
# It does: a score of 0 is not a share of 0, for e⁰ = 1. So the model must be told which tokens are real: the
# **attention mask**, True = real. Two ways to use it suggest themselves. Which one is right?
#
# Then the same with the mini ELECTRA: P(replaced) of a sentence alone, beside a long one with the mask, and
# without. `pad` of lesson 01 fills up and returns the mask.

# %%
real = torch.tensor([True, True, True, True, False, False])  # (T,)
after = leaking * real  # take the shares of padding away
before = all_scores.masked_fill(~real, float("-inf")).softmax(dim=-1)  # e to the -inf is 0
print("shares of 'is', mask after: ", [round(share, 3) for share in after[2].tolist()])
print("shares of 'is', mask before:", [round(share, 3) for share in before[2].tolist()])
assert leaking[2, 4:].sum() > 0.1 and after[2].sum() < 0.9
assert torch.allclose(before[2, :4], weights[2])

# %%
from electra_tutorial.checkpoint import load
from electra_tutorial.evaluation import pad

electra, tokenizer = load()
discriminator = electra.discriminator.eval()
LONG = "The old man was reading a newspaper in the kitchen of the house he was born in."
rows = [tokenizer.encode(text).ids for text in ("My keys are lost.", LONG)]
ids, attention_mask = pad(rows)  # (B, T) both
print("real tokens:", attention_mask.sum(dim=1).tolist())

# %%
T = len(rows[0])
with torch.no_grad():
    alone = discriminator(ids[:1, :T]).sigmoid()[0]  # (T,) P(replaced)
    with_mask = discriminator(ids, attention_mask).sigmoid()[0, :T]
    without = discriminator(ids).sigmoid()[0, :T]
print(" " * 9, *(f"{tokenizer.id_to_token(number):>6}" for number in rows[0]))
for name, p in (("alone", alone), ("with mask", with_mask), ("without", without)):
    print(f"{name:9}", *(f"{number:6.2f}" for number in p.tolist()))
assert torch.allclose(with_mask, alone, atol=1e-5)
assert not torch.allclose(without, alone, atol=0.01)

# %% [markdown]
# A mask put on after the softmax leaves shares that no longer add up to 1: what the padding had is lost. (Divide
# each row by its sum, and it is right again. That is what minus infinity does from the start.) Before it, the
# real tokens share all, exactly as if there were no padding. And without a mask, what the model says about a
# sentence depends on who stands beside it in the batch. Pictures need it as well: a map that is drawn without the
# mask shows looks at padding that the model never took.
#
# ## 6. Your turn: one head, whole
#
# Batches and heads stand in front, as more axes: `(..., T, d)`. `visible` is **broadcast**, which means that
# an axis of length 1, or one that is not there, is repeated as often as needed. So a mask of shape `(T,)` is
# the same for every row: it says who may be *looked at*.
#
# Yours, or the reference, has to agree with the toy, and then with PyTorch's own, **scaled dot-product
# attention**. That one is *fused*: scores, softmax and sum in one go. It is faster, and the weights never lie
# in memory as a whole. (So nobody can ask it for them either.)

# %%
from electra_tutorial.model import attention_weights  # weave: exercise

# %%
by_hand = attention_weights(3**0.5 * query, key)  # our toy was not divided
assert torch.allclose(by_hand @ value, mixed)
a, b, c = torch.randn(3, 2, 4, 6, 32)  # query, key, value: (B, H, T, d) each
visible = torch.stack([real | True, real])[:, None, None, :]  # (B, 1, 1, T): 6, 4 real
ours = attention_weights(a, b, visible) @ c
theirs = F.scaled_dot_product_attention(a, b, c, attn_mask=visible)
print(f"largest difference: {(ours - theirs).abs().max():.1e}")
assert torch.allclose(ours, theirs, atol=1e-5)

# %% [markdown]
# ## 7. Several heads
#
# A head has one row of shares for each token. Say a verb wants the *number* of the word before it and the
# *tense* of the word behind it. One wide head has to give each of them one half, and gets one half of each.
# Two heads, one with the features for number and one with those for tense, look where each of them wants.
#
# So the D features are cut into H parts of D/H, and each part does its own attention: **multi-head
# attention**. For the cut, a rehearsal. `view` reads the same numbers, in the same order in memory, along other
# axes. `transpose` exchanges two axes. Why so careful about a `transpose`? Because without it all shapes are
# right and nothing complains. You see it below the exercise: the first digit is the token, and in the second
# line head 0 takes both halves of token 1 for two tokens.

# %%
from electra_tutorial.model import split_heads  # weave: exercise

# %%
row = torch.tensor([[[10, 11, 12, 13], [20, 21, 22, 23], [30, 31, 32, 33]]])  # (1, 3, 4)
print("head 0, cut and exchanged: ", split_heads(row, 2)[0, 0].tolist())
print("head 0, viewed in one step:", row.view(1, 2, 3, 2)[0, 0].tolist())
assert split_heads(row, 2).shape == row.view(1, 2, 3, 2).shape

# %%
from electra_tutorial.model import merge_heads  # weave: exercise

# %%
three = torch.randn(2, 6, 3 * 128).chunk(3, dim=-1)  # (B, T, D) each
q, k, v = (split_heads(part, heads=4) for part in three)  # (B, H, T, D/H)
gathered = merge_heads(attention_weights(q, k, visible) @ v)  # (B, T, D)
assert torch.equal(merge_heads(q), three[0])
first = attention_weights(*(part[..., :32] for part in three[:2]), visible[:, 0])
assert torch.allclose(gathered[..., :32], first @ three[2][..., :32], atol=1e-5)

# %% [markdown]
# ## 8. The class
#
# The last cell put the three functions together: the first 32 features are what head 0 makes alone. Here is all
# of it as the package has it. The three matrices stand side by side in one layer, and the heads'
# results go through a last matrix, `output`, which mixes them. **Dropout** sets random numbers to 0 while
# training. (`rotary` is another way to tell places apart. Lesson 04, section 8, for a second reading, tries it.)
#
# **Guess first.** A **parameter** is a number that is learned. How many more of them are there with 4 heads than
# with 1?

# %%
from electra_tutorial.model import Attention  # weave: show

# %%
size = electra.preset
print(f"mini ELECTRA: D = {size.width}, {size.layers} layers of {size.heads} heads")
for heads in (1, 2, 4, 8):
    numbers = sum(p.numel() for p in Attention(size.width, heads).parameters())
    print(f"heads: {heads}, of {size.width // heads:3} features each: {numbers:,} parameters")
torch.manual_seed(0)
attention = Attention(128, heads=4)
tokens, mask = torch.randn(2, 6, 128), visible[:, 0, 0]  # (B, T, D), (B, T)
fused, _ = attention(tokens, mask)
written_out, shares = attention(tokens, mask, return_attention=True)
assert torch.allclose(fused, written_out, atol=1e-5) and shares.shape == (2, 4, 6, 6)
assert not shares[1, :, :, 4:].any(), "Padding was looked at."

# %% [markdown]
# None: four matrices of D × D, and their biases (a bias is a learned number added to each output). What a head
# costs is width: of 4 heads each compares by a quarter of the features.
#
# ## 9. What a head cannot know
#
# **Guess first.** *The dog bit the man. The man bit the dog.* Three random lists of numbers stand for *dog*,
# *bit*, *man*. After attention, does the list of *dog* differ between the two sentences?

# %%
dog, bit, man = torch.randn(3, 128)
one = attention(torch.stack([dog, bit, man])[None])[0]  # (1, 3, 128)
other = attention(torch.stack([man, bit, dog])[None])[0]
print(f"'dog' differs by {(one[0, 0] - other[0, 2]).abs().max():.1e}")

# %% [markdown]
# Shuffle the sentence, and the results are shuffled along; otherwise they are the same. This is called
# **permutation equivariance**. A sum does not know in which order it was summed. To attention a sentence is
# a *bag* of words, and both stories are one. So every place gets a list of numbers too, a **position
# embedding**, which is added to the token that stands there. Then the results no longer go along, as the
# last assert of the second cell below says.
#
# The mini ELECTRA has position embeddings. `bag` is a copy in which they are all zeros.

# %%
from copy import deepcopy

bag = deepcopy(discriminator)
with torch.no_grad():
    bag.encoder.embeddings.position.weight.zero_()
    texts = "The dog bit the man.", "The man bit the dog."
    ids = torch.tensor([tokenizer.encode(text).ids for text in texts])  # (2, T)
    for name, network in (("with positions", discriminator), ("without", bag)):
        p = network(ids).sigmoid()
        print(f"{name:15} P(replaced) of 'dog': {p[0, 2]:.4f} and {p[1, 5]:.4f}")
assert torch.allclose(p[0, 2], p[1, 5], atol=1e-4)

# %%
order, places = torch.tensor([4, 1, 5, 0, 3, 2]), torch.randn(6, 128)
shuffled = tokens[:, order]
assert torch.allclose(attention(tokens)[0][:, order], attention(shuffled)[0], atol=1e-5)
print("without places: shuffled along, and otherwise the same")
placed = attention(tokens + places)[0][:, order]
assert not torch.allclose(placed, attention(shuffled + places)[0], atol=0.1)

# %% [markdown]
# ## 10. A head that was learned
#
# Nobody told the heads of the mini ELECTRA what to look for. Let us search for one that looks at the
# token *before*: for each head, the mean share that goes one place to the left, over 100 sentences.

# %%
sentences, real_tokens = pad([tokenizer.encode(pair.good).ids for pair in exam.hard[:100]])


def looks_one_back(discriminator, ids):
    """The mean share of attention that goes to the token before: (layers, heads)."""
    with torch.no_grad():
        _, layers = discriminator(ids, real_tokens, return_attention=True)
    back = torch.stack(layers).diagonal(-1, dim1=-2, dim2=-1)  # (layers, B, H, T - 1)
    back = back.transpose(1, 2)  # (layers, H, B, T - 1), so that a mask (B, T - 1) can pick
    return back[:, :, real_tokens[:, 1:]].mean(dim=-1)


shares = looks_one_back(discriminator, sentences)
layer, head = divmod(shares.argmax().item(), shares.shape[1])
print(f"layer {layer}, head {head} (both from 0): {shares.max():.2f}; typical: {shares.median():.2f}")
expect(shares.max() > 0.5, "A head has learned to look one place back.")

# %%
from electra_tutorial.heads import look_inside
from electra_tutorial.views.attention import attention_map

TEXT = "My old keys is lost, and I cannot find them."
look = look_inside(TEXT, electra, tokenizer)
assert abs(look.attentions[layer][head].sum(axis=-1) - 1).max() < 1e-4
attention_map(look.pieces, look.attentions[layer][head], f"Layer {layer}, head {head}")

# %% [markdown]
# Row: who looks. Column: who is looked at. The bright line beside the diagonal: each token is told what
# stands before it. Look at the row of *is*.
#
# **Guess first.** Does this head go by *words* (a verb looks at its subject, which often stands before it), or by
# *places*? We shuffle the words of all sentences. Then we put them back, and take the positions away. What
# happens to its share, each time?

# %%
torch.manual_seed(0)
shuffled = sentences.clone()
for row, length in zip(shuffled, real_tokens.sum(dim=1).tolist(), strict=True):
    row[1:length - 1] = row[1:length - 1][torch.randperm(length - 2)]
as_written = looks_one_back(discriminator, sentences)[layer, head]
words_shuffled = looks_one_back(discriminator, shuffled)[layer, head]
positions_zero = looks_one_back(bag, sentences)[layer, head]
print(f"as written {as_written:.2f}, words shuffled {words_shuffled:.2f}, "
      f"positions zero {positions_zero:.2f}")
expect(words_shuffled > 2 * positions_zero, "Without positions it loses more than without word order.")

# %% [markdown]
# It goes by places. Shuffled words hardly disturb it, if at all. The look of *is* at *keys*, by itself, would
# have made a fine story about grammar, and the story would have been wrong: the head looks at whatever stands
# there. What the verb makes of it is computed later.
#
# ## 11. Attention is not explanation
#
# A map says where a head looked. Does it say what the model *needed*? A test. We take the changed word of an
# exam sentence, hide one other token after the other (the mask can do that), and see how far the word's
# **log-odds** move, log(p / (1 - p)) of p = P(replaced), in nats, the unit of natural logarithms. We compare that
# with the attention the word paid to the hidden token, the mean of all heads.
#
# **Guess first.** In how many sentences of ten is the token most looked at also the one most needed? (The cell after
# the next asks the model about 186 sentences, which takes some seconds.)

# %%
from electra_tutorial.course.check import full_or_fast


def look_and_need(ids, word):
    """What `word` pays to each other token, and how far it moves without that one."""
    T = len(ids)
    hide_one = ~torch.eye(T, dtype=torch.bool)  # (T, T): row k hides token k
    with torch.no_grad():
        full, layers = discriminator(torch.tensor([ids]), return_attention=True)
        without = discriminator(torch.tensor([ids] * T), hide_one)  # (T, T)
    paid = torch.stack(layers)[:, 0, :, word].mean(dim=(0, 1))  # (T,)
    others = torch.arange(T) != word
    return paid[others], (without[:, word] - full[0, word]).abs()[others]


# %%
found = []
for pair in exam.hard[:full_or_fast(200, 40)]:
    good, bad = (tokenizer.encode(text).ids for text in (pair.good, pair.bad))
    changed = [n for n, (a, b) in enumerate(zip(good, bad, strict=False)) if a != b]
    if len(good) == len(bad) and len(changed) == 1:
        found.append(look_and_need(bad, changed[0]))
hits = sum(bool(paid.argmax() == need.argmax()) for paid, need in found)
chance = sum(1 / len(paid) for paid, _ in found)
print(f"in {hits} of {len(found)} sentences; by chance in {chance:.0f}")
expect(2 * chance < hits < len(found), "More often than chance, and not always.")

# %%
from electra_tutorial.views.picture import BLUE, Picture, new_figure

paid, need = (torch.cat(part) for part in zip(*found, strict=True))
figure = new_figure(5.6, 3.2)
axes = figure.subplots()
axes.plot(paid, need, "o", color=BLUE, markersize=3, alpha=0.4)
axes.set(xlabel="attention paid", ylabel="change when hidden (nats)", ylim=(0, None))
Picture(figure, f"Attention paid to {len(paid)} tokens, and what hiding each changes: a wide "
                "cloud. Both rise together, but many a look changes little.")

# %% [markdown]
# In about seven sentences of ten, where chance finds one: far better than chance, and not always. There are
# reasons: a head cannot look away, so it parks its attention somewhere; a small value hands little over, however
# large its share; and behind the first layer, the list at the place of *keys* is no longer that of *keys* alone.
# So take a map as a *guess* about the model, and test it: hide the token, shuffle the words, see whether the
# output moves. People have argued about this with good reasons on both sides (see the end of the lesson).

# %% [markdown]
# ## 12. Break it <!-- weave: second reading -->
#
# In the cells of this section `attention_weights` stands once more, with bugs to choose from. It takes the place of
# the package's for one pass of the mini ELECTRA over pairs of the exam, each a good sentence and one with a word
# changed. A pair is right if the good one has less suspicion in all. Change what you like.
#
# **Guess first.** Which of the four bugs does the exam notice?

# %%
from unittest.mock import patch


def buggy(axis=-1, scaled=True, mask="keys"):
    """An `attention_weights` with bugs to choose from."""
    def weights(query, key, visible):
        scores = query @ key.mT / (query.shape[-1] ** 0.5 if scaled else 1)
        hidden = {"keys": ~visible, "queries": ~visible.mT, "none": ~visible & False}
        return scores.masked_fill(hidden[mask], -1e9).softmax(dim=axis)
    return weights

# %%
def examine(weights):
    """Share of pairs right, and mean P(replaced), with these attention weights."""
    with patch("electra_tutorial.model.attention_weights", weights), torch.no_grad():
        logits, _ = discriminator(ids, attention_mask, return_attention=True)
    score = (F.logsigmoid(-logits) * attention_mask).sum(dim=1)  # log P(all original)
    p = logits[attention_mask].sigmoid().mean().item()
    return (score[::2] > score[1::2]).float().mean().item(), p


# %%
pairs = exam.hard[:full_or_fast(200, 40)]
texts = [text for pair in pairs for text in (pair.good, pair.bad)]
ids, attention_mask = pad([tokenizer.encode(text).ids for text in texts])
bugs = {"no bug": {}, "softmax over queries": {"axis": -2},
        "not scaled": {"scaled": False}, "queries masked": {"mask": "queries"},
        "nothing masked": {"mask": "none"}}
seen = {name: examine(buggy(**bug)) for name, bug in bugs.items()}
assert abs(seen["no bug"][1] - examine(attention_weights)[1]) < 1e-4

# %%
for name, (pairs_right, p) in seen.items():
    print(f"{name:22} pairs right {pairs_right:.2f}   mean P(replaced) {p:.2f}")
noticed = [name for name in seen if seen[name][0] < seen["no bug"][0] - 0.1]
expect(not noticed, "The exam notices none of the four bugs.")

# %% [markdown]
# None of the four. Most of them move P(replaced), and no more than a few pairs in a hundred are lost by it: both
# sentences of a pair suffer alike, so most of the damage cancels. **A good score does not prove right code.** What
# finds these bugs is a claim that must hold: rows sum to 1; padding gets 0; a sentence alone and in a batch get the
# same. That is why every section here has an assert. (Put minus infinity in place of -1e9: a row in which all is
# hidden becomes 0/0 = `nan`. That at least is loud.)

# %% [markdown]
# ## 13. What it costs <!-- weave: second reading -->
#
# Every token looks at every token: T × T scores a head. But the four matrices of the layer cost as well: 4 T D²
# products, against 2 T² D for scores and sums.
#
# **Guess first.** T doubles. What happens to the time and the memory of the weights? And at which T do pairs of
# tokens cost as much as the matrices, if D is 128?

# %%
from time import process_time


def cost(T, d=32, heads=4):
    """Milliseconds of one attention, written out, and MB of its weights."""
    a, b, c = torch.randn(3, heads, T, d)
    times = []
    for _ in range(3):
        start = process_time()
        weights = attention_weights(a, b)
        weights @ c
        times.append(process_time() - start)
    return 1000 * min(times), weights.nbytes / 2**20

# %%
D, largest = 128, full_or_fast(2048, 1024)
costs = {T: cost(T) for T in (16, 64, 256, largest // 2, largest)}
for T, (ms, megabytes) in costs.items():
    pairs, matrices = 2 * T**2 * D, 4 * T * D**2
    print(f"T {T:4}  {ms:7.2f} ms  {megabytes:7.3f} MB   "
          f"{pairs / (pairs + matrices):.0%} of the products are for pairs")
expect(costs[largest][0] > 2.5 * costs[largest // 2][0], "Twice the T costs more than twice.")

# %% [markdown]
# Both grow with T²: four times for each doubling, and the time by more once the weights no longer fit into the
# processor's cache. Pairs and matrices cost the same at T = 2D, here 256. At the length of our sentences, T² is
# hardly noticed. It is the price of long texts. The fused form does the same work, but need not keep the
# weights.
#
# **What differs from the paper.** Nothing in the mechanism. ELECTRA-Small has 12 layers of 4 heads with 64
# features each, and rows of 128 tokens (paper, appendix A). The mini ELECTRA has the sizes printed in section
# 8, and one sentence a row. Heads that look one place back are found in large models too (Clark et al. 2019).

# %% [markdown]
# ## 14. What usually goes wrong
#
# - **`nan` after the softmax.** A row in which everything is hidden: 0/0. Does the mask hide rows (who looks) in
#   place of columns (who is looked at)? Is there a row of padding alone?
# - **Results depend on the batch.** The mask is missing, or upside down: some libraries mean True = *hidden*.
#   Compare a sentence alone with the same one in a batch.
# - **All shapes fit, and it learns badly.** `view` without `transpose`; a softmax over the wrong axis. Put in
#   numbers that tell where they come from, as in section 7.
# - **The mask broadcasts along a wrong axis.** `(B, T)` against `(B, H, T, T)` matches the last two axes
#   from the right. Write `mask[:, None, None, :]`.
# - **You ask for attention weights and get nothing.** The fused form has none to give.
#
# ## 15. Questions
#
# <details><summary>1. Why can no sum of one number for each word find both wrong sentences of section 1?</summary>
#
# The two right and the two wrong sentences hold the same words, so both pairs have the same sum.
# </details>
#
# <details><summary>2. If tokens only ever looked for their own kind, which matrix could you spare?</summary>
#
# Query and key could be one: the score would be the same both ways. A verb that looks for a noun needs two.
# </details>
#
# <details><summary>3. All scores of a row are 0. What are the shares? And if all scores are 100?</summary>
#
# Equal shares, 1/T each, both times. The softmax looks at differences alone.
# </details>
#
# <details><summary>4. From d = 16 to d = 1600: how much further do undivided scores spread?</summary>
#
# 10 times: the square root of 100.
# </details>
#
# <details><summary>5. A row of padding has all features 0. Why must it be masked still?</summary>
#
# Its score is 0 and e⁰ = 1, so it gets a share, and the real tokens get less.
# </details>
#
# <details><summary>6. Why is it the keys that are masked, and not the queries?</summary>
#
# Padding must not be looked *at*. What it looks at itself harms nobody: nobody reads its result.
# </details>
#
# <details><summary>7. You use 8 heads in place of 4 at D = 128. What changes, and what does not?</summary>
#
# Eight rows of shares for each token, each from 16 features in place of 32. The number of parameters stays.
# </details>
#
# <details><summary>8. Without position embeddings, what is said of <i>bit dog the man the.</i>?</summary>
#
# For each token the same as in <i>The dog bit the man.</i>, in another order.
# </details>
#
# <details><summary>9. In a map <i>is</i> looks at <i>keys</i>. "See, it knows grammar!" Does it?</summary>
#
# Test it. Put another word there, shuffle, hide *keys* and see whether the suspicion moves. A head that looks
# one place back, whatever stands there, gives the same map.
# </details>
#
# <details><summary>10. Your code gets 97 % of the exam pairs. May you leave out the asserts?</summary>
#
# No. A mistake that hits both sentences of a pair alike hardly moves that number. In section 5 a forgotten mask
# changed the probabilities, and nothing complained. (Section 12, for a second reading, tries four such bugs on the
# exam.)
# </details>
#
# ## 16. Where to read more
#
# - Vaswani et al. 2017, *Attention Is All You Need* (arXiv 1706.03762), section 3.2; footnote 4 is the √d.
# - Clark et al. 2020, *ELECTRA* (arXiv 2003.10555), section 2: generator and discriminator are encoders of this
#   kind.
# - Clark et al. 2019, *What Does BERT Look At?* (arXiv 1906.04341): heads that look one place back, heads that
#   park on `[SEP]`.
# - Jain and Wallace 2019, *Attention is not Explanation* (arXiv 1902.10186), and Wiegreffe and Pinter 2019,
#   *Attention is not not Explanation* (arXiv 1908.04626). Read both.
# - Dao et al. 2022, *FlashAttention* (arXiv 2205.14135): how the fused form does without the T × T weights.
#
# Next: **03 · The encoder**, in which attention becomes one part of a block.

# %%
from electra_tutorial.course.mine import progress

progress(2)
