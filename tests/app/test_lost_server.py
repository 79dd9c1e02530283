"""Connections that break, and poolers between a search and its PostgreSQL server."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, make_url, text
from sqlalchemy.exc import OperationalError

from app import locks
from app.cli import main
from app.commit import StudyWriter
from app.database import parse_url, wait_for_server
from tests.app.study_of_toys import PRINT, create_study, make_search, some_trial
from tests.toy import Toy

pytestmark = pytest.mark.slow


class Break:
    """Breaks the connection of a writer's next commits, before or after the server has them."""

    def __init__(self, writer: StudyWriter, after: bool, times: int) -> None:
        self.after, self.times = after, times
        event.listen(writer._engine, "commit", self)

    def __call__(self, connection: Any) -> None:
        """Called by SQLAlchemy before it commits."""
        if self.times:
            self.times -= 1
            driver = connection.connection.driver_connection
            if self.after:
                driver.commit()
            driver.close()


@pytest.mark.parametrize("after", [False, True])
def test_a_batch_whose_connection_breaks_is_added_once(
    after: bool, postgresql: str, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.database.SECONDS_BETWEEN_TRIES", 0)
    study, _, writer = create_study(parse_url(postgresql))
    writer.add_trials([some_trial(toy)], PRINT, 10)
    batch = [some_trial(toy, "conv3-conv3-skip"), some_trial(toy)]
    Break(writer, after, times=2)
    committed = writer.add_trials(batch, PRINT, 10)
    assert (committed.numbers, committed.complete, committed.count) == ([1, 2], 3, 3)
    assert [t.user_attrs["arch"] for t in study.trials[1:]] == [t.user_attrs["arch"] for t in batch]
    writer.add_trials([some_trial(toy)], PRINT, 10)
    assert [t.number for t in study.trials] == [0, 1, 2, 3]


def test_trials_whose_reading_breaks_are_read_again(
    postgresql: str, toy: Toy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("app.database.SECONDS_BETWEEN_TRIES", 0)
    _, _, writer = create_study(parse_url(postgresql))
    search = make_search(parse_url(postgresql), toy)
    writer.add_trials([some_trial(toy), some_trial(toy)], PRINT, 10)
    broken = []

    def on_execute(connection: Any, cursor: Any, statement: str, *rest: object) -> None:
        if "FROM trial_params" in statement and not broken:
            broken.append(statement)
            cursor.connection.close()

    event.listen(search.study._storage._backend.engine, "before_cursor_execute", on_execute)
    search.refresh()
    assert broken and len(search.memory.trials) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_error_of_a_server_that_is_there_is_raised_at_once(postgresql: str) -> None:
    """Of the same class as a lost connection, such as that of a server with a full disk."""
    calls = []

    def call(again: bool) -> None:
        calls.append(again)
        with create_engine(parse_url(postgresql)).begin() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 1"))
            connection.execute(text("SELECT pg_sleep(5)"))

    with pytest.raises(OperationalError, match="statement timeout"):
        wait_for_server(call)
    assert calls == [False]


def test_a_server_that_stays_away_is_given_up(
    postgresql: str, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.database.SECONDS_TO_WAIT_FOR_A_SERVER", -1)
    study, _, writer = create_study(parse_url(postgresql))
    Break(writer, after=False, times=9)
    with pytest.raises(OperationalError):
        writer.add_trials([some_trial(toy)], PRINT, 10)
    assert not study.trials


@pytest.fixture
def pooler(request: pytest.FixtureRequest, postgresql: str) -> Iterator[str]:
    """The URL of the database behind a PgBouncer in the mode that the test asks for."""
    if not shutil.which("pgbouncer"):
        pytest.skip("needs PgBouncer")
    server = make_url(postgresql).query["host"]
    with tempfile.TemporaryDirectory(prefix="bnnas-pooler-") as name:
        Path(name).chmod(0o777)
        file = Path(name) / "pgbouncer.ini"
        file.write_text(
            f"[databases]\n* = user=postgres host={server}\n[pgbouncer]\n"
            f"auth_type = any\nunix_socket_dir = {name}\npool_mode = {request.param}\n"
        )
        account = ["-u", Path(str(server)).owner()] if os.geteuid() == 0 else []
        with subprocess.Popen(["pgbouncer", "-q", *account, str(file)]) as process:
            try:
                while not (Path(name) / ".s.PGSQL.6432").exists():
                    assert process.poll() is None
                    time.sleep(0.05)
                url = make_url(postgresql).set(port=6432, query={"host": name})
                yield url.render_as_string(hide_password=False)
            finally:
                process.kill()


@pytest.mark.parametrize("pooler", ["session"], indirect=True)
def test_a_pooler_of_sessions_serves(pooler: str) -> None:
    url = parse_url(pooler)
    with locks.preparing(url, "s"), locks.searching(url, "s"):
        assert locks.is_searched(url, "s")
    assert not locks.is_searched(url, "s")


@pytest.mark.parametrize("pooler", ["transaction"], indirect=True)
def test_a_pooler_of_transactions_is_refused(
    pooler: str, study_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--study", str(study_file), "--runs", str(tmp_path), "--storage", pooler]
    assert main(command) == 2
    assert "pooler in transaction mode" in capsys.readouterr().err
