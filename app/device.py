"""Which device to compute on."""

from contextlib import AbstractContextManager, nullcontext

import torch

from app.errors import InputError
from app.ranks import Ranks


def pick_device(name: str, ranks: Ranks = Ranks()) -> torch.device:  # noqa: B008  (frozen)
    """The device called `name`; `auto` is the accelerator if there is one, else the CPU.

    Each of several ranks on a machine gets an accelerator of its own. Raises InputError for a
    device that this machine or this build of PyTorch lacks, and for more ranks than accelerators.
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if not ranks.alone and accelerator is not None and name in ("auto", accelerator.type):
        count = torch.accelerator.device_count()
        if ranks.local_rank >= count:
            raise InputError(
                f"this machine has {count} of '{accelerator.type}', and each rank takes one: "
                f"give torchrun --nproc_per_node={count}, or --device cpu"
            )
        torch.accelerator.set_device_index(ranks.local_rank)
        return torch.device(accelerator.type, ranks.local_rank)
    if name == "auto":
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except Exception:  # what a device lacks, its module raises: ImportError, AttributeError, …
        raise InputError(f"device '{name}' cannot be used here; try --device cpu") from None
    if device.type == "meta":
        raise InputError("device 'meta' computes nothing; try --device cpu")
    if not ranks.alone and device.index is not None:
        raise InputError(
            f"--device {name} is one device, and each rank takes one: give --device {device.type}"
        )
    return device


def mixed_precision(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 autocast on accelerators that compute in it, else nothing.

    bfloat16 has the range of float32, so no loss scaling is needed.
    """
    computes = getattr(getattr(torch, device.type, None), "is_bf16_supported", None)
    if device.type == "cpu" or computes is None or not computes(including_emulation=False):
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def device_name(device: torch.device) -> str:
    """What to call the device in a report."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return with_threads(device.type, torch.get_num_threads())


def with_threads(processor: str, count: int) -> str:
    """A processor, and how many threads compute on it."""
    return f"{processor}, {count} thread{'s' if count > 1 else ''}"
