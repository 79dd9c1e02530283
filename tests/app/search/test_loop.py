"""The loop around real proposals and a real database; only the scores are made up."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from app.search.evolution import Evolution, SpaceExhaustedError
from app.search.loop import Batches, Search
from app.search.outcome import TrialResult
from app.search.study import DIRECTIONS
from tests.app.search.test_commit import create_study, database_url, group_commit, some_trial
from tests.toy import Toy

Assess = Callable[[dict[str, Any]], TrialResult]


def score(params: dict[str, Any]) -> TrialResult:
    arch = "-".join(params.values())
    return TrialResult(TrialState.COMPLETE, [len(arch), 1.0], {"arch": arch})


def search(path: Path, space: Toy, assess: Assess = score, size: int = 8) -> Search:
    study, storage = open_study(path) if path.exists() else create_study(path)
    evolution = Evolution(space, DIRECTIONS, 8, seed=0)
    batches = Batches(evolution, group_commit(path, study), size)
    return Search(study, storage, space, assess, batches)


def open_study(path: Path) -> Any:
    from app.search.storage import open_storage

    storage = open_storage(database_url(path))
    return optuna.load_study(study_name="s", storage=storage), storage


def committed(path: Path) -> list[str]:
    study = optuna.load_study(study_name="s", storage=database_url(path))
    return [t.user_attrs["arch"] for t in study.trials]


def never() -> None:
    """No interruption."""


def test_trials_are_told_a_batch_at_a_time(tmp_path: Path, toy: Toy) -> None:
    path = tmp_path / "a.db"
    seen: list[int] = []
    told: list[int] = []

    def assess(params: dict[str, Any]) -> TrialResult:
        seen.append(len(committed(path)))
        return score(params)

    search(path, toy, assess).run_to(20, never, lambda steps, note: told.append(steps))
    assert seen == 8 * [0] + 8 * [8] + 4 * [16]
    assert told == [8, 8, 4]
    assert len(set(committed(path))) == 20


def test_a_slow_score_is_not_kept_waiting_for_a_full_batch(
    tmp_path: Path, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.search.loop.SECONDS_A_BATCH", 0.0)
    told: list[int] = []
    search(tmp_path / "a.db", toy).run_to(3, never, lambda steps, note: told.append(steps))
    assert told == [1, 1, 1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_what_was_finished_before_an_interruption_is_kept(
    tmp_path: Path, toy: Toy, error: type[BaseException]
) -> None:
    path = tmp_path / "a.db"
    calls = 0

    def assess(params: dict[str, Any]) -> TrialResult:
        nonlocal calls
        calls += 1
        if calls == 12:
            raise error
        return score(params)

    with pytest.raises(error):
        search(path, toy, assess).run_to(20, never, lambda steps, note: None)
    first = committed(path)
    assert len(first) == 11
    search(path, toy).run_to(20, never, lambda steps, note: None)
    assert committed(path)[:11] == first
    assert len(set(committed(path))) == 20


def test_an_exhausted_space_commits_its_last_trials(tmp_path: Path, toy: Toy) -> None:
    path = tmp_path / "a.db"
    going = search(path, toy)
    with pytest.raises(SpaceExhaustedError):
        going.run_to(30, never, lambda steps, note: None)
    assert going.completed == len(committed(path)) == 26


def test_trials_that_others_add_meanwhile_are_counted_told_and_not_repeated(
    tmp_path: Path, toy: Toy
) -> None:
    path = tmp_path / "a.db"
    queued = toy.encode("conv3-skip-conv1")
    calls = 0

    def assess(params: dict[str, Any]) -> TrialResult:
        nonlocal calls
        calls += 1
        if calls == 5:
            study = optuna.load_study(study_name="s", storage=database_url(path))
            study.add_trial(some_trial(toy))
            study.enqueue_trial(queued)
        return score(params)

    search(path, toy, assess).run_to(22, never, lambda steps, note: None)
    study = optuna.load_study(study_name="s", storage=database_url(path))
    assert [t.number for t in study.trials] == list(range(22))
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}
    assert study.trials[1].params == queued
    first, later = committed(path)[2:10], committed(path)[10:]
    assert committed(path)[0] == "conv1-skip-conv3"
    assert not set(later) & {*first, "conv1-skip-conv3", "conv3-skip-conv1"}


def test_without_batches_every_trial_goes_through_optuna(tmp_path: Path, toy: Toy) -> None:
    study, storage = create_study(tmp_path / "a.db", optuna.samplers.RandomSampler(seed=0))
    Search(study, storage, toy, score, None).run_to(5, never, lambda steps, note: None)
    assert [t.number for t in study.trials] == list(range(5))
    assert len(committed(tmp_path / "a.db")) == 5


@pytest.mark.parametrize("batched", [True, False])
def test_choices_that_the_space_has_not_are_a_failed_trial(
    tmp_path: Path, toy: Toy, batched: bool
) -> None:
    path = tmp_path / "a.db"
    going = search(path, toy)
    if not batched:
        going = Search(going.study, going.storage, toy, score, None)
    for _ in range(2):  # one is left running, one waits
        going.study.enqueue_trial({"layer 0": "conv5"})
    going.study.ask()
    going.run_to(3, never, lambda steps, note: None)
    trials = going.study.trials
    assert [t.state for t in trials] == 2 * [TrialState.FAIL] + 3 * [TrialState.COMPLETE]
    assert all("conv5" in t.user_attrs["invalid"] for t in trials[:2])


def test_what_others_finish_while_we_read_is_added_once(tmp_path: Path, toy: Toy) -> None:
    path = tmp_path / "a.db"
    going = search(path, toy, size=4)
    assert going.batches is not None
    added: list[int] = []
    add, commit = going.batches.proposals.add, going.batches.commit.__call__

    def noted(trials: Any) -> None:
        added.extend(trial.number for trial in trials)
        add(trials)

    def committed_between(trials: Any, total: int) -> Any:
        """Others finish a trial before and another one after each of our commits."""
        going.study.add_trial(some_trial(toy))
        numbers = commit(trials, total)
        going.study.add_trial(some_trial(toy))
        return numbers

    going.batches.proposals.add = noted  # type: ignore[method-assign]
    object.__setattr__(going.batches, "commit", committed_between)
    going.run_to(18, never, lambda steps, note: None)
    assert added == [0, 5, 6, 11, 12, 17]
