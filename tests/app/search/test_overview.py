"""What the dashboard is given of a large study."""

from pathlib import Path
from random import Random

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from app.search.overview import ONE_IN, SHOWN_FIRST, OverviewStorage
from app.search.storage import open_storage
from tests.app.search.test_commit import create_study, database_url, group_commit


def trials(count: int, rng: Random) -> list[FrozenTrial]:
    """Random values of which few repeat, some trials failed and some infeasible."""
    failed = create_trial(state=TrialState.FAIL)
    return [
        failed
        if rng.random() < 0.05
        else create_trial(
            values=[rng.randrange(300), rng.randrange(300)],
            system_attrs={"constraints": [rng.choice([-1.0, -1.0, 1.0])]},
        )
        for _ in range(count)
    ]


def overview(path: Path) -> Study:
    storage = open_storage(database_url(path), OverviewStorage)
    return optuna.load_study(study_name="s", storage=storage)


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


def test_the_front_is_shown_whole_and_the_rest_in_part(tmp_path: Path) -> None:
    study, _ = create_study(tmp_path / "a.db")
    commit = group_commit(tmp_path / "a.db", study)
    rng = Random(0)
    shown = overview(tmp_path / "a.db")
    before: list[int] = []
    for _ in range(6):
        commit(trials(500, rng))
        running = study.ask().number
        numbers = [t.number for t in shown.trials]
        assert numbers[: len(before)] == before  # a page goes on from what it has
        assert front(study.trials) <= set(numbers)
        assert {*range(SHOWN_FIRST), *range(0, running, ONE_IN), running} <= set(numbers)
        before = numbers
    assert len(before) < SHOWN_FIRST + 3000 / ONE_IN + 100
    assert [t.number for t in overview(tmp_path / "a.db").trials] == before
    every = study.trials
    assert all(trial == every[trial.number] for trial in shown.trials)


def test_a_running_trial_stays_shown_when_it_is_told(tmp_path: Path) -> None:
    study, _ = create_study(tmp_path / "a.db")
    commit = group_commit(tmp_path / "a.db", study)
    commit([create_trial(values=[9.0, 0.0])] * (SHOWN_FIRST + 1))
    asked = study.ask()
    shown = overview(tmp_path / "a.db")
    assert shown.trials[-1].number == asked.number
    study.tell(asked, [0.0, 1.0])
    commit([create_trial(values=[0.0, 1.0]), create_trial(values=[10.0, 0.0])])
    assert [t.number for t in shown.trials[-2:]] == [asked.number, asked.number + 2]
