"""The five steps of replaced token detection as exercises."""
import torch

from electra_tutorial import objective
from electra_tutorial.course.exercise import Exercise, NotYet
from electra_tutorial.tokens import CLS_ID, MASK_ID, PAD_ID, SEP_ID

# --- mask_tokens ----------------------------------------------------------------------------------

mask_tokens = Exercise(
    objective.mask_tokens, lesson=4, difficulty=3, minutes=15, draws=True,
    task="""
        Choose places in each row and hide them behind `mask_id`. `ids` is `(B, T)`; `special` `(B, T)` is
        True at places that are never chosen. A row with n ordinary places gets n · `rate` chosen ones,
        rounded (one half goes up), and at least one if it has any ordinary place and the rate is above 0. No
        place is chosen twice.
        A chosen place is left visible with probability `keep`. `rng`, a `torch.Generator` (a stream of random
        numbers with a seed of its own), alone decides: the same `rng` gives the same places. Make new tensors
        where `ids` is (`device=ids.device`), or it fails on a GPU. Return `masked_ids` and `chosen` (bool), both
        `(B, T)`, and leave `ids` as it is.
    """,
    hint="""
        Give each place a random number with `torch.rand(ids.shape, generator=rng, device=ids.device)`, and a
        special one a number above all others. `x.argsort(dim=1).argsort(dim=1)` is each place's rank in its
        row: the first few are chosen. How many are a "few" differs from row to row: count with `dim=1,
        keepdim=True`.
    """)


def rows(lengths=(22, 12, 5, 3), T=22):
    """ids and special of rows of these lengths, [CLS] and [SEP] included; behind them padding."""
    ids = torch.full((len(lengths), T), PAD_ID)
    for row, length in enumerate(lengths):
        ids[row, :length] = 100 * (row + 1) + torch.arange(length)
        ids[row, 0], ids[row, length - 1] = CLS_ID, SEP_ID
    return ids, ids < 5


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@mask_tokens.cases
def toy_rows():
    yield *rows((6, 4), 6), 0.25, MASK_ID, 0.0, seeded()
    yield *rows(), 0.15, MASK_ID, 0.15, seeded()
    yield torch.tensor([[CLS_ID, SEP_ID]]), torch.ones(1, 2, dtype=torch.bool), 0.15, MASK_ID


@mask_tokens.rule
def special_places_are_never_chosen(mask_tokens):
    for ids, special in (rows(), rows((2, 6), 6)):  # the second has a row without any ordinary place
        chosen = mask_tokens(ids, special, 0.5, MASK_ID, 0.0, seeded())[1]
        assert not (chosen & special).any(), (
            "You chose a place where `special` is True, such as [CLS] or padding: those must never be chosen, also "
            f"where a row has nothing else. Row {(chosen & special).any(dim=1).int().argmax()} (counted from 0) has "
            f"{(~special).sum(1)[(chosen & special).any(dim=1)][0]} ordinary places.")


@mask_tokens.rule
def each_row_gets_its_share(mask_tokens):
    ids, special = rows()
    for rate, seed in ((0.15, 0), (0.15, 1), (0.3, 2), (0.5, 3), (1.0, 4), (0.25, 5)):
        chosen = mask_tokens(ids, special, rate, MASK_ID, 0.0, seeded(seed))[1]
        for row, (n, got) in enumerate(zip((~special).sum(1).tolist(), chosen.sum(1).tolist(), strict=True)):
            wanted = max(1, int(n * rate + 0.5))
            assert got == wanted, (
                f"Row {row} has {n} ordinary places; at rate {rate} that is {n * rate:g}, so {wanted} chosen, and "
                f"you chose {got}. A coin for each place gives another number each time; places drawn one by one "
                "can repeat; one argsort gives places in order, and a place's rank takes two; it may be rounded "
                "down, lack the least of one, or be a share of all T places; and Python and torch round one half to "
                "the even number.")


@mask_tokens.rule
def every_ordinary_place_has_its_turn(mask_tokens):
    ids, special = rows()
    rng = seeded()
    rounds = [mask_tokens(ids, special, 0.15, MASK_ID, 0.0, rng)[1][0, 1:-1] for _ in range(100)]
    often = torch.stack(rounds).sum(0)  # (20,): 3 of 20 places a round
    assert often.min() > 1 and often.max() < 45, (
        f"In 100 rounds you chose the places 1 to 20 of row 0 {often.tolist()} times: each should have its turn "
        "about 15 times. Draw the places anew in each row and each call.")


@mask_tokens.rule
def chosen_places_are_hidden_and_no_others(mask_tokens):
    ids, special = rows()
    masked_ids, chosen = mask_tokens(ids, special, 0.3, MASK_ID, 0.0, seeded())
    assert (masked_ids[chosen] == MASK_ID).all(), (
        f"At the chosen places `masked_ids` has {masked_ids[chosen].tolist()}: with keep = 0 each should be "
        f"{MASK_ID}, the mask_id.")
    changed = (masked_ids != ids) & ~chosen
    assert not changed.any(), (
        f"At {changed.sum()} places that were not chosen `masked_ids` differs from `ids`: leave those alone.")


@mask_tokens.rule
def a_kept_place_stays_chosen(mask_tokens):
    ids, special = rows((102,) * 20, 102)
    masked_ids, chosen = mask_tokens(ids, special, 0.5, MASK_ID, 0.2, seeded())  # 1,000 chosen places
    assert chosen.sum() == 1000, (
        f"With keep = 0.2 you report {chosen.sum()} chosen places of 1000: a kept place is visible and still "
        "chosen, the generator must predict it too.")
    share = (masked_ids == ids)[chosen].float().mean().item()
    assert 0.14 < share < 0.26, (
        f"With keep = 0.2 a share of {share:.2f} of the chosen places stays visible: it should be about 0.2.")


@mask_tokens.rule
def in_short_rows_too_a_share_is_kept_and_not_a_place(mask_tokens):
    ids, special = rows((12,) * 500, 12)
    masked_ids, chosen = mask_tokens(ids, special, 0.2, MASK_ID, 0.15, seeded())  # 2 of 10 places in each row
    share = (masked_ids == ids)[chosen].float().mean().item()
    assert 0.1 < share < 0.2, (
        f"In 500 rows with 2 chosen places each, keep = 0.15 leaves a share of {share:.2f} of them visible: it "
        "should be about 0.15. Toss a coin for each chosen place; a fixed number a row is rounded to none or half.")


@mask_tokens.rule
def rng_alone_decides(mask_tokens):
    ids, special = rows()
    first, again = (mask_tokens(ids, special, 0.3, MASK_ID, 0.5, seeded(7)) for _ in range(2))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1]), (
        "The same `rng` gave other places the second time: pass generator=rng to every random call.")
    other = mask_tokens(ids, special, 0.3, MASK_ID, 0.5, seeded(8))
    assert not torch.equal(first[1], other[1]), (
        "Another `rng` gave the very same places: draw with generator=rng.")


@mask_tokens.rule
def what_is_new_is_made_where_ids_is(mask_tokens):
    ids, special = rows()
    made_in_place(lambda: mask_tokens(ids, special, 0.3, MASK_ID, 0.5, seeded()), "ids")


def made_in_place(call, name):
    """Try an answer where a tensor is made on another device unless it is told which, as beside a model on a GPU."""
    try:
        with torch.device("meta"):  # a device without memory, which any machine has
            made = call()
        elsewhere = any(part.is_meta for part in (made if isinstance(made, tuple) else (made,)))
    except (RuntimeError, NotYet):
        elsewhere = True
    assert not elsewhere, (
        f"Here it works, and on a GPU it would fail: there `{name}` and `rng` are on the card, and what you make "
        f"anew is not. Say where: `torch.rand(..., generator=rng, device={name}.device)`, and so for the rest.")


# --- sample_tokens --------------------------------------------------------------------------------

sample_tokens = Exercise(
    objective.sample_tokens, lesson=4, difficulty=2, minutes=8, draws=True,
    task="""
        Draw one token for each row of `logits` `(N, V)`, each with its probability under softmax(logits /
        `temperature`). Temperature 0 takes the likeliest. Compute in float32, whatever precision comes in.
        A logit of -inf is never drawn. `rng` alone decides. Any way to draw will do; make new tensors where
        `logits` is (`device=logits.device`). Return `(N,)` long.
    """,
    hint="""
        `torch.multinomial(p, 1, generator=rng)` draws one column a row: `squeeze` the axis away. Divide by
        the temperature before the softmax, and treat temperature 0 before you divide. (The course's own
        walks along `cumsum` of the probabilities until it has passed a random number: the same draw, with
        fewer random numbers.)
    """)
ODDS = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.0])


@sample_tokens.cases
def toy_logits():
    yield torch.tensor([[0.0, 1.0, 2.0]]), 1.0, seeded()
    yield torch.randn(7, 50), 0.5, seeded()
    yield torch.randn(7, 50).bfloat16(), 1.0, seeded()
    yield torch.randn(0, 50), 1.0, seeded()


def shares(sample_tokens, odds, temperature=1.0, n=2000):
    """How often each token is drawn from these odds, as shares of n."""
    drawn = sample_tokens(odds.log().expand(n, -1).contiguous(), temperature, seeded())
    return torch.bincount(drawn, minlength=len(odds)) / n


@sample_tokens.rule
def it_draws_and_does_not_take_the_likeliest(sample_tokens):
    got = shares(sample_tokens, ODDS)
    assert got.max() < 0.99 or got.argmax() == ODDS.argmax(), (
        f"In 2000 rows of the same odds you drew token {got.argmax()} every time: draw anew for each row, not once "
        "for all of them.")
    assert got.max() < 0.99, (
        f"You always took token {got.argmax()}, the likeliest (argmax): draw, so that a token of probability 0.3 "
        "comes three times in ten.")


@sample_tokens.rule
def draws_follow_the_probabilities(sample_tokens):
    got = shares(sample_tokens, ODDS)
    assert (got - ODDS).abs().max() < 0.05, (
        f"Tokens of probability {show_shares(ODDS)} came with shares {show_shares(got)}: they should be about "
        "the same. Draw from softmax(logits).")


@sample_tokens.rule
def a_higher_temperature_is_more_even(sample_tokens):
    for temperature in (0.5, 2.0):
        wanted = torch.softmax(ODDS.log() / temperature, 0)
        got = shares(sample_tokens, ODDS, temperature)
        assert (got - wanted).abs().max() < 0.05, (
            f"At temperature {temperature} you drew with shares {show_shares(got)}, and softmax(logits / "
            f"temperature) is {show_shares(wanted)}: divide the logits, before anything else happens to them.")


@sample_tokens.rule
def temperature_zero_takes_the_likeliest(sample_tokens):
    logits = torch.randn(50, 9)
    assert torch.equal(sample_tokens(logits, 0, seeded()), logits.argmax(-1)), (
        "Temperature 0 should take the likeliest token of each row: return `logits.argmax(dim=-1)`"
        " before you divide.")


@sample_tokens.rule
def what_is_minus_infinity_is_never_drawn(sample_tokens):
    logits = torch.zeros(2000, 6)
    logits[:, [0, 2, 5]] = float("-inf")
    drawn = set(sample_tokens(logits, 1.0, seeded()).tolist())
    assert drawn == {1, 3, 4}, (
        f"Only the tokens 1, 3 and 4 may be drawn here, the others are -inf; you drew {sorted(drawn)}.")


@sample_tokens.rule
def half_precision_is_no_excuse(sample_tokens):
    """A thousand equal tokens before or behind one half of the probability: bfloat16 loses count on the way."""
    for half in (0, 1000):
        logits = torch.zeros(1, 1001).index_fill(1, torch.tensor([half]), 6.9078)
        drawn = sample_tokens(logits.bfloat16().expand(2000, -1).contiguous(), 1.0, seeded())
        share, kinds = (drawn == half).float().mean().item(), drawn.unique().numel()
        assert 0.42 < share < 0.58, (
            f"From bfloat16 logits a token of probability 0.5 was drawn in a share of {share:.2f}: begin with "
            "`logits.float()`.")
        assert kinds > 400, (
            f"Half of 2000 draws from bfloat16 logits fall on a thousand equal tokens; about 630 of them should "
            f"come, and only {kinds - 1} did. Three digits cannot tell their running sums apart: begin with "
            "`logits.float()`.")


@sample_tokens.rule
def float32_is_not_made_coarser(sample_tokens):
    logits, wanted = torch.tensor([[300.0, 300.9]]), 0.711
    share = sample_tokens(logits.expand(2000, -1).contiguous(), 1.0, seeded()).float().mean().item()
    assert abs(share - wanted) < 0.05, (
        f"From the float32 logits [300, 300.9] token 1 came in a share of {share:.2f}, and it has probability "
        f"{wanted:.2f}: keep float32, in half precision the two are the same number.")


@sample_tokens.rule
def what_is_new_is_made_where_logits_is(sample_tokens):
    made_in_place(lambda: sample_tokens(torch.zeros(3, 9, device="cpu"), 1.0, seeded()), "logits")


@sample_tokens.rule
def rng_alone_decides_the_draw(sample_tokens):
    logits = torch.zeros(40, 30)
    first, again, other = (sample_tokens(logits, 1.0, seeded(seed)) for seed in (7, 7, 8))
    assert torch.equal(first, again), "The same `rng` gave other tokens the second time: pass generator=rng."
    assert not torch.equal(first, other), "Another `rng` gave the very same tokens: draw with generator=rng."
    assert first.unique().numel() > 5, "All rows got the same token: each row needs a draw of its own."


def show_shares(values):
    return "[" + ", ".join(f"{value:.2f}" for value in values.tolist()) + "]"


# --- corrupt --------------------------------------------------------------------------------------

corrupt = Exercise(
    objective.corrupt, lesson=5, difficulty=1, minutes=5,
    task="""
        Write the generator's `samples` `(N,)` into the chosen places of a copy of `ids` `(B, T)`. `chosen`
        `(B, T)` is True at N places; the samples belong to them row by row, from left to right. Return the
        copy, and leave `ids` as it is.
    """,
    hint="A bool tensor as an index stands for its True places, in this very order, also on the left of `=`.")


@corrupt.cases
def toy_samples():
    ids = torch.tensor([[10, 11, 12, 13], [20, 21, 22, 23]])
    chosen = torch.tensor([[False, True, False, True], [True, False, False, False]])
    yield ids, chosen, torch.tensor([71, 72, 73])
    yield ids, torch.zeros(2, 4, dtype=torch.bool), torch.zeros(0, dtype=torch.long)
    for _ in range(3):
        chosen = torch.rand(5, 9) < 0.3
        yield torch.randint(5, 99, (5, 9)), chosen, torch.randint(5, 99, (int(chosen.sum()),))


@corrupt.mistake("The samples never arrived: `ids[chosen]` on its own is a new tensor, and what happens "
                 "to that one does not reach the rows.")
def into_a_copy_of_the_places(ids, chosen, samples):
    corrupted_ids = ids.clone()
    corrupted_ids[chosen].copy_(samples)
    return corrupted_ids


@corrupt.mistake("The samples went to the right places in the wrong order, column by column: they belong "
                 "row by row.")
def column_by_column(ids, chosen, samples):
    corrupted_ids = ids.t().clone()
    corrupted_ids[chosen.t()] = samples
    return corrupted_ids.t()


@corrupt.mistake("You wrote at the places that were not chosen.")
def turned_round(ids, chosen, samples):
    corrupted_ids = ids.clone()
    corrupted_ids[~chosen] = samples
    return corrupted_ids


@corrupt.mistake("You return the samples alone: the discriminator reads the whole rows with the samples "
                 "in them.")
def samples_alone(ids, chosen, samples):
    return samples


@corrupt.mistake("`torch.where` wants a value for every place, and there are as many samples as chosen "
                 "places: write them in by an index.")
def where(ids, chosen, samples):
    return torch.where(chosen, samples, ids)


# --- replaced_labels ------------------------------------------------------------------------------

replaced_labels = Exercise(
    objective.replaced_labels, lesson=5, difficulty=1, minutes=2,
    task="""
        Which tokens are fake? Return `(B, T)` bool, True = replaced. A sample that happens to equal the
        original counts as original.
    """,
    hint="Compare the two tensors place by place. You need neither the mask nor a loop.")


@replaced_labels.cases
def toy_corruptions():
    yield torch.tensor([[10, 11, 12, 13]]), torch.tensor([[10, 99, 12, 13]])
    yield torch.tensor([[0, 4], [10, 0]]), torch.tensor([[11, 4], [4, 0]])
    for _ in range(3):
        yield torch.randint(0, 6, (4, 9)), torch.randint(0, 6, (4, 9))


@replaced_labels.mistake("The labels are the wrong way round: True means replaced.")
def original_is_true(ids, corrupted_ids):
    return corrupted_ids == ids


@replaced_labels.mistake("You compared with the masked text: by now the samples stand there, and a lucky "
                         "sample must count as original.")
def looks_for_the_mask(ids, corrupted_ids):
    return corrupted_ids == MASK_ID


@replaced_labels.mistake("You labelled every place that is not [MASK] in `corrupted_ids`, but no mask is "
                         "left there: compare with the original `ids`, and a lucky sample counts as "
                         "original.")
def everything_without_a_mask(ids, corrupted_ids):
    return corrupted_ids != MASK_ID


@replaced_labels.mistake("You have one answer a row; each token needs its own.")
def row_by_row(ids, corrupted_ids):
    return (corrupted_ids != ids).any(dim=1)


@replaced_labels.mistake("You have one answer for everything; each token needs its own.")
def all_at_once(ids, corrupted_ids):
    return not torch.equal(corrupted_ids, ids)


@replaced_labels.mistake("You took the id 0 for 'no label': 0 is a token like the others here.")
def zero_is_no_token(ids, corrupted_ids):
    return (corrupted_ids != ids) & (ids != 0)


# --- electra_loss ---------------------------------------------------------------------------------

electra_loss = Exercise(
    objective.electra_loss, lesson=5, difficulty=1, minutes=2,
    task="""
        Join the two losses into the one that is trained: the generator's, plus `weight` (the paper's
        lambda) times the discriminator's.
    """,
    hint="One line. Leave tensors as they are: both models need the gradient.")


@electra_loss.cases
def toy_losses():
    yield 6.0, 0.5
    yield 6.0, 0.5, 10.0
    yield torch.tensor(3.0), torch.tensor(0.25), 50.0


@electra_loss.mistake("You weighted the generator's loss: lambda belongs to the discriminator's, which is "
                      "the smaller.")
def the_other_one(generator_loss, discriminator_loss, weight=50.0):
    return weight * generator_loss + discriminator_loss


@electra_loss.mistake("You left the weight out.")
def without_weight(generator_loss, discriminator_loss, weight=50.0):
    return generator_loss + discriminator_loss


@electra_loss.mistake("You wrote the number 50 where `weight` belongs: another weight changes nothing.")
def always_fifty(generator_loss, discriminator_loss, weight=50.0):
    return generator_loss + 50.0 * discriminator_loss


@electra_loss.mistake("You took the mean of the two: the paper adds them.")
def the_mean(generator_loss, discriminator_loss, weight=50.0):
    return (generator_loss + weight * discriminator_loss) / 2


@electra_loss.mistake("You subtract: that is a game against each other, and ELECTRA's two models are both "
                      "trained to do well.")
def a_game(generator_loss, discriminator_loss, weight=50.0):
    return generator_loss - weight * discriminator_loss


@electra_loss.rule
def the_gradient_reaches_both(electra_loss):
    losses = torch.tensor([2.0, 0.3], requires_grad=True)
    joint = electra_loss(losses[0], losses[1], 20.0)
    assert isinstance(joint, torch.Tensor) and joint.requires_grad, (
        "No gradient flows through your loss: make no plain numbers of tensors (`.item()`, `float`, `.detach()`).")
    joint.backward()
    assert losses.grad.tolist() == [1.0, 20.0], (
        f"The gradients of the two losses are {losses.grad.tolist()}, and should be [1, weight] = [1, 20].")
