"""Copies of the SQLite database, the last three kept."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import make_url

from app.atomic import remove_leftovers
from app.search.connect import is_sqlite

MAX_BACKUPS = 3
MAX_BACKUP_BYTES = 512 << 20
"""Bytes: a larger database is not copied; 100,000 trials take about half of it."""


def backups(database: Path) -> list[Path]:
    """The copies of `database`, oldest first."""
    return sorted(database.parent.glob(f"{database.name}.backup-*[0-9]"))


def back_up(storage_url: str) -> None:
    """Copy an SQLite database with its own backup API, which minds its other users.

    The copy is checked before it replaces the oldest one. Nothing is done for other databases
    and for large ones. Raises OSError or sqlite3.Error, after which the older copies are there.
    """
    url = make_url(storage_url)
    if not is_sqlite(url) or not url.database:
        return
    database = Path(url.database)
    if not database.exists() or database.stat().st_size > MAX_BACKUP_BYTES:
        return
    copy = database.with_name(f"{database.name}.backup-{time.strftime('%Y%m%d-%H%M%S')}")
    part = copy.with_name(f".{copy.name}.{os.getpid()}.part")
    remove_leftovers(database.parent, f".{database.name}.backup-*")
    try:
        with (
            closing(sqlite3.connect(database, timeout=60)) as source,
            closing(sqlite3.connect(part)) as target,
        ):
            source.backup(target)
            ((verdict,),) = target.execute("PRAGMA quick_check(1)").fetchall()
            if verdict != "ok":
                raise sqlite3.DatabaseError(f"the backup is damaged: {verdict}")
        part.replace(copy)
    finally:
        part.unlink(missing_ok=True)
    for old in backups(database)[:-MAX_BACKUPS]:
        old.unlink(missing_ok=True)
