"""The database of trials: one for all studies, through SQLAlchemy."""

import sqlite3
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from app.errors import InputError

SECONDS_TO_WAIT_FOR_A_LOCK = 60


def open_storage(url: str) -> BaseStorage:
    """Optuna's storage at `url`, made if it is not there.

    Raises InputError for a URL that is none, a database that cannot be opened or written, and
    one that belongs to another program or another version of Optuna.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InputError(
            "the storage is no database URL such as sqlite:///runs/studies.db"
        ) from None
    is_sqlite = parsed.get_backend_name() == "sqlite"
    if is_sqlite and parsed.database in (None, "", ":memory:"):
        raise InputError("the storage must be a file or a server: trials in memory would be lost")
    if is_sqlite and parsed.database:
        check_sqlite_file(Path(parsed.database))
    options: dict[str, Any] = (
        {"connect_args": {"timeout": SECONDS_TO_WAIT_FOR_A_LOCK}} if is_sqlite else {}
    )
    try:
        storage = RDBStorage(url, engine_kwargs=options)
    except ImportError:
        raise InputError(f"no driver is installed for {_shown(parsed)}") from None
    except SQLAlchemyError as error:
        raise InputError(f"cannot open the database {_shown(parsed)}: {_first(error)}") from None
    except RuntimeError:
        raise InputError(
            f"the database {_shown(parsed)} was made by another version of Optuna; "
            f"install that version, or run: optuna storage upgrade --storage {_shown(parsed)}"
        ) from None
    if is_sqlite:
        _tune_sqlite(storage.engine)
    return optuna.storages.get_storage(storage)


def check_sqlite_file(path: Path) -> None:
    """Refuse a file that is no SQLite database or holds another program's tables."""
    if path.is_dir():
        raise InputError(f"the database '{path}' is a folder")
    if not path.exists() or not path.stat().st_size:
        return
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {name for (name,) in rows}
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise InputError(
            f"'{path}' is no readable SQLite database ({error}): move it away or name another one"
        ) from None
    if tables and not {"studies", "trials", "version_info"} <= tables:
        raise InputError(
            f"'{path}' is a database of another program: move it away or name another one"
        )


def _tune_sqlite(engine: sqlalchemy.Engine) -> None:
    """Write-ahead log: readers such as the dashboard do not block the search, nor it them.

    With `synchronous = NORMAL` a killed process loses nothing that was committed, and a power
    cut at most the last moments, never the database; a trial lost so is simply run again.
    """

    def on_connect(connection: Any, record: object) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")

    sqlalchemy.event.listen(engine, "connect", on_connect)
    engine.dispose()  # connections opened before now lack the settings


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def _first(error: SQLAlchemyError) -> str:
    """The driver's own words, without SQLAlchemy's statement and link below them."""
    return str(getattr(error, "orig", None) or error).splitlines()[0]
