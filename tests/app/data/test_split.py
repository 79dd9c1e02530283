from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from app.data import describe_split, hold_out
from app.data.decode import ValueRanges
from app.data.split import LazyImage, train_test_split
from app.errors import InputError

LABELS = [0] * 50 + [1] * 10 + [2] * 2 + [0] * 5


def _numbered() -> list[LazyImage]:
    """Images with their index as their name."""
    return [LazyImage(label, str(i), _unread) for i, label in enumerate(LABELS)]


def _unread(size: int, ranges: ValueRanges) -> NDArray[np.uint8]:
    raise AssertionError("a split reads no image")


def test_every_class_is_split_80_to_20_and_no_image_is_lost_or_in_both() -> None:
    train, test = train_test_split(_numbered())
    assert Counter(image.label for image in train) == {0: 44, 1: 8, 2: 1}
    assert Counter(image.label for image in test) == {0: 11, 1: 2, 2: 1}
    assert sorted(int(image.name) for image in train + test) == list(range(len(LABELS)))


def test_split_is_random_and_always_the_same() -> None:
    first, second = (train_test_split(_numbered())[1] for _ in range(2))
    assert first == second
    assert [image.name for image in first[:8]] != [str(i) for i in range(8)]


@pytest.mark.parametrize("labels", [[0], [0, 1], [2, 0, 1]])
def test_one_image_a_class_cannot_be_split(labels: list[int]) -> None:
    with pytest.raises(InputError, match="can be held out"):
        hold_out(labels, 0.1)


def test_a_class_of_one_image_keeps_it_and_the_split_says_so() -> None:
    labels = [0] * 20 + [1, 2]
    kept, held_out = hold_out(labels, 0.1)
    assert {labels[i] for i in kept} == {0, 1, 2}
    parts = [[labels[i] for i in part] for part in (kept, held_out)]
    line = describe_split(*parts, is_held_out=True)
    assert "20 images to train on, 2 held out" in line and "none of 2 classes" in line
    assert describe_split([0, 1, 1], [0, 1], is_held_out=False) == (
        "3 images to train on, 2 of val/ for validation"
    )
