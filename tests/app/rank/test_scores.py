import math

import pytest

from app.rank.scores import RANK_SUMS, rank_sum
from app.scores import BASELINES


def test_parts_of_rank_sums_are_baselines() -> None:
    assert {part for parts in RANK_SUMS.values() for part in parts} <= set(BASELINES)


def test_ranks_are_added() -> None:
    assert rank_sum([[-5.0, -1.0, None], [9.0, 4.0, 4.0]], logarithmic=False) == [5, 4.5, 2.5]


def test_logarithms_of_relative_ranks_are_added() -> None:
    parts = [[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [8.0, 3.0]]
    expected = [3 * math.log(0.5), math.log(0.5)]
    assert rank_sum(parts, logarithmic=True) == pytest.approx(expected)
