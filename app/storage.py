"""The database of trials as an Optuna storage: one for all studies."""

import logging
import os
import shlex
import sqlite3
import weakref
from contextlib import closing
from pathlib import Path

import optuna
from alembic.migration import MigrationContext
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._rdb.models import BaseModel, TrialModel
from sqlalchemy import create_engine, delete, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from app.atomic import is_file
from app.backup import backups
from app.database import (
    configure,
    connect_read_only,
    engine_options,
    is_read_only,
    is_sqlite,
    open_write_engine,
    reason,
    shown,
    text_of,
)
from app.errors import InputError
from app.locks import creating_tables

MAX_BYTES_TO_CHECK = 64 << 20
"""An SQLite file up to this size is checked for damage, which takes about a second."""

optuna.logging.set_verbosity(optuna.logging.WARNING)
for name in ("optuna.storages._rdb.storage", "psycopg"):  # else a lost connection prints its query
    logging.getLogger(name).setLevel(logging.ERROR)


def open_storage(url: URL) -> BaseStorage:
    """Open the storage at a URL of `database.parse_url`, creating its tables if need be.

    Raises InputError for a database that cannot be opened or written, and for one of another
    program or another version of Optuna.
    """
    check_database(url)
    with creating_tables(url):
        return _open(url)


def open_existing(url: URL, write: bool = False) -> BaseStorage | None:
    """Open a storage that holds studies, for reading alone where this user cannot write it.

    Creates nothing: returns None for a database that is not there or has no tables. Raises
    InputError as `open_storage` does; with `write`, also for a database that is read-only.
    """
    if is_sqlite(url) and not is_file(Path(url.database or "")):
        return None
    check_database(url, write)
    return _open(url) if _has_tables(url) else None


def delete_study(storage: BaseStorage, url: URL, name: str) -> None:
    """Delete a study and its trials, with one statement per table.

    Optuna takes some statements per trial, each a journey to the server.
    """
    study_id = storage.get_study_id_from_name(name)
    ours = select(TrialModel.trial_id).where(TrialModel.study_id == study_id)
    engine = open_write_engine(url)
    with engine.begin() as connection:
        for table in reversed(BaseModel.metadata.sorted_tables):  # what refers to others first
            if "trial_id" in table.c:
                connection.execute(delete(table).where(table.c.trial_id.in_(ours)))
    engine.dispose()
    optuna.delete_study(study_name=name, storage=storage)


def check_database(url: URL, write: bool = True) -> None:
    """Look at a database before anything is written.

    Raises InputError for a server that lets nobody in and a file that cannot be one of ours, or
    that is not to be written by this user, where `write` asks for that.
    """
    if is_sqlite(url):
        _check_sqlite_file(url, write)
    else:
        _has_tables(url)


def _open(url: URL) -> BaseStorage:
    try:
        storage = RDBStorage(text_of(url), engine_kwargs=engine_options(url))
    except SQLAlchemyError as error:
        raise _unreachable(url, error) from None
    except RuntimeError:
        place = shlex.quote(f"sqlite:///{url.database}" if is_sqlite(url) else shown(url))
        raise InputError(
            f"the database {shown(url)} was made by another version of Optuna: install that "
            f"version, or run: optuna storage upgrade --storage {place}"
        ) from None
    # at exit too: the last connection that closes empties SQLite's log into its file
    weakref.finalize(storage, storage.engine.dispose)
    if not is_read_only(url):
        configure(storage.engine)
    return optuna.storages.get_storage(storage)


def _has_tables(url: URL) -> bool:
    """Whether Optuna's tables are there: their version is written last."""
    try:
        engine = create_engine(url, **engine_options(url) | {"poolclass": NullPool})
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision() is not None
    except (SQLAlchemyError, ValueError, TypeError) as error:  # a malformed host name, say
        raise _unreachable(url, error) from None


def _check_sqlite_file(url: URL, write: bool) -> None:
    path = Path(url.database or "")
    try:
        if path.is_dir():
            raise InputError(f"the database '{path}' is a folder")
        if not path.parent.is_dir():
            raise InputError(f"the folder of the database '{path}' does not exist: create it first")
        if write and is_read_only(url):
            raise InputError(
                f"the database '{path}' is read-only for this user: give --runs DIR or --storage "
                "URL for another one, or ask its owner for write access to it and its folder"
            )
        if not path.exists() or not path.stat().st_size:
            return
        # never opened but by SQLite: closing a file drops all of a process's locks on it
        if not os.access(path, os.R_OK):
            raise InputError(f"the database '{path}' cannot be read by this user")
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the database '{str(path)[:200]}' ({error})") from None
    try:
        with closing(connect_read_only(url)) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {name for (name,) in rows}
            if tables and path.stat().st_size <= MAX_BYTES_TO_CHECK:
                ((verdict,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
                if verdict != "ok":
                    raise _damaged(path, verdict)
    except sqlite3.OperationalError as error:
        hint = "free some space on its disk" if "disk" in str(error) else "try again later"
        raise InputError(f"cannot read the database '{path}' ({error}): {hint}") from None
    except sqlite3.DatabaseError as error:
        if "malformed" in str(error):
            raise _damaged(path, error) from None
        raise InputError(
            f"'{path}' is not an SQLite database ({error}): move it away or name another one"
        ) from None
    is_half_made = tables < BaseModel.metadata.tables.keys()  # by a kill, or on a full disk
    if tables and not is_half_made and not {"studies", "trials", "version_info"} <= tables:
        raise InputError(
            f"'{path}' is a database of another program: move it away or name another one"
        )


def _damaged(path: Path, verdict: object) -> InputError:
    kept = backups(path)
    return InputError(
        f"the database '{path}' is damaged ({verdict}); save what can be read with: "
        f"sqlite3 {shlex.quote(str(path))} .recover | sqlite3 recovered.db, or copy the newest "
        f"backup over it: {kept[-1] if kept else 'there is none yet'}"
    )


def _unreachable(url: URL, error: Exception) -> InputError:
    return InputError(f"cannot open the database {shown(url)}: {reason(error, url)}")
