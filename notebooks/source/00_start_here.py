# The source of lesson 00. `electra-tutorial notebooks` weaves notebooks/00_start_here.ipynb from it.
# %% [markdown]
# # 00 · Start here
#
# Somebody has changed one word of a sentence. A small network is going to read it, and say of every word
# how likely it is that this one was put there.
#
# **Guess first.** Below, *has* becomes *have*. Which word will it suspect? Will any other word look
# different to it? Click on the first grey cell and press **Shift + Enter** twice. (The first cell only looks
# whether this notebook was opened by the course.)

# %%
from electra_tutorial.judgement import judge
from electra_tutorial.views.strip import twin_strip

BEFORE = "She has never been to London."
AFTER = "She have never been to London."

before, after = judge(BEFORE, mask=[]), judge(AFTER, mask=[])  # mask=[]: read it as it is
twin_strip(before, after)

# %% [markdown]
# The number under a word is **P(replaced)**: how likely the network finds it that the author wrote something
# else here. White is the **base rate**, the number to say of every word if all you know is how common changed words
# are. Orange is more suspect than that, blue is less. The ring marks what was changed. It is for your eyes: the
# network sees the second sentence alone.
#
# Two words turn orange: *have*, and *She* even more. Is that a mistake? Had somebody put *She* in the place of
# *They*, you would see the very same sentence. Section 3 comes back to this.
#
# Nobody told it about *she has* and *she have*. No sentence it read was marked right or wrong. It learned
# this from a game, and this course builds that game, both of its players and the training, from nothing. The
# network above is the **mini ELECTRA** that comes with the course. By lesson 06 you will have trained your
# own.
#
# **What you will be able to do.** After this lesson: read a strip like the one above, say in four sentences
# what ELECTRA is, and find your way about the course.
#
# **What you need to know.** Python. For the lessons after this one, a little PyTorch: what a tensor is.
# Everything else is explained where it first stands, and listed in the [glossary](glossary.md), in English
# and Chinese (词汇表).
#
# <!-- weave: minutes -->
#
# ## 1. The numbers behind the colours
#
# What the network reads are **tokens**: words, parts of words and signs, without capitals. Two more stand around
# them, `[CLS]` in front and `[SEP]` at the end. A token's **place** is counted from 0.

# %%
from electra_tutorial.course.check import expect

for place, token in enumerate(after.pieces):
    print(f"place {place}  {token:8} P(replaced) = {after.p_replaced[place]:.4f}")
assert after.pieces[2] == "have" and before.pieces[2] == "has"
has, have = before.p_replaced[2], after.p_replaced[2]
expect(have > 4 * has, "'have' is far more suspect here than 'has'.")

# %% [markdown]
# Two kinds of line stand at the end of many cells. `assert` states what must hold whatever happens.
# `expect(...)` states what should hold if the network has *learned* something. If one is ever untrue, the
# cell ends with an error and says so. (Your own sentences, below, cannot make one untrue.)
#
# ## 2. Your turn
#
# Put in two sentences of your own. Some to try, with a guess before each:
#
# - a word that makes no sense, as below, or the same word in another place
# - *The earth is round.* and *The earth is flat.* Does it care what is true?
# - *Paris is the capital of France.* and *... of Germany.*
# - a good change: another word that fits as well as the old one

# %%
MINE = "He drank a cup of tea before breakfast."
CHANGED = "He drank a cup of window before breakfast."

my_before, my_after = judge(MINE, mask=[]), judge(CHANGED, mask=[])
assert all(0 <= p <= 1 for p in my_after.p_replaced)
twin_strip(my_before, my_after)

# %% [markdown]
# It judges whether a word *fits*, as far as it has read. (Is a word of your *right* sentence a little orange? Then
# nothing there speaks for it: *Tom* may do as well as *Mary*.) It does not look anything up. Then how can it tell
# France from Germany, if it does? Perhaps it *knows* that Paris lies in France. Perhaps *capital of France* is only
# a usual string of words. **Guess first**: the same two countries after *Berlin*. Which of them will be less
# suspect in each case?

# %%
for city in ("Paris", "Berlin"):
    for country in ("France", "Germany"):
        judged = judge(f"{city} is the capital of {country}.", mask=[])
        p = judged.p_replaced[judged.pieces.index(country.lower())]
        print(f"{city:6} is the capital of {country:7}  P(replaced) of {country}: {p:.2f}")
assert 0 <= p <= 1

# %% [markdown]
# If it knew, the country that is right would be the less suspect one in *both* pairs of lines. If it goes by habit,
# the same country is less suspect whatever the city. Look which it is. One sentence that comes out right proves
# nothing: a network that knows and one that has a habit agree on it. To tell them apart, change what should matter.
#
# ## 3. One crime, two suspects
#
# **Guess first.** Now the other way round: *They have* becomes *They has*. Which word will it suspect most?

# %%
theirs = judge("They have never been to London.", mask=[])
broken = judge("They has never been to London.", mask=[])
assert theirs.base_rate == before.base_rate  # the same white in every picture
twin_strip(theirs, broken)

# %% [markdown]
# Was that wrong? Take the network's place. You are given *They has* and nothing else. Perhaps the author
# wrote *They have*, and the second word was changed. Perhaps it was *She has*, and somebody changed the
# first. Either story explains what you see, and the network bets on the one that it finds likelier: a bet, no
# knowledge. That something is odd and *which* word is at fault are two questions, and here the sentence answers
# only the first.
#
# ## 4. Was it born like that?
#
# Here is the first sentence again, with *have* put in at place 2. It is read by a network of the same shape
# that has learned nothing: its **weights**, the numbers it computes with, are still random. **Guess first.** What
# colours will it give?

# %%
import torch

from electra_tutorial.checkpoint import load
from electra_tutorial.judgement import rejudge
from electra_tutorial.model import Electra
from electra_tutorial.views.strip import compare_strips

electra, tokenizer = load()  # the mini ELECTRA; the tokenizer cuts text into tokens
torch.manual_seed(0)  # the same random weights each time
newborn = Electra(electra.preset)  # the same shape
played = judge(BEFORE, mask=[2], samples=["have"])  # hide place 2, and write "have" there
clueless = rejudge(played, newborn, tokenizer)  # the same sentence, read by the other one
assert max(clueless.p_replaced) - min(clueless.p_replaced) < 0.2  # it hardly tells words apart
compare_strips([("before training", clueless), ("after training", played)])

# %% [markdown]
# All orange, and that is not "I suspect every word". It says about one half of everything, for it does not even know
# how rare changed words are: that is the first thing training teaches. What matters is that its numbers are nearly
# the same for all words. It cannot tell *have* from *never*.
#
# So all of it was learned. Who put the wrong words into millions of sentences for it to learn from? Nobody
# could. That is the idea of ELECTRA.
#
# ## 5. The whole idea in one picture

# %%
from electra_tutorial.views.data_flow import data_flow

data_flow()

# %% [markdown]
# From left to right (paper, section 2):
#
# 1. Some tokens of a text are hidden behind `[MASK]`.
# 2. A small network, the **generator**, guesses what stood there. One guess is drawn for each hidden place
#    and written in. Such a guess is a **sample**.
# 3. The **discriminator** reads the result and says of *every* token whether it is the original or was
#    replaced. The right answers, the **labels**, cost nothing: they come from comparing with the text. A **lucky
#    sample**, one that happens to be the original, counts as original.
# 4. Each network gets a **loss**, a number that is large when it was wrong, and is changed a little to make
#    its own smaller. Then the next sentence comes.
#
# Step 3 is called **replaced token detection**. After training the generator is put aside. You have been
# talking to the discriminator. The grey names stand for functions that you will write. *Reference* means that
# the picture still shows the course's own.
#
# Now one round of the game, played by both. Chance decides which tokens are hidden and what is drawn; the
# **seed** is the number from which chance starts. Look for the fake and for the lucky sample. (In the last row
# *caught* means that P(replaced) of a fake is above one half. That is strict, for white lies far lower. *Pieces* are
# what words are cut into, see lesson 01.) Then try seed 13 and seed 2, and unfold what the generator proposed: five
# of its likeliest words. What it draws may be a rare one that is not among them.

# %%
from electra_tutorial.views.strip import token_strip

SENTENCE = "My brother is reading a book in the garden."
game = judge(SENTENCE, seed=33)
token_strip(game)

# %% [markdown]
# ## 6. Is everything in place?
#
# This is the **preflight**. If something is missing, it says what, and what to do. The rest is folded away.

# %%
from electra_tutorial.course.preflight import preflight

preflight()

# %% [markdown]
# Some lessons have **widgets**: controls that talk to the **kernel**, the Python process that runs your
# cells. Type in the line below. Each letter goes from your browser to the kernel, is judged there, and the
# picture comes back. Can you find a word that worries it more than *have*? One that worries it less than
# *has*? (Not all nonsense worries it. Try *banana*, and look at the words beside it.)

# %%
from electra_tutorial.views.type_and_see import TypeAndSee


def beside_the_first(text):
    return twin_strip(before, judge(text, mask=[]))


TypeAndSee(AFTER, beside_the_first)

# %% [markdown]
# No line to type in, only a picture? Then look at what the preflight above says about *widgets*. The course
# works without them.
#
# ## 7. How exercises work
#
# You write a function in a cell that holds its head and what it should do. The cell below it tries your
# function, and says in a sentence what is wrong, with the numbers it tried. Until yours is right, the lesson
# goes on with the course's own, the *reference*, so nothing stops you from reading on. Once it is right, the
# lesson goes on with yours, and `my_electra.py` keeps it: from lesson 06 on, your own parts are what is trained.
# The dots say how hard an exercise is. A hint and a solution are folded below.
#
# Here is one to try it with. Write it wrong first: return the highest number itself, and see what you are
# told.

# %%
from electra_tutorial.judgement import most_suspected  # weave: exercise

# %% [markdown]
# The course's own pictures find the word they name with the same function. Ask yours about all the sentences
# of this lesson.

# %%
for judged in (before, after, my_after, broken, game):
    place = most_suspected(judged.p_replaced, judged.special)
    print(f"{judged.corrupted[place]:12} at place {place} of: {judged.text}")
    assert judged.p_replaced[place] == max(p for p in judged.p_replaced[1:-1])

# %% [markdown]
# ## 8. The map
#
# Your time is our estimate; the computer's, in the last column, is measured. Sections *for a second reading* are
# folded when a lesson opens, and your time leaves them out: the key ↓ passes one by (Shift-Enter walks in), and a
# click on *cells hidden* under its heading opens it. Each lesson has a kernel of its own and starts from nothing,
# so you can close one and open another. What you did is counted here each time you run this cell.

# %%
from electra_tutorial.course.course_map import course_map

assert [stop.number for stop in course_map().stops] == list(range(11))
course_map()

# %% [markdown]
# **Ninety minutes, no more?** 00 → 04 → 05 → 06 → 07: read, guess and run. Leave exercises and questions for another
# day, and with them 04 and 07 from section 7 on; let lesson 06 train for five minutes (`MINUTES = 5`). Skip 01 to 03
# and take the encoder, the network inside both players, as given.
#
# <details><summary>You have read about ELECTRA before, and that it is a kind of GAN?</summary>
#
# Three things that are often said of it are not so, and you will see each for yourself:
#
# - *It is trained adversarially (对抗训练), like a GAN.* The generator is never rewarded for fooling anybody.
#   Lesson 05 looks at the gradients.
# - *The detector predicts the content (预测内容) of the changed places.* It has one number for each token:
#   replaced or not. You build it in lesson 05.
# - *`ElectraModel(...).logits`*, in sample programs. There is no such thing. Lesson 03 looks.
# </details>
#
# ## 9. What usually goes wrong
#
# - **"This kernel is not the course's".** The notebook was opened by another Jupyter. Start it with
#   `make lab`.
# - **"It is still empty" although you wrote something.** Writing a cell is not running it: press Shift +
#   Enter in it, then in the check.
# - **A name is not defined.** The kernel was restarted. Choose *Run*, *Run All Above Selected Cell*.
# - **You want a lesson as it was.** `python course.py lab --fresh 00` starts it over and keeps a backup of
#   yours.
#
# ## 10. Questions
#
# <details><summary>1. A word has P(replaced) = 0.9. Does the network say that it is wrong?</summary>
#
# No. It says that the author probably wrote another word here. A right word that nobody would expect is
# suspect too, and a wrong one that fits is not.
# </details>
#
# <details><summary>2. Why is white not at 50 %?</summary>
#
# In the game most tokens are original. Whoever knows that, and nothing else, should answer with the share of fakes
# in the game, the **base rate**. The strip prints it. Whoever does not know even that, like the newborn of section
# 4, may well say one half.
# </details>
#
# <details><summary>3. In <i>They has</i> the unchanged word was suspected more. Is the network broken?</summary>
#
# It cannot know which of the two words was changed, for either change explains the sentence. So both are
# suspect.
# </details>
#
# <details><summary>4. The generator draws the very token that was hidden. Which label?</summary>
#
# Original. The label asks whether the token differs from the text, not whether its place was hidden.
# </details>
#
# <details><summary>5. Who writes the right answers that the discriminator learns from?</summary>
#
# Nobody. They come from comparing the sentence with the original. So any text will do.
# </details>
#
# <details><summary>6. Which of the two networks do you keep, and what was the other one good for?</summary>
#
# The discriminator. The generator made the fakes that it learned from.
# </details>
#
# <details><summary>7. You open lesson 05 tomorrow. What of today is still there?</summary>
#
# None of the variables: each lesson has its own kernel. Your notebook, and `my_electra.py` with every
# function that passed its check.
# </details>
#
# ## 11. Where to read more
#
# - Clark, Luong, Le and Manning 2020, *ELECTRA: Pre-training Text Encoders as Discriminators Rather Than
#   Generators* (arXiv 2003.10555). Section 1 is two pages, and section 2 is the picture above.
# - `data/mini-electra/README.md`, the card of the network you played with: what it read, for how long, and
#   how good it is. **What differs from the paper:** the same idea, in far smaller networks that have read far
#   less text. Lesson 06 puts the numbers side by side.
#
# Next: **01 · Text to tokens**. The last cell says which exercises of this lesson are done.

# %%
from electra_tutorial.course.mine import progress

progress(0)
