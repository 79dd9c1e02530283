"""Databases and folders that this user cannot write: read where that is enough, or refused."""

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from app.cli import main
from app.database import open_write_engine, sqlite_url
from tests.app.test_run import ROOT

pytestmark = pytest.mark.slow

COMMANDS = """
import json, sys, tests.toy
from app.cli import main
for arguments in json.loads(sys.argv[1]):
    print("status", main(arguments), flush=True)
"""


def run_bound_by_permissions(commands: list[list[str]]) -> list[tuple[int, str]]:
    """Run commands in a process that may not write everywhere, as root's may: status and output."""
    prefix = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere, and setpriv is not there to change that")
        prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    process = subprocess.run(
        [*prefix, sys.executable, "-c", COMMANDS, json.dumps(commands)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    said = re.split(r"status (\d+)\n", process.stdout)
    return [(int(status), words) for status, words in zip(said[1::2], said[::2], strict=False)]


@contextmanager
def read_only(*places: Path) -> Iterator[None]:
    """Nobody can write these files, and what these folders hold."""
    paths = [path for place in places for path in (place, *place.rglob("*"))]
    for path in paths:
        path.chmod(path.stat().st_mode & ~0o222)
    yield
    for path in paths:
        path.chmod(path.stat().st_mode | stat.S_IWUSR)


def assert_refused(status: int, said: str, *words: str) -> None:
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert (status, len(errors)) == (2, 1), said
    assert all(word in errors[0] for word in words), said


def test_a_read_only_folder_is_read_and_nothing_else(study: list[str], tmp_path: Path) -> None:
    runs, model, table = tmp_path / "runs", tmp_path / "model.pt2", tmp_path / "table.csv"
    table.write_text("arch,acc\nconv1-conv1-conv1,1\nconv1-conv1-conv3,2\n")
    assert main(["retrain", *study, "--pick=knee", "--epochs=1", "--batch-size=64"]) == 0
    before = sorted(runs.rglob("*"))
    with read_only(runs), socket.socket() as taken:  # so that the dashboard ends by itself
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listed, exported, served, *refused = run_bound_by_permissions(
            [
                ["studies", *study[2:]],
                ["export", *study, "--pick=knee", f"--out={model}"],
                ["dashboard", *study[2:], f"--port={taken.getsockname()[1]}"],
                [*study, "--trials=20"],
                [*study, "--fresh"],
                ["retrain", *study, "--pick=best-score"],
                ["rank", *study, f"--table={table}", "--column=acc"],
                ["worker", *study],
            ]
        )
    assert listed[0] == 0 and "10" in next(x for x in listed[1].splitlines() if "small" in x)
    assert exported[0] == 0 and model.exists()
    assert "Dashboard on" in served[1]
    assert_refused(*served, "cannot listen on port")
    for status, said in refused:
        assert_refused(status, said, "give --runs DIR")
    assert sorted(runs.rglob("*")) == before


def test_a_read_only_database_is_refused_before_anything_is_written(
    study: list[str], study_file: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    before = sorted(runs.rglob("*"))
    with read_only(runs / "studies.db"):
        refused = run_bound_by_permissions(
            [
                ["--study", str(study_file), *study[2:], "--study-name=another"],
                ["worker", *study],
                ["retrain", *study, "--arch=conv1-conv1-conv1"],
            ]
        )
    for status, said in refused:
        assert_refused(status, said, "studies.db' is read-only for this user")
    assert sorted(runs.rglob("*")) == before


def test_what_cannot_be_read_is_named(study: list[str], tmp_path: Path) -> None:
    commands, places = [], []
    for name in ("studies.db", "", "small/study.json"):
        runs = tmp_path / f"runs without {name}".replace("/", " ")
        shutil.copytree(tmp_path / "runs", runs)
        places.append(runs / name)
        commands.append(["--study", "small", "--runs", str(runs)])
        commands.append(["export", *commands[-1], "--trial=1", f"--out={tmp_path / 'x.pt2'}"])
        (runs / name).chmod(0)
    refused = run_bound_by_permissions(commands)
    for place in places:
        place.chmod(0o755)
    for i, (status, said) in enumerate(refused):
        assert_refused(status, said, str(places[i // 2]))


def test_a_database_that_others_are_writing_is_read_with_their_log(
    study: list[str], tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    engine = open_write_engine(sqlite_url(runs / "studies.db"))
    with engine.begin() as connection:
        connection.execute(text("UPDATE studies SET study_name = 'renamed'"))
    with read_only(runs):
        ((status, said),) = run_bound_by_permissions([["studies", *study[2:]]])
    engine.dispose()
    assert status == 0 and "renamed" in said, said
