# The source of lesson 07. `electra-tutorial notebooks` weaves notebooks/07_see_replacements.ipynb from it.
# %% [markdown]
# # 07 · See replacements
#
# **What you will be able to do.** Watch both networks of an ELECTRA at work on a sentence of your own. Read
# P(replaced) without being fooled by how small it is. Measure what a single word does to the suspicion of
# all others. Say which fakes are caught and which slip through, and why a suspicious word is not a wrong one.
#
# **What you need to know.** The game from lessons 04 and 05: places are hidden, the *generator* fills them,
# the *discriminator* says of every token whether it was replaced. Logarithms; numpy arrays.
#
# <!-- weave: minutes -->
#
# This lesson uses the mini ELECTRA that comes with the course. Did you train one in lesson 06? It joins in.

# %% [markdown]
# ## 1. One round, slowly
#
# `judge` plays one round on a sentence: it hides places, lets the generator fill them, and asks the
# discriminator. Places count word pieces; `[CLS]` is place 0. Here you hide places 4 and 7.
#
# You get three rows: what you typed, what the generator reads, what the discriminator reads. Only the hidden
# places can change. The *label* of a place says whether the piece there is now another one. If the generator
# happens to draw the original, the label is False: a lucky sample.

# %%
from electra_tutorial.judgement import judge

TEXT = "The old man was reading a newspaper in the kitchen."
judged = judge(TEXT, mask=[4, 7], seed=33)
for name in ("pieces", "masked", "corrupted"):
    print(f"{name:10}", *getattr(judged, name))
print("replaced:", [place for place, label in enumerate(judged.labels) if label])
for place, (old, new) in enumerate(zip(judged.pieces, judged.corrupted, strict=True)):
    assert judged.labels[place] == (old != new)
    assert place in judged.mask or old == new

# %% [markdown]
# The **token strip** shows the whole round. A ring marks what was really replaced, and a word says so too. The
# last row is a verdict: a fake that gets more than 50 % is *caught*, one below is *missed*. (An untouched piece
# above 50 % is a *false alarm*.) The triangle below holds what the generator proposed. Leave it closed until you
# have guessed, in section 2.

# %%
from electra_tutorial.views.strip import token_strip

token_strip(judged)

# %% [markdown]
# Look at what is suspected most. Is it a fake? It need not be one: many a fake stays below one half, and a piece
# that nobody touched is more suspect than it. Section 3 says why the numbers are so small, and section 5 why a
# neighbour is blamed.

# %%
most = judged.most_suspect
print(f"most suspected: {judged.corrupted[most]!r} at place {most}, {judged.p_replaced[most]:.0%}")
print("really replaced:", judged.labels[most])

# %% [markdown]
# ## 2. What the generator proposes
#
# At each hidden place the generator has a probability for every piece of the vocabulary. `proposals` keeps
# the five likeliest.
#
# **Guess first.** Before you run the cell: "The old man ___ reading". How sure will it be of its first
# choice there? And at the newspaper's place?

# %%
shares = []
for place, top in zip(judged.mask, judged.proposals, strict=True):
    shares.append(sum(p for _, p in top))
    print(f"place {place}: " + ", ".join(f"{piece} {p:.1%}" for piece, p in top)
          + f"; together {shares[-1]:.0%}")
    assert [p for _, p in top] == sorted((p for _, p in top), reverse=True)
assert max(shares) <= 1 + 1e-6, "They are shares of one whole."

# %% [markdown]
# Compare the two sums, and not the first numbers alone. Where the five together hold most of the whole, few
# words fit. For a noun hundreds fit, and the five hold less. So the draws at the second kind of place are
# often odd, and that is wanted: the generator's work is to make fakes that are plausible enough to teach
# something, not to be right.
#
# You can play the generator's part yourself. `samples` puts pieces of yours into the hidden places.

# %%
token_strip(judge(TEXT, mask=[4, 7], samples=["were", "window"]))

# %% [markdown]
# ## 3. Small numbers: P(replaced) and the base rate
#
# Most P(replaced) in a strip are far below one half, even where something is wrong. Why? Because fakes are
# rare. A discriminator that knows nothing should not say 50 %. It should say the share of fakes that it met
# in training. That share is the **base rate**.
#
# So do not ask "is it above one half?" Ask "how far is it from the base rate?" The distance is measured in
# **log-odds**. The odds of p are p / (1 - p): at p = 1/2 they are 1, at p = 1/10 they are 1/9. Numbers to
# check by hand: from 1/10 to 1/2 the odds grow ninefold, and log 9 = 2.2 nats.
#
# And from 1/100 to 1/50? Work it out, then run the cell. Below it stand the two hidden places of your
# sentence. The colours of the strip are this distance: white is the base rate, orange lies above it, blue
# below.

# %%
import math

from electra_tutorial.views.columns import log_odds_above


def log_odds(p):
    return math.log(p / (1 - p))


print(f"from 1/10 to 1/2:   {log_odds(1 / 2) - log_odds(1 / 10):+.2f} nats")
print(f"from 1/100 to 1/50: {log_odds(1 / 50) - log_odds(1 / 100):+.2f} nats")
for place in judged.mask:
    p, base = judged.p_replaced[place], judged.base_rate
    print(f"{judged.corrupted[place]:10} P(replaced) {p:.3f}, base rate {base:.3f}: "
          f"{log_odds(p) - log_odds(base):+.2f} nats")
    assert abs(log_odds(p) - log_odds(base) - log_odds_above(p, base)) < 1e-9

# %% [markdown]
# One sentence shows little. Take ten, and play each many times with other seeds. `duel` counts what the two
# networks did to one another. (`full_or_fast(12, 2)` is 12 for you, and 2 where the lesson is only tested.)
#
# **Guess first.** Of all fakes, which share gets more than 50 %?

# %%
from electra_tutorial.course.check import expect, full_or_fast
from electra_tutorial.suspicion import FOOL, duel

sentences = [text for text, _ in FOOL]
seeds = range(full_or_fast(12, 2))
rounds = [judge(text, seed=seed) for text in sentences for seed in seeds]
count = duel(rounds)
print(f"{count.hidden} places hidden, {count.fakes} fakes")
print(f"fakes above 50 %: {count.caught / count.fakes:.0%}")
print(f"untouched pieces above 50 %: {count.alarms / count.untouched:.1%}")
assert count.lucky + count.fakes == count.hidden
expect(count.mean_fake > count.mean_original + 0.1, "Fakes are the more suspected.")

# %% [markdown]
# So the strip's verdict, *caught* or *missed*, is a hard one: it does ask "is it above one half?" That is one
# threshold of many, and with this base rate it misses most fakes.
#
# Here is every piece of those rounds, on the axis of log-odds. The two heaps overlap, and no threshold parts
# them. What the model can do is *order*: a fake stands further right than an original most of the time. How
# often, is the AUC of lesson 05.

# %%
import numpy as np

from electra_tutorial.metrics import roc_auc
from electra_tutorial.views.picture import BLUE, GREY, ORANGE, Picture, new_figure

ps = np.concatenate([one.p_replaced[1:-1] for one in rounds])  # without [CLS], [SEP]
fake = np.concatenate([one.labels[1:-1] for one in rounds])
nats = np.array([log_odds_above(p, judged.base_rate) for p in ps])
axes = new_figure(7, 2.8).subplots()
axes.hist(nats[~fake], 24, density=True, color=BLUE, alpha=0.5, label="original")
axes.hist(nats[fake], 24, density=True, histtype="step", color=ORANGE, label="fake")
axes.axvline(0, color=GREY, linestyle="--")
axes.set(xlabel="nats above the base rate", ylabel="share (per nat)")
axes.legend(frameon=False)
auc = roc_auc(nats, fake)
expect(auc > 0.65, f"A fake is usually more suspect than an original: AUC {auc:.2f}.")
Picture(axes.figure, f"Two histograms of nats above the base rate: {fake.sum()} fakes "
                     f"lie further right than {(~fake).sum()} originals, and they overlap.")

# %% [markdown]
# ## 4. Words, not pieces
#
# People think in words, and the model reads pieces. A word is as suspect as the *most* suspect of its
# pieces: one wrong piece spoils a word.

# %%
from electra_tutorial.suspicion import suspected_word  # weave: exercise

# %%
for text in ("He drank a cup of window today.", "She have never been to London."):
    one = judge(text, mask=[])  # hide nothing: read it as it is
    word, suspicion = suspected_word(one), one.word_suspicion()
    print(f"{text}  Most suspect: {word} ({max(suspicion):.0%})")
    assert word in one.word_texts

# %% [markdown]
# ## 5. The twin: what did one word change?
#
# The base rate is one thing to compare with. A better one is the same sentence *without* the fake. `judge`
# always reads both: `p_unedited` is P(replaced) in the sentence as you typed it. The strip shows both rows
# when you ask for `against="unedited"`, and the colours are then what the replacement did.
#
# **Guess first.** In "He has lived here for ten years" you replace *lived* by *live*. Which words get more
# suspect, and which get less?

# %%
twin = judge("He has lived here for ten years.", mask=[3], samples=["live"])
token_strip(twin, against="unedited")

# %% [markdown]
# Suspicion gathers. The discriminator knows that something does not fit together, and *has* and *live* are the
# two halves of the misfit. Either could be the fake: "He could live here" would be right too. (If the strip says
# *false alarm* under *has*, that means no more than: this piece was not the one exchanged.) Put the change into
# numbers.

# %%
from electra_tutorial.suspicion import suspicion_gained  # weave: exercise

# %%
gained = suspicion_gained(twin)
for piece, nats in zip(twin.corrupted, gained, strict=True):
    print(f"{piece:8} {nats:+.2f} nats")
inner = list(zip(twin.p_replaced, twin.p_unedited, strict=True))[1:-1]
assert np.allclose(gained[1:-1], [log_odds_above(p, before) for p, before in inner])
others = np.delete(gained, [2, 3])
print(f"all but the two halves: {others.mean():+.2f} nats on average")
expect(gained[3] > others.mean(), "The exchanged word gained more than the others.")

# %% [markdown]
# The other words keep theirs, by and large. (The full stop and the special tokens gain a nat, and go from next to
# nothing to next to nothing.) That need not be so. If training hides as many places of every row, then a suspect that
# is found clears the rest, and they *lose* suspicion. Here a coin decided for each place: lesson 06, section 11.

# %% [markdown]
# ## 6. The explorer
#
# Now by hand. Click a token to hide it (or walk with the arrow keys and press Space). Click what was put in,
# to see the generator's likeliest pieces there, and click one of those, or type a word of your own. Your word
# takes the place of the whole word that stands there. If the vocabulary cuts it, the sentence gets longer, and
# each of its pieces is judged. (What you begin with `##` goes in as a single piece.)
#
# Things to try:
#
# 1. Hide one small word. Then hide *everything*, and look at what the generator writes with nothing to read.
# 2. Put in the original yourself. Is it ever suspected?
# 3. Set "Colour compares with" to the unedited sentence, and put in a word that fits.
# 4. Type a sentence in another language. It says what it cannot read.
# 5. Tick "Show the same fakes to the other models".

# %%
from electra_tutorial.course.runs import last_run
from electra_tutorial.errors import UserError
from electra_tutorial.suspicion import untrained
from electra_tutorial.views.explorer import explore

models = {"the course's": None, "untrained": untrained()}
try:
    models["yours"] = last_run("my-electra")
except UserError:
    print("There is no model of yours yet: lesson 06 trains one.")
explore(TEXT, models, mask=[4, 7])

# %% [markdown]
# Below a saved copy of this lesson stands the last picture that you drew. If the explorer says that it gets
# no answer, the kernel was restarted: run its cell again.
#
# ## 7. Temperature: which fakes are caught?
#
# **Temperature** divides the generator's logits before the draw. At 0 it always takes its likeliest piece, and
# the seed decides the places alone.
# At 1 it draws with its own odds. At 100 every piece is nearly alike.
#
# **Guess first.** At which temperature does the generator make the most fakes? At which are they caught
# best? Two questions, two answers.

# %%
duels = {}
for temperature in (0, 1, 3, 100):
    duels[temperature] = duel([judge(text, seed=seed, temperature=temperature)
                               for text in sentences for seed in seeds])
for temperature, one in duels.items():
    print(f"temperature {temperature:3}: {one.lucky:3} lucky draws, {one.fakes:3} "
          f"fakes, {one.caught / max(1, one.fakes):4.0%} caught")
assert all(one.hidden == duels[0].hidden for one in duels.values())
expect(duels[0].lucky > duels[100].lucky, "A cool generator is right more often.")
expect(duels[100].mean_fake > duels[0].mean_fake, "Hot fakes stand out more.")

# %% [markdown]
# A cool generator makes fewer fakes and better ones: more of its draws are the original, and those are no fakes
# at all. A hot one replaces nearly everything, by words that stand out. Training wants something between: a
# game that is neither lost nor won from the start. The paper draws at temperature 1.
#
# ## 8. Generator against discriminator
#
# "My discriminator catches 90 % of the fakes." Whose fakes? Let two generators make them, one trained and
# one with random weights, and show both to two discriminators. `rejudge` shows the same fakes to another
# model.
#
# **Guess first.** Fill in this table before you run the cell: the AUC of a trained and of an untrained
# discriminator, on the fakes of a trained and of an untrained generator.

# %%
from electra_tutorial.judgement import rejudge

fresh, tokenizer = models["untrained"]
makers = {"trained": (None, None), "untrained": (fresh, tokenizer)}


def auc_of(judgements):
    """The AUC of P(replaced) over all ordinary pieces."""
    p = np.concatenate([one.p_replaced[1:-1] for one in judgements])
    labels = np.concatenate([one.labels[1:-1] for one in judgements])
    return roc_auc(p, labels)


# %%
table = {}
for maker, generator in makers.items():
    fakes = [judge(text, *generator, seed=seed) for text in sentences for seed in seeds]
    for reader, discriminator in makers.items():
        table[maker, reader] = auc_of([rejudge(one, *discriminator) for one in fakes])
        print(f"fakes of the {maker:9} generator, {reader:9} discriminator: "
              f"AUC {table[maker, reader]:.2f}")
weak, strong = table["untrained", "trained"], table["trained", "trained"]
expect(weak > strong, "The fakes of a weak generator are found more often.")
expect(abs(table["trained", "untrained"] - 0.5) < 0.15, "Random weights are at chance.")

# %% [markdown]
# The same discriminator, two very different scores. A weak opponent makes a proud AUC. That is why this
# course compares models by an exam whose questions stay the same (lesson 06), and why no figure of the game
# means anything without its generator. The explorer's third button, "Generator against discriminator", plays
# this with any temperature.
#
# ## 9. Watch it grow
#
# While the course's model was trained, it was asked at some moments about ten fixed sentences. Move the
# slider, or press Play. Beside the sentence runs the exam.
#
# **Guess first.** What will the discriminator learn first: which word is wrong, how rare fakes are, or that
# `[CLS]` and `[SEP]` are never replaced?

# %%
from electra_tutorial.views.timelapse import recorded, timelapse_view

timelapse_view(models.get("yours"), sentence=1)

# %%
film, history, base_rate = recorded(None)
first, last = (film["moments"][moment]["probabilities"] for moment in (0, -1))
cls = [row[0] for row in first], [row[0] for row in last]
print(f"[CLS]: {np.mean(cls[0]):.2f} at first, {np.mean(cls[1]):.4f} at last")
expect(np.mean(cls[1]) < base_rate, "The special tokens were learned to be safe.")

# %% [markdown]
# Look at the order, in more than one sentence. First everything fades from one half to the base rate: the cheapest
# thing to learn is how rare fakes are. Then the tokens that are never replaced turn blue. Then, for a long while,
# look at the rarest word of each sentence: rare is suspect and frequent is safe, whatever stands around. What
# fits with what comes last and slowly, and it is all that the exam asks. At the end, is the marked word the most
# suspect? Where its neighbour is, you see the other half of the misfit (section 5).
#
# ## 10. Fool the detector
#
# Ten sentences. In each you may put one other word in place of the marked one. The rule here is stricter than a
# strip's verdict: your word is caught when the discriminator gives it 50 % or more, *or* suspects it more than
# any other. With most words there, the sentence is wrong or false. Find such a one that gets through.

# %%
explore(models=models, part="fool")

# %% [markdown]
# Did a *right* word get through? That is no feat: several of the sentences allow a second one. Did a wrong word
# go unnoticed because its *neighbour* was blamed? That happens: see section 5.
#
# Now one of your own, in a sentence of your own. The check runs the model on it.

# %%
from electra_tutorial.suspicion import unnoticed_fake  # weave: exercise

# %% [markdown]
# ## 11. Where it fails, and why: suspicious is not wrong
#
# The discriminator learned one thing: what a small generator's fakes look like in the text that it read. What
# fits the pattern passes, true or not. What it seldom met may look like a fake.
#
# **Guess first.** Order these groups by how loud an alarm they raise. (Two sentences a group: that is an
# anecdote, and no measurement.)

# %%
def read(text):
    return judge(text, mask=[])


def alarm(text):
    return max(read(text).word_suspicion())


GROUPS = {
    "plain": ["She went to school with her brother.", "He works in a small office."],
    "rare names": ["Xiulan sat beside Nkechi.", "Bartholomew met Quetzalcoatl."],
    "true, unlikely": ["She went home by helicopter.", "He works inside a volcano."],
    "false, fluent": ["The sun rises in the west.", "Winter is warmer than summer."],
    "your fake": [unnoticed_fake()[1]],
    "German": ["Sie ging mit ihrem Bruder zur Schule.", "Er arbeitet in einem Büro."],
}
alarms = {}
for name, texts in GROUPS.items():
    alarms[name] = sum(map(alarm, texts)) / len(texts)
    words = ", ".join(suspected_word(read(text)) for text in texts)
    print(f"{name:15} mean alarm {alarms[name]:.0%}   most suspect: {words}")
expect(alarms["rare names"] > alarms["plain"], "Rare names raise more alarm.")

# %% [markdown]
# Nothing is wrong with the names, and nothing with the German. A false sentence in common words may pass.
# Look closer at names: one frame, and only the name changes.
#
# **Guess first.** The names below are sorted by how often they stand in the training text. If what is rare is
# suspect, the percentages rise from top to bottom. Do they?

# %%
from electra_tutorial.corpus import load_corpus

corpus = load_corpus("course", fallback=True)
text = " ".join(sentence for part in corpus.train.values() for sentence in part)
NAMES = "Tom Mary John Anna Peter Siobhan Xiulan Nkechi Yevgeny".split()
went = {name: f"{name} went to school this morning." for name in NAMES}
for name in sorted(NAMES, key=lambda name: -text.count(f"{name} ")):
    p = read(went[name]).word_suspicion()[0]
    print(f"{name:8} {text.count(f'{name} '):6,} times in the training text   {p:4.0%}")

# %% [markdown]
# A common name may be *more* suspect than a rare one. So the rule "rare is suspect" does not hold, and two
# things pull at once: how often the model met a name, and how often that name was a *fake*. The generator puts in
# common names where another one stood. (That is a guess. How would you test it?) Each of these people may have
# gone to school. Whoever used such a number to judge a writer would judge their name.
#
# ## 12. What these numbers must not be used for
#
# **Not a grammar checker.** Take minimal pairs of the exam: a right sentence, held out, and the same with one wrong
# form. Compared in pairs, the model does well. As a checker it has to raise an alarm by itself, and sentences are not
# sent in pairs. Say that it flags a sentence in which a word gets 50 % or more.
#
# **Guess first.** You give it 1,000 sentences, of which 50 are wrong. Of its alarms, which share is true?

# %%
from electra_tutorial.evaluation import spread
from electra_tutorial.exam import load_exam

pairs = [(alarm(pair.good), alarm(pair.bad)) for pair in spread(load_exam(corpus).hard, full_or_fast(200, 30))]
in_pairs = sum(bad > good for good, bad in pairs)
flagged, found = [good >= 0.5 for good, _ in pairs], [bad >= 0.5 for _, bad in pairs]
print(f"in pairs: the wrong one raises more alarm in {in_pairs} of {len(pairs)}")
print(f"alone:    {sum(found)} of {len(found)} wrong sentences flagged, "
      f"and {sum(flagged)} of {len(flagged)} right ones")
wrong_in_1000 = 50
hits = wrong_in_1000 * sum(found) / len(found)
noise = (1000 - wrong_in_1000) * sum(flagged) / len(flagged)
print(f"of 1000 sentences {wrong_in_1000} wrong: {hits + noise:.0f} alarms, "
      f"{hits:.0f} true")
expect(any(flagged), "It also flags sentences with nothing wrong.")
expect(noise > hits, "Of its alarms most are false.")

# %% [markdown]
# The base rate again. It finds most of the wrong ones and flags few of the right ones, and yet: where few sentences
# are wrong, even a small share of false alarms drowns the true ones.
#
# **Not a detector of machine-written text.** All sentences below are written by people. The first three are
# in the tone of an encyclopaedia, the others in that of a kitchen table.

# %%
PEOPLE = {
    "encyclopaedia": ["The regiment was disbanded after the treaty of 1763.",
                      "Its larvae feed on the leaves of several shrubs.",
                      "The second single reached number nine on the chart."],
    "kitchen table": ["I think I will go to bed now.", "Where did you put my keys?",
                      "It was raining when we got home."],
}
for name, texts in PEOPLE.items():
    ps = [p for text in texts for p in read(text).p_replaced[1:-1]]
    print(f"{name}: mean P(replaced) {sum(ps) / len(ps):.2f}")

# %% [markdown]
# If a higher mean meant "rather written by a machine", the encyclopaedia's writers would be the suspects. And a
# fluent machine makes *common* sentences, which pass. The same holds for spotting "bad" students, foreign
# writers, or lies: P(replaced) knows nothing of them. It was trained on one question only.
#
# ## 13. What usually goes wrong
#
# - **You read P(replaced) as a probability of an error.** It is the probability that this small generator
#   put the token there, in a game with this base rate.
# - **Everything is pale.** Compare with the base rate, not with one half; or ask for `against="unedited"`.
# - **The wrong word is white and its neighbour orange.** A misfit has two ends. Section 5 shows both.
# - **Your piece is refused.** `samples` puts *one* piece of the vocabulary into each hidden place, and the message
#   says how a longer word is cut. The explorer takes whole words.
# - **The same sentence gives other fakes.** The seed decides the places and the draws. Note it down.
# - **Two models, two base rates.** `rejudge` keeps the first one's, so that colours can be compared.
#
# ## 14. What differs from the paper at this scale
#
# The paper's small model read 3.3 billion tokens (section 3.1), the one here 2.3 million words, and the paper hides
# 15 % of the tokens where this one had a larger share hidden while it learned. So there are names and facts
# that this one cannot know, and its base rate is another. That P(replaced) is no verdict on a writer holds
# for both: the question that it answers is the same.
#
# ## 15. Questions
#
# <details><summary>1. The base rate is 12 % and a piece gets 24 %. Is it suspect?</summary>
#
# Yes, a little: its odds are 0.24 / 0.76 = 0.32 against 0.12 / 0.88 = 0.14, more than twice as high, 0.84
# nats. That is pale orange.
# </details>
#
# <details><summary>2. All P(replaced) of a strip are below 50 %. Was nothing replaced?</summary>
#
# You cannot know. Most fakes stay below 50 %, because fakes are rare. Look for the highest against the base
# rate, or against the unedited sentence.
# </details>
#
# <details><summary>3. The generator draws the original. What should the discriminator say?</summary>
#
# Original. The label compares tokens, and nothing was changed.
# </details>
#
# <details><summary>4. Why is a hot generator's AUC no reason to be proud?</summary>
#
# Its fakes stand out. The same discriminator scores lower against a good generator, though it knows as much.
# </details>
#
# <details><summary>5. You replace "has" by "have", and "She" turns orange. A mistake of the model?</summary>
#
# No. "They have" would have been right, so *she* is as good a culprit as *have*. (A strip may call it a false
# alarm all the same: it goes by what was exchanged.)
# </details>
#
# <details><summary>6. Why do differences of log-odds tell more than differences of P?</summary>
#
# From .01 to .02 the odds double, as from .50 to .67. A difference of P hides the first, which is as strong a
# piece of evidence.
# </details>
#
# <details><summary>7. "The sun rises in the west" raises little alarm. Why?</summary>
#
# *West* stands where a direction belongs, as in many sentences of the text. The model learned what kind of
# word fits, and hardly what is true.
# </details>
#
# <details><summary>8. A school wants to find essays written by machines with it. Your answer?</summary>
#
# No. It marks what it expects to be a fake: topics that it seldom met, some names, second-language phrases. A
# fluent machine writes common sentences, which pass.
# </details>
#
# ## 16. Where to read more
#
# - Clark, Luong, Le and Manning 2020 (arXiv 2003.10555): section 2, the game; section 3.2, how large the
#   generator should be, and the adversarial way; section 3.5, where the gain comes from.
# - `electra_tutorial/suspicion.py` and `judgement.py`: everything that counted here.
# - Next: lesson 08 looks at where the heads look while they judge.

# %%
from electra_tutorial.course.mine import progress

progress(7)
