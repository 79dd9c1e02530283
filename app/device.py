"""Which device to compute on."""

from contextlib import AbstractContextManager, nullcontext

import torch

from app.console import plural
from app.errors import InputError


def pick_device(name: str, local_rank: int | None = None) -> torch.device:
    """The device called `name`; `auto` is the accelerator if there is one, else the CPU.

    A process that torchrun has started gets the accelerator of its `local_rank`. Raises InputError
    for a device that this machine or this build of PyTorch lacks, and if accelerators are too few.
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if local_rank is not None and accelerator is not None and name in ("auto", accelerator.type):
        count = torch.accelerator.device_count()
        if local_rank >= count:
            raise InputError(
                f"each process needs a '{accelerator.type}' device, and this machine has {count}: "
                f"give torchrun --nproc_per_node={count}, or --device cpu"
            )
        torch.accelerator.set_device_index(local_rank)
        return torch.device(accelerator.type, local_rank)
    if name == "auto":
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except Exception:  # an unavailable device raises anything: ImportError, AttributeError, …
        raise InputError(f"device '{name}' cannot be used here; try --device cpu") from None
    if device.type == "meta":
        raise InputError("device 'meta' computes nothing; try --device cpu")
    if local_rank is not None and device.index is not None:
        raise InputError(
            f"each process needs a device of its own: give --device {device.type}, not {name}"
        )
    return device


def mixed_precision(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 autocast on accelerators that support it, else nothing.

    bfloat16 has the range of float32, so the loss needs no scaling.
    """
    computes = getattr(getattr(torch, device.type, None), "is_bf16_supported", None)
    if device.type == "cpu" or computes is None or not computes(including_emulation=False):
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def memory_format(device: torch.device) -> torch.memory_format:
    """How images, and networks of ever new shapes, lie in memory: channels last on the CPU only.

    oneDNN convolves channels-last images faster. cuDNN takes up to a second (H100) to prepare each
    new shape of a channels-last convolution, and every path of a supernet has some.
    """
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format


def device_name(device: torch.device) -> str:
    """The name of the device in a report."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return with_threads(device.type, torch.get_num_threads())


def with_threads(processor: str, count: int) -> str:
    """The name of a processor and its number of threads, such as `cpu, 2 threads`."""
    return f"{processor}, {plural(count, 'thread')}"
