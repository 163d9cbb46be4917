"""Parts of attention and of the encoder as exercises."""
import torch
import torch.nn.functional as F

from electra_tutorial import model
from electra_tutorial.course.exercise import Exercise

# --- attention_weights ----------------------------------------------------------------------------

attention_weights = Exercise(
    model.attention_weights, lesson=2, difficulty=2, minutes=12,
    task="""
        The shares with which each token looks at each other. `query` and `key` are `(..., T, d)`: there may
        be any number of axes in front, such as the sentences of a batch and the heads. Scores are dot
        products, divided by the square root of d. Where `visible` is given (bool, it broadcasts to the
        scores) and False, nobody may look: the share there is 0, and the others still sum to 1. Return
        `(..., T, T)`: row = who looks, column = who is looked at.
    """,
    hint="""
        `key.T` turns *all* axes round, and there may be more than two: `key.transpose(-2, -1)` turns the last
        two. d is `query.shape[-1]`. What must get no share gets the score minus infinity *before* the
        softmax: `scores.masked_fill(~visible, float("-inf"))`. Over which axis should the shares sum to 1?
    """)


def random_heads(*shape):
    return torch.randn(*shape), torch.randn(*shape)


@attention_weights.cases
def some_heads():
    yield torch.tensor([[1.0, 0, 0, 0], [0, 2, 0, 0]]), torch.tensor([[2.0, 0, 0, 0], [0, 1, 0, 4]])
    yield random_heads(4, 3)
    yield random_heads(5, 16)
    yield random_heads(2, 3, 6, 4)
    yield *random_heads(3, 2), torch.tensor([[True, True, False]])
    yield *random_heads(2, 2, 5, 8), torch.tensor([[True] * 5, [True] * 3 + [False] * 2])[:, None, None, :]
    yield *random_heads(4, 3), torch.ones(4, 4, dtype=torch.bool).tril()
    yield *(20 * part for part in random_heads(2, 5, 4)), torch.tensor([True, False, True, True, True])


def scores_of(query, key, scale=True):
    return query @ key.transpose(-2, -1) / (query.shape[-1] ** 0.5 if scale else 1)


def hidden(scores, visible, value=float("-inf")):
    return scores if visible is None else scores.masked_fill(~visible, value)


COLUMNS = ("Your columns sum to 1, and the rows should: each token that *looks* has one whole attention to share "
           "out, so take the softmax over the last axis.")


@attention_weights.mistake(COLUMNS)
def over_the_queries(query, key, visible=None):
    return hidden(scores_of(query, key), visible, -1e9).softmax(dim=-2)


@attention_weights.mistake(COLUMNS)
def over_the_queries_nan_where_hidden(query, key, visible=None):
    return hidden(scores_of(query, key), visible).softmax(dim=-2)


@attention_weights.mistake("`.T` turns round all axes, and with heads and sentences in front there are more than "
                           "two: `key.transpose(-2, -1)` turns the last two.")
def all_axes_turned(query, key, visible=None):
    return hidden(query @ key.T / query.shape[-1] ** 0.5, visible).softmax(dim=-1)


@attention_weights.mistake("You did not divide by the square root of d: the more numbers a dot product sums, "
                           "the larger it gets, and one token takes nearly all.")
def unscaled(query, key, visible=None):
    return hidden(scores_of(query, key, False), visible).softmax(dim=-1)


@attention_weights.mistake("You divide by d: divide by its square root, for that is how fast scores spread.")
def divided_by_d(query, key, visible=None):
    return hidden(query @ key.transpose(-2, -1) / query.shape[-1], visible).softmax(dim=-1)


@attention_weights.mistake("You divide by the square root of the number of tokens T: d is the number of "
                           "features, the last axis of `query`.")
def divided_by_tokens(query, key, visible=None):
    return hidden(query @ key.transpose(-2, -1) / query.shape[-2] ** 0.5, visible).softmax(dim=-1)


@attention_weights.mistake("You do not use `visible`: where it is False, the share should be 0.")
def everything_visible(query, key, visible=None):
    return scores_of(query, key).softmax(dim=-1)


@attention_weights.mistake("You set shares to 0 after the softmax: what is left of a row no longer sums to 1. "
                           "Give the hidden ones the score minus infinity before it.")
def hidden_after_the_softmax(query, key, visible=None):
    shares = scores_of(query, key).softmax(dim=-1)
    return shares if visible is None else shares * visible


@attention_weights.mistake("You gave hidden tokens the score 0, and e to the 0 is 1: they still get a share. "
                           "Minus infinity gets none.")
def hidden_at_zero(query, key, visible=None):
    return hidden(scores_of(query, key), visible, 0.0).softmax(dim=-1)


@attention_weights.mistake("You hid the visible ones: `masked_fill` fills where its mask is True, so give it "
                           "`~visible`.")
def upside_down(query, key, visible=None):
    return hidden(scores_of(query, key), None if visible is None else ~visible).softmax(dim=-1)


@attention_weights.mistake("You return the scores: a softmax makes shares of them.")
def scores_alone(query, key, visible=None):
    return hidden(scores_of(query, key), visible)


@attention_weights.mistake("Row and column are exchanged: row i should hold what token i, with its *query*, finds.")
def keys_look(query, key, visible=None):
    return hidden(scores_of(key, query), visible).softmax(dim=-1)


@attention_weights.rule
def shares_are_shares(attention_weights):
    query, key = random_heads(2, 2, 6, 4)
    visible = torch.tensor([True] * 4 + [False] * 2)
    shares = attention_weights(query, key, visible)
    assert (shares[..., 4:] == 0).all(), (
        f"A hidden token still gets a share of {shares[..., 4:].max():.2g}: it should be 0 exactly.")
    assert torch.allclose(shares.sum(-1), torch.ones(2, 2, 6), atol=1e-5), (
        f"A row of yours sums to {shares.sum(-1).flatten()[0]:.3f}: it should be 1.")


# --- split_heads ----------------------------------------------------------------------------------

split_heads = Exercise(
    model.split_heads, lesson=2, difficulty=2, minutes=8,
    task="""
        `x` is `(B, T, D)`. Cut the D features of every token into `heads` equal parts, and return
        `(B, H, T, D/H)`: sentence, head, token, feature. Head 0 gets the first D/H features of each token,
        head 1 the next, and so on.
    """,
    hint="""
        Two steps, each with its shape. A `view` may cut one axis into two, `D` into `H, D/H`, and no number
        changes its place in memory: `(B, T, H, D/H)`. Then `transpose(1, 2)` exchanges two axes. Straight to
        `view(B, H, T, D/H)` has the right shape and the wrong numbers.
    """)


def counted(B, T, D):
    """Features that can be told apart: token t of row 0 has t.0, t.1, ..., in hundredths."""
    return torch.arange(B * T)[:, None].reshape(B, T, 1) + torch.arange(D) / 100


@split_heads.cases
def tokens_to_cut():
    yield counted(1, 2, 4), 2
    yield counted(1, 3, 6), 3
    yield counted(2, 5, 8), 4
    yield counted(2, 3, 6), 2
    yield counted(1, 4, 4), 1
    yield torch.randn(3, 4, 12), 3
    yield torch.randn(2, 4, 24).chunk(3, dim=-1)[1], 2  # a part of a larger tensor, as in `Attention`


@split_heads.mistake("The shape is right, and the numbers are not: with a view straight to (B, H, T, D/H) a head "
                     "gets features of only some tokens. Cut the last axis first, then exchange two axes.")
def viewed_at_once(x, heads):
    B, T, D = x.shape
    return x.reshape(B, heads, T, D // heads)


@split_heads.mistake("The tokens still stand before the heads, (B, T, H, D/H): exchange the two axes.")
def not_exchanged(x, heads):
    B, T, D = x.shape
    return x.reshape(B, T, heads, D // heads)


@split_heads.mistake("Your heads take turns at the features (0, 2, 4, ... and 1, 3, 5, ...): head 0 should get the "
                     "first D/H of them in one piece.")
def every_other_feature(x, heads):
    B, T, D = x.shape
    return x.reshape(B, T, D // heads, heads).permute(0, 3, 1, 2)


@split_heads.mistake("You cut the features into parts of size `heads`: `heads` is how many parts there are, and each "
                     "has D/H features.")
def size_and_number(x, heads):
    B, T, D = x.shape
    return x.reshape(B, T, D // heads, heads).transpose(1, 2)


@split_heads.mistake("You put the heads in front of the sentences, (H, B, T, D/H): the batch comes first.")
def heads_in_front(x, heads):
    return torch.stack(x.chunk(heads, dim=-1))


# --- merge_heads ----------------------------------------------------------------------------------

merge_heads = Exercise(
    model.merge_heads, lesson=2, difficulty=1, minutes=5,
    task="""
        The way back. `x` is `(B, H, T, D/H)`, what each head has for each token. Put the parts of one token
        side by side again, head 0 first, and return `(B, T, D)`.
    """,
    hint="""
        The same two steps backwards: exchange the axes of heads and tokens, then make one axis of the last
        two. `flatten(2)` makes one axis of all from number 2 on. After an exchange of axes `view` refuses,
        because the numbers no longer lie in that order in memory; `reshape` and `flatten` copy them.
    """)


@merge_heads.cases
def heads_to_merge():
    yield (model.split_heads(counted(1, 2, 4), 2),)
    yield (model.split_heads(counted(1, 3, 6), 3),)
    yield (model.split_heads(counted(2, 3, 8), 4),)
    yield (torch.randn(2, 3, 5, 4),)
    yield (torch.randn(1, 1, 4, 6),)
    yield (torch.randn(3, 2, 2, 2),)


@merge_heads.mistake("The shape is right, and the numbers are not: a token gets parts of other tokens. Exchange the "
                     "axes of heads and tokens first.")
def reshaped_at_once(x):
    B, H, T, size = x.shape
    return x.reshape(B, T, H * size)


@merge_heads.mistake("Tokens and heads are exchanged, but the last two axes are still two: make one axis of them.")
def not_flattened(x):
    return x.transpose(1, 2)


@merge_heads.mistake("You add the heads up: side by side, each keeps what it has gathered.")
def added_up(x):
    return x.sum(dim=1)


@merge_heads.mistake("You took the mean of the heads: side by side, each keeps what it has gathered.")
def averaged(x):
    return x.mean(dim=1)


@merge_heads.mistake("The features of your heads take turns (0 of head 0, 0 of head 1, ...): head 0 should stand "
                     "first in one piece.")
def taking_turns(x):
    return x.permute(0, 2, 3, 1).flatten(2)


@merge_heads.rule
def it_undoes_the_cut(merge_heads):
    x = counted(2, 5, 12)
    for heads in (1, 2, 3, 4):
        again = merge_heads(model.split_heads(x, heads))
        assert torch.equal(again, x), (
            f"Cut into {heads} heads and merged again, token 1 has {again[0, 1].tolist()[:4]} ... and had "
            f"{x[0, 1].tolist()[:4]} ...: every number should be back in its place.")


# --- position_waves -------------------------------------------------------------------------------

position_waves = Exercise(
    model.position_waves, lesson=3, difficulty=2, minutes=10,
    task="""
        A table with a row for each of `length` places and `width` columns. There are width/2 waves, rounded
        up. Wave i = 0, 1, 2 ... turns `base ** (-2 * i / width)` radians a place; its angle at place t is t
        times that. (So the larger `base`, the slower the slowest wave. Vaswani et al. take 10,000, for longer
        rows.) The left half of the columns holds the sines of all waves, the right half the cosines; of an
        odd width the last cosine is left out. Return `(length, width)`.
    """,
    hint="""
        `torch.arange(0, width, 2)` is 2 * i for every wave. All angles at once: a column of places,
        `torch.arange(length)[:, None]`, times the row of speeds. Then `torch.cat([..., ...], dim=1)`, cut to
        `width` columns.
    """)


@position_waves.cases
def some_tables():
    yield 3, 2
    yield 1, 4
    yield 4, 4
    yield 5, 8, 10000.0
    yield 6, 5
    yield 64, 32


def waves_of(length, width, speed, first=0):
    """Waves of any speeds: what goes wrong is mostly the speed."""
    angle = torch.arange(first, first + length)[:, None] * speed
    return torch.cat([angle.sin(), angle.cos()], dim=1)[:, :width]


@position_waves.mistake("Your sines and cosines take turns, column by column. That is as good a table, and the "
                        "paper that invented it has it so; here all sines come first.")
def in_turns(length, width, base=1000.0):
    angle = torch.arange(length)[:, None] * base ** (-torch.arange(0, width, 2) / width)
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)[:, :width]


@position_waves.mistake("Your places begin at 1: the first row belongs to place 0, where every sine is 0 and every "
                        "cosine 1.")
def places_from_one(length, width, base=1000.0):
    return waves_of(length, width, base ** (-torch.arange(0, width, 2) / width), first=1)


@position_waves.mistake("Your cosines stand on the left: the sines come first.")
def cosines_first(length, width, base=1000.0):
    speed = base ** (-torch.arange(0, width, 2) / width)
    angle = torch.arange(length)[:, None] * speed
    return torch.cat([angle.cos(), angle.sin()], dim=1)[:, :width]


@position_waves.mistake("Your waves get faster from column to column: the exponent of `base` is negative.")
def faster(length, width, base=1000.0):
    return waves_of(length, width, base ** (torch.arange(0, width, 2) / width))


@position_waves.mistake("Your exponent is -i / width where -2 i / width is asked: with width/2 waves, only that "
                        "goes from 1 down to almost 1 / base.")
def half_the_exponent(length, width, base=1000.0):
    return waves_of(length, width, base ** (-torch.arange((width + 1) // 2) / width))


@position_waves.mistake("Your exponent is -4 i / width where -2 i / width is asked. Perhaps you took "
                        "`torch.arange(0, width, 2)` for i: it is 2 * i already.")
def twice_the_exponent(length, width, base=1000.0):
    return waves_of(length, width, base ** (-2 * torch.arange(0, width, 2) / width))


@position_waves.mistake("You wrote a number in place of `base`: it may be another.")
def fixed_base(length, width, base=1000.0):
    return waves_of(length, width, 1000.0 ** (-torch.arange(0, width, 2) / width))


@position_waves.mistake("With an odd width you return a column too many: cut the table to `width` columns.")
def a_column_too_many(length, width, base=1000.0):
    return waves_of(length, width + 1, base ** (-torch.arange(0, width, 2) / width))


@position_waves.mistake("You took the base 10000 of the paper that invented these waves, where `base` is asked.")
def the_other_base(length, width, base=1000.0):
    return waves_of(length, width, 10000.0 ** (-torch.arange(0, width, 2) / width))


# --- feed_forward ---------------------------------------------------------------------------------

feed_forward = Exercise(
    model.feed_forward, lesson=3, difficulty=1, minutes=4,
    task="""
        A network on each token alone. `x` is `(..., D)`: the last axis holds the numbers of one token. `up`
        and `down` are layers that are called like functions: `up` makes more numbers of them, `down` makes D
        again. Between the two stands a GELU. Return a tensor of the shape of `x`.
    """,
    hint="`F.gelu` bends each number for itself. From the inside out: up, GELU, down. No residual here.")


class Layer:
    """A linear layer as a function, with a name that a message can show. Draws no random number."""

    def __init__(self, name, rows, columns):
        self.name, self.weight = name, torch.linspace(-2, 2, rows * columns).sin().view(rows, columns)
        self.bias = torch.linspace(0.5, -0.5, rows)

    def __call__(self, x):
        return F.linear(x, self.weight, self.bias)

    def __repr__(self):
        rows, columns = self.weight.shape
        return f"<a linear layer, {columns} -> {rows}>"


UP, DOWN = Layer("up", 3, 2), Layer("down", 2, 3)
WIDER, NARROWER = Layer("up", 16, 4), Layer("down", 4, 16)


@feed_forward.cases
def toy_tokens():
    yield torch.tensor([[1.0, -1.0]]), UP, DOWN
    yield torch.tensor([[2.0, 0.5], [-3.0, 1.0]]), UP, DOWN
    for B, T in ((1, 3), (2, 5), (3, 2)):
        yield torch.randn(B, T, 4), WIDER, NARROWER


@feed_forward.mistake("There is no GELU in yours. Without a bend between them, two linear layers are no more than "
                      "one.")
def no_bend(x, up, down):
    return down(up(x))


@feed_forward.mistake("Your GELU comes last, behind `down`: it stands between the two layers.")
def bend_at_the_end(x, up, down):
    return F.gelu(down(up(x)))


@feed_forward.mistake("Your GELU comes first, before `up`: it stands between the two layers.")
def bend_at_the_start(x, up, down):
    return down(up(F.gelu(x)))


@feed_forward.mistake("That is a ReLU: it cuts at 0. ELECTRA bends with a GELU, `F.gelu`.")
def cut(x, up, down):
    return down(F.relu(up(x)))


@feed_forward.mistake("You bend twice: one GELU, between the two layers.")
def bend_twice(x, up, down):
    return F.gelu(down(F.gelu(up(x))))


@feed_forward.mistake("You added `x` again: that is the residual connection, and the block adds it.")
def with_residual(x, up, down):
    return x + down(F.gelu(up(x)))


@feed_forward.mistake("That is GELU's approximation by tanh: close, and not what ELECTRA has. Call `F.gelu` without "
                      "`approximate`.")
def approximate(x, up, down):
    return down(F.gelu(up(x), approximate="tanh"))


# --- layer_parameters -----------------------------------------------------------------------------

layer_parameters = Exercise(
    model.layer_parameters, lesson=3, difficulty=2, minutes=8,
    task="""
        How many numbers does one layer learn? `width` is D. Its attention has four linear layers of D -> D
        (query, key, value, output). Its feed-forward network goes from D to `feed_forward` numbers and back.
        It has two norms. Every linear layer has a matrix and a bias. Return a whole number.
    """,
    hint="""
        A linear layer from a to b has a * b numbers in its matrix and b in its bias. A norm has a gain and a
        shift for each of the D numbers of a token. In how many heads the attention is cut plays no part.
    """)


@layer_parameters.cases
def some_widths():
    yield 2, 3
    yield 3, 12
    yield 1, 1
    yield 16, 40
    yield 64, 256
    yield 256, 1024


def without(width, feed_forward, missing):
    return model.layer_parameters(width, feed_forward) - missing


@layer_parameters.mistake("You forgot the biases: a linear layer adds one number to each of its outputs, six times "
                          "in a layer.")
def no_biases(width, feed_forward):
    return without(width, feed_forward, 5 * width + feed_forward)


@layer_parameters.mistake("You forgot the two norms, a gain and a shift for each of D numbers, twice.")
def no_norms(width, feed_forward):
    return without(width, feed_forward, 4 * width)


@layer_parameters.mistake("You forgot the biases and the norms: small numbers, and the table would not add up.")
def matrices_alone(width, feed_forward):
    return 4 * width * width + 2 * width * feed_forward


@layer_parameters.mistake("Half of your norms is missing: a layer has two of them, each with a gain and a shift "
                          "for each of D numbers.")
def one_norm(width, feed_forward):
    return without(width, feed_forward, 2 * width)


@layer_parameters.mistake("You counted query, key and value and forgot the attention's output: four linear layers.")
def no_output(width, feed_forward):
    return without(width, feed_forward, width * width + width)


@layer_parameters.mistake("A linear layer has a bias for each of its *outputs*: the one back to D numbers has D.")
def bias_of_the_inputs(width, feed_forward):
    return model.layer_parameters(width, feed_forward) - width + feed_forward


@layer_parameters.mistake("You forgot the way back: the feed-forward network has two linear layers.")
def no_way_back(width, feed_forward):
    return without(width, feed_forward, width * feed_forward + width)


@layer_parameters.mistake("You counted one linear layer for the attention: it has four, query, key, value and "
                          "output.")
def one_projection(width, feed_forward):
    return without(width, feed_forward, 3 * (width * width + width))
