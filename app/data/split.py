"""The 80/20 split of a data set that comes without a test split."""

import random
from collections import defaultdict

from app.data.pictures import Pictures

SPLIT_SEED = 20  # fixed: the study's seed must change neither the test set nor the fingerprint
TEST_SHARE = 0.2


def split(pictures: Pictures) -> tuple[Pictures, Pictures]:
    """Split into train and test, each class 80/20, at least one picture of each class in both.

    Every class needs two pictures or more; the caller checks that.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, label in enumerate(pictures.labels):
        members[label].append(index)
    train: list[int] = []
    test: list[int] = []
    shuffler = random.Random(SPLIT_SEED)
    for label in sorted(members):
        shuffler.shuffle(members[label])
        held_out = max(1, round(TEST_SHARE * len(members[label])))
        test += members[label][:held_out]
        train += members[label][held_out:]
    return pictures.subset(sorted(train)), pictures.subset(sorted(test))
