"""The other commands on a real PostgreSQL server, and what a search costs it."""

import json
import socket
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import optuna
import pytest
from app.search.commit import GroupCommit
from app.search.loop import Batches, Search
from app.search.outcome import TrialResult
from app.search.proposals import create_proposals
from app.search.storage import open_engine, open_storage
from app.search.study import DIRECTIONS
from app.search.tables import read_tables
from app.workers import SessionLocks, at_work
from optuna.trial import TrialState
from sqlalchemy import create_engine, text

from app.cli import main
from app.dashboard import serve
from app.settings import SearchSettings
from tests.postgresql import PASSWORD
from tests.toy import LongToy


@pytest.fixture
def arguments(study_file: Path, tmp_path: Path, postgresql: str) -> list[str]:
    folder = ["--runs", str(tmp_path / "runs"), "--storage", postgresql]
    return ["--study", str(study_file), "--space", "longtoy", *folder]


def test_every_command_works_on_the_server(
    arguments: list[str], tmp_path: Path, postgresql: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--trials", "9"]) == 0
    study = optuna.load_study(study_name="small", storage=postgresql)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 9
    known = ["--study", "small", "--runs", str(tmp_path / "runs"), "--storage", postgresql]
    assert main(["studies", "--runs", str(tmp_path / "runs"), "--storage", postgresql]) == 0
    assert main(["retrain", *known, "--trial", "3", "--epochs", "1"]) == 0
    assert main(["export", *known, "--trial", "3", "--out", str(tmp_path / "n.pt2")]) == 0
    (trained,) = (tmp_path / "runs" / "small" / "retrained").glob("*/result.json")
    assert 0 <= json.loads(trained.read_text())["test_accuracy"] <= 1
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    threading.Thread(target=serve, args=(tmp_path / "runs", postgresql, port), daemon=True).start()
    for _ in range(100):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies") as answer:
                (shown,) = json.load(answer)["study_summaries"]
            break
        except OSError:
            time.sleep(0.1)
    assert shown["study_name"] == "small"
    # without the password in what is kept, a later command asks for it
    capsys.readouterr()
    assert main(["retrain", "--study", "small", "--runs", str(tmp_path / "runs")]) == 2
    assert "give --storage URL again" in capsys.readouterr().err
    for file in (tmp_path / "runs").rglob("*"):
        assert not file.is_file() or PASSWORD.encode() not in file.read_bytes()
    # `--fresh` waits for nobody's search
    with at_work(SessionLocks(open_engine(postgresql), "small")):
        assert main([*arguments, "--fresh"]) == 2
        assert "the place of worker 0" in capsys.readouterr().err
    assert main([*arguments, "--fresh", "--seed", "3", "--trials", "4"]) == 0
    assert len(optuna.load_study(study_name="small", storage=postgresql).trials) == 4
    printed = capsys.readouterr()
    assert PASSWORD not in printed.out + printed.err


def transactions(url: str) -> int:
    """Of the database, as the server counts them; sessions report after a second at most."""
    time.sleep(1.2)
    engine = create_engine(url)
    query = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
    with engine.connect() as connection:
        count = connection.scalar(text(query))
    engine.dispose()
    assert count is not None
    return int(count)


def test_a_batch_is_one_commit(postgresql: str) -> None:
    space = LongToy(classes=10, image_size=16)
    storage, engine = open_storage(postgresql), open_engine(postgresql)
    study = optuna.create_study(storage=storage, directions=DIRECTIONS)
    commit = GroupCommit(engine, read_tables(engine), study._study_id)
    proposals = create_proposals(SearchSettings(population=32), space, DIRECTIONS, 0, 0)

    def assess(params: dict[str, Any]) -> TrialResult:
        arch = space.decode(params)
        values = [float(arch.count("skip")), float(arch.count("3"))]
        return TrialResult(TrialState.COMPLETE, values, {"arch": arch})

    search = Search(study, storage, space, assess, Batches(proposals, commit, 32))
    search.run_to(32, lambda: None, lambda steps, note: None)
    before = transactions(postgresql)
    search.run_to(352, lambda: None, lambda steps, note: None)
    added = transactions(postgresql) - before
    assert len(study.get_trials()) == 352
    # 10 batches, or more where 32 take two seconds; what is left running or queued, at both ends
    assert 10 <= added <= 30
