"""Undecoded images, and splits by class: 80/20 into train and test, and a validation split."""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.data.decode import ValueRanges
from app.errors import InputError

SPLIT_SEED = 20  # fixed: the study's seed must change neither the test split nor the fingerprint
TEST_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class LazyImage:
    """A labelled image, decoded only when read."""

    label: int
    name: str
    """What messages call it, such as its path."""
    read: Callable[[int, ValueRanges], NDArray[np.uint8]]
    """`read(size, ranges)`: uint8, size×size×3; called from many threads."""


@dataclass(frozen=True)
class Source:
    """A data set before it is decoded."""

    classes: tuple[str, ...]
    train: list[LazyImage]
    test: list[LazyImage]
    val: list[LazyImage] = field(default_factory=list)
    """Images of their own to validate trainings on; empty where some of `train` are held out."""
    flip: bool = True
    """Whether a mirrored image still belongs to its class (false for digits)."""


def train_test_split(images: Sequence[LazyImage]) -> tuple[list[LazyImage], list[LazyImage]]:
    """Split each class 80/20; a class needs two images to be in both."""
    train, test = hold_out([image.label for image in images], TEST_SHARE)
    return [images[i] for i in train], [images[i] for i in test]


def hold_out(labels: Sequence[int], share: float) -> tuple[list[int], list[int]]:
    """Indices to keep and indices to hold out, both sorted; the same labels always split alike.

    Each class gives `share` of its images, at least one, and keeps at least one. Raises InputError
    if no class has two images, since nothing could be held out.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, label in enumerate(labels):
        members[label].append(index)
    kept: list[int] = []
    held_out: list[int] = []
    shuffler = random.Random(SPLIT_SEED)
    for label in sorted(members):
        shuffler.shuffle(members[label])
        count = min(max(1, round(share * len(members[label]))), len(members[label]) - 1)
        held_out += members[label][:count]
        kept += members[label][count:]
    if not held_out:
        raise InputError(
            f"none of the {len(labels)} training images can be held out for validation, since no "
            "class has two; add images"
        )
    return sorted(kept), sorted(held_out)


def describe_split(train: Sequence[int], validation: Sequence[int], is_held_out: bool) -> str:
    """One line on the labels to train and to validate on, which `hold_out` split or a folder."""
    missing = len(set(train)) - len(set(validation))
    how = "held out for validation" if is_held_out else "of val/ for validation"
    line = f"{len(train)} images to train on, {len(validation)} {how}"
    return f"{line} (none of {missing} classes, which have one image each)" if missing else line
