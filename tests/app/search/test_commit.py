"""Group commits against what `study.optimize` writes for the same choices."""

import math
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler, NSGAIIISampler, RandomSampler
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from app.search.commit import GroupCommit
from app.search.loop import Batches, Search
from app.search.outcome import TrialResult
from app.search.proposals import InMemory
from app.search.storage import open_engine, open_storage
from app.search.study import DIRECTIONS
from app.search.tables import read_tables
from spaces import InfeasibleError
from tests.toy import Toy

Database = dict[str, list[dict[str, Any]]]


def database_url(path: Path) -> str:
    return f"sqlite:///{path}"


def create_study(path: Path, sampler: BaseSampler | None = None) -> tuple[Study, BaseStorage]:
    storage = open_storage(database_url(path))
    study = optuna.create_study(
        storage=storage, study_name="s", directions=DIRECTIONS, sampler=sampler
    )
    return study, storage


def group_commit(path: Path, study: Study) -> GroupCommit:
    engine = open_engine(database_url(path))
    return GroupCommit(engine, read_tables(engine), study._study_id)


def outcome(toy: Toy, params: dict[str, Any]) -> TrialResult:
    """Some of every kind: infinite and finite values, attributes of all types, infeasible."""
    try:
        arch = toy.decode(params)
    except InfeasibleError as reason:
        return TrialResult(TrialState.FAIL, user_attrs={"infeasible": str(reason)})
    cost = toy.cost(arch)
    score = -math.inf if arch.startswith("skip-skip") else math.inf if "3-3" in arch else 1 / 3
    return TrialResult(
        TrialState.COMPLETE,
        [score, float(cost.macs)],
        {"arch": arch, "bn_nas": None, "flops": cost.macs, "parts": [0.1, "ü"]},
        {"constraints": [cost.macs - 20_000.0]},
    )


def database(path: Path) -> Database:
    """All rows of all tables, without what must differ: times, and parents that are selected."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = {name: connection.execute(f"SELECT * FROM {name}") for (name,) in names}
        return {
            name: [
                {key: row[key] for key in row.keys() if not key.startswith("datetime_")}  # noqa: SIM118
                for row in rows
                if "key" not in row.keys() or ":parent:" not in row["key"]  # noqa: SIM118
            ]
            for name, rows in tables.items()
        }


@pytest.mark.parametrize(
    "sampler",
    [lambda: RandomSampler(seed=3), lambda: NSGAIIISampler(seed=3, population_size=8)],
    ids=["random", "nsga3"],
)
@pytest.mark.filterwarnings("ignore:NSGAIIISampler is experimental")
def test_the_database_is_as_study_optimize_writes_it(
    sampler: Callable[[], BaseSampler], tmp_path: Path, toy: Toy
) -> None:
    choices = toy.distributions()
    plain, storage = create_study(tmp_path / "plain.db", sampler())

    def objective(trial: Trial) -> list[float]:
        for name, choice in choices.items():
            trial.suggest_categorical(name, choice.choices)
        found = outcome(toy, trial.params)
        for key, value in found.user_attrs.items():
            trial.set_user_attr(key, value)
        for key, value in found.system_attrs.items():
            storage.set_trial_system_attr(trial._trial_id, key, value)
        if found.values is None:
            raise InfeasibleError
        return found.values

    plain.optimize(objective, n_trials=60, catch=(InfeasibleError,))
    complete = [t.state for t in plain.trials].count(TrialState.COMPLETE)
    assert 0 < complete < 60

    ours, storage = create_study(tmp_path / "ours.db")
    batches = Batches(
        InMemory(sampler(), toy, DIRECTIONS), group_commit(tmp_path / "ours.db", ours), size=7
    )
    search = Search(ours, storage, toy, lambda params: outcome(toy, params), batches)
    search.run_to(complete, lambda: None, lambda steps, note: None)

    found, expected = database(tmp_path / "ours.db"), database(tmp_path / "plain.db")
    last = len(found["trials"])  # optimize goes on for failures after the last complete trial
    assert plain.trials[last - 1].state is TrialState.COMPLETE
    for rows in expected.values():
        rows[:] = [row for row in rows if row.get("trial_id", 0) <= last]
    assert found.keys() == expected.keys()
    assert len(found["trial_params"]) == 3 * last
    for name, rows in expected.items():
        assert found[name] == rows, name


def test_plain_optuna_reads_what_was_committed(tmp_path: Path, toy: Toy) -> None:
    study, _ = create_study(tmp_path / "a.db")
    trial = some_trial(toy)
    assert group_commit(tmp_path / "a.db", study)([trial, trial]) == [0, 1]
    for read in optuna.load_study(study_name="s", storage=database_url(tmp_path / "a.db")).trials:
        assert read.params == trial.params
        assert read.distributions == trial.distributions
        assert read.values == trial.values
        assert read.user_attrs == trial.user_attrs
        assert read.system_attrs == trial.system_attrs
        assert (read.datetime_start, read.datetime_complete) == (
            trial.datetime_start,
            trial.datetime_complete,
        )
        assert read.duration is not None and read.duration.total_seconds() >= 0


def some_trial(toy: Toy) -> FrozenTrial:
    params = toy.encode("conv1-skip-conv3")
    return create_trial(
        values=[0.1, 2.0],
        params=params,
        distributions=dict(toy.distributions()),
        user_attrs={"arch": "conv1-skip-conv3"},
        system_attrs={"constraints": [1.0]},
    )


def test_a_batch_that_fails_leaves_nothing_behind(tmp_path: Path, toy: Toy) -> None:
    study, _ = create_study(tmp_path / "a.db")
    commit = group_commit(tmp_path / "a.db", study)
    bad = some_trial(toy)
    bad.user_attrs["unwritable"] = object()
    with pytest.raises(TypeError):
        commit([some_trial(toy), bad])
    assert study.trials == []
    assert commit([some_trial(toy)]) == [0]
    assert commit([]) == []


def test_numbers_have_no_gap_between_our_batches_and_plain_optuna(tmp_path: Path, toy: Toy) -> None:
    study, _ = create_study(tmp_path / "a.db")
    other = optuna.create_study(
        storage=study._storage, study_name="other", directions=["maximize", "minimize"]
    )
    commits = [group_commit(tmp_path / "a.db", study) for _ in range(2)]
    plain = optuna.load_study(study_name="s", storage=database_url(tmp_path / "a.db"))
    assert commits[0]([some_trial(toy)] * 3) == [0, 1, 2]
    assert plain.ask().number == 3
    other.ask()
    assert commits[1]([some_trial(toy)] * 2) == [4, 5]
    assert commits[0]([some_trial(toy)]) == [6]
    assert [t.number for t in plain.trials] == list(range(7))


def test_a_second_writer_waits_from_the_count_on(tmp_path: Path, toy: Toy) -> None:
    study, _ = create_study(tmp_path / "a.db")
    first = group_commit(tmp_path / "a.db", study)
    with first._locked(), closing(sqlite3.connect(tmp_path / "a.db", timeout=0)) as connection:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            connection.execute("BEGIN IMMEDIATE")
        connection.execute("SELECT * FROM trials")  # but readers do not
    assert first([some_trial(toy)]) == [0]


def test_a_study_deleted_meanwhile_is_no_place_to_write(tmp_path: Path, toy: Toy) -> None:
    study, storage = create_study(tmp_path / "a.db")
    commit = group_commit(tmp_path / "a.db", study)
    optuna.delete_study(study_name="s", storage=storage)
    with pytest.raises(optuna.exceptions.StorageInternalError, match="deleted"):
        commit([some_trial(toy)])
    assert database(tmp_path / "a.db")["trials"] == []


def test_commits_reach_the_disk(tmp_path: Path) -> None:
    study, _ = create_study(tmp_path / "a.db")
    with group_commit(tmp_path / "a.db", study).engine.connect() as connection:
        pragma = connection.exec_driver_sql
        assert pragma("PRAGMA journal_mode").scalar() == "wal"
        assert pragma("PRAGMA synchronous").scalar() == 2  # FULL
        assert pragma("PRAGMA busy_timeout").scalar() == 60_000
