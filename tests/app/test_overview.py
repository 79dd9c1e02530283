"""What the dashboard is given of a large study."""

from random import Random

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.pool import StaticPool

from app import overview
from app.overview import OverviewStorage

SHOWN_FIRST, ONE_IN = 30, 10


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Study:
    """An empty study in a database in memory."""
    monkeypatch.setattr(overview, "SHOWN_FIRST", SHOWN_FIRST)
    monkeypatch.setattr(overview, "ONE_IN", ONE_IN)
    options = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
    storage = RDBStorage("sqlite://", engine_kwargs=options)
    return optuna.create_study(storage=storage, directions=["maximize", "minimize"])


def shown(study: Study) -> Study:
    """The study as the dashboard reads it."""
    return optuna.load_study(study_name=study.study_name, storage=OverviewStorage(study._storage))


def trials(count: int, rng: Random) -> list[FrozenTrial]:
    """Random values of which few repeat, some trials failed and some infeasible."""
    failed = create_trial(state=TrialState.FAIL)
    return [
        failed
        if rng.random() < 0.05
        else create_trial(
            values=[rng.choice([*map(float, range(99)), float("inf")]), rng.randrange(99)],
            system_attrs={"constraints": [rng.choice([-1.0, -1.0, 1.0])]},
        )
        for _ in range(count)
    ]


def front(found: list[FrozenTrial]) -> set[int]:
    """Numbers of the feasible trials that none beats, by the definition."""
    feasible = [
        t
        for t in found
        if t.state is TrialState.COMPLETE and all(v <= 0 for v in t.constraints.values())
    ]
    return {
        t.number
        for t in feasible
        if not any(
            o.values[0] >= t.values[0] and o.values[1] <= t.values[1] and o.values != t.values
            for o in feasible
        )
    }


def test_the_front_is_shown_whole_and_the_rest_in_part(study: Study) -> None:
    rng = Random(0)
    part = shown(study)
    before: list[int] = []
    for _ in range(4):
        study.add_trials(trials(50, rng))
        running = study.ask().number
        numbers = [t.number for t in part.trials]
        assert numbers[: len(before)] == before  # a page goes on from what it has
        assert front(study.trials) <= set(numbers)
        assert {*range(SHOWN_FIRST), *range(0, running, ONE_IN), running} <= set(numbers)
        before = numbers
    assert len(before) < SHOWN_FIRST + 200 / ONE_IN + 40
    assert [t.number for t in shown(study).trials] == before
    every = study.trials
    assert all(trial == every[trial.number] for trial in part.trials)


def test_a_running_trial_stays_shown_when_it_is_told(study: Study) -> None:
    study.add_trials([create_trial(values=[9.0, 0.0])] * (SHOWN_FIRST + 1))
    asked = study.ask()
    part = shown(study)
    assert part.trials[-1].number == asked.number
    study.tell(asked, [0.0, 1.0])
    study.add_trials([create_trial(values=[0.0, 1.0]), create_trial(values=[10.0, 0.0])])
    assert [t.number for t in part.trials[-2:]] == [asked.number, asked.number + 2]
    assert part.trials[-2].values == [0.0, 1.0]
