"""The whole job on the toy space: run, resume, kill, change, discard."""

import csv
import io
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from app import locks
from app.cli import main
from app.dashboard import artifact_store
from app.database import sqlite_url
from app.pareto import completed_rows
from app.scores import PARTS, SCORES
from app.scores.composite import LOWEST
from tests.processes import Command, start
from tests.toy import Toy

ROOT = Path(__file__).parent.parent.parent


def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'runs' / 'studies.db'}"


def trials(tmp_path: Path) -> list[FrozenTrial]:
    return optuna.load_study(study_name="small", storage=database(tmp_path)).trials


def test_a_study_runs_to_a_front(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--max-flops", "20k"]) == 0
    done = [t for t in trials(tmp_path) if t.state == TrialState.COMPLETE]
    assert len(done) == 10
    for trial in done:
        attributes = trial.user_attrs
        assert {"arch", *PARTS, *SCORES} <= set(attributes)
        assert trial.values[0] == pytest.approx(sum(attributes[part] for part in PARTS))
        assert attributes["source"] in ("measured", "memoised")
        assert trial.values[1] == attributes["flops"]
        assert LOWEST <= trial.values[0] <= 0
        assert trial.system_attrs["constraints"] == [attributes["flops"] - 20_000]
    folder = tmp_path / "runs" / "small"
    with (folder / "front.csv").open() as file:
        front = list(csv.DictReader(file))
    assert all(float(row["flops"]) <= 20_000 for row in front)
    assert "fingerprint" in (folder / "report.html").read_text()
    assert (folder / "front.png").stat().st_size > 1000
    printed = capsys.readouterr().out
    for path in ("front.csv", "front.png", "report.html", "supernet.pt", "studies.db"):
        assert path in printed
    assert "python main.py dashboard" in printed


def test_equal_architectures_are_scored_once_and_equally(
    arguments: list[str], tmp_path: Path
) -> None:
    assert main([*arguments, "--trials", "40", "--sampler", "random"]) == 0
    by_arch: dict[str, list[FrozenTrial]] = {}
    for trial in trials(tmp_path):
        if trial.state == TrialState.COMPLETE:
            by_arch.setdefault(trial.user_attrs["arch"], []).append(trial)
    assert any(len(group) > 1 for group in by_arch.values())
    for group in by_arch.values():
        assert len({tuple(t.values) for t in group}) == 1
        assert [t.user_attrs["source"] for t in group].count("measured") <= 1


def test_a_small_space_is_exhausted_and_the_search_says_so(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):  # resumed, it finds nothing more
        assert main([*arguments, "--trials", "40"]) == 0
        assert "every architecture of the space has been tried (26)" in capsys.readouterr().out
        archs = [t.user_attrs["arch"] for t in trials(tmp_path)]
        assert len(archs) == len(set(archs)) == 3**3 - 1


def test_a_time_limit_ends_the_search_in_success(
    study: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*study, "--trials", "30", "--timeout", "0.001"]) == 0
    said = capsys.readouterr().out
    assert "The --timeout ended the search after 10 of 30 trials" in said
    assert "Pareto front" in said


def test_trials_queued_by_plain_optuna_are_taken_up(
    arguments: list[str], tmp_path: Path, toy: Toy
) -> None:
    assert main([*arguments, "--trials", "4"]) == 0
    study = optuna.load_study(study_name="small", storage=database(tmp_path))
    queued = toy.encode("conv1-skip-conv3")
    study.enqueue_trial(queued)
    assert main(arguments) == 0
    end = trials(tmp_path)
    assert [t.number for t in end] == list(range(10))
    assert {t.state for t in end} == {TrialState.COMPLETE}
    assert end[4].params == queued
    archs = [t.user_attrs["arch"] for t in end[5:]]
    assert len({*archs, "conv1-skip-conv3"}) == len(archs) + 1


def test_trials_of_two_supernets_never_mix(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither after the supernet is gone, nor with another one in another runs folder."""
    assert main([*arguments, "--trials", "4"]) == 0
    supernet = tmp_path / "runs" / "small" / "supernet.pt"
    kept = supernet.read_bytes()
    supernet.unlink()
    assert main(arguments) == 2
    assert "the supernet.pt that scored the trials" in capsys.readouterr().err
    assert not supernet.exists()
    elsewhere = [*arguments[:2], "--runs", str(tmp_path / "other"), "--storage", database(tmp_path)]
    assert main(elsewhere) == 2
    assert "--fresh" in capsys.readouterr().err
    supernet.write_bytes(kept)
    assert main(arguments) == 0
    assert {t.user_attrs["fingerprint"] for t in trials(tmp_path)} == {
        trials(tmp_path)[0].user_attrs["fingerprint"]
    }


@pytest.mark.slow
def test_a_study_without_trials_is_made_again(arguments: list[str], tmp_path: Path) -> None:
    assert main([*arguments, "--trials", "1"]) == 0
    study = optuna.load_study(study_name="small", storage=database(tmp_path))
    study._storage.delete_study(study._study_id)
    (tmp_path / "runs" / "small" / "supernet.pt").unlink()
    (tmp_path / "runs" / "small" / "reference.json").unlink()
    assert main([*arguments, "--trials", "3"]) == 0


def test_the_same_command_adds_what_is_missing_and_nothing_else(
    arguments: list[str], tmp_path: Path
) -> None:
    assert main(arguments) == 0
    folder = tmp_path / "runs" / "small"
    before = {n: (folder / n).stat().st_mtime_ns for n in ("supernet.pt", "reference.json")}
    first = trials(tmp_path)
    assert main(arguments) == 0
    assert trials(tmp_path) == first
    assert main([*arguments, "--trials", "16"]) == 0
    after = trials(tmp_path)
    assert after[: len(first)] == first
    assert sum(t.state == TrialState.COMPLETE for t in after) == 16
    assert {n: (folder / n).stat().st_mtime_ns for n in before} == before


def test_a_contradicting_command_stops_and_names_the_ways_out(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    first = trials(tmp_path)
    for option, field in (("--train-steps=13", "supernet.steps"), ("--seed=4", "seed")):
        assert main([*arguments, option]) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert field in error and "--study-name" in error and "--fresh" in error
    assert trials(tmp_path) == first
    assert main([*arguments, "--fresh", "--dataset=typo"]) == 2
    assert trials(tmp_path) == first
    assert main([*arguments, "--seed=4", "--fresh"]) == 0
    assert trials(tmp_path) != first


def test_a_refused_first_run_leaves_the_name_free(arguments: list[str], tmp_path: Path) -> None:
    assert main([*arguments, "--set=supernet.batch_size=5000"]) == 2
    assert main(arguments) == 0


def wait_for_trials(process: Command, tmp_path: Path, count: int) -> None:
    for _ in range(2400):
        assert process.poll() is None, "ended before it could be stopped"
        # not through Optuna, which would make the tables at the same time as the process does
        database = f"file:{tmp_path / 'runs' / 'studies.db'}?mode=ro"
        try:
            with closing(sqlite3.connect(database, uri=True)) as connection:
                (found,) = connection.execute("SELECT count(*) FROM trials").fetchone()
        except sqlite3.OperationalError:  # the database or its tables are not there yet
            found = 0
        if found >= count:
            return
        time.sleep(0.05)
    pytest.fail("no trials after two minutes")


@pytest.mark.slow
def test_killed_and_interrupted_searches_lose_and_repeat_nothing(
    arguments: list[str], tmp_path: Path
) -> None:
    # more architectures and trials than are done before the signal
    arguments = [*arguments, "--space", "longtoy", "--trials", "4000"]
    kept: list[FrozenTrial] = []
    for signum in (signal.SIGKILL, signal.SIGINT):
        process = start(arguments)
        wait_for_trials(process, tmp_path, len(kept) + 5)
        process.send_signal(signum)
        assert process.wait(120) == (130 if signum == signal.SIGINT else -signal.SIGKILL)
        now = trials(tmp_path)
        assert [now[t.number] for t in kept] == kept
        kept = now
    total = len(kept) + 10
    assert main([*arguments, "--trials", str(total)]) == 0
    end = trials(tmp_path)
    assert end[: len(kept)] == kept
    assert [t.number for t in end] == list(range(total))
    assert {t.state for t in end} == {TrialState.COMPLETE}
    assert len({t.user_attrs["arch"] for t in end}) == total


def test_a_study_that_is_searched_is_not_deleted(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--trials", "1"]) == 0
    with locks.searching(sqlite_url(tmp_path / "runs" / "studies.db"), "small"):
        assert main([*arguments, "--fresh"]) == 2
    assert "another process is searching study" in capsys.readouterr().err
    assert len(trials(tmp_path)) == 1


@pytest.mark.slow
def test_four_processes_share_a_search(arguments: list[str], tmp_path: Path) -> None:
    """One makes the supernet, all search, one is killed: the total is exact, nothing twice."""
    arguments = [*arguments, "--space", "longtoy", "--trials", "600", "--train-steps", "200"]
    processes = [start(arguments) for _ in range(4)]
    wait_for_trials(processes[0], tmp_path, 20)
    processes.pop().kill()
    assert [process.wait(300) for process in processes] == [0, 0, 0]
    end = trials(tmp_path)
    assert [t.number for t in end] == list(range(len(end)))
    assert {t.state for t in end} <= {TrialState.COMPLETE, TrialState.FAIL}
    complete = [t for t in end if t.state == TrialState.COMPLETE]
    assert len(complete) == 600
    by_arch: dict[str, list[FrozenTrial]] = {}
    for trial in complete:
        by_arch.setdefault(trial.user_attrs["arch"], []).append(trial)
    assert all(len({tuple(t.values) for t in group}) == 1 for group in by_arch.values())
    # none knows what the others score within the same batch; after that nobody repeats it
    assert len(by_arch) > 0.95 * 600


def test_fresh_leaves_the_files_of_another_programs_study(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs").mkdir()
    url = f"sqlite:///{tmp_path / 'runs' / 'studies.db'}"
    theirs = optuna.create_study(storage=url, study_name="small")
    theirs.add_trial(optuna.trial.create_trial(value=1.0))
    artifact_store(tmp_path / "runs").write("file", io.BytesIO(b"text"))
    theirs._storage.set_study_system_attr(theirs._study_id, "dashboard:artifacts:1:file", "{}")
    assert main([*arguments, "--fresh"]) == 2
    assert "of another program" in capsys.readouterr().err
    assert len(list((tmp_path / "runs" / "artifacts").iterdir())) == 1


def test_a_trial_of_another_program_has_no_row(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--trials", "4"]) == 0
    url = f"sqlite:///{tmp_path / 'runs' / 'studies.db'}"
    study = optuna.load_study(study_name="small", storage=url)
    study.add_trial(optuna.trial.create_trial(values=[1.0, 1.0]))
    assert main([*arguments, "--trials", "6"]) == 0
    assert "1 trials of other origin" in capsys.readouterr().err
    assert len(trials(tmp_path)) == 7
    study = optuna.load_study(study_name="small", storage=url)
    assert [row.trial for row in completed_rows(study)] == [0, 1, 2, 3, 5, 6]


def test_a_study_that_another_program_has_written_to_first_is_searched(
    arguments: list[str], tmp_path: Path
) -> None:
    """A trial of other choices does not lock the study for good."""
    assert main([*arguments, "--trials", "1"]) == 0
    study = optuna.load_study(study_name="small", storage=database(tmp_path))
    with closing(sqlite3.connect(tmp_path / "runs" / "studies.db")) as connection, connection:
        connection.execute("DELETE FROM trials")  # ours is gone, theirs is not
    study.add_trial(optuna.trial.create_trial(values=[1.0, 1.0]))
    assert main([*arguments, "--trials", "3"]) == 0
