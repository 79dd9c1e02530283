from collections import Counter

import numpy as np
import pytest

from app.data import describe_split, hold_out
from app.data.split import LazySplit, train_test_split
from app.errors import InputError

LABELS = [0] * 50 + [1] * 10 + [2] * 2 + [0] * 5


def _numbered() -> LazySplit:
    """Images whose pixels and names are their own index."""
    return LazySplit(
        LABELS,
        [str(i) for i in range(len(LABELS))],
        lambda i, size, ranges: np.full((size, size, 3), i, dtype=np.uint8),
    )


def _indices(part: LazySplit) -> list[int]:
    return [int(part.read(i, 1, {})[0, 0, 0]) for i in range(len(part))]


def test_every_class_is_split_80_to_20() -> None:
    train, test = train_test_split(_numbered())
    assert Counter(test.labels) == {0: 11, 1: 2, 2: 1}
    assert Counter(train.labels) == {0: 44, 1: 8, 2: 1}


def test_no_image_is_lost_or_in_both_and_labels_and_names_follow() -> None:
    train, test = train_test_split(_numbered())
    assert sorted(_indices(train) + _indices(test)) == list(range(len(LABELS)))
    for part in (train, test):
        assert list(part.labels) == [LABELS[i] for i in _indices(part)]
        assert list(part.names) == [str(i) for i in _indices(part)]


def test_split_is_random_and_always_the_same() -> None:
    first, second = (_indices(train_test_split(_numbered())[1]) for _ in range(2))
    assert first == second
    assert first[:8] != list(range(8))


@pytest.mark.parametrize("labels", [[0], [0, 1], [2, 0, 1]])
def test_one_image_a_class_cannot_be_split(labels: list[int]) -> None:
    with pytest.raises(InputError, match="can be held out"):
        hold_out(labels, 0.1)


def test_a_class_of_one_image_keeps_it_and_the_split_says_so() -> None:
    labels = [0] * 20 + [1, 2]
    kept, held_out = hold_out(labels, 0.1)
    assert {labels[i] for i in kept} == {0, 1, 2}
    line = describe_split(labels, kept, held_out)
    assert "20 images to train on, 2 held out" in line and "none of 2 classes" in line
    even = [0, 0, 1, 1]
    assert "classes" not in describe_split(even, *hold_out(even, 0.1))
