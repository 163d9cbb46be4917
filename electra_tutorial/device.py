"""Where the arithmetic happens: a GPU, an Apple chip or the CPU, in which precision, and how much memory it took."""
import contextlib
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from electra_tutorial.errors import UserError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def choose_device(name=None):
    """`torch.device` for "cuda", "mps" or "cpu"; without a name the first of these that is there.

    Raises `UserError` for a device this machine does not have.
    """
    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.insert(0, "mps")
    if torch.cuda.is_available():
        there.insert(0, "cuda")
    kind, _, number = str(name or there[0]).partition(":")
    last = torch.cuda.device_count() - 1 if kind == "cuda" else 0
    if kind not in there or (number and not (number.isdecimal() and int(number) <= last)):
        raise UserError(f"There is no device {name!r} on this machine: choose one of {', '.join(there)}.")
    if kind == "cuda" and "LOCAL_RANK" in os.environ:  # torchrun: one process a GPU
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return torch.device(name or there[0])


def autocast(device, dtype):
    """The context in which a forward pass runs: matrix products in `dtype`, or nothing at all for float32."""
    if DTYPES[dtype] == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=DTYPES[dtype])


def synchronise(device):
    """Wait until the device has done what it was given, so that a clock read next is right."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def to_device(tensor, device):
    """Copy a CPU tensor to the device; to a GPU from pinned memory, so that the copy overlaps with work under way."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def describe(device):
    """A name for people: the GPU's, or the CPU with its number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{device.type}, {threads} thread{'s' * (threads != 1)}"


def peak_memory_mb(device):
    """The most memory held so far, in MB (10^6 bytes): on a GPU its own, else this process's; nan on Windows."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    try:
        import resource
    except ImportError:  # Windows keeps no such record
        return float("nan")
    with contextlib.suppress(OSError, StopIteration):  # Linux, where `getrusage` begins with what the parent held
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6  # macOS counts bytes, others kB


# --- several processes, started by torchrun ---------------------------------------------------------------------
def join_processes(device):
    """(rank, number of processes) under `torchrun`; (0, 1) otherwise."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return 0, 1
    if device.type == "cuda":
        torch.cuda.set_device(device)  # what is gathered goes through the current device
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return dist.get_rank(), dist.get_world_size()


def agreed(value, world, device):
    """The first process's number, in every process."""
    if world == 1:
        return value
    tensor = torch.tensor([float(value)], dtype=torch.float64, device=device)
    dist.broadcast(tensor, 0)
    return type(value)(tensor.item())


def any_wants(flag, world, device):
    """True in every process as soon as one of them says so."""
    if world == 1:
        return flag
    tensor = torch.tensor([float(flag)], device=device)
    dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
    return tensor.item() > 0
