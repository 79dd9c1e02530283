"""Backups of the SQLite database; the last three are kept."""

import glob
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import URL

from app.atomic import remove_leftovers
from app.database import SECONDS_TO_WAIT_FOR_A_LOCK, is_sqlite

MAX_BACKUPS = 3
MAX_BACKUP_BYTES = 512 << 20
"""Larger databases are not copied; 100,000 trials take about half of this."""


def backups(database: Path) -> list[Path]:
    """The backups of `database`, oldest first."""
    return sorted(database.parent.glob(f"{glob.escape(database.name)}.backup-*[0-9]"))


def back_up(url: URL) -> None:
    """Copy an SQLite database with SQLite's backup API, which other processes do not disturb.

    The copy is checked before it replaces the oldest one. Servers and databases larger than
    MAX_BACKUP_BYTES are left alone. Raises OSError or sqlite3.Error; older copies then remain.
    """
    if not is_sqlite(url) or not url.database:
        return
    database = Path(url.database)
    if not database.exists() or database.stat().st_size > MAX_BACKUP_BYTES:
        return
    copy = database.with_name(f"{database.name}.backup-{time.strftime('%Y%m%d-%H%M%S')}")
    part = copy.with_name(f".{copy.name}.{os.getpid()}.part")
    remove_leftovers(database.parent, f".{glob.escape(database.name)}.backup-*")
    try:
        with (
            closing(sqlite3.connect(database, timeout=SECONDS_TO_WAIT_FOR_A_LOCK)) as source,
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
