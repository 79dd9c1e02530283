"""The database of trials as an Optuna storage: one for all studies."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import create_engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from app.backup import backups
from app.database import (
    SECONDS_TO_WAIT_FOR_A_LOCK,
    configure,
    engine_options,
    is_sqlite,
    reason,
    shown,
    text_of,
)
from app.errors import InputError
from app.locks import creating_tables

MAX_BYTES_TO_CHECK = 64 << 20
"""An SQLite file up to this size is checked for damage, which takes about a second."""

optuna.logging.set_verbosity(optuna.logging.WARNING)


def open_storage(url: URL) -> BaseStorage:
    """Open the storage at a URL of `database.parse_url`, creating its tables if need be.

    Raises InputError for a database that cannot be opened or written, and for one of another
    program or another version of Optuna.
    """
    check_database(url)
    try:
        with creating_tables(url):
            storage = RDBStorage(text_of(url), engine_kwargs=engine_options(url))
    except SQLAlchemyError as error:
        raise _unreachable(url, error) from None
    except RuntimeError:
        raise InputError(
            f"the database {shown(url)} was made by another version of Optuna: install that "
            f"version, or run: optuna storage upgrade --storage '{shown(url)}'"
        ) from None
    configure(storage.engine)
    return optuna.storages.get_storage(storage)


def check_database(url: URL) -> None:
    """Look at a database before anything is written.

    Raises InputError for a server that lets nobody in and a file that cannot be one of ours.
    """
    if is_sqlite(url):
        _check_sqlite_file(Path(url.database or ""))
        return
    try:
        options = engine_options(url) | {"poolclass": NullPool}
        create_engine(url, **options).connect().close()
    except (SQLAlchemyError, ValueError, TypeError) as error:  # a malformed host name, say
        raise _unreachable(url, error) from None


def _check_sqlite_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise InputError(f"the database '{path}' is a folder")
        if not path.parent.is_dir():
            raise InputError(f"the folder of the database '{path}' does not exist: create it first")
        if not path.exists() or not path.stat().st_size:
            return
        # never opened but by SQLite: closing a file drops all of a process's locks on it
        if not os.access(path, os.R_OK):
            raise InputError(f"the database '{path}' cannot be read by this user")
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the database '{str(path)[:200]}' ({error})") from None
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        timeout = SECONDS_TO_WAIT_FOR_A_LOCK
        with closing(sqlite3.connect(uri, uri=True, timeout=timeout)) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {name for (name,) in rows}
            if tables and path.stat().st_size <= MAX_BYTES_TO_CHECK:
                ((verdict,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
                if verdict != "ok":
                    raise _damaged(path, verdict)
    except sqlite3.OperationalError as error:
        raise InputError(f"cannot read the database '{path}' ({error}): try again later") from None
    except sqlite3.DatabaseError as error:
        if "malformed" in str(error):
            raise _damaged(path, error) from None
        raise InputError(
            f"'{path}' is not an SQLite database ({error}): move it away or name another one"
        ) from None
    if tables and not {"studies", "trials", "version_info"} <= tables:
        raise InputError(
            f"'{path}' is a database of another program: move it away or name another one"
        )


def _damaged(path: Path, verdict: object) -> InputError:
    kept = backups(path)
    return InputError(
        f"the database '{path}' is damaged ({verdict}); save what can be read with: "
        f"sqlite3 '{path}' .recover | sqlite3 mended.db, or copy the newest backup over it"
        + (f": '{kept[-1]}'" if kept else " (there is none yet)")
    )


def _unreachable(url: URL, error: Exception) -> InputError:
    return InputError(f"cannot open the database {shown(url)}: {reason(error, url)}")
