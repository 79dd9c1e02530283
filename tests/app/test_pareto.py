"""The front, the knee and the budgets against cases worked out by hand."""

from dataclasses import replace

import pytest

from app.errors import InputError
from app.pareto import Row, by_budget, knee, outer_fence, pareto_front, pick_from


def row(trial: int, score: float, flops: int, feasible: bool = True) -> Row:
    return Row(trial, score, flops, 1, 0.0, 0.0, None, 0.0, feasible, f"arch{trial}")


ROWS = [
    row(0, -3, 10),
    row(1, -1, 30),
    row(2, -2, 20),
    row(3, -2, 25),  # dominated by 2
    row(4, -1, 30),  # equals 1: one row an architecture
    row(5, 0, 5, feasible=False),
    row(6, -60, 8),
]
TIMED = [replace(r, latency_ms=ms) for r, ms in zip(ROWS, (3, 2, 4, 3, 2, 1, 9), strict=True)]


def test_the_front_is_what_nothing_feasible_beats() -> None:
    assert [r.trial for r in pareto_front(ROWS)] == [6, 0, 2, 1]
    assert pareto_front([]) == []


def test_a_front_of_several_costs_by_hand() -> None:
    """By latency alone, 1 beats all feasible rows; with FLOPs, cheaper ones stand beside it."""
    assert [r.trial for r in pareto_front(TIMED, ("latency",))] == [1]
    assert [r.trial for r in pareto_front(TIMED, ("flops", "latency"))] == [6, 0, 2, 3, 1]
    assert [r.trial for r in pareto_front(TIMED, ("latency", "flops"))] == [1, 0, 3, 2, 6]


def curve(scores: list[float], flops: list[int]) -> list[Row]:
    return [row(i, s, f) for i, (s, f) in enumerate(zip(scores, flops, strict=True))]


def test_the_knee_is_farthest_above_the_line() -> None:
    assert knee(curve([0, 6, 7, 8], [1, 2, 4, 16])).trial == 1
    assert knee(curve([0, 1, 2], [1, 2, 4])).trial == 0
    assert knee(curve([1], [5])).trial == 0
    three = zip(curve([0, 7, 8], [1, 2, 16]), (4.0, 1.0, 2.0), strict=True)
    timed = [replace(row, latency_ms=ms) for row, ms in three]
    assert knee(timed, ("flops", "latency")).trial == 1  # sorted by neither


def test_a_degenerate_network_does_not_move_the_knee() -> None:
    front = curve([0, 3, 6, 7, 7.2, 8], [20, 50, 60, 70, 80, 300])
    assert knee(front).trial == knee([row(9, -1e6, 19), *front]).trial == 3


def test_each_budget_gets_the_best_network_within_it() -> None:
    front = curve([0, 1, 2], [9, 90, 900])
    best = by_budget(front, 1, 10**19)
    assert list(best) == pytest.approx([10.0**i for i in range(20)])
    trials = [None if found is None else found.trial for found in best.values()]
    assert trials == [None, 0, 1, *[2] * 17]


def test_the_fence_is_tukeys() -> None:
    assert outer_fence([0, 1, 2, 3, 4]) == 1 - 3 * 2


def test_picks_read_the_front() -> None:
    front = pareto_front(TIMED)
    assert pick_from(front, "best-score").trial == 1
    assert pick_from(front, "knee") == knee(front)
    assert pick_from(front, "max-flops=0.02k").trial == 2
    assert pick_from(front, "max-flops=19").trial == 0
    assert pick_from(front, "max-latency=3.5").trial == 1


@pytest.mark.parametrize(
    ("pick", "message"),
    [
        ("best", "--pick best: give knee, best-score, max-flops=300M, max-params=500k"),
        ("knee=3", "give knee"),
        ("max-flops", "give knee"),
        ("max-flops=many", "'many' is not a number"),
        ("max-flops=5", "the cheapest network found takes 0.0 M multiply–adds"),
        ("max-latency=5", "the trials of this study have no latency"),
    ],
)
def test_a_bad_pick_is_refused(pick: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        pick_from(pareto_front(ROWS), pick)
    assert message in str(error.value)
