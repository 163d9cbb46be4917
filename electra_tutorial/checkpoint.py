"""A model folder: what stands in it, written so that a power cut leaves the old or the new, never half of one.

    config.json         preset, seed, device, number of steps: what the run *is*
    model.safetensors   weights of both models, shared tables once
    tokenizer.json      the vocabulary they speak
    metrics.json        the last evaluation
    history.json        every evaluation, in order
    timelapse.json      what the discriminator said of the probe sentences, moment by moment
    checkpoint/         state.safetensors: all that a run needs to go on as if it had never stopped

Weights are safetensors only. A pickle can run code when it is opened, so it is refused.
"""
import json
import math
import os
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from electra_tutorial.errors import UserError
from electra_tutorial.model import Electra
from electra_tutorial.presets import Preset
from electra_tutorial.sources import data_dir
from electra_tutorial.tokens import load_tokenizer, save_tokenizer

SHIPPED = "mini-electra"
STATE = Path("checkpoint") / "state.safetensors"


@contextmanager
def put_in_place(path):
    """Gives a name beside `path` to write to, and moves what was written there: readers see the old one or the new
    one, whole. Raises `UserError` when it cannot be written, on a full disk say; the old one is kept.
    """
    path = Path(path)
    new = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield new
        os.replace(new, path)
    except (OSError, SafetensorError) as error:  # safetensors has its own name for a full disk
        with suppress(OSError):
            new.unlink()
        raise UserError(
            f"{path} cannot be written ({getattr(error, 'strerror', None) or error}): make room on the disk, or "
            "choose another folder. What was saved before is kept."
        ) from None


def write_text(path, text):
    """Write a text file, whole or not at all."""
    with put_in_place(path) as new:
        new.write_text(text, encoding="utf-8")


def write_json(path, data):
    """Plain data as indented JSON, written whole or not at all. A NaN (a score of nothing) becomes null."""
    write_text(path, json.dumps(without_nan(data), indent=1, ensure_ascii=False) + "\n")


def without_nan(data):
    """The same data with None for every NaN, which JSON has no word for."""
    if isinstance(data, dict):
        return {key: without_nan(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [without_nan(value) for value in data]
    return None if isinstance(data, float) and math.isnan(data) else data


def read_json(path):
    """The data in a JSON file. Raises `UserError` when it is missing or damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing: is {Path(path).parent} a model folder made by `electra-tutorial train`?"
        ) from None
    except (ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}): train again, or take another model folder.") from None


def write_tensors(path, tensors, metadata=None):
    """Named tensors to a safetensors file, whole or not at all; aliases of one tensor must have been left out."""
    with put_in_place(path) as new:
        new.touch()
        readers = new.stat().st_mode  # as for any other file; safetensors would let nobody else read it
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, new, metadata)
        new.chmod(readers)
        with open(new, "rb") as file:
            os.fsync(file.fileno())  # on the disk before the old one goes


def read_tensors(path):
    """Tensors by name, and the metadata. Raises `UserError` for a missing, truncated or foreign file."""
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"{path} is missing: name a folder made by `electra-tutorial train`, or leave --model out."
        )
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        if looks_like_a_pickle(path):
            raise UserError(
                f"{path} is a pickle, not safetensors. Opening one can run code, so it is refused: save the "
                "weights as safetensors, or train again."
            ) from None
        raise UserError(
            f"{path} is damaged or not a safetensors file ({error}): train again or copy it again."
        ) from None


def looks_like_a_pickle(path):
    """Whether a file begins as pickles do: `torch.save` writes a zip, older ones the pickle itself."""
    with open(path, "rb") as file:
        start = file.read(4)
    return start == b"PK\x03\x04" or start[:1] == b"\x80"


def unshared(module):
    """The module's tensors by name, each once: of two names for one tensor the first stands for both."""
    seen, tensors = set(), {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            tensors[name] = tensor
    return tensors


def load_weights(electra, tensors, path="the file"):
    """Copy tensors into the model by name: all of the model's must be there, in their shapes, and no other."""
    own = unshared(electra)
    missing, unknown = sorted(set(own) - set(tensors)), sorted(set(tensors) - set(own))
    wrong = [name for name in own if name in tensors and own[name].shape != tensors[name].shape]
    if missing or unknown or wrong:
        name = (missing + unknown + wrong)[0]
        problem = "is missing" if missing else "is not one of this model's" if unknown else "has another shape"
        raise UserError(
            f"{path} does not fit its config.json: tensor {name} {problem}. Take weights and config from one run."
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def save(electra, tokenizer, folder, dtype=None, **documents):
    """Write a model folder. `documents`: more JSON files by name (config=, metrics=, history=, timelapse=).

    dtype: `torch.float16` halves the file; loading makes float32 of it again. Returns the folder. Raises
    `UserError` when it cannot be written.
    """
    folder = Path(folder)
    config = {"preset": electra.preset.to_dict(), **documents.pop("config", {})}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: t.to(dtype) if dtype else t for name, t in unshared(electra).items()}
        write_tensors(folder / "model.safetensors", tensors)
        save_tokenizer(tokenizer, folder)
        for name, data in {"config": config, **documents}.items():
            write_json(folder / f"{name}.json", data)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}): choose another folder with --out."
        ) from None
    return folder


def ship(run, folder):
    """Copy a finished run to a folder small enough to hand on: weights in float16, its record, no checkpoint.

    That is how data/mini-electra is made. Returns the folder.
    """
    electra, tokenizer = load(run)
    names = ("config", "metrics", "history", "timelapse")
    return save(electra, tokenizer, folder, torch.float16, **{n: read_json(Path(run) / f"{n}.json") for n in names})


def model_folder(path=None):
    """The folder to load: the one named, else the trained mini ELECTRA that comes with the course."""
    folder = Path(path) if path else data_dir() / SHIPPED
    if not folder.is_dir():
        hint = "train one with `electra-tutorial train`" if path else "this copy came without its model"
        raise UserError(f"There is no model folder {folder}: {hint}, or name one with --model.")
    return folder


def load(path=None):
    """Read a model folder -> (`Electra` in evaluation mode, float32, on the CPU; tokenizer).

    Without a path: the mini ELECTRA that comes with the course. Raises `UserError` for a folder that is
    missing, damaged or not one of ours.
    """
    folder = model_folder(path)
    config = read_json(folder / "config.json")
    if not isinstance(config, dict) or "preset" not in config:
        raise UserError(f"{folder} is not a model folder of this course: its config.json names no preset.")
    try:
        electra = Electra(Preset().with_changes(**config["preset"]))
    except (TypeError, AttributeError, UserError) as error:
        why = str(error).partition(": choose")[0].rstrip(".")  # nobody chose: the file is of another version
        raise UserError(
            f"{folder / 'config.json'} holds a preset that this version cannot read ({why}): train again."
        ) from None
    tokenizer = load_tokenizer(folder)
    known, room = tokenizer.get_vocab_size(), electra.preset.vocab_size
    if known > room:  # fewer are fine: some rows of the table are unused
        raise UserError(
            f"{folder / 'tokenizer.json'} has {known} tokens, the model {room}: they do not belong together; take "
            "both from one run."
        )
    path = folder / "model.safetensors"
    load_weights(electra, read_tensors(path)[0], path)
    return electra.eval(), tokenizer
