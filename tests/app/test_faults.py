"""What a machine does to a run: signals, a closed terminal, a full disk, files taken away."""

import os
import pty
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from optuna.trial import TrialState

import app.search
from app.cli import main
from app.supernet.checkpoint import load_checkpoint
from tests.app.test_run import PROGRAM, ROOT, start, trials, wait_for_trials

LONG = ["--space", "longtoy", "--trials", "4000", "--sampler", "random"]


@pytest.fixture
def arguments(study_file: Path, tmp_path: Path) -> list[str]:
    return ["--study", str(study_file), "--runs", str(tmp_path / "runs")]


def run(arguments: list[str], **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=120, check=False, **options
    )


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


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_signals_end_a_search_with_status_130(
    arguments: list[str], tmp_path: Path, signum: signal.Signals
) -> None:
    process = start([*arguments, *LONG])
    wait_for_trials(process, tmp_path, 3)
    process.send_signal(signum)
    assert process.wait(60) == 130
    goes_on([*arguments, *LONG], tmp_path)


def test_a_hangup_is_ignored_where_the_user_has_said_so(
    arguments: list[str], tmp_path: Path
) -> None:
    """As under `nohup`."""
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    arguments = [*arguments, "--space", "longtoy", "--trials", "300"]
    process = subprocess.Popen(
        [sys.executable, "-c", ignoring + PROGRAM, *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for_trials(process, tmp_path, 1)
    process.send_signal(signal.SIGHUP)
    assert process.wait(120) == 0


def test_a_closed_terminal_loses_nothing(arguments: list[str], tmp_path: Path) -> None:
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments, *LONG],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    wait_for_trials(process, tmp_path, 3)
    process.send_signal(signal.SIGHUP)  # what closing it does, besides the failing writes
    os.close(mine)
    assert process.wait(60) in (1, 130)  # 1 where the last line could not be written
    goes_on([*arguments, *LONG], tmp_path)


def test_output_that_nobody_reads(arguments: list[str], tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    ended = run(arguments, stdout=write)
    os.close(write)
    assert ended.returncode == 1
    assert "output pipe closed" in error_of(ended.stderr)
    assert main(arguments) == 0


def limited(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_no_room_for_the_checkpoint(arguments: list[str], tmp_path: Path) -> None:
    arguments = [*arguments, "--set", "space_options.channels=150"]  # 5 MB
    ended = run(arguments, stdout=subprocess.DEVNULL, preexec_fn=limited(2_000_000))
    assert ended.returncode == 1
    assert "supernet.pt" in error_of(ended.stderr)
    ended = run(arguments, stdout=subprocess.DEVNULL)
    assert ended.returncode == 0
    assert not list((tmp_path / "runs" / "small").glob(".*.part"))


@pytest.mark.parametrize("size", [1_000, 50_000])
def test_no_room_for_a_database(arguments: list[str], size: int) -> None:
    ended = run(arguments, stdout=subprocess.DEVNULL, preexec_fn=limited(size))
    assert ended.returncode in (1, 2)
    assert error_of(ended.stderr)
    assert main(arguments) == 0


def test_no_room_for_more_trials(arguments: list[str], tmp_path: Path) -> None:
    assert main(arguments) == 0
    size = (tmp_path / "runs" / "studies.db").stat().st_size + 20_000
    more = [*arguments, *LONG]
    more[more.index("4000")] = "2000"
    assert main([*arguments, "--space", "longtoy", "--study-name", "x", "--trials", "1"]) == 0
    ended = run([*more, "--study-name", "x"], preexec_fn=limited(size), stdout=subprocess.DEVNULL)
    assert ended.returncode == 1
    assert "the database failed" in error_of(ended.stderr)
    with closing(sqlite3.connect(tmp_path / "runs" / "studies.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert main([*arguments, "--trials", "12"]) == 0


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting takes root")
def test_a_full_disk(arguments: list[str], tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=700k", "none", str(runs)]
    if subprocess.run(mount, check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("mounting is not possible here")
    try:
        more = [*arguments, *LONG]
        ended = run(more, stdout=subprocess.DEVNULL)
        assert ended.returncode == 1
        assert "full" in error_of(ended.stderr) or "space" in ended.stderr
        subprocess.run(["mount", "-o", "remount,size=20m", str(runs)], check=True)
        goes_on(more, tmp_path)
    finally:
        subprocess.run(["umount", "--lazy", str(runs)], check=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_database_that_cannot_be_written(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    (tmp_path / "runs" / "studies.db").chmod(0o444)
    assert main([*arguments, "--trials", "20"]) in (1, 2)
    assert "readonly" in error_of(capsys.readouterr().err)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
def test_a_folder_that_is_mounted_read_only(arguments: list[str], tmp_path: Path) -> None:
    assert main(arguments) == 0
    runs = str(tmp_path / "runs")
    if subprocess.run(["mount", "--bind", runs, runs], check=False).returncode:
        pytest.skip("mounting is not possible here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", runs], check=True)
        ended = run([*arguments, "--trials", "20"], stdout=subprocess.DEVNULL)
        assert ended.returncode == 2
        assert "give --runs DIR" in error_of(ended.stderr)
    finally:
        subprocess.run(["umount", "--lazy", runs], check=True)
    goes_on(arguments, tmp_path)


def test_a_runs_folder_that_is_removed_under_way(arguments: list[str], tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments, *LONG],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_trials(process, tmp_path, 3)
    shutil.rmtree(tmp_path / "runs")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "studies.db' was removed" in error_of(errors)


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

    monkeypatch.setattr(app.search, "datetime", Backwards)
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
