"""Splits by class: 80/20 where a data set has no test split, and what is held out of training."""

import random
from collections import defaultdict
from collections.abc import Sequence

from app.data.pictures import Pictures

SPLIT_SEED = 20  # fixed: the study's seed must change neither the test set nor the fingerprint
TEST_SHARE = 0.2


def split(pictures: Pictures) -> tuple[Pictures, Pictures]:
    """Split into train and test, each class 80/20, at least one picture of each class in both.

    Every class needs two pictures or more; the caller checks that.
    """
    train, test = hold_out(pictures.labels, TEST_SHARE)
    return pictures.subset(train), pictures.subset(test)


def hold_out(labels: Sequence[int], share: float) -> tuple[list[int], list[int]]:
    """Indices to keep and indices held out, each sorted; every class gives its share, at least one.

    A class of one picture keeps it. The same labels are always split alike.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, label in enumerate(labels):
        members[label].append(index)
    kept: list[int] = []
    held: list[int] = []
    shuffler = random.Random(SPLIT_SEED)
    for label in sorted(members):
        shuffler.shuffle(members[label])
        count = min(max(1, round(share * len(members[label]))), len(members[label]) - 1)
        held += members[label][:count]
        kept += members[label][count:]
    return sorted(kept), sorted(held)
