"""What a machine does to a run: signals, a closed terminal, a full disk, files taken away."""

import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from optuna.trial import FrozenTrial, TrialState

from app.ask_tell import Search
from app.cli import main
from app.supernet.checkpoint import load_checkpoint
from tests.app.test_run import ROOT, trials, wait_for_trials
from tests.processes import start

LONG = ["--space", "longtoy", "--trials", "4000", "--sampler", "random"]


def error_of(stderr: str) -> str:
    assert "Traceback" not in stderr, stderr
    (line,) = (line for line in stderr.splitlines() if line.startswith("error: "))
    return line


def goes_on(arguments: list[str], tmp_path: Path) -> None:
    """The same command, with a reachable total, ends well and has lost nothing."""
    before = {t.number: t for t in trials(tmp_path) if t.state == TrialState.COMPLETE}
    assert main([*arguments, "--trials", str(len(before) + 3)]) == 0
    after = trials(tmp_path)
    assert [t.number for t in after] == list(range(len(after)))
    assert {number: after[number] for number in before} == before


@pytest.mark.slow
def test_a_terminated_search_ends_with_status_130(arguments: list[str], tmp_path: Path) -> None:
    process = start([*arguments, *LONG])
    wait_for_trials(process, tmp_path, 3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 130
    goes_on([*arguments, *LONG], tmp_path)


@pytest.mark.slow
def test_a_closed_terminal_loses_nothing(arguments: list[str], tmp_path: Path) -> None:
    mine, theirs = pty.openpty()
    process = start([*arguments, *LONG], theirs)
    os.close(theirs)
    wait_for_trials(process, tmp_path, 3)
    process.send_signal(signal.SIGHUP)  # what closing it does, besides the failing writes
    os.close(mine)
    assert process.wait(120) in (1, 130)  # 1 where the last line could not be written
    goes_on([*arguments, *LONG], tmp_path)


@pytest.mark.slow
def test_output_that_nobody_reads(arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    process = start(arguments, write)
    os.close(write)
    assert process.wait(120) == 1
    assert main(arguments) == 0


def test_a_runs_folder_that_is_removed_under_way(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    evaluate = Search.evaluate_next

    def evaluate_and_remove(self: Search) -> FrozenTrial:
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)
        return evaluate(self)

    monkeypatch.setattr(Search, "evaluate_next", evaluate_and_remove)
    assert main(arguments) == 1
    assert "studies.db' was removed" in error_of(capsys.readouterr().err)


def test_a_clock_that_is_set_back(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main([*arguments, "--trials", "4"]) == 0

    class Backwards(datetime):
        """Each look at the clock shows an hour before the last one."""

        looks = 0

        @classmethod
        def now(cls, tz: Any = None) -> "Backwards":
            cls.looks += 1
            back: Any = datetime(2020, 1, 1) - timedelta(hours=cls.looks)
            return back  # type: ignore[no-any-return]

    monkeypatch.setattr("optuna.storages._in_memory.datetime", Backwards)
    assert main(arguments) == 0
    assert Backwards.looks > 0
    assert [t.state for t in trials(tmp_path)] == [TrialState.COMPLETE] * 10
    assert main(arguments) == 0


def test_a_damaged_database_is_named_with_the_ways_to_mend_it(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    database = tmp_path / "runs" / "studies.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(database.read_bytes())
    for place in range(4096, len(content), 4096):
        content[place : place + 64] = b"\xff" * 64
    database.write_bytes(content)
    for name in ("studies.db-wal", "studies.db-shm"):
        (database.parent / name).unlink(missing_ok=True)
    assert main([*arguments, "--trials", "20"]) == 2
    message = error_of(capsys.readouterr().err)
    assert "damaged" in message and ".recover" in message
    *_, backup = sorted(database.parent.glob("studies.db.backup-*"))  # the newest
    assert str(backup) in message
    shutil.copy(backup, database)
    goes_on(arguments, tmp_path)
    assert len(trials(tmp_path)) == 13


def test_damaged_files_are_set_aside_and_come_out_the_same(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    folder = tmp_path / "runs" / "small"
    supernet = load_checkpoint(folder / "supernet.pt")["supernet"]
    reference = (folder / "reference.json").read_text().split('"seconds"')[0]
    for name in ("supernet.pt", "reference.json"):
        whole = (folder / name).read_bytes()
        content = bytearray(whole)
        middle = len(content) // 2  # a run of bytes, as there is padding in a checkpoint
        content[middle : middle + 200] = bytes(b ^ 1 for b in content[middle : middle + 200])
        (folder / name).write_bytes(content)
        if name == "supernet.pt":  # it scored the trials: another one must not go on with them
            assert main([*arguments, "--trials", "12"]) == 2
            assert "supernet.pt that scored the trials" in capsys.readouterr().err
            (folder / name).write_bytes(whole)
    (folder / ".supernet.pt.x.part").write_bytes(b"left by a kill")
    (folder / ".front.csv.x.part").write_bytes(b"another process is writing it")
    os.utime(folder / ".supernet.pt.x.part", (0, 0))
    assert main([*arguments, "--trials", "12"]) == 0
    said = capsys.readouterr().err.replace("\n", " ")
    assert said.count("is damaged") == 1
    assert len(list(folder.glob("*.damaged-*"))) == 1
    again = load_checkpoint(folder / "supernet.pt")["supernet"]
    assert all(torch.equal(again[key], value) for key, value in supernet.items())
    assert (folder / "reference.json").read_text().split('"seconds"')[0] == reference
    assert [path.name for path in folder.glob(".*.part")] == [".front.csv.x.part"]


@pytest.mark.slow
def test_a_bare_environment_that_makes_errors_of_warnings(tmp_path: Path) -> None:
    """No HOME, no asserts, another working folder; `thop` warns when it is imported."""
    small = [
        "--image-size=16",
        "--train-steps=0",
        "--set=score.images=8",
        "--set=score.reference=8",
    ]
    command = [str(ROOT / "main.py"), "--study=nasbench201", "--trials=4", *small]
    process = subprocess.run(
        [sys.executable, "-O", "-W", "error", *command],
        cwd=tmp_path,
        env={"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    study = optuna.load_study(
        study_name="nasbench201", storage=f"sqlite:///{tmp_path}/runs/studies.db"
    )
    assert len(study.trials) == 4


@pytest.mark.slow
def test_the_same_seed_gives_the_same_study(arguments: list[str], tmp_path: Path) -> None:
    found = []
    for place in ("a", "b"):
        more = ["--runs", str(tmp_path / place / "runs"), "--space", "longtoy", "--trials", "25"]
        assert main([*arguments, *more]) == 0
        folder = tmp_path / place / "runs" / "small"
        found.append(
            (
                {
                    k: v.tolist()
                    for k, v in load_checkpoint(folder / "supernet.pt")["supernet"].items()
                },
                (folder / "reference.json").read_text().split('"seconds"')[0],
                [(t.state, t.params, t.values, t.user_attrs) for t in trials(tmp_path / place)],
            )
        )
    assert found[0] == found[1]
