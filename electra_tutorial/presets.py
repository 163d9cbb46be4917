"""The sizes a mini ELECTRA comes in. A preset is every number a run depends on, the seed and the machine aside.

`PRESETS["laptop"]` is one of four; `PRESETS["laptop"].with_changes(layers=6)` is one of your own. Budgets are
counted in tokens, because a token costs the same everywhere while a minute does not; `train --minutes`
measures the machine and turns minutes into tokens.
"""
import math
from dataclasses import asdict, dataclass, fields, replace

from electra_tutorial.errors import UserError

POSITIONS = ("learned", "rotary", "none")
NORMS = ("post", "pre")
SHARING = ("embeddings", "none", "all")
STARTS = ("waves", "random")


@dataclass(frozen=True)
class Preset:
    """Sizes in units, lengths in word pieces, budgets in tokens. The defaults are the `laptop` size.

    Raises `UserError` when numbers do not fit together (heads that do not divide the width, a rate outside 0 to 1).
    """

    name: str = "laptop"
    # Text
    vocab_size: int = 8192
    max_length: int = 64  # pieces in a row, [CLS] and [SEP] included
    packing: bool = False  # several sentences a row; off, because learned positions learn little from it
    balance: float = 3.0  # a smaller source is read again until it weighs this times the largest; 0: each once
    # Both models; paper section 3.1
    embedding: int = 128
    width: int = 128
    layers: int = 4
    heads: int = 4
    feed_forward: int = 512
    generator_width: int = 64
    generator_layers: int = 2
    generator_heads: int = 2
    generator_feed_forward: int = 256
    positions: str = "learned"
    norm: str = "post"
    sharing: str = "embeddings"
    initial_std: float | None = None  # None: 1/sqrt(fan in); BERT's .02 is far too small for narrow models
    embedding_std: float = 0.02  # wider tables move too slowly: benchmarks/RECIPE.md
    position_start: str = "waves"  # or "random"; learned on from there either way, no proven gain yet
    unigram_start: bool = False  # the generator begins with word frequencies, and gets too far ahead
    dropout: float = 0.0  # 10 M tokens are one pass, everyday sentences six times over: nothing to overfit yet
    # Objective; paper section 2
    mask_rate: float = 0.25  # the paper's .15 learns more slowly in a short run: benchmarks/RECIPE.md
    mask_by_lot: bool = True  # each place by itself; False: as many of each row, as in the paper. See `spared`
    keep: float = 0.0
    temperature: float = 1.0
    odd_share: float = 0.5  # of the fakes, drawn at `odd_temperature` times the temperature: see `some_flatter`
    odd_temperature: float = 1.5
    discriminator_weight: float = 50.0
    # Training
    tokens: int = 10_000_000  # ten minutes to half an hour of two cores; `--minutes` fits it to yours
    batch_tokens: int = 1024  # half as many is better at equal tokens, and slower on two cores: benchmarks/RECIPE.md
    learning_rate: float = 1.2e-3  # 2e-3 harms: benchmarks/RECIPE.md
    generator_rate: float = 1.0  # the generator's own learning rate, as a share of the discriminator's
    warmup: float = 0.05  # share of all steps
    weight_decay: float = 0.01
    beta2: float = 0.98  # AdamW's second average: short runs cannot wait for .999
    clip: float = 1.0
    accumulate: int = 1  # parts a batch goes through in, to save memory

    def __post_init__(self):
        self.check_numbers()
        for which, width, heads in (
            ("width", self.width, self.heads),
            ("generator_width", self.generator_width, self.generator_heads),
        ):
            if width % heads:
                raise UserError(f"{which}={width} does not divide into {heads} heads: choose a multiple of {heads}.")
        choices = {"positions": POSITIONS, "position_start": STARTS, "norm": NORMS, "sharing": SHARING}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise UserError(f"{name}={getattr(self, name)!r} is not known: choose one of {', '.join(allowed)}.")
        for name in ("mask_rate", "keep", "odd_share", "dropout", "warmup"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name}={getattr(self, name)} is a share: give a number from 0 to 1.")
        self.check_one_size()
        widths = self.width // self.heads, self.generator_width // self.generator_heads
        if self.positions == "rotary" and any(width % 2 for width in widths):
            raise UserError("positions='rotary' turns features in pairs: give each head an even width.")
        if not self.clip:
            raise UserError("clip=0.0 would shorten every gradient to nothing: give a number above 0, such as 1.")
        if not self.odd_temperature:
            raise UserError("odd_temperature=0.0 divides by nothing: give a number above 1, or odd_share=0 for none.")

    def check_one_size(self):
        """Raise `UserError` unless an encoder that both models share fits both."""
        for name in ("width", "layers", "heads", "feed_forward"):
            small, large = getattr(self, f"generator_{name}"), getattr(self, name)
            if self.sharing == "all" and small != large:
                raise UserError(f"sharing='all' makes one encoder of two, and generator_{name}={small} is not {name}="
                                f"{large}: give both the same sizes, or share the embeddings alone.")

    def check_numbers(self):
        """Raise `UserError` unless counts are whole numbers from 1 on, switches switches, and all else from 0 on."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is int and (type(value) is not int or value < 1):
                raise UserError(f"{field.name}={value!r} must be a whole number from 1 on.")
            if field.type is float and not (isinstance(value, int | float) and 0 <= value < math.inf):
                raise UserError(f"{field.name}={value!r} must be a number, and not below 0.")
            if field.type is bool and type(value) is not bool:
                raise UserError(f"{field.name}={value!r} must be True or False.")

    def with_changes(self, **changes):
        """The same preset with some numbers changed; an unknown name is a `UserError`."""
        known = {field.name for field in fields(self)}
        if unknown := set(changes) - known:
            raise UserError(f"A preset has no {sorted(unknown)[0]!r}: choose from {', '.join(sorted(known))}.")
        return replace(self, **changes)

    def to_dict(self):
        """Plain data for `config.json`."""
        return asdict(self)


PRESETS = {
    "tiny": Preset(
        name="tiny", vocab_size=2048, max_length=64, balance=1.0, embedding=32, width=32, layers=2, heads=2,
        feed_forward=64, generator_width=16, generator_layers=1, generator_heads=1, generator_feed_forward=32,
        mask_by_lot=False, odd_share=0.0, tokens=200_000, batch_tokens=512, learning_rate=3e-3,
    ),
    "laptop": Preset(),
    "gpu": Preset(
        name="gpu", vocab_size=8192, max_length=128, embedding=128, width=256, layers=8, heads=4,
        feed_forward=1024, generator_width=64, generator_layers=4, generator_heads=1,
        generator_feed_forward=256, dropout=0.1, tokens=300_000_000, batch_tokens=16384, learning_rate=1e-3,
    ),
    "paper": Preset(
        name="paper", vocab_size=30522, max_length=128, balance=0.0, embedding=128, width=256, layers=12, heads=4,
        feed_forward=1024, generator_width=64, generator_layers=12, generator_heads=1, generator_feed_forward=256,
        position_start="random", initial_std=0.02, dropout=0.1, mask_rate=0.15, mask_by_lot=False, odd_share=0.0,
        tokens=16_384_000_000, batch_tokens=16384, learning_rate=5e-4, warmup=0.01, beta2=0.999,
    ),
}
