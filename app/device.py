"""Which device to compute on."""

from contextlib import AbstractContextManager

import torch

from app.errors import InputError


def pick_device(name: str) -> torch.device:
    """The device called `name`; `auto` is the accelerator if there is one, else the CPU.

    Raises InputError for a device that this machine or this build of PyTorch lacks.
    """
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except Exception:  # what a device lacks, its module raises: ImportError, AttributeError, …
        raise InputError(f"device '{name}' cannot be used here; try --device cpu") from None
    if device.type == "meta":
        raise InputError("device 'meta' computes nothing; try --device cpu")
    return device


def mixed_precision(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 autocast on CUDA devices that compute in it, else nothing.

    bfloat16 has the range of float32, so no loss scaling is needed.
    """
    enabled = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def device_name(device: torch.device) -> str:
    """What to call the device in a report."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{device.type}, {threads} thread{'s' if threads > 1 else ''}"
