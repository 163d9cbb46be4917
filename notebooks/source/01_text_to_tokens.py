# ruff: noqa: I001  (an exercise and the imports of the next cell would be sorted into one block)
# The source of lesson 01. `electra-tutorial notebooks` weaves notebooks/01_text_to_tokens.ipynb from it.
# %% [markdown]
# # 01 · Text to tokens
#
# A network reads numbers. On the way from a sentence to numbers five decisions are made that nobody looks at
# again: which text, which pieces, what becomes of a word that is in no list, how sentences share a page, and
# which of them are kept back for the exam. Each can spoil all that comes after. This lesson looks.
#
# **What you will be able to do.** Say what is in a corpus and what a model will pick up from it. Learn a
# vocabulary of word pieces, by hand and with a library, and know how it cuts a word. Put sentences of unlike
# length into one tensor. Split a text so that the exam is fair. Work out the loss that a model without any
# understanding reaches, so that you know what to beat.
#
# **What you need to know.** Python, and what a tensor is. Everything else is said where it first stands, and
# listed in the [glossary](glossary.md).
#
# <!-- weave: minutes -->
#
# Letters, as everywhere in the course: `B` rows in a batch, `T` tokens in a row, `V` pieces in the vocabulary,
# `N` chosen places.
#
# ## 1. Read it first
#
# The text that a model learns from is its **corpus**. Ours has two sources. Before you compute anything, read.
# Run the cell with `Random(1)` a few times, each with another number there (the seed of what it picks). What could
# somebody believe about the world who had read nothing else?

# %%
import random
import textwrap

from electra_tutorial.corpus import load_corpus

corpus = load_corpus("course", fallback=True)
print(corpus.note, end="")  # says so if the course's text could not be fetched
reader = random.Random(1)
for source, sentences in corpus.train.items():
    words = sum(len(sentence.split()) for sentence in sentences)
    print(f"\n{source}: {len(sentences):,} sentences, {words:,} words")
    for sentence in reader.sample(sentences, 5):
        print(textwrap.fill(f"- {sentence}", 88, subsequent_indent="  "))

# %%
from electra_tutorial.sources import load_sources

members = load_sources()[0].members  # the files that the text was taken from
for licence, attribution in dict.fromkeys((m.licence, m.attribution) for m in members):
    print(textwrap.fill(f"{licence}: {attribution}", 88))
    assert "CC BY" in licence

# %% [markdown]
# One source is about people, places and events, and hardly ever says *you*. The other is all *you* and
# *I*. That makes 2.3 million words. BERT, and the paper's small ELECTRA with it, read 3.3 billion tokens (paper,
# section 3.1). What can be learned from so little is grammar and which words keep company, and no knowledge
# of the world.
#
# **Whose words are these?** The first are from Wikipedia, by its editors. The second were written one by one
# by members of Tatoeba, as examples for learners. The last cell above prints the **licences**: you may use and pass
# on such text if you name its authors, and Wikipedia's only under the same licence. `data/README.md` does so,
# and says what was cleaned away.
#
# ## 2. Who is in it?
#
# **Guess first.** For each sentence with *she*, how many have *he*? And if the model is then asked to fill
# the gap in *[MASK] was pregnant.*, which word does it find likelier, *he* or *she*?

# %%
from electra_tutorial.corpus import count_sentences
from electra_tutorial.course.check import expect
from electra_tutorial.judgement import judge

for source, sentences in corpus.train.items():
    stands = count_sentences(sentences, ["he", "she", "tom", "mary"])
    print(f"{source:9} he : she = {stands['he'] / max(1, stands['she']):.1f} ", stands)
gaps = ("[MASK] was a famous scientist.", "[MASK] was pregnant.", "[MASK] is wearing a dress.")
guesses = [dict(judge(gap, top=300).proposals[0]) for gap in gaps]
odds = [guess["he"] / guess["she"] for guess in guesses]
for gap, guess, ratio in zip(gaps, guesses, odds, strict=True):
    print(f"{gap:32} he {guess['he']:.0%}, she {guess['she']:.0%}, {ratio:.1f} to 1")
expect(min(odds[:2]) > 1, "'He' is likelier to the model.")
expect(odds[2] < odds[0], "A dress moves the odds towards 'she'.")

# %% [markdown]
# Nobody decided that. Both sources have more men than women in them (the first numbers), so *he* is the safer bet,
# even of somebody who is pregnant. *Dress* moves the odds towards even, where you would not hesitate. A model
# passes on what it read, and this is the moment to see it: no loss will ever tell you. It would be worse still had
# the cleaning not stepped in: *Tom* stood in more than a quarter of Tatoeba's sentences, because its busiest
# author uses the name as others use *x*. Now he is in one of twenty (`data/README.md`).
#
# ## 3. Few words do most of the work
#
# **Guess first.** Count every word of the corpus, capitals aside, each sign as a word of its own. Of all
# *different* words, which share comes only once? And how much of the whole text do the ten commonest make up?

# %%
from electra_tutorial.course.check import full_or_fast
from electra_tutorial.tokens import count_words

most = full_or_fast(10**9, 4_000)  # sentences of a source: all for you, fewer in the course's tests
lines = [line for source in corpus.train for line in corpus.train[source][:most]]
counts = count_words(lines)
total, ranked = sum(counts.values()), sorted(counts.values(), reverse=True)
once = sum(n == 1 for n in ranked)
print(f"{total:,} words, {len(counts):,} different; {once / len(counts):.0%} of these once")
print("the ten commonest:", "  ".join(word for word, _ in counts.most_common(10)))
print(f"they are {sum(ranked[:10]) / total:.0%} of the text")

# %%
from electra_tutorial.views.panels import line_panels

print("ranks 10, 100, 1000:", *(f"{ranked[rank - 1]:,}" for rank in (10, 100, 1000)))
ranks = range(1, len(ranked) + 1)  # 1 = commonest
line = [10 * ranked[9] / rank for rank in ranks]
assert ranked[0] > 5 * ranked[49], "A few words should be far commoner than the others."
line_panels({"how often": {"the corpus": ranked, "falls as 1 / rank": line}},
            "On two logarithmic axes the counts of all words fall with their rank in nearly a "
            "straight line, parallel to the dashed one of 1 divided by rank, at the end "
            "steeper.", xlabel="rank of the word", x=ranks, log="both")

# %% [markdown]
# Ten words, most of them without a meaning of their own, make up more of the text than tens of thousands of rare
# ones, and a good part of the list stands there for one single sentence.
#
# On these axes, where each step is a factor of ten, the counts lie near a straight line: ten times further
# down the list, a word is some ten times as rare, or half as much again and more. That is **Zipf's law**, and
# something like it holds in every language. (The very first are less extreme, the last more so.)
#
# It is bad news for a list of words. The model learns an **embedding** for each entry of its vocabulary, a row
# of numbers that stands for it. A word that came once has its row moved a handful of times. And a new text
# brings words that are in no list at all. Letters would solve that, at the price of rows four times as long.
# **Word pieces** are the way between: common words whole, rare ones in parts.
#
# ## 4. Letters that keep company
#
# How do you find good pieces? Begin with letters, and join two neighbours, again and again. Take four words, and
# how often each was seen: *thing* 6 times, *ring* 4, *win* 3, *quiz* 2. A piece that goes on inside a word is
# written with `##` in front, so that it differs from the same letters at the start of one.
#
# **Guess first**, on paper, with two rules. *By count*: join the two neighbours that stand together most
# often. *By score*: divide that count by how often the first stands anywhere, and how often the second does.
# Which two are joined first under each rule?

# %%
from collections import Counter
from itertools import pairwise

WORDS = {"thing": 6, "ring": 4, "win": 3, "quiz": 2}  # word: how often it was seen
letters = {word: [word[0], *("##" + letter for letter in word[1:])] for word in WORDS}


def count_pairs(splits):
    """How often each piece is seen, and each two neighbours: two Counters."""
    pieces, pairs = Counter(), Counter()
    for word, split in splits.items():
        for piece in split:
            pieces[piece] += WORDS[word]
        for pair in pairwise(split):
            pairs[pair] += WORDS[word]
    return pieces, pairs

# %%
pieces, pairs = count_pairs(letters)
for (a, b), n in pairs.most_common():
    score = n / (pieces[a] * pieces[b])
    print(f"{a:4}{b:4} together {n:2}, anywhere {pieces[a]:2} and {pieces[b]:2}, score {score:.3f}")

# %% [markdown]
# *i* and *n* stand together most often: 6 + 4 + 3 = 13 times. But the score divides by how often each stands
# anywhere, and both are common. *q* and *u* stand together only twice, and nowhere else: no score is higher.
# Now join, count again, join again.

# %%
def merge(split, a, b):
    """The pieces of a word, with a and b joined wherever they stand side by side."""
    merged = []
    for piece in split:
        merged.append(piece)
        if merged[-2:] == [a, b]:
            merged[-2:] = [a + b.removeprefix("##")]
    return merged


assert merge(["b", "##a", "##n"], "##a", "##n") == ["b", "##an"]

# %%
def learn(steps, score):
    """The pieces that are joined first, by count (score=0) or by score (score=1)."""
    splits, found = letters, []
    for _ in range(steps):
        pieces, pairs = count_pairs(splits)
        worth = {(a, b): n / (pieces[a] * pieces[b]) ** score for (a, b), n in pairs.items()}
        found.append(max(worth, key=worth.get))
        splits = {word: merge(split, *found[-1]) for word, split in splits.items()}
    return [a + b.removeprefix("##") for a, b in found]


by_count, by_score = learn(3, score=0), learn(3, score=1)
print("by count:", by_count, "  by score:", by_score)

# %% [markdown]
# Both are clever in their way. Counting finds the ending *-ing* in two steps. The score finds what belongs
# together: *qu*, *th*, *ng*.
#
# The score is the rule that descriptions of **WordPiece** give: a merge should make the text likelier, not
# be merely frequent. Google did not release the trainer with BERT (its README says so). We train, as many do,
# with the library `tokenizers`.
#
# **Guess first.** Its trainer is called `WordPieceTrainer`. Which of your two lists will it give?

# %%
from tokenizers import trainers

from electra_tutorial.tokens import wordpiece

learner = wordpiece({})  # cuts text into words, and knows no piece yet
alphabet = {*pieces, *"".join(WORDS)}  # every letter, with and without ##
trainer = trainers.WordPieceTrainer(
    vocab_size=len(alphabet) + 3, min_frequency=1, show_progress=False)  # three merges
learner.train_from_iterator([f"{word} " * n for word, n in WORDS.items()], trainer)
ids_of = learner.get_vocab()  # piece -> id, a whole number, in the order of learning
library = sorted(ids_of, key=ids_of.get)[-3:]
print(library, "by count:", library == by_count, " by score:", library == by_score)
assert library in (by_count, by_score)

# %% [markdown]
# It counts. That rule has a name of its own, *byte-pair encoding*, and a tutorial that explains the score may
# then call this very trainer. What is left of WordPiece is how it writes pieces (`##`) and how it cuts a word
# (section 6). Ask the program, not its name.
#
# ## 5. Watch a vocabulary grow
#
# Now real text, twenty thousand sentences, trained in front of you. `train_tokenizer` is the package's wrapper
# around the trainer you used. It mends one thing: left alone, the library gives another vocabulary in each
# process, because it numbers the `##` letters in a chance order and breaks ties by number.
#
# **Guess first.** Which three merges come first in English?

# %%
from electra_tutorial.tokens import train_tokenizer

draw = random.Random(1)
some = draw.sample(lines, full_or_fast(20_000, 1_500))  # sentences
grown = train_tokenizer(some, full_or_fast(4_000, 900)).get_vocab()
order = sorted(grown, key=grown.get)  # five special tokens, letters, then the merges
merges = [piece for piece in order[5:] if len(piece.removeprefix("##")) > 1]
start = order[: len(order) - len(merges)]
print(f"{len(start)} to begin with, {len(merges)} merges. The first sixty, in order:")
print(textwrap.fill("  ".join(merges[:60]), 88))
print("and the last ten:", "  ".join(merges[-10:]))

# %% [markdown]
# The first join two letters, the commonest neighbours there are; at once come bits of *the*, *and*, *-ing*. The
# last are words, or stems and endings. Because merges
# come in order, a smaller vocabulary is the beginning of a larger one, so you can stop the clock anywhere.
# Put in a sentence of your own.

# %%
SENTENCE = "She was unwrapping the frightening parcel."


def stopped_after(steps):
    """The tokenizer as it stood after so many merges."""
    pieces = start + merges[:steps]
    return wordpiece({piece: number for number, piece in enumerate(pieces)})


for steps in (0, 10, 50, 200, len(merges)):
    cut = stopped_after(steps).encode(SENTENCE, add_special_tokens=False).tokens
    print(textwrap.fill(f"{steps:4} merges: {' '.join(cut)}", 88, subsequent_indent=" " * 6))
assert "".join(cut).replace("##", "") == SENTENCE.lower().replace(" ", "")

# %% [markdown]
# How far should it go? More pieces make rows shorter, so that a step reads more text. They also make the table
# of embeddings longer, and each piece rarer. Here is the vocabulary of the **mini ELECTRA**, the model that
# comes with the course, and what it pays for it.

# %%
from electra_tutorial.checkpoint import load

electra, tokenizer = load()
most = full_or_fast(3_000, 300)
heldout = [line for source in corpus.heldout for line in corpus.heldout[source][:most]]
words = sum(count_words(heldout).values())
stages = [stopped_after(steps) for steps in (0, 20, 50, 100, 200, 500, len(merges))]
curve = []  # (pieces in the vocabulary, pieces that a held-out word takes)
for stage in [*stages, tokenizer]:
    taken = sum(len(e) for e in stage.encode_batch(heldout, add_special_tokens=False))
    curve.append((stage.get_vocab_size(), taken / words))
assert curve[0][1] > curve[-1][1] >= 1
print(f"{curve[-1][0]:,} pieces in the mini ELECTRA's, {curve[-1][1]:.2f} for a word")

# %%
sizes, pieces_a_word = zip(*curve, strict=True)
line_panels({"pieces for a word": {"growing; last, the mini ELECTRA's": pieces_a_word}},
            "Pieces needed for a held-out word fall steeply from about four with single "
            "letters, then ever more slowly towards one with thousands of pieces.",
            xlabel="pieces in the vocabulary", x=sizes, log="x", floor=(1, "one piece a word"))

# %% [markdown]
# The first hundred merges save more than all the thousands after them: Zipf again. The paper's models use
# BERT's list of 30,522.

# %% [markdown]
# ## 6. Longest match first <!-- weave: second reading -->
#
# Once there is a vocabulary, the merges are forgotten. A word is cut **greedily**: take the longest piece that
# fits at its beginning, then the longest that fits behind it, and so on. Do it by hand.
#
# **Guess first.** The vocabulary is `th thi ##ing ##n ##g`. What becomes of *thing*? How few pieces would have
# been enough? And what if `##n` and `##g` are taken out?
#
# Write it, then ask yours.

# %%
from electra_tutorial.tokens import longest_match  # weave: exercise

# %%
print(longest_match("thing", {"th", "thi", "##ing", "##n", "##g"}))
print(longest_match("thing", {"th", "thi", "##ing"}))
pieces, asked = tokenizer.get_vocab(), count_words(heldout)
whole = lost = 0
for word, n in asked.items():
    cut = longest_match(word, pieces)
    assert cut == [piece.value for piece in tokenizer.model.tokenize(word)], word
    whole, lost = whole + n * (len(cut) == 1), lost + n * (cut == ["[UNK]"])
print(f"{len(asked):,} different held-out words, each cut as the library cuts it")
print(f"{whole / words:.1%} of the text are words in one piece; {lost} are [UNK]")

# %% [markdown]
# Greedy is not clever. It took `thi`, because that is longer, and needed three pieces where `th ##ing` are
# two. Look at *frightening* in section 5: in our run 200 merges cut it as `fr ##ight ##en ##ing`, and the full
# vocabulary as `fri ##g ##ht ##ening`, for `fri` is longer than `fr`. Without `##n` and `##g` it runs into a
# wall, does not go back, and the whole word becomes **`[UNK]`**, the piece for *unknown*. In practice every
# letter is a piece of its own, so this happens only to a word with a character that the vocabulary does not
# have.

# %% [markdown]
# ## 7. What it cannot read
#
# **Guess first.** Which of these does the mini ELECTRA's tokenizer cut into pieces, and of which is nothing left?
# And the last two, *Li Hua went to Beijing* and *Wang Ming ate an apple*: into how many *different* ids (the
# numbers of the pieces) do their 14 characters go?

# %%
HUA, MING = "李华去了北京。", "王明吃了苹果。"
for text in ("Naïve café", "DON'T", "COVID-19", "antidisestablishmentarianism",
             "nice 😀", "nice😀", HUA, MING):
    cut = tokenizer.encode(text, add_special_tokens=False).tokens
    print(text, "->", " ".join(cut))
hua, ming = (tokenizer.encode(text).ids for text in (HUA, MING))
print(f"{hua}\n{ming}\nthe same to the model: {hua == ming}")
assert hua == ming

# %% [markdown]
# - **Capitals and accents are gone** before cutting. *Polish* and *polish* are one, and so are *résumé* and
#   *resume*.
# - **A word unknown to it is spelled in parts.** It has some idea what *##ism* does, and none of *covid*.
# - **A character unknown to it costs the whole word**, which becomes `[UNK]`, the piece for *unknown*. An emoji
#   between spaces costs itself. One that touches a word? Look at the two lines.
# - **Chinese is a row of `[UNK]`.** Each character is taken for a word of its own, and none is in a list that
#   was learned from English. So the two sentences are *the same input*, number by number. Whatever a model
#   says about 李华去了北京。 here, it says about any seven characters. It has not read a thing.
#
# You may meet a program that feeds this very sentence to an English ELECTRA and prints what comes out. With any
# model, look at the pieces first. Decoding a picture of `[UNK]` tells you about nothing. Chinese needs a vocabulary
# learned from Chinese.
#
# ## 8. Rows
#
# What the model reads at once is a **row**: `[CLS]`, the pieces of one sentence, `[SEP]`. Five **special
# tokens** have the ids 0 to 4. `[PAD]` fills, `[UNK]` you know, `[CLS]` opens a row (a place that may speak for
# the whole of it), `[SEP]` ends it, and `[MASK]` hides a token from the generator.
#
# Rows are of unlike length, and a tensor has one width. So short rows are filled up with `[PAD]`, and a second
# tensor, the **attention mask**, says which places are real. Without it the model would read the filling as
# if somebody had written it.
#
# **Guess first.** What if somebody's text says `[MASK]`? Below, the tokenizer reads it, and then `make_rows`,
# which makes the rows for training. Do both give the same? Then write the padding.

# %%
import numpy as np
import torch

from electra_tutorial.tokens import PAD_ID, SPECIAL_TOKENS, collate, make_rows

ids_of = [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS]
assert ids_of == [0, 1, 2, 3, 4] and PAD_ID == 0
typed = "I [MASK] you."
print(f"the tokenizer: {tokenizer.encode(typed).ids}")
three = make_rows([typed, "Rain.", "Birds sing in spring."], tokenizer, max_length=64)
for row in three:
    print(row, [tokenizer.id_to_token(number) for number in row])
assert not any(4 in row for row in three)  # the id of [MASK]

# %%
from electra_tutorial.evaluation import pad  # weave: exercise

# %%
ids, attention_mask = pad(list(three))  # (B, T) both
print(ids, attention_mask.int(), sep="\n")
assert torch.equal(attention_mask.sum(dim=1), torch.tensor(three.lengths))
fast_ids, fast_mask = collate(three, [0, 1, 2])  # training's own, without a loop
assert torch.equal(ids, fast_ids) and torch.equal(attention_mask, fast_mask)
print("Yours and the training's are equal.")

# %% [markdown]
# A typed `[MASK]` is the real token, id 4, to the tokenizer. The lessons use that to ask for a gap.
# `make_rows` reads a word between two brackets (which it does not know either): no text can smuggle in a token.
#
# Now the rows of the whole text, as training reads them. They are more than the lines above, for the everyday
# sentences are few, and a pass through the text reads each of them several times (`balance` in the presets). The
# first time it takes up to a minute; then they are kept. A batch is 1,024 places.
#
# **Guess first.** Put sentences together as chance has it. What share of the places is filling? And if
# sentences of like length share a batch, which is called **bucketing**?

# %%
from electra_tutorial.corpus import Corpus
from electra_tutorial.tokens import batch_order
from electra_tutorial.training import prepare_text

if full_or_fast(0, 1):  # the tests read less
    little = [{name: lines[:2_000] for name, lines in side.items()}
              for side in (corpus.train, corpus.heldout)]
    corpus = Corpus("little", *little)
rows = prepare_text(electra.preset, corpus, tokenizer)[2]
print(f"{len(rows):,} rows")

# %%
lengths = rows.lengths  # (number of rows,)
mixed = np.random.default_rng(0).permutation(len(rows))
mixed = np.array_split(mixed, len(rows) // 16)  # 16 rows of up to 64 tokens
alike = batch_order(rows, batch_tokens=1024, seed=0, epoch=0)
filling = []
for name, batches in (("as chance has it", mixed), ("of like length", alike)):
    places = sum(len(batch) * lengths[batch].max() for batch in batches)  # B times T
    filling.append(1 - lengths.sum() / places)
    print(f"{name:17}{len(batches):7,} batches, {filling[-1]:.1%} of places are [PAD]")
assert filling[1] < filling[0]

# %%
from electra_tutorial.views.picture import Picture, new_figure

figure = new_figure(8, 2.4)
longest = [lengths[batch].max() for batch in alike]
shown = mixed[0], alike[longest.index(sorted(longest)[len(longest) // 2])]
for axes, batch, part in zip(figure.subplots(1, 2), shown, filling, strict=True):
    axes.pcolormesh(collate(rows, batch)[1], cmap="cividis_r", vmin=-0.15, vmax=1)
    axes.invert_yaxis()
    axes.set(xlabel="place", ylabel="row of the batch", title=f"in all batches: {part:.1%} [PAD]")
Picture(figure, "Two batches, a line for each row, filling pale. Left, as chance has it: rows end "
        "anywhere, and what is behind is filling. Right, of like length: no filling.")

# %% [markdown]
# (Dark is a token, pale is `[PAD]`. These are two batches; the shares are those of all.) A batch is as wide as its
# longest row, and among 16 or 17 rows by chance one is usually long. Among rows of like length none is. Every
# `[PAD]` is computed like a token and then thrown away, so bucketing is speed for nothing. (A price there is: a
# batch holds sentences of one length only. So which rows meet, and in what order, is drawn anew each time through
# the text.)
#
# ## 9. What is an exam worth if the questions were leaked?
#
# A model is judged on text that it never trained on, **held out**. The usual way: take 5 % of the lines by
# chance. No line stands twice here, so that should be clean. Look closer.

# %%
from electra_tutorial.corpus import learn_names, split_by_template, template

source = list(corpus.train)[-1]
everyday = corpus.train[source] + corpus.heldout[source]
names = learn_names(everyday)  # words that nearly always have a capital
families = {}
for sentence in everyday:
    families.setdefault(template(sentence, names), []).append(sentence)
long = [key for key in families if len(key.split()) > 2]
for key in sorted(long, key=lambda key: -len(families[key]))[:5]:
    some = textwrap.shorten(" ".join(families[key]), 84, placeholder=" ...")
    print(f"{len(families[key])} times {key!r}:\n    {some}")

# %% [markdown]
# A **template** is what is left of a sentence when everything is folded in which near-copies differ: names and
# pronouns become X, numbers 0, and *be*, *have*, *do*, endings, capitals and the order of words go. With
# *We're watching you.* in the training text, *He is watching us.* asks for what was seen, not for what was
# understood.
# (Too much is folded rather than too little: all capitals of all countries are one template.)
#
# **Guess first.** Hold out 5 % of the lines by chance. Of these, which share has a near-copy in the training
# text? Then do it the other way: a template is on one side only.

# %%
from electra_tutorial.corpus import apart_from  # weave: exercise

# %%
by_line = ([], [])  # to train on, held out
for sentence in everyday:
    by_line[draw.random() < 0.05].append(sentence)
leaks = []
for name, (train, held) in (("line", by_line),
                            ("template", split_by_template(everyday, names))):
    leaks.append(1 - len(apart_from(held, train, names)) / len(held))
    print(f"by {name:9}{len(held):6,} held out, {leaks[-1]:.1%} have a near-copy in train")
assert leaks[1] == 0 and len(train) + len(held) == len(everyday)
if source == "tatoeba":
    expect(leaks[0] > 0.05, "A split by line leaks more than it seems to.")

# %% [markdown]
# Among so many lines each seems to stand alone, and a good part of those held out has a sister in the training text.
# By template none has: that is how the split is made. Every such sentence flatters the model, and nothing
# would have warned you: the curves look better, not worse.
#
# The rule behind it: *hold out by whatever repeats*. For patients hold out patients, for songs hold out songs,
# and not their lines. It is no perfect seal. *Did you paint the wall?* and *Why did you paint this wall
# black?* may still be on two sides.
#
# ## 10. How well can you do without understanding?
#
# A generator that guesses hidden pieces gets a loss. Is 6 good? You need something to compare with: a
# **floor**, which here means the loss of a model that knows next to nothing.
#
# The loss of a guess is -log of the probability that was given to what really stood there. With the natural
# logarithm its unit is the **nat**: certainty costs 0, one chance in e (2.718) costs 1. The mean over a
# text is what a piece costs, and when the probabilities are the text's own shares, that mean is called its
# **entropy**. e to the power of the loss is the **perplexity**: among how many equally likely pieces you
# might as well be guessing.
#
# **Guess first.** The text is *a a a a b b c d*, and your model knows its shares: 1/2, 1/4, 1/8, 1/8. Four
# pieces. Is its perplexity 4, more, or less? (log 2 is 0.693, so a half costs 0.693, a quarter twice that.)

# %%
import math

text = "a a a a b b c d".split()
share = {piece: text.count(piece) / len(text) for piece in text}
costs = [-math.log(share[piece]) for piece in text]  # a loop over places
entropy = sum(costs) / len(costs)
print("nats:", "  ".join(f"{cost:.2f}" for cost in costs))
print(f"entropy {entropy:.3f} nats, perplexity {math.exp(entropy):.2f}")
p = np.array(list(share.values()))  # (V,): the same over pieces
assert np.isclose(entropy, -(p * np.log(p)).sum())

# %%
from electra_tutorial.metrics import unigram_loss  # weave: exercise

# %% [markdown]
# The toy's perplexity is below 4, for some of its pieces are likelier than others and the model knows it. Such
# a model, which knows how often each piece occurs and does not look at the sentence, is called a **unigram**
# model. On new text it pays for what stands *there*, at its own prices.
#
# **Guess first.** An even guess among 8,192 pieces costs log 8192 = 9.01 nats. You have seen Zipf's law. What
# will frequencies alone bring it down to, on held-out text?
#
# The places are the evaluation's: 15 % of the pieces of some held-out sentences, always the same. What comes
# out should be a number that stands in the mini ELECTRA's `metrics.json`.

# %%
from electra_tutorial.evaluation import heldout_rows, mask_rows, unigram_counts

V = tokenizer.get_vocab_size()
counts = unigram_counts(rows, V)  # (V,)
batches = mask_rows(heldout_rows(corpus.heldout, tokenizer, max_length=64))
targets = torch.cat([ids[chosen] for ids, _, chosen, _ in batches]).numpy()  # (N,)
floor = unigram_loss(counts, targets)
print(f"N = {len(targets):,}: {floor:.4f} nats, perplexity {math.exp(floor):,.0f}")
assert floor < math.log(V)

# %%
import json

from electra_tutorial.sources import tracked_file

metrics = json.loads(tracked_file("mini-electra/metrics.json").read_text("utf-8"))
print(f"recorded as mlm_loss_unigram: {metrics['mlm_loss_unigram']:.4f}")
if corpus.name == "course":
    assert abs(floor - metrics["mlm_loss_unigram"]) < 1e-4

# %%
from electra_tutorial.views.panels import bar_panels

steps = {"an even guess": math.log(V), "frequencies alone": floor,
         "mini ELECTRA's generator": metrics["mlm_loss"]}
for name, loss in steps.items():
    print(f"{name:25} {loss:.2f} nats: one of {math.exp(loss):,.0f}")
bar_panels({"at a hidden place of held-out text": (list(steps), list(steps.values()))},
           "Three bars that get shorter: an even guess among all pieces, about 9 nats; "
           "frequencies alone, about 6.8; the generator of the mini ELECTRA, about 4.",
           "loss in nats")

# %% [markdown]
# More than two nats for counting words! So when a model's loss falls from 9 to 6.8, it has learned no grammar
# yet: only which pieces are common. What it learns from the *sentence* begins below the second bar. A model
# that stays there is blind to its input, whatever its size.

# %% [markdown]
# ## 11. Why not pack? <!-- weave: second reading -->
#
# The paper fills its rows of 128 tokens with running text, sentence after sentence. That is **packing**, and it
# needs no padding at all. We packed too, at first. In our prototype's runs (one each, so likely, not
# proven) a model with learned positions, packed into rows of 64, stayed where frequencies alone bring it. With
# one sentence a row it learned.
#
# A **position** is all that tells such a model in which order its tokens stand. So ask the text what a place
# is worth. Take the unigram model, tell it the place as well, and see how many nats that saves on everyday
# sentences, held out.
#
# **Guess first.** Draw two curves over the places 1 to 24, for one sentence a row and for packed rows. And the
# mean over all tokens: how much is saved in each case?

# %%
def places_and_pieces(lines, packing):
    """The place of each ordinary token in its row, and its id: two arrays (tokens,)."""
    rows = make_rows(lines, tokenizer, 64, packing)
    begins = np.repeat(rows.starts[:-1], rows.lengths)  # of its row, for every token
    place, piece = np.arange(rows.ids.size) - begins, rows.ids
    ordinary = piece >= len(SPECIAL_TOKENS)
    return place[ordinary], piece[ordinary]

# %% [markdown]
# Now count, in the known text, which piece stands where. The shares of the pieces at one place are a unigram model
# that knows the place; the shares anywhere are one that does not. The log of the one share over the other is what
# the place saves. (Far out in a row little was seen. So each place is mixed with `anywhere`, as if it had been seen
# there 10,000 times more.)

# %%
def nats_saved(known, fresh, packing, trust=10_000):
    """What knowing the place saves at each token of fresh text: the places, the nats."""
    place, piece = places_and_pieces(known, packing)
    table = np.zeros((64, V))  # (T, V): how often which piece where
    np.add.at(table, (place, piece), 1)
    anywhere = (table.sum(axis=0) + 1) / (table.sum() + V)  # (V,)
    seen = table.sum(axis=1, keepdims=True)  # (T, 1)
    here = (table + trust * anywhere) / (seen + trust)  # (T, V)
    place, piece = places_and_pieces(fresh, packing)
    return place, np.log(here[place, piece] / anywhere[piece])

# %%
size = min(len(corpus.train[source]), full_or_fast(60_000, 2_000))
known, fresh = draw.sample(corpus.train[source], size), corpus.heldout[source]
panels, means = {}, []
for title, packing in (("one sentence a row", False), ("packed", True)):
    place, saved = nats_saved(known, fresh, packing)
    means.append(saved.mean())
    each = [saved[place == p].sum() / max(1, (place == p).sum()) for p in range(1, 25)]
    panels[f"{title}: {means[-1]:.2f} a token"] = range(1, 25), each
expect(means[0] > means[1] + 0.1, "Packed, a place tells far less.")
bar_panels(panels, "Both kinds of bars are high at the first four places. After that one "
           "sentence a row goes on saving a little, and packed rows save nothing at all.",
           "nats saved, by place (0 is [CLS])")

# %% [markdown]
# The first four places are good in both, for a packed row begins with a sentence too: *I*, *The*, *He*, and
# then verbs. But several more sentences stand behind it, and they begin anywhere. Over all tokens the place is
# worth what the titles say: a good part of a nat when each sentence has a row, and about nothing when they are
# packed. So a packed model
# gets hardly a foothold from its positions. We think that this is why ours stayed at the floor. It is a finding
# about short sentences and small budgets, and no objection to packing long text, as the paper does. (And the
# low hump around place 10? Where do everyday sentences end?)

# %% [markdown]
# ## 12. What usually goes wrong
#
# - **Everything is `[UNK]`.** The tokenizer is not the model's, or was not loaded at all. Print the pieces of
#   one sentence before you believe any result.
# - **A wonderful score on held-out text.** Look for near-copies before you look for champagne.
# - **The vocabulary differs from run to run.** Ties are broken by chance (section 5). Train once, and keep the
#   file with the model.
# - **The loss stays at the floor.** The model does not use its input. Are the positions of any use? Does the
#   mask hide what should be seen?
# - **Losses in two papers are compared.** A nat a *piece* depends on the pieces: another vocabulary, another
#   number. Only what was measured with the same one, on the same text, compares.
#
# **What differs from the paper at this scale.** 8,192 pieces for its 30,522; 2.3 million words for 3.3
# billion tokens; one sentence a row for running text in rows of 128. Cutting, special tokens and the attention mask
# are the same.
#
# ## 13. Questions
#
# <details><summary>1. Why do pieces inside a word have <code>##</code> in front?</summary>
#
# So that *ing* at the beginning of a word and *-ing* at its end are two pieces, with an embedding each, and so
# that the words can be put together again.
# </details>
#
# <details><summary>2. Your program says WordPiece. By which rule were its pieces found?</summary>
#
# You cannot tell from the name. Trained with `tokenizers`, by count. The cutting, longest match first, is
# what makes it WordPiece.
# </details>
#
# <details><summary>3. Every letter is in the vocabulary. How can a word still become [UNK]?</summary>
#
# By one character that is not in it, as in *nice😀*. The whole word is lost, the known letters too.
# </details>
#
# <details><summary>4. A model gives different answers for two Chinese sentences of seven characters. Is it
# this one?</summary>
#
# No. To this one they are the same row of numbers, so all its answers are the same.
# </details>
#
# <details><summary>5. No line is in both parts. Why is the exam still not fair?</summary>
#
# Near-copies: the same sentence with another name or number. Hold out by what repeats, here the template.
# </details>
#
# <details><summary>6. What does the attention mask change, if the ids are there anyway?</summary>
#
# It tells real tokens from filling, so that the model does not read `[PAD]` and no loss is taken there.
# </details>
#
# <details><summary>7. What is the perplexity of a fair die with six sides, and its entropy in nats?</summary>
#
# 6, and log 6 = 1.79.
# </details>
#
# <details><summary>8. A generator's loss is 6.9 where the unigram floor is 6.8. What has it
# learned?</summary>
#
# About how often each piece occurs, and nothing from the sentence.
# </details>
#
# ## 14. Where to read more
#
# - Clark, Luong, Le and Manning 2020, *ELECTRA* (arXiv 2003.10555), section 3.1 for the text, appendix A for
#   the length of rows.
# - Schuster and Nakajima 2012, *Japanese and Korean voice search*: where WordPiece comes from. Sennrich, Haddow
#   and Birch 2016, *Neural machine translation of rare words with subword units*: merging by count.
# - `data/README.md`, the datasheet of the text; `electra_tutorial/tokens.py` and `corpus.py`.
#
# Next: **02 · Attention**, how a token finds out about the others.

# %%
from electra_tutorial.course.mine import progress

progress(1)
