"""Where decoded pixels lie: on the device, else in memory, else in a file mapped into memory."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from app.errors import InputError

HOST = torch.device("cpu")


def fits(size: int, device: torch.device) -> bool:
    """Whether `size` bytes take at most half of what is free on `device`."""
    return size <= free_memory(device) // 2


def free_memory(device: torch.device) -> int:
    """Free bytes of a device with memory of its own, or of the host for any other."""
    if device.type in ("cuda", "xpu"):
        return torch.accelerator.get_memory_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) for line in lines if "MemAvailable" in line) * 1024
    except (OSError, StopIteration):  # macOS, Windows: what any machine for training has
        available = 4 << 30
    try:  # a process that exceeds the limit of its container is killed
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        used = Path("/sys/fs/cgroup/memory.stat").read_text().split()
        return min(available, max(0, limit - int(used[used.index("anon") + 1])))
    except (OSError, ValueError):  # no control group, or no limit ("max")
        return available


def allocate(count: int, image_size: int, in_memory: bool, cache_dir: Path) -> Tensor:
    """Uninitialised uint8 pixels, count×3×S×S, in memory or in a nameless file in `cache_dir`.

    Raises InputError when the disk of `cache_dir` has no room or cannot be written.
    """
    shape = (count, 3, image_size, image_size)
    if in_memory:
        return torch.empty(shape, dtype=torch.uint8)
    size = count * 3 * image_size**2
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(cache_dir).free < size:  # a full disk kills a process that maps it
            raise OSError("not enough disk space")
        with tempfile.TemporaryFile(dir=cache_dir) as file:  # vanishes with the process
            return torch.from_numpy(np.memmap(file, np.uint8, "w+", shape=shape))
    except OSError as error:
        raise InputError(
            f"the decoded images exceed the free memory, and their {size / 1e9:.1f} GB do not fit "
            f"in {cache_dir} ({error}); free some space or choose a smaller image size"
        ) from error
