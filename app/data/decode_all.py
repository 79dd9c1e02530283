"""Decode a whole data set with a pool of threads, and check what comes out."""

import os
from collections.abc import Sequence
from multiprocessing.pool import ThreadPool

import torch
from torch import Tensor

from app.console import first_few, notice, progress_bar
from app.data.dataset import Split
from app.data.decode import DeepImageError, ValueRanges, value_range
from app.data.split import LazyImage, Source
from app.errors import InputError

MAX_UNREADABLE = 0.1
"""A data set is refused if a larger share of a split's images cannot be read."""
MIN_SPAN = 16
"""An image is nearly constant if its values, 0 to 255, span less."""
CHUNK = 16  # images a task: the pool costs little, and a few large photographs keep it busy
PATIENCE = 1.0  # seconds before a bar appears, and between looks at signals


def decode_all(source: Source, pixels: Tensor) -> tuple[list[Split], ValueRanges]:
    """Decode train, test and val into `pixels` (uint8, N×3×S×S), without what cannot be read.

    Returns the splits, val only if there is one, and the range of values that deep images were
    scaled from. Raises InputError if too much of a split or all of a class cannot be read, or if
    every training image is of one colour.
    """
    parts = {"train": source.train, "test": source.test, "val": source.val}
    images = [image for part in parts.values() for image in part]
    failed = decode(images, range(len(images)), pixels, {})
    deep = {i: error for i, error in failed.items() if isinstance(error, DeepImageError)}
    # val, which comes last, widens no range of the others: their pixels identify the data set
    count = len(source.train + source.test)
    known = {error.kind for i, error in deep.items() if i < count}
    ranges = _value_ranges([e for i, e in deep.items() if i < count or e.kind not in known])
    failed = {i: error for i, error in failed.items() if i not in deep}
    failed |= decode(images, sorted(deep), pixels, ranges)
    problems: list[str] = []
    splits = []
    end = 0
    for part, listed in parts.items():
        if not listed:
            continue
        members = range(end, end := end + len(listed))
        kept = [i for i in members if i not in failed]
        bad = [i for i in members if i in failed]
        lost = {images[i].label for i in bad} - {images[i].label for i in kept}
        told = f"{len(bad)} of {len(members)} {part} images cannot be read"
        reasons = first_few([f"{images[i].name} ({failed[i]})" for i in bad])
        if lost or len(bad) > MAX_UNREADABLE * len(members):
            whole = f", all of class '{source.classes[min(lost)]}' among them" if lost else ""
            problems.append(f"{told}{whole}; repair or remove them: {reasons}")
            continue
        target = pixels[members.start : members.start + len(kept)]
        if bad:
            notice(f"{told} and are left out: {reasons}.")
            for place, i in enumerate(kept):  # in place: they may exceed the memory
                target[place] = pixels[i]
        splits.append(Split(target, torch.tensor([images[i].label for i in kept])))
        problems += _check_contrast(target, [images[i].name for i in kept], part)
    if problems:
        raise InputError("; ".join(problems))
    return splits, ranges


def decode(
    images: Sequence[LazyImage], indices: Sequence[int], pixels: Tensor, ranges: ValueRanges
) -> dict[int, Exception]:
    """Decode the images at `indices` into `pixels`, with a progress bar if it takes a while.

    Returns what is wrong with those that cannot be decoded, by index; their pixels are not set.
    """
    failed: dict[int, Exception] = {}
    done: list[int] = []
    target = pixels.numpy()  # the same memory; NumPy writes small images faster than torch

    def decode_one(i: int) -> None:
        try:
            target[i] = images[i].read(pixels.shape[-1], ranges).transpose(2, 0, 1)
        except (InputError, DeepImageError) as error:
            failed[i] = error
        done.append(i)

    # Pillow releases the interpreter lock. The pool's threads end with the process, so that
    # Ctrl-C need not wait for a file that hangs; a wait without end can miss a signal.
    with ThreadPool(os.cpu_count()) as pool:
        result = pool.map_async(decode_one, indices, CHUNK)
        result.wait(PATIENCE)
        if not result.ready():
            with progress_bar("images", len(indices)) as advance:
                shown = 0
                while not result.ready():
                    result.wait(PATIENCE)
                    count = len(done)
                    advance(count - shown)
                    shown = count
        result.get()
    return failed


def _value_ranges(deep: Sequence[DeepImageError]) -> ValueRanges:
    """The range of each kind of number, which is told."""
    ranges = {}
    for kind in sorted({error.kind for error in deep}):
        found = [error for error in deep if error.kind == kind]
        low, high = min(error.low for error in found), max(error.high for error in found)
        black, white = ranges[kind] = value_range(low, high)
        notice(
            f"{len(found)} images have over 8 bits a channel, with values from {low:g} to {high:g}:"
            f" {black:g} becomes black and {white:g} white."
        )
    return ranges


def _check_contrast(pixels: Tensor, names: Sequence[str], part: str) -> list[str]:
    """Name the images that are nearly constant; returns the problem if nothing can be learnt."""
    low, high = pixels.flatten(2).aminmax(dim=2)
    spans = (high.short() - low.short()).amax(1)  # of the channel where it is most
    if part == "train" and spans.max() == 0:
        return [f"all {len(names)} training images are of one colour, such as {names[0]}"]
    if flat := (spans < MIN_SPAN).nonzero().flatten().tolist():
        notice(
            f"{len(flat)} of {len(names)} {part} images are nearly constant (their values span "
            f"less than {MIN_SPAN} of 256): {first_few([names[i] for i in flat])}."
        )
    return []
