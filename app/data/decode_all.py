"""Decode both splits of a data set with a pool of threads, and check what comes out."""

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from multiprocessing import TimeoutError
from multiprocessing.pool import ThreadPool

import torch
from torch import Tensor

from app.console import Advance, first_few, notice, printable, progress_bar
from app.data.dataset import Split, value_spans
from app.data.decode import DeepImageError, ValueRanges, value_range
from app.data.split import LazySplit, Source
from app.errors import InputError

MAX_UNREADABLE = 0.1
"""A data set is refused if a larger share of a split's images cannot be read."""
MIN_SPAN = 16
"""An image is nearly constant if its values, 0 to 255, span less."""
CHUNK = 16  # images a task: the pool costs little, and a few large photographs keep it busy
PATIENCE = 1.0  # seconds before a bar appears, and between looks at signals


def decode_all(source: Source, pixels: Sequence[Tensor]) -> tuple[list[Split], ValueRanges]:
    """Decode train and test into `pixels` (uint8, N×3×S×S each), without what cannot be read.

    Returns the splits, and the range of values that deep images were scaled from. Raises
    InputError if too much of a split or all of a class cannot be read, or if every training image
    is of one colour.
    """
    parts = list(zip(("train", "test"), (source.train, source.test), pixels, strict=True))

    def attempt(ranges: ValueRanges) -> list[dict[int, Exception]]:
        return [fill(target, images, f"{part} images", ranges) for part, images, target in parts]

    ranges: ValueRanges = {}
    failures = attempt(ranges)
    errors = [error for failed in failures for error in failed.values()]
    if deep := [error for error in errors if isinstance(error, DeepImageError)]:
        ranges = _value_ranges(deep)
        failures = attempt(ranges)
    problems: list[str] = []
    splits = []
    for (part, images, target), failed in zip(parts, failures, strict=True):
        kept = [i for i in range(len(images)) if i not in failed]
        lost = {*images.labels} - {images.labels[i] for i in kept}
        reasons = [f"{images.names[i]} ({error})" for i, error in sorted(failed.items())]
        told = f"{len(failed)} of {len(images)} {part} images cannot be read"
        if lost or len(failed) > MAX_UNREADABLE * len(images):
            whole = f", all of class '{source.classes[min(lost)]}' among them" if lost else ""
            problems.append(f"{told}{whole}; repair or remove them: {first_few(reasons)}")
            continue
        if failed:
            notice(f"{told} and are left out: {first_few(reasons)}.")
            for place, i in enumerate(kept):  # in place: they may exceed the memory
                target[place] = target[i]
        split = Split(target[: len(kept)], torch.tensor(images.labels, dtype=torch.int64)[kept])
        splits.append(split)
        problems += _check_contrast(split, [images.names[i] for i in kept], part)
    if problems:
        raise InputError(printable("; ".join(problems)))
    return splits, ranges


def fill(
    pixels: Tensor, images: LazySplit, description: str, ranges: ValueRanges
) -> dict[int, Exception]:
    """Decode `images` into `pixels` (uint8, N×3×S×S), with a progress bar if it takes a while.

    Returns what is wrong with those that cannot be decoded, by index; their pixels are not set.
    """
    failed: dict[int, Exception] = {}
    target = pixels.numpy()  # the same memory; NumPy writes small images faster than torch

    def decode(start: int) -> int:
        stop = min(start + CHUNK, len(images))
        for i in range(start, stop):
            try:
                target[i] = images.read(i, pixels.shape[-1], ranges).transpose(2, 0, 1)
            except (InputError, DeepImageError) as error:
                failed[i] = error
        return stop - start

    done, started = 0, time.monotonic()
    advance: Advance | None = None
    with ExitStack() as stack:
        # Pillow releases the interpreter lock. The pool's threads end with the process, so that
        # Ctrl-C need not wait for a file that hangs.
        pool = stack.enter_context(ThreadPool(os.cpu_count()))
        counts = pool.imap_unordered(decode, range(0, len(images), CHUNK))
        while done < len(images):
            with suppress(TimeoutError):  # a wait without end can miss a signal
                done += (count := counts.next(timeout=PATIENCE))
                if advance is not None:
                    advance(count)
            if advance is None and time.monotonic() - started > PATIENCE:
                advance = stack.enter_context(progress_bar(description, len(images), done))
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


def _check_contrast(split: Split, names: Sequence[str], part: str) -> list[str]:
    """Name the images that are nearly constant; returns the problem if nothing can be learnt."""
    spans = value_spans(split.pixels)
    if part == "train" and spans.max() == 0:
        return [f"all {len(split)} training images are of one colour, such as {names[0]}"]
    if flat := (spans < MIN_SPAN).nonzero().flatten().tolist():
        notice(
            f"{len(flat)} of {len(split)} {part} images are nearly constant (their values span "
            f"less than {MIN_SPAN} of 256): {first_few([names[i] for i in flat])}."
        )
    return []
