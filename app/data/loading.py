"""`load`: from what the user calls a data set to decoded pixels where they fit."""

import warnings
from pathlib import Path

import torch
from PIL import Image

from app.console import notice
from app.data import memory
from app.data.builtin import BUILT_IN
from app.data.dataset import ImageData, channel_statistics, fingerprint
from app.data.decode_all import decode_all
from app.data.folder import LAYOUT, read_folder
from app.data.split import Source
from app.errors import InputError

MIN_SIZE = 8


def resolve(name: str) -> str:
    """The name under which a study keeps a data set: a folder's is its absolute path."""
    if name in BUILT_IN or not (folder := _folder(name)).is_dir():
        return name
    return str(folder.absolute())


def load(
    name: str, *, image_size: int, data_dir: Path, device: torch.device, cache_dir: Path
) -> ImageData:
    """Load a built-in data set, or a folder of images, at `image_size` pixels.

    Downloads go to `data_dir`. Pixels that exceed half of the device's free memory stay on the
    host; those that exceed half of the host's go to a temporary file in `cache_dir`. Says in one
    line each what is left out, what is nearly constant, and how deep images are scaled.
    Raises InputError for an unknown name and for a folder or images that cannot be used.
    """
    if image_size < MIN_SIZE:
        raise InputError(f"image size {image_size} is too small; choose {MIN_SIZE} or more")
    with warnings.catch_warnings():
        # Pillow warns from 89 megapixels on; `decode.read_file` has a limit of its own.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        source = _open(name, data_dir)
        size = (len(source.train) + len(source.test)) * 3 * image_size**2
        in_memory = memory.fits(size, memory.HOST)
        pixels = [
            memory.allocate(len(images), image_size, in_memory, cache_dir)
            for images in (source.train, source.test)
        ]
        (train, test), ranges = decode_all(source, pixels)
    mean, std = channel_statistics(train.pixels)
    place = device if memory.fits(size, device) else memory.HOST
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
    )


def _open(name: str, data_dir: Path) -> Source:
    folder = _folder(name)
    if name in BUILT_IN:
        if folder.is_dir():
            notice(f"'{name}' is the built-in data set; write ./{name} for the folder.")
        return BUILT_IN[name](data_dir)
    if folder.is_dir():
        return read_folder(folder)
    if folder.exists():
        raise InputError(f"{folder} is a file, not a folder; unpack it and give a folder {LAYOUT}")
    raise InputError(
        f"'{name}' is neither a built-in data set ({', '.join(BUILT_IN)}) nor an existing folder; "
        f"give --dataset FOLDER, which holds {LAYOUT}"
    )


def _folder(name: str) -> Path:
    try:
        folder = Path(name).expanduser()
        folder.stat()
    except FileNotFoundError:
        pass
    except (OSError, RuntimeError, ValueError) as error:  # no rights, unknown ~user, too long
        raise InputError(
            f"cannot look for the folder '{name}' ({error}); check path and rights"
        ) from error
    return folder
