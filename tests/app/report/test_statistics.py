"""Hypervolume and importance against figures worked out by hand."""

import pytest

from app.report.front import COSTS, Row
from app.report.statistics import hypervolume, importances, lowest_in_view

FLOPS = COSTS["flops"]


def row(trial: int, score: float, flops: int, feasible: bool = True, arch: str = "") -> Row:
    return Row(trial, score, flops, 1, 0.0, 0.0, None, 0.0, feasible, arch or f"arch{trial}")


def test_hypervolume_by_hand() -> None:
    rows = [
        row(0, 0, 10),  # the box: FLOPs 0 to 10, scores 0 to 4
        row(1, 2, 4),  # 6 × 2
        row(2, 1, 5),  # dominated
        row(3, 9, 1, feasible=False),
        row(4, 4, 8),  # and 2 × 2 on top
        row(5, 1, 0),  # and 4 × 1 to the left
    ]
    assert hypervolume(rows, FLOPS) == pytest.approx(
        [0, 12 / 40, 12 / 40, 12 / 40, 16 / 40, 20 / 40]
    )


def test_hypervolume_of_little() -> None:
    assert hypervolume([], FLOPS) == []
    assert hypervolume([row(0, 1, 5)], FLOPS) == [0]
    assert hypervolume([row(0, 1, 5, feasible=False)], FLOPS) == [0]


def test_the_fence_is_tukeys() -> None:
    assert lowest_in_view([0, 1, 2, 3, 4]) == 1 - 3 * 2


def test_importance_is_the_share_of_variance_between_options() -> None:
    rows = [
        row(0, 1, 10, arch="aa"),
        row(1, 1, 20, arch="ab"),
        row(2, 3, 30, arch="ba"),
        row(3, 3, 40, arch="bb"),
        row(4, 3, 40, arch="bb"),  # seen before: counted once
    ]
    choices = {arch: {"first": arch[0], "second": arch[1]} for arch in ("aa", "ab", "ba", "bb")}
    first, second = importances(rows, choices, [FLOPS])
    assert (first.choice, second.choice) == ("first", "second")
    assert (first.score, second.score) == pytest.approx((1, 0))
    assert (first.costs[0], second.costs[0]) == pytest.approx((400 / 500, 100 / 500))
    assert first.options == {"a": 1, "b": 3}
    assert importances(rows[:1], choices, [FLOPS]) == []
