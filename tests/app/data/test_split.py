from collections import Counter

import numpy as np

from app.data.pictures import Pictures
from app.data.split import split

LABELS = [0] * 50 + [1] * 10 + [2] * 2 + [0] * 5


def _numbered() -> Pictures:
    """Pictures whose pixels are their own index."""
    return Pictures(LABELS, lambda i, size: np.full((size, size, 3), i, dtype=np.uint8))


def _indices(part: Pictures) -> list[int]:
    return [int(part.read(i, 1)[0, 0, 0]) for i in range(len(part))]


def test_every_class_is_split_80_to_20() -> None:
    train, test = split(_numbered())
    assert Counter(test.labels) == {0: 11, 1: 2, 2: 1}
    assert Counter(train.labels) == {0: 44, 1: 8, 2: 1}


def test_no_picture_is_lost_or_in_both_and_labels_follow() -> None:
    train, test = split(_numbered())
    assert sorted(_indices(train) + _indices(test)) == list(range(len(LABELS)))
    for part in (train, test):
        assert list(part.labels) == [LABELS[i] for i in _indices(part)]


def test_split_is_random_and_always_the_same() -> None:
    first, second = (_indices(split(_numbered())[1]) for _ in range(2))
    assert first == second
    assert first[:8] != list(range(8))
