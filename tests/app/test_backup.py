import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from app.backup import MAX_BACKUPS, back_up, backups
from app.database import parse_url, sqlite_url


def test_the_last_copies_are_kept_and_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "studies.db"
    for i in range(MAX_BACKUPS + 2):
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS t (x)")
            connection.execute("INSERT INTO t VALUES (?)", (i,))
        monkeypatch.setattr(time, "strftime", lambda form, i=i: f"20260101-00000{i}")
        back_up(sqlite_url(database))
    kept = backups(database)
    assert len(kept) == MAX_BACKUPS
    for i, path in enumerate(kept, 2):
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT max(x) FROM t").fetchone() == (i,)
    assert sorted(tmp_path.iterdir()) == sorted([database, *kept])


def test_other_databases_and_none_are_left_alone(tmp_path: Path) -> None:
    back_up(parse_url("postgresql://user:secret@host/name"))
    back_up(sqlite_url(tmp_path / "absent.db"))
    assert not list(tmp_path.iterdir())
