"""Bulk inserts against what Optuna itself writes for the same trials."""

import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from app.commit import FINGERPRINT, StudyWriter
from app.database import sqlite_url
from tests.app.study_of_toys import PRINT, create_study, some_trial
from tests.toy import Toy

MANY = 10**6


def database(path: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables of trials."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'trial%'")
        return {
            name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")]
            for (name,) in names.fetchall()
        }


def trials_of_every_kind(toy: Toy) -> list[FrozenTrial]:
    infinite = some_trial(toy, "conv3-conv3-skip", parts=[0.1, "ü"], bn_nas=None)
    infinite.values = [-math.inf, math.inf]
    failed = create_trial(state=TrialState.FAIL, user_attrs={"infeasible": "nothing but skips"})
    generation = some_trial(toy)
    generation.system_attrs = {"NSGAIISampler:generation": 3, "constraints": [1.5, -2]}
    trials = [some_trial(toy), infinite, failed, generation]
    for trial in trials:
        trial._trial_id = -1
    return trials


def test_the_database_is_as_optuna_writes_it(tmp_path: Path, toy: Toy) -> None:
    plain, _, _ = create_study(sqlite_url(tmp_path / "plain.db"))
    _, _, writer = create_study(sqlite_url(tmp_path / "ours.db"))
    plain.add_trials(trials_of_every_kind(toy))
    committed = writer.add_trials(trials_of_every_kind(toy), PRINT, MANY)
    assert (committed.numbers, committed.complete, committed.count) == ([0, 1, 2, 3], 3, 4)

    def comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Row ids follow the order of inserts, which is by table here and by trial there."""
        rows = [
            {k: v for k, v in row.items() if not k.endswith(("datetime_start",))} for row in rows
        ]
        own_ids = ("param_id", "trial_value_id", "attribute_id")
        rows = [{k: v for k, v in row.items() if not k.endswith(own_ids)} for row in rows]
        return sorted(rows, key=repr)

    ours, expected = database(tmp_path / "ours.db"), database(tmp_path / "plain.db")
    assert ours.keys() == expected.keys()
    for name, rows in expected.items():
        if name == "trials":
            for row in (*rows, *ours[name]):
                del row["datetime_complete"]
        assert comparable(ours[name]) == comparable(rows), name


def test_plain_optuna_reads_what_was_committed(tmp_path: Path, toy: Toy) -> None:
    _, _, writer = create_study(sqlite_url(tmp_path / "a.db"))
    trial = some_trial(toy)
    assert writer.add_trials([trial, trial], PRINT, MANY).numbers == [0, 1]
    for read in optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path / 'a.db'}").trials:
        for name in ("params", "distributions", "values", "user_attrs", "system_attrs"):
            assert getattr(read, name) == getattr(trial, name)
        assert read.datetime_start == trial.datetime_start
        assert read.datetime_complete == trial.datetime_complete


def test_a_batch_is_cut_to_the_total_of_its_own_fingerprint(tmp_path: Path, toy: Toy) -> None:
    study, _, writer = create_study(sqlite_url(tmp_path / "a.db"))
    study.add_trial(create_trial(values=[1.0, 1.0]))  # another program's does not count
    failed = create_trial(state=TrialState.FAIL)
    failed._trial_id = -1
    batch = [some_trial(toy), failed, some_trial(toy), some_trial(toy), failed]
    assert writer.add_trials(batch, PRINT, total=2).numbers == [1, 2, 3]
    assert writer.add_trials(batch, PRINT, total=2).numbers == []
    assert writer.count_complete(PRINT) == 2


def test_a_batch_that_fails_leaves_nothing_behind(tmp_path: Path, toy: Toy) -> None:
    study, _, writer = create_study(sqlite_url(tmp_path / "a.db"))
    with pytest.raises(TypeError):
        writer.add_trials([some_trial(toy), some_trial(toy, x=object())], PRINT, MANY)
    assert study.trials == []
    assert writer.add_trials([some_trial(toy)], PRINT, MANY).numbers == [0]
    assert writer.add_trials([], PRINT, MANY).numbers == []


def test_numbers_have_no_gap_between_our_batches_and_plain_optuna(tmp_path: Path, toy: Toy) -> None:
    study, _, writer = create_study(sqlite_url(tmp_path / "a.db"))
    other = StudyWriter(sqlite_url(tmp_path / "a.db"), study)
    plain = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path / 'a.db'}")
    assert writer.add_trials([some_trial(toy)] * 3, PRINT, MANY).numbers == [0, 1, 2]
    assert plain.ask().number == 3
    assert other.add_trials([some_trial(toy)] * 2, PRINT, MANY).numbers == [4, 5]
    assert [t.number for t in plain.trials] == list(range(6))


def test_a_queued_trial_is_finished_once(tmp_path: Path, toy: Toy) -> None:
    study, _, writer = create_study(sqlite_url(tmp_path / "a.db"))
    study.enqueue_trial(toy.encode("conv3-conv3-conv3"))
    queued = some_trial(toy, "conv3-conv3-conv3")
    queued._trial_id = study.trials[0]._trial_id
    assert writer.add_trials([queued, some_trial(toy)], PRINT, MANY).numbers == [0, 1]
    assert writer.add_trials([queued], PRINT, MANY).numbers == []
    first = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path / 'a.db'}").trials[0]
    assert (first.state, first.params) == (TrialState.COMPLETE, toy.encode("conv3-conv3-conv3"))
    assert first.system_attrs.keys() == {"fixed_params", "constraints"}


def test_a_second_writer_waits_and_readers_do_not(tmp_path: Path, toy: Toy) -> None:
    _, _, writer = create_study(sqlite_url(tmp_path / "a.db"))
    with (
        writer._transaction(),
        closing(sqlite3.connect(tmp_path / "a.db", timeout=0)) as connection,
    ):
        connection.execute("SELECT * FROM trials")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            connection.execute("BEGIN IMMEDIATE")
    assert writer.add_trials([some_trial(toy)], PRINT, MANY).numbers == [0]


@pytest.mark.parametrize("what", ["study", "file", "fingerprint"])
def test_nothing_is_written_to_a_study_that_is_gone_or_another(
    tmp_path: Path, toy: Toy, what: str
) -> None:
    study, storage, writer = create_study(sqlite_url(tmp_path / "a.db"))
    if what == "study":
        optuna.delete_study(study_name="s", storage=storage)
    elif what == "file":
        (tmp_path / "a.db").unlink()
    else:
        study.set_user_attr(FINGERPRINT, "another")
    with pytest.raises(optuna.exceptions.StorageInternalError):
        writer.add_trials([some_trial(toy)], PRINT, MANY)
    if what == "fingerprint":
        assert study.trials == []


def test_a_write_ahead_log_that_is_removed_ends_the_search_before_a_kill_loses_it(
    tmp_path: Path, toy: Toy
) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    _, storage, writer = create_study(sqlite_url(tmp_path / "link" / "a.db"))
    writer.add_trials([some_trial(toy)], PRINT, MANY)
    (tmp_path / "a.db-wal").unlink()
    with pytest.raises(optuna.exceptions.StorageInternalError, match=r"-wal. was removed"):
        writer.add_trials([some_trial(toy)], PRINT, MANY)
    writer.close()
    storage._backend.engine.dispose()  # as at the end of the process
    assert len(optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path}/a.db").trials) == 1


def test_searches_are_counted(tmp_path: Path) -> None:
    study, _, writer = create_study(sqlite_url(tmp_path / "a.db"))
    assert [writer.next_seed_offset() for _ in range(3)] == [0, 1, 2]
    assert study.user_attrs == {FINGERPRINT: PRINT, "searches": 3}
