"""Which networks a command means."""

import pytest

from app.errors import InputError
from app.pareto import Row
from app.retraining.choice import Selection, choose
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


def test_networks_are_named_once_and_know_their_trials(toy: Toy) -> None:
    selection = Selection([4, 1], ["skip-conv1-skip", "conv3-conv3-conv3"], ["best-score"])
    chosen = choose(toy, ROWS, selection)
    assert [(c.arch, c.trials, c.score) for c in chosen] == [
        ("conv1-conv1-skip", [2, 4], -2),
        ("conv3-conv3-conv3", [1], -1),
        ("skip-conv1-skip", [], None),
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


@pytest.mark.parametrize("pick", ["nonsense", "knee=3", "max-flops", "max-flops=many"])
def test_an_unknown_pick_is_refused_before_any_work(pick: str) -> None:
    with pytest.raises(InputError, match="--pick"):
        Selection(picks=[pick])
