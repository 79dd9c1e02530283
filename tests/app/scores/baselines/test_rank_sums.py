import math

import pytest

from app.scores.baselines import RANK_SUMS, combine
from app.scores.ranks import ranks


def test_equal_values_share_their_mean_rank_and_what_is_not_finite_is_worst() -> None:
    assert list(ranks([0.5, 7.0, 0.5, -1.0])) == [2.5, 4, 2.5, 1]
    assert list(ranks([None, 2.0, math.nan, 1.0, math.inf])) == [2, 5, 2, 4, 2]


def test_te_nas_adds_ranks() -> None:
    sums = combine({"te_nas_ntk": [-5.0, -1.0, None], "te_nas_regions": [9.0, 4.0, 4.0]})
    assert sums == {"te_nas": [2 + 3, 3 + 1.5, 1 + 1.5]}


def test_az_nas_adds_logarithms_of_relative_ranks() -> None:
    columns = {part: [1.0, 2.0] for part in RANK_SUMS["az_nas"]} | {"flops": [8.0, 3.0]}
    assert combine(columns)["az_nas"] == pytest.approx([3 * math.log(0.5), math.log(0.5)])


def test_a_sum_needs_all_its_parts() -> None:
    assert combine({"te_nas_ntk": [1.0], "flops": [1.0]}) == {}
