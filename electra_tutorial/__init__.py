"""ELECTRA from nothing: the small package whose code the lessons show.

Text -> tokens -> rows -> masked -> sampled -> corrupted -> labels -> two losses -> weights -> judgements -> pictures:
the modules are laid out in that order, and each imports only from those above it. Names are looked up when they are
first used, so that `import electra_tutorial` (and `electra-tutorial --help`) does not wait for PyTorch.
"""
import importlib

__version__ = "0.1.0"

HOMES = {
    "UserError": "errors",
    "Preset": "presets",
    "PRESETS": "presets",
    "mask_tokens": "objective",
    "sample_tokens": "objective",
    "corrupt": "objective",
    "replaced_labels": "objective",
    "electra_loss": "objective",
    "Objective": "objective",
    "Encoder": "model",
    "Generator": "model",
    "Discriminator": "model",
    "Electra": "model",
    "save": "checkpoint",
    "load": "checkpoint",
    "judge": "judgement",
    "pretrain": "training",
    "Run": "training",
}
__all__ = sorted(HOMES)


def __getattr__(name):
    """Import the module a public name lives in at its first use (PEP 562)."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{HOMES[name]}"), name)


def __dir__():
    return sorted([*globals(), *HOMES])
