"""To `transformers` and back: the same numbers under other names.

With learned positions and the norm after the residual our two models are the paper's architecture to the
last addition, and so are `ElectraForMaskedLM` (generator) and `ElectraForPreTraining` (discriminator). What
differs is bookkeeping:

    ours                                      theirs
    one projection for query, key, value      three
    a position table                          and a token-type table, whose row 0 is always added
    the output table is the embedding table   the same, tied anew after loading, so it is not in the file

`export` needs no `transformers` to write what it reads: a config.json, a model.safetensors and a tokenizer.
"""
from math import gcd
from pathlib import Path

import torch

from electra_tutorial.checkpoint import read_json, read_tensors, write_json, write_tensors
from electra_tutorial.errors import UserError
from electra_tutorial.finetune import Classifier, SpanReader, Tagger
from electra_tutorial.model import Electra
from electra_tutorial.presets import Preset
from electra_tutorial.tokens import PAD_ID, save_tokenizer

CLASSES = {"generator": "ElectraForMaskedLM", "discriminator": "ElectraForPreTraining"}

# Modules with a weight and a bias: our name, theirs.
BLOCK = {
    "attention.output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "feed_forward_norm": "output.LayerNorm",
}
HEADS = {
    "generator": {"dense": "generator_predictions.dense", "norm": "generator_predictions.LayerNorm"},
    "discriminator": {
        "dense": "discriminator_predictions.dense", "output": "discriminator_predictions.dense_prediction",
    },
}
TOKENS = "electra.embeddings.word_embeddings.weight"
POSITIONS = "electra.embeddings.position_embeddings.weight"
TYPES = "electra.embeddings.token_type_embeddings.weight"
OUTPUT_TABLE = "generator_lm_head.weight"
PARTS = ("query", "key", "value")  # in the order in which our one projection stacks them
# What a config.json may leave unsaid: `transformers` then assumes the paper's ELECTRA-Small.
UNSAID = {
    "vocab_size": 30522, "embedding_size": 128, "hidden_size": 256, "num_hidden_layers": 12,
    "num_attention_heads": 4, "intermediate_size": 1024, "max_position_embeddings": 512,
    "hidden_dropout_prob": 0.1, "hidden_act": "gelu", "layer_norm_eps": 1e-12, "is_decoder": False,
}


# --- names ------------------------------------------------------------------------------------------------
def tensor_names(half, layers, project):
    """Our name -> their name of each tensor that is the same in both; half: "generator", "discriminator"."""
    modules = {"encoder.embeddings.norm": "electra.embeddings.LayerNorm", **HEADS[half]}
    if project:
        modules["encoder.project"] = "electra.embeddings_project"
    for n in range(layers):
        here, there = f"encoder.blocks.{n}", f"electra.encoder.layer.{n}"
        modules |= {f"{here}.{ours}": f"{there}.{theirs}" for ours, theirs in BLOCK.items()}
    names = {
        f"{ours}.{kind}": f"{theirs}.{kind}"
        for ours, theirs in modules.items() for kind in ("weight", "bias")
    }
    names |= {"encoder.embeddings.token.weight": TOKENS, "encoder.embeddings.position.weight": POSITIONS}
    return names | ({"bias": "generator_lm_head.bias"} if half == "generator" else {})


def projection_names(layers):
    """Yield our name of each layer's one projection and their three, weights and biases."""
    for n in range(layers):
        for kind in ("weight", "bias"):
            theirs = [f"electra.encoder.layer.{n}.attention.self.{part}.{kind}" for part in PARTS]
            yield f"encoder.blocks.{n}.attention.query_key_value.{kind}", theirs


def sizes(preset, half):
    """The four sizes in which the two models differ: width, layers, heads, feed_forward."""
    prefix = "generator_" if half == "generator" else ""
    return tuple(getattr(preset, prefix + name) for name in ("width", "layers", "heads", "feed_forward"))


# --- there ------------------------------------------------------------------------------------------------
def transformers_config(preset, half):
    """The contents of config.json for one of the two models.

    Raises `UserError` for an architecture that `transformers` does not have.
    """
    refuse_other_architectures(preset)
    width, layers, heads, feed_forward = sizes(preset, half)
    return {
        "architectures": [CLASSES[half]], "model_type": "electra", "vocab_size": preset.vocab_size,
        "embedding_size": preset.embedding, "hidden_size": width, "num_hidden_layers": layers,
        "num_attention_heads": heads, "intermediate_size": feed_forward, "hidden_act": "gelu",
        "hidden_dropout_prob": preset.dropout, "attention_probs_dropout_prob": preset.dropout,
        "max_position_embeddings": preset.max_length, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
        "initializer_range": preset.initial_std or 0.02, "pad_token_id": PAD_ID, "tie_word_embeddings": True,
    }


def refuse_other_architectures(preset):
    """Raise `UserError` unless the preset is the paper's architecture."""
    reason = None
    if preset.positions == "rotary":
        reason = "positions='rotary' turns queries and keys, and transformers' ELECTRA has no such step"
    elif preset.positions != "learned":
        reason = f"positions={preset.positions!r} has no position table, and transformers' ELECTRA adds one"
    elif preset.norm != "post":
        reason = f"norm={preset.norm!r} normalises before each layer, and transformers' ELECTRA after it"
    if reason:
        raise UserError(f"This model cannot be exported: {reason}. Export one with positions='learned' and "
                        "norm='post', the default.")


def to_transformers(electra, half):
    """The tensors of one model under the names that `transformers` gives them, each once."""
    model, preset = getattr(electra, half), electra.preset
    own, layers = model.state_dict(), sizes(preset, half)[1]
    project = preset.embedding != sizes(preset, half)[0]
    tensors = {theirs: own[ours] for ours, theirs in tensor_names(half, layers, project).items()}
    for ours, theirs in projection_names(layers):
        tensors |= dict(zip(theirs, own[ours].chunk(3), strict=True))  # (3 D, ...) -> three of (D, ...)
    return tensors | {TYPES: own["encoder.embeddings.token.weight"].new_zeros(2, preset.embedding)}


def export(electra, tokenizer, folder):
    """Write both models so that `transformers` reads them: folder/generator and folder/discriminator.

    `ElectraForMaskedLM.from_pretrained(folder / "generator")` and the same of `ElectraForPreTraining` with
    "discriminator" give the logits that our own models give, to 1e-5. Returns the folder. Raises `UserError`
    for an architecture that `transformers` does not have, a folder in which something is already, or one
    that cannot be written.
    """
    folder = Path(folder)
    configs = {half: transformers_config(electra.preset, half) for half in CLASSES}
    try:
        refuse_full(folder)
        for half, config in configs.items():
            place, tensors = folder / half, to_transformers(electra, half)
            write_json(place / "config.json", config)
            write_tensors(place / "model.safetensors", tensors, {"format": "pt"})
            save_tokenizer(tokenizer, place, electra.preset.max_length)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}): name another folder.") from None
    return folder


# --- a fine-tuned model, there ----------------------------------------------------------------------------
TUNED = {  # our class -> theirs, and our name -> theirs of the head's layers
    Classifier: ("ElectraForSequenceClassification", {"dense": "classifier.dense", "output": "classifier.out_proj"}),
    SpanReader: ("ElectraForQuestionAnswering", {"output": "qa_outputs"}),
    Tagger: ("ElectraForTokenClassification", {"output": "classifier"}),
}


def export_tuned(fit, preset, folder):
    """Write a fine-tuned model (a `Fit`, of an `Electra` of this preset) so that `transformers` reads it.

    `AutoModelForSequenceClassification`, `AutoModelForQuestionAnswering` or `AutoModelForTokenClassification`
    `.from_pretrained(folder)` gives the logits of ours, to 1e-5; `id2label` has the classes. Returns the folder.
    Raises `UserError` as `export` does.
    """
    folder, (kind, head) = Path(folder), TUNED[type(fit.model)]
    encoder, dropout = fit.model.encoder, fit.recipe.dropout
    config = transformers_config(preset.with_changes(layers=len(encoder.blocks), dropout=dropout), "discriminator")
    config |= {"architectures": [kind], "classifier_dropout": dropout}
    if fit.classes:
        names = dict(enumerate(fit.classes))
        config |= {"id2label": names, "label2id": {name: number for number, name in names.items()}}
    try:
        refuse_full(folder)
        write_json(folder / "config.json", config)
        write_tensors(folder / "model.safetensors", tuned_tensors(fit.model, preset, head), {"format": "pt"})
        save_tokenizer(fit.tokenizer, folder, encoder.max_length)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}): name another folder.") from None
    return folder


def tuned_tensors(model, preset, head):
    """The tensors of a fine-tuned model under the names of `transformers`; head: {our layer: theirs}."""
    own, layers, width = model.state_dict(), len(model.encoder.blocks), preset.width
    body = tensor_names("discriminator", layers, preset.embedding != width)
    tensors = {theirs: own[ours] for ours, theirs in body.items() if ours.startswith("encoder.")}
    for ours, theirs in projection_names(layers):
        tensors |= dict(zip(theirs, own[ours].chunk(3), strict=True))  # (3 D, ...) -> three of (D, ...)
    for ours, theirs in head.items():
        tensors |= {f"{theirs}.{kind}": own[f"{ours}.{kind}"] for kind in ("weight", "bias")}
    return tensors | {TYPES: own["encoder.embeddings.token.weight"].new_zeros(2, preset.embedding)}


def refuse_full(folder):
    """Raise `UserError` for a folder in which something is already."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} already holds something: name a new folder for the export.")


# --- and back ---------------------------------------------------------------------------------------------
def from_transformers(discriminator, generator=None):
    """An `Electra` that gives the logits of models of `transformers`, in evaluation mode and float32.

    discriminator: an `ElectraForPreTraining`, or the folder one was saved in; generator: an
    `ElectraForMaskedLM` likewise. Without one the generator is new, a quarter of the size (paper, section
    3.2), and knows nothing. If both have the same tables, they are shared. Our special tokens have the ids 0
    to 4: to go on *training*, the tokenizer must agree with that. Raises `UserError` for other kinds of
    model, or two that do not belong together.
    """
    sources = {"discriminator": read_half(discriminator, "discriminator")}
    if generator is not None:
        sources["generator"] = read_half(generator, "generator")
    electra = Electra(preset_of(sources))
    for half, (config, tensors) in sources.items():
        project = config["embedding_size"] != config["hidden_size"]
        names = tensor_names(half, config["num_hidden_layers"], project)
        state = {ours: tensors[theirs] for ours, theirs in names.items()}
        for ours, theirs in projection_names(config["num_hidden_layers"]):
            state[ours] = torch.cat([tensors[name] for name in theirs])  # three of (D, ...) -> (3 D, ...)
        getattr(electra, half).load_state_dict(state)
    return electra.eval()


def read_half(source, half):
    """(config, tensors) of a model of `transformers` or its folder, token type 0 added to the positions."""
    if isinstance(source, (str, Path)):
        folder = Path(source)
        config, tensors = read_json(folder / "config.json"), read_tensors(folder / "model.safetensors")[0]
    else:
        config, tensors = source.config.to_dict(), source.state_dict()
    config = UNSAID | {key: value for key, value in config.items() if value is not None}
    check_kind(config, tensors, half)
    tensors = {name: tensor.detach().float() for name, tensor in tensors.items()}
    return config, tensors | {POSITIONS: tensors[POSITIONS] + tensors[TYPES][0]}


def check_kind(config, tensors, half):
    """Raise `UserError` unless this is the ELECTRA that our models can be."""
    name = CLASSES[half]
    if config.get("model_type", "electra") != "electra":
        raise UserError(f"The {half} is of the kind {config['model_type']!r}: give an {name}.")
    for key in ("hidden_act", "layer_norm_eps", "is_decoder"):
        if config[key] != UNSAID[key]:
            raise UserError(f"The {half} has {key}={config[key]!r}, our models have {UNSAID[key]!r}: give an "
                            "ELECTRA as the paper describes it.")
    layers = config["num_hidden_layers"]
    names = tensor_names(half, layers, config["embedding_size"] != config["hidden_size"])
    projections = [name for _, theirs in projection_names(layers) for name in theirs]
    wanted = [TYPES, *names.values(), *projections]
    if missing := [tensor for tensor in wanted if tensor not in tensors]:
        raise UserError(f"The {half} has no tensor {missing[0]}: give an {name}, whole.")
    if half == "generator" and not torch.equal(tensors.get(OUTPUT_TABLE, tensors[TOKENS]), tensors[TOKENS]):
        raise UserError("The generator's output table is not its embedding table, and in our models they are "
                        "one: give an ELECTRA that has them tied.")


def preset_of(sources):
    """The `Preset` of one or two (config, tensors) by half; `UserError` when they do not fit together."""
    config, tensors = sources["discriminator"]
    width, heads = config["hidden_size"], config["num_attention_heads"]
    generator = {
        "hidden_size": width // 4, "num_hidden_layers": config["num_hidden_layers"],
        "num_attention_heads": gcd(width // 4, max(1, heads // 4)),
        "intermediate_size": config["intermediate_size"] // 4,
    }
    sharing = "embeddings"
    if "generator" in sources:
        generator, others = sources["generator"]
        for key in ("vocab_size", "embedding_size", "max_position_embeddings"):
            if generator[key] != config[key]:
                raise UserError(f"The generator has {key}={generator[key]}, the discriminator {config[key]}: "
                                "give two that were trained together.")
        if not all(torch.equal(tensors[name], others[name]) for name in (TOKENS, POSITIONS)):
            sharing = "none"
    return Preset(
        name="imported", vocab_size=config["vocab_size"], max_length=config["max_position_embeddings"],
        embedding=config["embedding_size"], width=width, layers=config["num_hidden_layers"], heads=heads,
        feed_forward=config["intermediate_size"], generator_width=generator["hidden_size"],
        generator_layers=generator["num_hidden_layers"], generator_heads=generator["num_attention_heads"],
        generator_feed_forward=generator["intermediate_size"], sharing=sharing,
        dropout=config["hidden_dropout_prob"],
    )
