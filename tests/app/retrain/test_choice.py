"""Which networks a command means."""

from dataclasses import replace

import pytest

from app.errors import InputError
from app.report.front import Row
from app.retrain.choice import Selection, choose, knee, pick_from
from tests.toy import Toy


def row(trial: int, score: float, flops: int, arch: str) -> Row:
    return Row(trial, score, flops, 1, 0.0, 0.0, None, 0.0, True, arch)


ROWS = [
    row(0, -9, 10, "conv1-skip-skip"),
    row(1, -1, 30, "conv3-conv3-conv3"),
    row(2, -2, 15, "conv1-conv1-skip"),
    row(3, -1.5, 20, "conv1-conv1-conv1"),
    row(4, -2, 15, "conv1-conv1-skip"),
]


def test_picks_read_the_front() -> None:
    assert pick_from(ROWS[2:3], "knee").trial == 2
    front = [ROWS[0], ROWS[2], ROWS[3], ROWS[1]]
    assert pick_from(front, "best-score").trial == 1
    assert pick_from(front, "knee").trial == 2
    assert pick_from(front, "max-flops=0.02k").trial == 3
    assert pick_from(front, "max-flops=19").trial == 2


def test_a_latency_may_be_the_limit() -> None:
    front = [replace(r, latency_ms=ms) for r, ms in zip(ROWS[:3], (1.0, 4.0, 2.5), strict=True)]
    assert pick_from(front, "max-latency=2.6", ("latency",)).trial == 2
    assert pick_from(front, "max-latency=4", ("latency",)).trial == 1
    with pytest.raises(InputError, match=r"takes 1.000 ms"):
        pick_from(front, "max-latency=0.5", ("latency",))


def test_the_knee_is_farthest_above_the_line() -> None:
    assert knee([[0, 1, 2, 4]], [0, 6, 7, 8]) == 1
    assert knee([[0, 10, 20]], [0, 1, 2]) == 0
    assert knee([[5]], [1]) == 0
    assert knee([[0, 1, 4], [4, 0, 2]], [0, 7, 8]) == 1  # not in the order of any one


def test_networks_are_named_once_and_know_their_trials(toy: Toy) -> None:
    selection = Selection([4, 1], ["skip-conv1-skip", "conv3-conv3-conv3"], ["best-score"])
    chosen = choose(toy, ROWS, selection)
    assert [(c.arch, c.trials, c.score) for c in chosen] == [
        ("conv1-conv1-skip", (2, 4), -2),
        ("conv3-conv3-conv3", (1,), -1),
        ("skip-conv1-skip", (), None),
    ]
    assert [c.label for c in chosen] == [
        "trial 4",
        "trial 1, best-score (trial 1)",
        "skip-conv1-skip",
    ]


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(trials=[7]), "--trial 7: there is no such completed trial (0 to 4)"),
        (Selection(archs=["conv9"]), "--arch: 'conv9' is not 3 of"),
        (
            Selection(picks=["best"]),
            "--pick best: give knee, best-score, max-flops=300M, or",
        ),
        (Selection(picks=["knee=3"]), "give knee"),
        (Selection(picks=["max-flops"]), "give knee"),
        (Selection(picks=["max-flops=many"]), "'many' is no number"),
        (
            Selection(picks=["max-flops=5"]),
            "the cheapest network of the front takes 0.0 M multiply–adds",
        ),
        (Selection(picks=["max-latency=5"]), "latency is no objective of this study"),
    ],
)
def test_what_is_not_there_is_refused(selection: Selection, message: str, toy: Toy) -> None:
    with pytest.raises(InputError) as error:
        choose(toy, ROWS, selection)
    assert message in str(error.value)


def test_without_trials_there_is_no_front(toy: Toy) -> None:
    for selection in (Selection(picks=["knee"]), Selection(trials=[0])):
        with pytest.raises(InputError, match="run the study first"):
            choose(toy, [], selection)
