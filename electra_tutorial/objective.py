"""Replaced token detection, step by step in the paper's order: mask, sample, corrupt, label, add the two losses.

Clark et al. 2020, "ELECTRA: Pre-training Text Encoders as Discriminators Rather Than Generators", section 2.
Each step is a plain function on tensors. `Objective` holds one of each; put your own in, and `Electra` trains
with it.

    B batch, T tokens in a row, V vocabulary, N chosen places of the whole batch
"""
from collections.abc import Callable
from dataclasses import dataclass

import torch


def mask_tokens(ids, special, rate, mask_id, keep=0.0, rng=None):
    """Choose places in each row and hide them behind [MASK].

    ids (B, T) long, special (B, T) bool: places never chosen ([CLS], [SEP], padding). Each row gets `rate` of
    its ordinary places, rounded, at least one if it has any; no place twice. `keep`: share of the chosen places
    whose token stays visible (the paper's text: 0; its released code: .15). `rng`, a `torch.Generator`, alone
    decides.

    Returns masked_ids (B, T) long and chosen (B, T) bool; `ids` is left as it was.
    """
    lottery = torch.rand(ids.shape, generator=rng, device=ids.device).masked_fill(special, 2.0)  # (B, T)
    place_in_line = lottery.argsort(dim=1).argsort(dim=1)  # (B, T), 0 = smallest number drawn
    ordinary = (~special).sum(dim=1, keepdim=True)  # (B, 1)
    wanted = (ordinary * rate + 0.5).floor().clamp(min=1 if rate > 0 else 0)
    chosen = (place_in_line < wanted) & ~special
    hidden = chosen
    if keep > 0:
        hidden = chosen & (torch.rand(ids.shape, generator=rng, device=ids.device) >= keep)
    return ids.masked_fill(hidden, mask_id), chosen


def sample_tokens(logits, temperature=1.0, rng=None):
    """Draw one token a row from softmax(logits / temperature).

    logits (N, V) in any precision; temperature 0 takes the likeliest. What must not be drawn is -inf. Half
    precision keeps three digits, too few to add up thousands of small probabilities, so this happens in
    float32. It walks along the cumulative probabilities, which needs one random number a row, where
    `torch.multinomial` draws one for each of N x V: the command `electra-tutorial bench` shows what that costs.

    Returns (N,) long. Raises `ValueError` for a negative temperature.
    """
    if temperature < 0:
        raise ValueError(f"temperature={temperature} must not be negative: 0 takes the likeliest token.")
    logits = logits.float()
    if temperature == 0:
        return logits.argmax(dim=-1)
    cumulative = torch.softmax(logits / temperature, dim=-1).cumsum(dim=-1)  # (N, V), ends near 1
    target = torch.rand(len(logits), 1, generator=rng, device=logits.device) * cumulative[:, -1:]  # (N, 1)
    samples = torch.searchsorted(cumulative, target, right=True).squeeze(1)  # (N,), the first that lies beyond
    return samples.clamp(max=logits.shape[-1] - 1)  # nothing lies beyond NaN: the loss will tell of it


def corrupt(ids, chosen, samples):
    """Write the generator's samples (N,) into the chosen places of a copy of ids (B, T). Returns (B, T) long."""
    corrupted_ids = ids.clone()
    corrupted_ids[chosen] = samples
    return corrupted_ids


def replaced_labels(ids, corrupted_ids):
    """Which tokens are fake? (B, T) bool, True = replaced. A sample that equals the original counts as original."""
    return corrupted_ids != ids


def electra_loss(generator_loss, discriminator_loss, weight=50.0):
    """The joint loss. `weight` is the paper's lambda: a yes or no costs far less than a choice among V tokens."""
    return generator_loss + weight * discriminator_loss


@dataclass(frozen=True)
class Objective:
    """The five steps of replaced token detection, each a function that can be exchanged for your own."""

    mask: Callable = mask_tokens
    sample: Callable = sample_tokens
    corrupt: Callable = corrupt
    label: Callable = replaced_labels
    loss: Callable = electra_loss
