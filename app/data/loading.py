"""`load`: from what the user calls a data set to decoded pixels where they fit."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from app.console import notice
from app.data.builtin import BUILT_IN
from app.data.dataset import ImageData, channel_statistics, fingerprint
from app.data.decode_all import decode_all
from app.data.folder import LAYOUT, read_folder
from app.data.split import Source
from app.errors import InputError

MAX_BYTES_IN_MEMORY = 2 << 30


def load(
    name: str, *, image_size: int, data_dir: Path, device: torch.device, cache_dir: Path
) -> ImageData:
    """Load a built-in data set, or a folder of images, at `image_size` pixels.

    Downloads go to `data_dir`. Over 2 GiB of pixels lie in a temporary file in `cache_dir`, mapped
    into memory. They move to a device unless they exceed half of its free memory. Says in one line
    each what is left out, what is nearly constant, and how deep images are scaled.
    Raises InputError for an unknown name and for a folder or images that cannot be used.
    """
    name, source = _open(name, data_dir)
    pixels = _allocate(len(source.train + source.test + source.val), image_size, cache_dir)
    (train, test, *val), ranges = decode_all(source, pixels)
    mean, std = channel_statistics(train.pixels)
    limit = MAX_BYTES_IN_MEMORY
    if device.type in ("cuda", "xpu"):
        limit = torch.accelerator.get_memory_info(device)[0] // 2
    place = device if pixels.nbytes <= limit else torch.device("cpu")
    return ImageData(
        name=name,
        classes=source.classes,
        train=train.to(place),
        test=test.to(place),
        mean=mean.to(device),
        std=std.to(device),
        flip=source.flip,
        fingerprint=fingerprint(source.classes, train, test),
        value_ranges=ranges,
        val=val[0].to(place) if val else None,
    )


def _open(name: str, data_dir: Path) -> tuple[str, Source]:
    """The data set, and its name: a folder's is its absolute path."""
    folder = None
    with suppress(OSError, RuntimeError, ValueError):  # no rights, unknown ~user, too long
        folder = path if (path := Path(name).expanduser()).is_dir() else None
    if name in BUILT_IN:
        if folder:
            notice(f"'{name}' is the built-in data set; write ./{name} for the folder.")
        return name, BUILT_IN[name](data_dir)
    if folder:
        return str(folder.absolute()), read_folder(folder)
    raise InputError(
        f"'{name}' is neither a built-in data set ({', '.join(BUILT_IN)}) nor a folder that can be "
        f"opened; give --dataset FOLDER, which holds {LAYOUT}"
    )


def _allocate(count: int, image_size: int, cache_dir: Path) -> Tensor:
    """Uninitialised uint8 pixels, count×3×S×S, in memory or in a nameless file in `cache_dir`.

    Raises InputError when the disk of `cache_dir` has no room or cannot be written.
    """
    shape = (count, 3, image_size, image_size)
    size = count * 3 * image_size**2
    if size <= MAX_BYTES_IN_MEMORY:
        return torch.empty(shape, dtype=torch.uint8)
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(cache_dir).free < size:  # a full disk kills a process that maps it
            raise OSError("not enough disk space")
        with tempfile.TemporaryFile(dir=cache_dir) as file:  # vanishes with the process
            return torch.from_numpy(np.memmap(file, np.uint8, "w+", shape=shape))
    except OSError as error:
        raise InputError(
            f"the decoded images take {size / 1e9:.1f} GB, and a file of this size cannot be made "
            f"in {cache_dir} ({error}); free some space or choose a smaller image size"
        ) from error
