"""Disks that are full or read-only: one line, and the same command goes on."""

import os
import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from app.cli import main
from tests.app.test_faults import LONG, error_of, goes_on


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """No file grows beyond `size` bytes, as on a disk that is full by then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_room_for_the_checkpoint(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*arguments, "--set", "space_options.channels=100"]
    with files_limited_to(1_000_000):
        assert main(arguments) == 1
    assert "supernet.pt" in error_of(capsys.readouterr().err)
    assert main(arguments) == 0
    assert not list((tmp_path / "runs" / "small").glob(".*.part"))


@pytest.mark.parametrize("size", [1_000, 50_000])
def test_no_room_for_a_database(
    arguments: list[str], size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with files_limited_to(size):
        assert main(arguments) in (1, 2)
    assert error_of(capsys.readouterr().err)
    assert main(arguments) == 0


@pytest.mark.slow
def test_no_room_for_more_trials(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*arguments, "--space", "longtoy"]
    database = tmp_path / "runs" / "studies.db"
    assert main([*arguments, "--trials", "1"]) == 0
    with files_limited_to(database.stat().st_size + 20_000):
        assert main([*arguments, "--trials", "2000"]) == 1
    assert "the database failed" in error_of(capsys.readouterr().err)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    goes_on(arguments, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting takes root")
def test_a_full_disk(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=700k", "none", str(runs)]
    if subprocess.run(mount, check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("mounting is not possible here")
    try:
        more = [*arguments, *LONG]
        assert main(more) == 1
        error = error_of(capsys.readouterr().err)
        assert "full" in error or "space" in error
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
def test_a_folder_that_is_mounted_read_only(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    runs = str(tmp_path / "runs")
    if subprocess.run(["mount", "--bind", runs, runs], check=False).returncode:
        pytest.skip("mounting is not possible here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", runs], check=True)
        assert main([*arguments, "--trials", "20"]) == 2
        assert "give --runs DIR" in error_of(capsys.readouterr().err)
    finally:
        subprocess.run(["umount", "--lazy", runs], check=True)
    goes_on(arguments, tmp_path)
