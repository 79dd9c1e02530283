"""The search around a real sampler and a real database; only the scores are made up."""

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from app.ask_tell import SearchFailedError
from app.objective import TrialResult
from app.samplers import SAMPLERS, SpaceExhaustedError
from app.trials import completed_trials
from tests.app.study_of_toys import (
    MadeUp,
    committed,
    make_search,
    never,
    silent,
    some_trial,
)
from tests.toy import LongToy, Toy


def test_trials_are_committed_a_batch_at_a_time(
    tmp_path: Path, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ask_tell.SECONDS_PER_BATCH", 1e9)
    path = tmp_path / "a.db"
    seen: list[int] = []
    told: list[int] = []

    class Looking(MadeUp):
        def __call__(self, params: dict[str, Any]) -> TrialResult:
            seen.append(len(committed(path)))
            return super().__call__(params)

    make_search(path, toy, Looking(toy)).run(20, never, lambda steps, note: told.append(steps))
    assert seen == 8 * [0] + 8 * [8] + 4 * [16]
    assert told == [8, 8, 4]
    assert len(set(committed(path))) == 20


def test_a_slow_score_does_not_wait_for_a_full_batch(
    tmp_path: Path, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ask_tell.SECONDS_PER_BATCH", 0.0)
    told: list[int] = []
    make_search(tmp_path / "a.db", toy).run(3, never, lambda steps, note: told.append(steps))
    assert told == [1, 1, 1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_what_was_finished_before_an_interruption_is_kept(
    tmp_path: Path, toy: Toy, error: type[BaseException]
) -> None:
    path = tmp_path / "a.db"

    class Interrupted(MadeUp):
        def __call__(self, params: dict[str, Any]) -> TrialResult:
            if len(self.seen) == 11:
                raise error
            return super().__call__(params)

    with pytest.raises(error):
        make_search(path, toy, Interrupted(toy)).run(20, never, silent)
    first = committed(path)
    assert len(first) == 11
    make_search(path, toy).run(20, never, silent)
    assert committed(path)[:11] == first
    assert len(set(committed(path))) == 20


def test_an_exhausted_space_commits_its_last_trials(tmp_path: Path, toy: Toy) -> None:
    search = make_search(tmp_path / "a.db", toy)
    with pytest.raises(SpaceExhaustedError, match=r"every architecture .* \(26\)"):
        search.run(30, never, silent)
    assert search.complete == len(set(committed(tmp_path / "a.db"))) == 26


def test_trials_that_others_add_meanwhile_are_counted_and_not_repeated(
    tmp_path: Path, toy: Toy
) -> None:
    path = tmp_path / "a.db"
    queued = toy.encode("conv3-skip-conv1")

    class Disturbed(MadeUp):
        def __call__(self, params: dict[str, Any]) -> TrialResult:
            if len(self.seen) == 4:
                study = optuna.load_study(study_name="s", storage=f"sqlite:///{path}")
                study.add_trial(some_trial(toy))
                study.enqueue_trial(queued)
            return super().__call__(params)

    make_search(path, toy, Disturbed(toy)).run(22, never, silent)
    trials = optuna.load_study(study_name="s", storage=f"sqlite:///{path}").trials
    assert [t.number for t in trials] == list(range(22))
    assert {t.state for t in trials} == {TrialState.COMPLETE}
    assert trials[1].params == queued
    archs = committed(path)
    assert not set(archs[10:]) & set(archs[:10])


def test_choices_that_the_space_has_not_are_a_failed_trial(tmp_path: Path, toy: Toy) -> None:
    search = make_search(tmp_path / "a.db", toy)
    search.study.enqueue_trial({"layer 0": "conv5"})
    search.study.enqueue_trial({"layer 0": "conv3"})  # the others are drawn
    search.refresh()
    search.run(3, never, silent)
    trials = search.study.trials
    assert [t.state for t in trials] == [TrialState.FAIL] + 3 * [TrialState.COMPLETE]
    assert "conv5" in trials[0].user_attrs["invalid"]
    assert trials[1].params["layer 0"] == "conv3"


def test_foreign_trials_are_left_out(tmp_path: Path, toy: Toy) -> None:
    """Of plain Optuna, of another supernet, or edited by hand into nonsense."""
    search = make_search(tmp_path / "a.db", toy)
    broken = some_trial(toy)
    broken.user_attrs["arch"] = ["conv1"]
    broken.system_attrs = {"constraints": ["x"]}
    search.study.add_trials(
        [
            create_trial(values=[1.0, 1.0]),
            some_trial(toy, fingerprint="another"),
            some_trial(toy, flops="many"),
            broken,
        ]
    )
    make_search(tmp_path / "a.db", toy).run(5, never, silent)
    assert len(search.study.trials) == 4 + 3  # two are ours by their fingerprint, and count
    assert len(completed_trials(search.study)) == 3


def test_a_search_in_which_everything_fails_ends(tmp_path: Path, toy: Toy) -> None:
    class Failing(MadeUp):
        def __call__(self, params: dict[str, Any]) -> TrialResult:
            return TrialResult(TrialState.FAIL, user_attrs={"failed": "no score: too hot"})

    with pytest.raises(SearchFailedError, match="no score: too hot"):
        make_search(tmp_path / "a.db", toy, Failing(toy), sampler="random").run(5, never, silent)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_resumes_without_repeating_its_first_trials(
    tmp_path: Path, sampler: str
) -> None:
    space, path = LongToy(image_size=16), tmp_path / "a.db"
    make_search(path, space, sampler=sampler).run(14, never, silent)
    make_search(path, space, sampler=sampler).run(22, never, silent)
    archs = committed(path)
    assert archs[14:22] != archs[:8]
    if sampler.startswith("nsga"):
        assert len(set(archs)) == 22


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["nsga2", "nsga3"])
def test_a_resumed_search_goes_on_with_its_generations(tmp_path: Path, sampler: str) -> None:
    space, path = LongToy(image_size=16), tmp_path / "a.db"
    make_search(path, space, size=100, sampler=sampler).run(600, never, silent)
    search = make_search(path, space, sampler=sampler)
    search.run(603, never, silent)
    (key,) = (k for k in search.study.trials[-1].system_attrs if k.endswith(":generation"))
    assert search.study.trials[-1].system_attrs[key] == 600 // 8


def test_trials_queued_one_after_the_other_are_all_seen(tmp_path: Path) -> None:
    space = LongToy()
    search = make_search(tmp_path / "a.db", space)
    for total in (20, 40):
        search.study.enqueue_trial({"layer 0": "conv3"})
        search.run(total, never, silent)
    assert search.study.get_trials(states=(TrialState.WAITING,)) == []


def test_a_queued_copy_of_a_trial_with_its_attributes_is_evaluated(
    tmp_path: Path, toy: Toy
) -> None:
    search = make_search(tmp_path / "a.db", toy)
    search.run(3, never, silent)
    known = search.study.trials[0]
    search.study.enqueue_trial(known.params, user_attrs={**known.user_attrs, "mine": 1})
    search.study.add_trial(
        create_trial(
            state=TrialState.WAITING, params=known.params, distributions=known.distributions
        )
    )
    search.refresh()
    search.run(6, never, silent)
    copies = search.study.trials[3:5]
    assert [copy.state for copy in copies] == [TrialState.COMPLETE] * 2
    assert [copy.params for copy in copies] == [known.params] * 2
    assert copies[0].user_attrs == {**known.user_attrs, "mine": 1}
