"""Where decoded pixels lie: on the device, else in memory, else in a file mapped into memory."""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from app.errors import InputError

HOST = torch.device("cpu")


def fits(size: int, device: torch.device) -> bool:
    """Whether `size` bytes take at most half of what is free on `device`."""
    return size <= free_memory(device) // 2


def free_memory(device: torch.device) -> int:
    """Free bytes on a device with memory of its own, or of this process's host for any other."""
    if device.type in ("cuda", "xpu"):
        return torch.accelerator.get_memory_info(device)[0]
    return min(_free_in_machine(), _free_in_container())


def allocate(count: int, image_size: int, in_memory: bool, cache_dir: Path) -> Tensor:
    """Unset uint8 pixels, count×3×S×S, in host memory or in a mapped file under `cache_dir`.

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
        handle, path = tempfile.mkstemp(dir=cache_dir, prefix="pixels-", suffix=".u8")
        os.close(handle)
    except OSError as error:
        raise InputError(
            f"the decoded pictures exceed the free memory and their {size / 1e9:.1f} GB cannot be "
            f"kept in {cache_dir} ({error}); free some space or choose a smaller image size"
        ) from error
    pixels = torch.from_file(path, shared=True, size=size, dtype=torch.uint8)
    # Without its name the file vanishes with the process, however that ends; Windows refuses.
    with suppress(PermissionError):
        Path(path).unlink()
    return pixels.view(shape)


def _free_in_machine() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:  # macOS counts only what it has in all
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError):  # Windows: what any machine for training has
        return 4 << 30


def _free_in_container() -> int:
    """What the memory limit of a container leaves; a process that exceeds it is killed."""
    control_group = Path("/sys/fs/cgroup")
    try:
        limit = int((control_group / "memory.max").read_text())
        used = (control_group / "memory.stat").read_text().split()
        return max(0, limit - int(used[used.index("anon") + 1]))
    except (OSError, ValueError):  # no control group, or no limit ("max")
        return 1 << 62
