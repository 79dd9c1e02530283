"""`load`: from what the user calls a data set to decoded pixels where they fit."""

from pathlib import Path

import torch

from app.console import console
from app.data import storage
from app.data.filling import fill
from app.data.folder import LAYOUT, read_folder
from app.data.image_data import ImageData, Split, channel_statistics, fingerprint
from app.data.pictures import Pictures, Source
from app.data.registry import readers
from app.errors import InputError

MIN_SIZE = 8
MOST_BROKEN = 10
"""A data set is refused if more than one picture in so many cannot be read."""
NAMED = 10
"""So many of them are named."""


def load(
    name: str,
    *,
    image_size: int,
    data_dir: Path,
    device: torch.device,
    cache_dir: Path,
    seed: int = 0,
) -> ImageData:
    """Load a registered data set, or a folder of pictures, at `image_size` pixels.

    Downloads go to `data_dir`. Pixels that exceed half of the device's free memory stay on the
    host; those that exceed half of the host's go to a temporary file in `cache_dir`. `seed` has
    no influence: splits are fixed so that every study of a data set is judged on the same test.
    Raises InputError for an unknown name and for a folder or picture that cannot be used.
    """
    if image_size < MIN_SIZE:
        raise InputError(f"image size {image_size} is too small; choose {MIN_SIZE} or more")
    source = _open(name, data_dir)
    size = (len(source.train) + len(source.test)) * 3 * image_size**2
    in_memory = storage.fits(size, storage.HOST)

    def decode(pictures: Pictures, description: str) -> Split:
        pixels = storage.allocate(len(pictures), image_size, in_memory, cache_dir)
        broken = fill(pixels, pictures, description)
        labels = torch.tensor(pictures.labels, dtype=torch.int64)
        return without_broken(Split(pixels, labels), broken, description)

    train, test = decode(source.train, "train pictures"), decode(source.test, "test pictures")
    mean, std = channel_statistics(train.pixels)
    place = device if storage.fits(size, device) else storage.HOST
    return ImageData(
        name=name,
        classes=source.classes,
        train=train.to(place),
        test=test.to(place),
        mean=mean.to(device),
        std=std.to(device),
        flip=source.flip,
        fingerprint=fingerprint(source.classes, train, test),
    )


def without_broken(split: Split, broken: dict[int, str], description: str) -> Split:
    """The split without the pictures that cannot be read, which are named and counted.

    Raises InputError if they are more than one in MOST_BROKEN, or all of a class.
    """
    if not broken:
        return split
    first = next(iter(broken.values()))
    kept = [i for i in range(len(split)) if i not in broken]
    lost = set(split.labels.tolist()) - set(split.labels[kept].tolist())
    if lost or len(broken) * MOST_BROKEN > len(split):
        raise InputError(f"{len(broken)} of {len(split)} {description} cannot be read: {first}")
    for reason in list(broken.values())[:NAMED]:
        console.print(f"Left out: {reason}", soft_wrap=True, markup=False)
    console.print(f"{len(broken)} of {len(split)} {description} cannot be read and are left out.")
    for place, i in enumerate(kept):  # in place: they may fill a file larger than the memory
        split.pixels[place] = split.pixels[i]
    return Split(split.pixels[: len(kept)], split.labels[kept])


def _open(name: str, data_dir: Path) -> Source:
    known = readers()
    if name in known:
        return known[name](data_dir)
    try:
        folder = Path(name).expanduser()
        is_folder, exists = folder.is_dir(), folder.exists()
    except (OSError, RuntimeError, ValueError) as error:  # no rights, unknown ~user, too long
        raise InputError(
            f"cannot look for the folder '{name}' ({error}); check path and rights"
        ) from error
    if is_folder:
        return read_folder(folder)
    if exists:
        raise InputError(f"{folder} is a file, not a folder; unpack it and give a folder {LAYOUT}")
    raise InputError(
        f"'{name}' is neither a known data set ({', '.join(known)}) nor an existing folder; "
        f"a folder is given as --dataset FOLDER and holds {LAYOUT}"
    )
