"""ELECTRA in one file: attention, block, encoder, generator, discriminator, and the two together.

With `positions="learned"` and `norm="post"`, the default, this is the paper's architecture to the last
addition, so weights travel to `transformers` and back (see `hub`). `rotary` and `pre` are switches for
experiments.

    B batch, T tokens in a row, E embedding width, D width, H heads, V vocabulary,
    N chosen places of the whole batch
"""
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from electra_tutorial.errors import UserError
from electra_tutorial.objective import Objective
from electra_tutorial.tokens import MASK_ID, SPECIAL_TOKENS


def rotate(x):
    """Rotary positions: turn each pair of features of a query or key by an angle that grows with its place.

    x (B, H, T, D/H) -> the same shape. The product of two turned vectors depends on their distance alone
    (Su et al. 2021, RoFormer). Base 1000 instead of 10000: our rows are short.
    """
    T, half = x.shape[-2], x.shape[-1] // 2
    speed = 1000.0 ** (-torch.arange(half, device=x.device) / half)  # (half,) radians a step
    angle = torch.arange(T, device=x.device)[:, None] * speed  # (T, half)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    left, right = x[..., :half], x[..., half:]
    return torch.cat([left * cos - right * sin, left * sin + right * cos], dim=-1)


def split_heads(x, heads):
    """Cut the features of each token into H equal parts, one a head; head 0 has the first of them.

    x (B, T, D), heads = H -> (B, H, T, D/H).
    """
    B, T, D = x.shape
    return x.view(B, T, heads, D // heads).transpose(1, 2)  # (B, T, H, D/H) -> (B, H, T, D/H)


def merge_heads(x):
    """Put what the heads have for a token side by side again, head 0 first.

    x (B, H, T, D/H) -> (B, T, D). It undoes `split_heads`.
    """
    return x.transpose(1, 2).flatten(2)  # (B, T, H, D/H) -> (B, T, D)


def attention_weights(query, key, visible=None):
    """How much each token takes from each other: softmax(query key^T / sqrt(d)).

    query (..., T, d), key (..., T, d) -> (..., T, T). Row = who looks, column = who is looked at;
    a row sums to 1. visible: bool, broadcast to the result, False where nobody may look.
    (Vaswani et al. 2017, equation 1.)
    """
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5  # (..., T, T)
    if visible is not None:
        scores = scores.masked_fill(~visible, float("-inf"))  # e^-inf = 0: no share at all
    return scores.softmax(dim=-1)


class Attention(nn.Module):
    """Multi-head self-attention: each token gathers from all what it finds relevant.

    (Vaswani et al. 2017, section 3.2.)
    """

    def __init__(self, width, heads, positions="learned", dropout=0.0):
        super().__init__()
        self.heads, self.positions, self.dropout = heads, positions, dropout
        self.query_key_value = nn.Linear(width, 3 * width)  # three in one product: faster
        self.output = nn.Linear(width, width)

    def forward(self, x, attention_mask=None, return_attention=False):
        """Return what was gathered, (B, T, D), and if asked for the weights, (B, H, T, T), else None.

        x (B, T, D), attention_mask (B, T) bool, True = real.
        """
        three = self.query_key_value(x).chunk(3, dim=-1)  # (B, T, D) each
        query, key, value = (split_heads(part, self.heads) for part in three)  # (B, H, T, D/H)
        if self.positions == "rotary":
            query, key = rotate(query), rotate(key)
        # Of the keys, for any head and any query: (B, T) -> (B, 1, 1, T)
        visible = None if attention_mask is None else attention_mask[:, None, None, :]
        dropout = self.dropout if self.training else 0.0
        if return_attention:  # the same numbers, written out
            attention = attention_weights(query, key, visible)  # (B, H, T, T)
            mixed = F.dropout(attention, dropout) @ value  # (B, H, T, D/H)
        else:
            attention = None
            mixed = F.scaled_dot_product_attention(
                query, key, value, attn_mask=visible, dropout_p=dropout
            )
        return self.output(merge_heads(mixed)), attention


def feed_forward(x, up, down):
    """A small network on each token alone: `up` widens, GELU bends, `down` narrows.

    x (..., D) -> (..., D). up and down are linear layers, from D numbers a token to
    more, and back (Vaswani et al. 2017, 3.3).
    """
    return down(F.gelu(up(x)))


class Block(nn.Module):
    """One layer: attention, then a small network on each token.

    What each makes is added to what came in, and normalised. norm "post" (BERT,
    ELECTRA): normalise the sum. "pre" (GPT-2 and later): normalise what goes in.
    """

    def __init__(self, width, heads, feed_forward, positions="learned", norm="post",
                 dropout=0.0):
        super().__init__()
        self.norm = norm
        self.attention = Attention(width, heads, positions, dropout)
        self.attention_norm = nn.LayerNorm(width, eps=1e-12)
        self.up = nn.Linear(width, feed_forward)
        self.down = nn.Linear(feed_forward, width)
        self.feed_forward_norm = nn.LayerNorm(width, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def feed_forward(self, x):
        return feed_forward(x, self.up, self.down)

    def forward(self, x, attention_mask=None, return_attention=False):
        """x (B, T, D) -> (B, T, D), and the attention (B, H, T, T) or None."""
        before = self.attention_norm(x) if self.norm == "pre" else x
        mixed, attention = self.attention(before, attention_mask, return_attention)
        x = x + self.dropout(mixed)
        if self.norm == "post":
            x = self.attention_norm(x)
            x = self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))
        else:
            x = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        return x, attention


class Embeddings(nn.Module):
    """What a token is plus where it stands, normalised: (B, T) ids -> (B, T, E)."""

    def __init__(self, vocab_size, max_length, width, positions="learned", dropout=0.0):
        super().__init__()
        learned = positions == "learned"
        self.token = nn.Embedding(vocab_size, width)
        self.position = nn.Embedding(max_length, width) if learned else None
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids):
        x = self.token(ids)  # (B, T, E)
        if self.position is not None:
            x = x + self.position.weight[: ids.shape[1]]  # (T, E), for every row
        return self.dropout(self.norm(x))


class Encoder(nn.Module):
    """Token ids in, one vector for each token in its context out (paper, 3.1)."""

    def __init__(self, vocab_size, max_length, embedding, width, layers, heads,
                 feed_forward, positions="learned", norm="post", dropout=0.0):
        super().__init__()
        self.max_length = max_length
        sizes = vocab_size, max_length, embedding
        self.embeddings = Embeddings(*sizes, positions, dropout)
        same, pre = embedding == width, norm == "pre"
        self.project = nn.Identity() if same else nn.Linear(embedding, width)
        self.blocks = nn.ModuleList(
            Block(width, heads, feed_forward, positions, norm, dropout)
            for _ in range(layers)
        )
        self.final_norm = nn.LayerNorm(width, eps=1e-12) if pre else nn.Identity()

    def forward(self, ids, attention_mask=None, return_attention=False):
        """ids (B, T), attention_mask (B, T), 1 or True = real -> (B, T, D) and a list.

        The list has an attention (B, H, T, T) a layer if `return_attention`, else Nones.
        Raises `UserError` when a row is longer than the model has positions for.
        """
        if ids.shape[1] > self.max_length:
            raise UserError(f"A row of {ids.shape[1]} pieces is longer than the "
                            f"{self.max_length} this model reads: cut it.")
        visible = None if attention_mask is None else attention_mask.bool()
        x = self.project(self.embeddings(ids))  # (B, T, D)
        attentions = []
        for block in self.blocks:
            x, attention = block(x, visible, return_attention)
            attentions.append(attention)
        return self.final_norm(x), attentions


class Generator(nn.Module):
    """A small masked language model: at each place a score for every token of the vocabulary (paper, eq. 1)."""

    def __init__(self, preset):
        super().__init__()
        self.encoder = Encoder(
            preset.vocab_size, preset.max_length, preset.embedding, preset.generator_width,
            preset.generator_layers, preset.generator_heads, preset.generator_feed_forward,
            preset.positions, preset.norm, preset.dropout,
        )
        self.dense = nn.Linear(preset.generator_width, preset.embedding)
        self.norm = nn.LayerNorm(preset.embedding, eps=1e-12)
        self.bias = nn.Parameter(torch.zeros(preset.vocab_size))

    def forward(self, ids, attention_mask=None, chosen=None, return_attention=False):
        """ids (B, T) -> logits (B, T, V); with chosen (B, T) bool, at those N places only: (N, V).

        The product with the vocabulary is the dearest step of all, so training asks for the chosen places
        alone. The output table *is* the embedding table, looked up at each call: the tie cannot come loose.
        """
        x, attentions = self.encoder(ids, attention_mask, return_attention)  # (B, T, D)
        if chosen is not None:
            x = x[chosen]  # (N, D)
        x = self.norm(F.gelu(self.dense(x)))  # (..., E)
        logits = F.linear(x, self.encoder.embeddings.token.weight, self.bias)  # (..., V)
        return (logits, attentions) if return_attention else logits


class Discriminator(nn.Module):
    """For each token one number, the log-odds that it was replaced (paper, eq. 2). This is the model one keeps."""

    def __init__(self, preset):
        super().__init__()
        self.encoder = Encoder(
            preset.vocab_size, preset.max_length, preset.embedding, preset.width, preset.layers,
            preset.heads, preset.feed_forward, preset.positions, preset.norm, preset.dropout,
        )
        self.dense = nn.Linear(preset.width, preset.width)
        self.output = nn.Linear(preset.width, 1)

    def forward(self, ids, attention_mask=None, return_attention=False):
        """ids (B, T) -> logits (B, T), positive = replaced; and the attentions if asked for."""
        x, attentions = self.encoder(ids, attention_mask, return_attention)  # (B, T, D)
        logits = self.output(F.gelu(self.dense(x))).squeeze(-1)  # (B, T)
        return (logits, attentions) if return_attention else logits


@dataclass
class Step:
    """What one pass of `Electra` made: the losses, and what they were computed from. It is filled in as it goes."""

    real: torch.Tensor  # (B, T) bool, False at padding
    masked_ids: torch.Tensor  # (B, T)
    chosen: torch.Tensor  # (B, T) bool, at N places
    generator_logits: torch.Tensor  # (N, V)
    generator_loss: torch.Tensor  # () nats a chosen place
    corrupted_ids: torch.Tensor | None = None  # (B, T)
    labels: torch.Tensor | None = None  # (B, T) bool, True = replaced
    discriminator_logits: torch.Tensor | None = None  # (B, T)
    discriminator_loss: torch.Tensor | None = None  # () nats a real token
    loss: torch.Tensor | None = None  # ()


class Electra(nn.Module):
    """Generator, discriminator and the objective that trains them together (paper, section 2)."""

    def __init__(self, preset, objective=None):
        super().__init__()
        self.preset = preset
        self.objective = objective or Objective()
        self.generator = Generator(preset)
        self.discriminator = Discriminator(preset)
        self.rng = torch.Generator()  # decides masks and samples; dropout has torch's own
        self.apply(self.initialise)
        for half in (self.generator, self.discriminator):
            start_positions(half.encoder.embeddings.position, preset)
        if preset.sharing == "all":  # one encoder, two heads; the preset sees to it that they are of one size
            self.generator.encoder = self.discriminator.encoder
        if preset.sharing == "embeddings":  # as in the paper; shared as modules, so each table stays one
            self.generator.encoder.embeddings.token = self.discriminator.encoder.embeddings.token
            self.generator.encoder.embeddings.position = self.discriminator.encoder.embeddings.position

    def initialise(self, module):
        """What `apply` calls for each part."""
        start_weights(module, self.preset.initial_std, self.preset.embedding_std)

    def forward(self, ids, attention_mask=None):
        """One step of ELECTRA on ids (B, T), attention_mask (B, T), 1 or True = real; returns a `Step`."""
        step = self.guess(ids, attention_mask)
        self.replace(ids, step)
        logits = self.discriminator(step.corrupted_ids, attention_mask).float()  # (B, T)
        each = F.binary_cross_entropy_with_logits(logits, step.labels.float(), reduction="none")
        step.discriminator_logits = logits
        step.discriminator_loss = each[step.real].mean()  # every real token teaches; padding does not
        weight = self.preset.discriminator_weight
        step.loss = self.objective.loss(step.generator_loss, step.discriminator_loss, weight)
        return step

    def guess(self, ids, attention_mask=None):
        """Hide some places and let the generator say what stood there: a `Step` with its logits and loss."""
        if self.rng.device.type != ids.device.type:  # a random stream lives on one device: follow the data
            self.rng = torch.Generator(ids.device).manual_seed(self.rng.initial_seed())
        real = torch.ones_like(ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
        special = (ids < len(SPECIAL_TOKENS)) | ~real  # [PAD], [UNK], [CLS], [SEP], [MASK] have the first ids
        rate, keep = self.preset.mask_rate, self.preset.keep
        if self.preset.mask_by_lot:  # of the places that the lot spares none may be hidden, of the others all are
            special, rate = spared(special, rate, self.rng), 1.0
        masked_ids, chosen = self.objective.mask(ids, special, rate, MASK_ID, keep, self.rng)
        logits = self.generator(masked_ids, attention_mask, chosen).float()  # (N, V)
        loss = F.cross_entropy(logits, ids[chosen], reduction="sum")
        loss = loss / max(len(logits), 1)  # a mean; 0 where nothing could be chosen
        return Step(real, masked_ids, chosen, logits, loss)

    def replace(self, ids, step):
        """Write draws from the generator's guesses into the chosen places, and label every token."""
        preset, objective = self.preset, self.objective
        allowed = forbid_special(step.generator_logits.detach())  # no gradient passes a draw: none is asked for
        allowed = some_flatter(allowed, preset.odd_share, preset.odd_temperature, self.rng)
        samples = objective.sample(allowed, preset.temperature, self.rng)  # (N,)
        step.corrupted_ids = objective.corrupt(ids, step.chosen, samples)
        step.labels = objective.label(ids, step.corrupted_ids)


def start_weights(module, linear_std=None, embedding_std=0.02):
    """Give a layer its first weights, random and of a size to keep signals; biases 0.

    For `model.apply`. Without linear_std a linear layer starts with 1/sqrt(fan in), fan
    in being how many products each of its outputs adds up.
    """
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=linear_std or module.in_features**-0.5)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=embedding_std)


def position_waves(length, width, base=1000.0):
    """A row for each place: sines in the left half of it, cosines in the right half.

    -> (length, width). Column i of each half is one wave, which turns base ** (-2 i /
    width) radians a place: the first is the fastest. Of an odd width the last cosine is
    left out. (Vaswani et al. 2017, 3.5, with base 10000; our rows are short.)
    """
    speed = base ** (-torch.arange(0, width, 2) / width)  # (about width/2,) radians
    angle = torch.arange(length)[:, None] * speed  # (length, about width/2)
    return torch.cat([angle.sin(), angle.cos()], dim=1)[:, :width]


def start_positions(table, preset):
    """Let a position table begin as waves, as strong as the token embeddings.

    Then "one place to the left" is the same rotation everywhere, so what is learned of one pair of neighbours
    holds for all. The table goes on learning; random vectors would have to learn each place for itself.
    """
    if table is not None and preset.position_start == "waves":
        waves = position_waves(*table.weight.shape)  # (places, E), of standard deviation 1/sqrt(2)
        with torch.no_grad():
            table.weight.copy_(waves * 2**0.5 * preset.embedding_std)


def layer_parameters(width, feed_forward):
    """How many numbers one layer learns: attention, feed-forward network, two norms.

    width is D; feed_forward how many numbers a token has inside the network.
    """
    attention = 4 * (width * width + width)  # query, key, value, output: matrix and bias
    network = 2 * width * feed_forward + feed_forward + width  # up and down
    norms = 2 * 2 * width  # a gain and a shift for each number of a token
    return attention + network + norms


def spared(special, rate, rng=None):
    """Draw for each place by itself whether it is spared: an ordinary one is not with probability `rate`.

    special (B, T) bool: places spared in any case. The paper hides the same share of every row. Then a discriminator
    can count: a sentence of ten words has its two or three fakes, so a word that looks wrong acquits the others
    (benchmarks/RECIPE.md). Drawn by lot, places know nothing of each other. Returns (B, T) bool, True = leave it.
    """
    return special | (torch.rand(special.shape, generator=rng, device=special.device) >= rate)


def forbid_special(logits):
    """A copy of logits (..., V) in which [PAD], [UNK], [CLS], [SEP] and [MASK] are -inf: never drawn."""
    logits = logits.clone()
    logits[..., : len(SPECIAL_TOKENS)] = float("-inf")
    return logits


def some_flatter(logits, share, temperature, rng=None):
    """Divide a random `share` of the rows of logits (N, V) by `temperature`: these draws will be odder.

    A good generator seldom makes a gross mistake, and a discriminator that never saw one does not learn to
    see it: so some fakes are likely ones and some are odd (benchmarks/RECIPE.md has what this changes). With
    share 0 nothing is drawn. Returns (N, V).
    """
    if share == 0:
        return logits
    odd = torch.rand(len(logits), 1, generator=rng, device=logits.device) < share  # (N, 1)
    return logits / torch.where(odd, temperature, 1.0)
