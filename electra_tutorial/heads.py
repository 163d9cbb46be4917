"""What attention heads do: look inside one pass, sum heads up over many sentences, switch one off.

A head's attention says where it gathered from. Whether the answer depends on that is another question, and the one
way to ask it is to take the head away and look at the answer again.

    T tokens in a row, D width, H heads, L layers
"""
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from electra_tutorial.errors import UserError
from electra_tutorial.evaluation import quietly
from electra_tutorial.judgement import find_model, what_was_read
from electra_tutorial.model import rotate, split_heads


# --- one pass -----------------------------------------------------------------------------------------------
@dataclass
class Look:
    """All that one model's heads did as it read one sentence.

    pieces: T strings, ids: T numbers; attentions, queries, keys: a list with one float32 array a layer, (H, T, T)
    for the attentions and (H, T, D/H) for the others; logits: what the model said, (T,) of the discriminator and
    (T, V) of the generator, from the same pass.
    """

    which: str
    pieces: list
    ids: list
    attentions: list
    queries: list
    keys: list
    logits: np.ndarray


def look_inside(text, model=None, tokenizer=None, which="discriminator"):
    """Read a sentence as it is, or what a `Judgement` was made of, and keep what every head did: a `Look`.

    Models and errors as for `judge`; `which`: "discriminator" or "generator". Of a `Judgement` the generator reads
    the masked sentence, the discriminator the corrupted one.
    """
    electra, tokenizer, _ = find_model(model, tokenizer)
    ids = what_was_read(text, which, electra, tokenizer)
    half = getattr(electra, which)
    with quietly(half) as device, recorded_projections(half) as projections:
        row = torch.tensor([ids], device=device)  # (1, T)
        logits, attentions = half(row, torch.ones_like(row, dtype=torch.bool), return_attention=True)
    queries, keys = zip(*(queries_and_keys(layer, half.encoder.blocks[0].attention) for layer in projections),
                        strict=True)
    return Look(which, [tokenizer.id_to_token(i) for i in ids], list(ids), [plain(a) for a in attentions],
                [plain(q) for q in queries], [plain(k) for k in keys], plain(logits))


@contextmanager
def recorded_projections(half):
    """Within it, what each layer's projection to queries, keys and values gives, (1, T, 3D), is kept in a list."""
    kept = []
    with hooked(block.attention.query_key_value.register_forward_hook(lambda layer, given, out: kept.append(out))
                for block in half.encoder.blocks):
        yield kept


@contextmanager
def hooked(hooks):
    """Hooks that were set on modules; whatever happens, they are taken off at the end."""
    hooks = list(hooks)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def queries_and_keys(projection, attention):
    """One layer's projection (1, T, 3D) -> its queries and keys, (1, H, T, D/H) each, turned if they are rotary."""
    query, key = (split_heads(part, attention.heads) for part in projection.chunk(3, dim=-1)[:2])
    return (rotate(query), rotate(key)) if attention.positions == "rotary" else (query, key)


def plain(tensor):
    """The one row of a batch of one, as a float32 array."""
    return tensor[0].float().cpu().numpy()


# --- what one head does -------------------------------------------------------------------------------------
def attention_at(attention, distance):
    """The mean share that tokens give to the one `distance` places on: -1 is the one before, 0 itself.

    attention (T, T), row = who looks. Tokens that have no such neighbour are left out; nan if none has one.
    """
    shares = np.diagonal(np.asarray(attention), offset=distance)  # entry i is attention[i, i + distance]
    return float(shares.mean()) if len(shares) else float("nan")


def attention_entropy(attention):
    """How widely a head looks, in nats: the mean over its rows of -sum p log p. attention (T, T) -> a float.

    0: each token looks at one place. log T: each looks at all of them alike.
    """
    p = np.asarray(attention, dtype=float)
    logs = np.log(1 / np.where(p > 0, p, 1))  # -log p; p log p goes to 0 with p
    return float((p * logs).sum(axis=-1).mean())


def rollout(attentions):
    """Where each token's vector comes from in the end, if attention were all that mixes tokens: (T, T).

    attentions: one (H, T, T) a layer. Of each layer the mean over heads, half of it the token itself, because the
    residual connection carries that past the heads; layer after layer multiplied (Abnar and Zuidema 2020).
    """
    T = attentions[0].shape[-1]
    sources = np.eye(T)  # before the first layer each token is itself
    for layer in attentions:
        sources = (layer.mean(axis=0) + np.eye(T)) / 2 @ sources  # rows sum to 1 still
    return sources


# --- heads over many sentences ------------------------------------------------------------------------------
KINDS = ("previous", "next", "itself", "[CLS]", "[SEP]", "same piece", "the rest")


def kinds_of(ids):
    """Which kind of place each place is to each other: {kind: (T, T) bool}, exactly one of them for each pair."""
    ids, T = np.asarray(ids), len(ids)
    distance = np.arange(T) - np.arange(T)[:, None]  # of column from row
    rules = {"itself": distance == 0, "[CLS]": (np.arange(T) == 0)[None, :] & (distance != 0),
             "[SEP]": (np.arange(T) == T - 1)[None, :] & (distance != 0), "previous": distance == -1,
             "next": distance == 1, "same piece": ids[:, None] == ids[None, :]}
    left, kinds = np.ones((T, T), dtype=bool), {}
    for kind, here in rules.items():
        kinds[kind] = here & left
        left &= ~kinds[kind]
    return kinds | {"the rest": left}


def head_summary(sentences, model=None, tokenizer=None, which="discriminator"):
    """What every head looks at over many sentences: {kind: array (L, H)}, shares of attention that sum to 1.

    Kinds: `KINDS`. Who looks: every token but [CLS] and [SEP]. Each looking token counts alike.
    """
    electra, tokenizer, _ = find_model(model, tokenizer)
    if not sentences:
        raise UserError("There is no sentence to sum the heads up over: give at least one.")
    totals, looks = {}, 0
    for sentence in sentences:
        look = look_inside(sentence, electra, tokenizer, which)
        attentions = np.stack(look.attentions)[:, :, 1:-1].astype(float)  # (L, H, T - 2, T)
        for kind, here in kinds_of(look.ids).items():
            shares = (attentions * here[1:-1]).sum(axis=(2, 3))  # (L, H)
            totals[kind] = totals.get(kind, 0) + shares
        looks += len(look.ids) - 2
    return {kind: totals[kind] / looks for kind in KINDS}


# --- switching heads off ------------------------------------------------------------------------------------
@contextmanager
def without_heads(half, heads):
    """Within it, the heads of a generator or discriminator say nothing: `heads` is a list of (layer, head).

    What a head found is set to 0 before the heads are put together, for every token. Afterwards the model is as it
    was. Raises `UserError` for a head that the model does not have.
    """
    blocks = half.encoder.blocks
    L, H = len(blocks), blocks[0].attention.heads
    for layer, head in heads:
        if not (0 <= layer < L and 0 <= head < H):
            raise UserError(f"There is no layer {layer}, head {head}: this model has the layers 0 to {L - 1} with "
                            f"the heads 0 to {H - 1} each.")
    with hooked(blocks[layer].attention.output.register_forward_pre_hook(silence(head, H)) for layer, head in heads):
        yield half


def silence(head, heads):
    """A hook that sets one head's part of what goes into the output projection, (B, T, D), to 0."""
    def hook(layer, given):
        width = given[0].shape[-1] // heads
        quiet = given[0].clone()
        quiet[..., head * width: (head + 1) * width] = 0.0
        return (quiet,)

    return hook
