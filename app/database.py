"""Database URLs and connections: SQLite files, and PostgreSQL servers for many machines."""

import os
import re
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, PendingRollbackError
from sqlalchemy.pool import NullPool

from app.console import notice
from app.errors import InputError

T = TypeVar("T")

HIDDEN = "***"
"""Stands for a password, as in SQLAlchemy."""

SECONDS_TO_WAIT_FOR_A_LOCK = 180
SECONDS_TO_WAIT_FOR_A_SERVER = 180
SECONDS_BETWEEN_TRIES = 1.0

_SECRET = re.compile("pass|pwd|secret|token", re.IGNORECASE)
"""Query options that may hold a password (`?password=…`)."""

_KEEPALIVE = {
    "connect_timeout": 20,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""libpq gives up on a dead server within half a minute instead of two hours."""

_SERVER_KEEPALIVE = """
SET SESSION tcp_keepalives_idle = 10;
SET SESSION tcp_keepalives_interval = 5;
SET SESSION tcp_keepalives_count = 3;
SET SESSION tcp_user_timeout = 25000;
SET SESSION idle_in_transaction_session_timeout = 60000
"""
"""The server gives up on a dead client as quickly, and so frees the locks it held."""


def parse_url(text: str) -> URL:
    """Parse the URL of an SQLite file or a PostgreSQL server; connects to nothing.

    Raises InputError for anything else, without showing a password.
    """
    try:
        url = make_url(text)
        if url.drivername in ("postgres", "postgresql"):
            url = url.set(drivername="postgresql+psycopg")
        backend = url.get_backend_name()
    except (ArgumentError, ValueError, TypeError):  # their words may hold the password
        raise InputError(
            "the storage is not a database URL such as sqlite:///runs/studies.db; "
            "in a password write @ as %40, : as %3A and / as %2F"
        ) from None
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        if url.database in (None, "", ":memory:"):
            raise InputError(
                "the storage must be a file or a server: trials in memory would be lost"
            )
        if url.query:
            raise InputError("an SQLite storage takes no options: give sqlite:///FILE alone")
        return url
    if backend != "postgresql":
        raise InputError(
            f"'{url.drivername[:50]}' databases are not supported: "
            "give sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    if "@" in (url.host or "") or "@" in (url.database or ""):
        raise InputError("the storage's user or password contains '@': write it as %40")
    try:
        create_engine(url)  # loads the driver, does not connect
    except (ImportError, ArgumentError):  # also a driver that nobody knows
        raise InputError(
            f"no driver for {shown(url)} is installed: pip install -r requirements-postgresql.txt"
        ) from None
    return url


def sqlite_url(path: Path) -> URL:
    """The URL of an SQLite file, whatever characters its path has.

    Raises InputError for bytes that are no UTF-8, with which SQLAlchemy opens nothing.
    """
    database = str(path.absolute())
    try:
        database.encode()
    except UnicodeEncodeError:
        raise InputError(f"the path '{database}' is not UTF-8: give --runs DIR") from None
    return URL.create("sqlite", database=database)


def is_sqlite(url: URL) -> bool:
    """Whether the database is a file, not a server."""
    return url.get_backend_name() == "sqlite"


def text_of(url: URL) -> str:
    """The URL as text with its password, as libraries want it. Never print it."""
    return url.render_as_string(hide_password=False)


def shown(url: URL) -> str:
    """The database to show to people: a file's path, or a server's URL without passwords."""
    return url.database if is_sqlite(url) and url.database else hide_passwords(url)


def hide_passwords(url: URL) -> str:
    """The URL as text, with HIDDEN for every password."""
    hidden = {key: HIDDEN for key in url.query if _SECRET.search(key)}
    text = url.update_query_dict(hidden).render_as_string(hide_password=True)
    return text.replace("%2A%2A%2A", HIDDEN)


def reason(error: Exception, url: URL) -> str:
    """The driver's complaint in one line, without SQLAlchemy's additions and without passwords."""
    line = str(getattr(error, "orig", None) or error).splitlines()[0]
    options = [values for key, values in url.query.items() if _SECRET.search(key)]
    secrets = [v for values in options for v in ([values] if isinstance(values, str) else values)]
    for secret in (url.password, *secrets):
        if secret:
            line = re.sub(rf"(?<!\w){re.escape(str(secret))}(?!\w)", HIDDEN, line)
    return line


def wait_for_server(call: Callable[[bool], T]) -> T:
    """Call `call(False)`, and `call(True)` after each time that a server was lost in it.

    Gives up three minutes after the first loss, and raises the last error. Whether a lost commit
    has happened is for the call to look up.
    """
    until = None
    while True:
        try:
            return call(until is not None)
        except Exception as error:
            if not _is_lost(error) or (until is not None and time.monotonic() > until):
                raise
        if until is None:
            until = time.monotonic() + SECONDS_TO_WAIT_FOR_A_SERVER
            notice("The connection to the database is lost; trying again for 3 minutes …")
        time.sleep(SECONDS_BETWEEN_TRIES)


def _is_lost(error: Exception) -> bool:
    """Whether a connection to a server broke, or none can be made now."""
    cause = error if isinstance(error, DBAPIError) else error.__cause__  # in one of Optuna's
    if isinstance(cause, PendingRollbackError):  # Optuna went on after the loss
        return True
    if not isinstance(cause, DBAPIError) or isinstance(cause.orig, sqlite3.Error):
        return False
    # the server names other errors, such as a full disk, by a code; these are no loss
    code = getattr(cause.orig, "sqlstate", None) or "08"
    refused = isinstance(cause, OperationalError) and code.startswith(("08", "57P", "53300"))
    return refused or cause.connection_invalidated


def engine_options(url: URL) -> dict[str, Any]:
    """Options for `create_engine`. A file that this user cannot write is opened for reading.

    SQLite writers wait for each other. A server may have closed an idle connection, so it is
    tested before use; READ COMMITTED is asked for, as a count after `SELECT … FOR UPDATE` would
    be stale under the stricter levels that a server may have as its default.
    """
    if is_read_only(url):
        return {"creator": lambda: connect_read_only(url), "poolclass": NullPool}
    if is_sqlite(url):
        return {"connect_args": {"timeout": SECONDS_TO_WAIT_FOR_A_LOCK}}
    return {
        "connect_args": _KEEPALIVE,
        "pool_pre_ping": True,
        "isolation_level": "READ COMMITTED",
    }


def is_read_only(url: URL) -> bool:
    """Whether this user cannot write an SQLite file, or the files that SQLite keeps beside it."""
    if not is_sqlite(url):
        return False
    path = Path(url.database or "")
    return any(p.exists() and not os.access(p, os.W_OK) for p in (path, path.parent))


def connect_read_only(url: URL) -> sqlite3.Connection:
    """Connect to an SQLite file for reading, also where this user can write nothing.

    A reader shares its locks with writers through files beside the database. Where they are
    missing nobody is writing, and a user who cannot create them reads without locks.
    """
    path = Path(url.database or "").absolute()
    unlocked = is_read_only(url) and not Path(f"{path}-wal").exists()
    uri = f"{path.as_uri()}?mode=ro{'&immutable=1' if unlocked else ''}"
    timeout = SECONDS_TO_WAIT_FOR_A_LOCK
    return sqlite3.connect(uri, uri=True, timeout=timeout, check_same_thread=False)


def configure(engine: Engine, synchronous: str = "NORMAL") -> None:
    """Set up every new connection of an engine.

    SQLite gets a write-ahead log, so that readers such as the dashboard and the search do not
    block each other. With `synchronous="NORMAL"` a killed process loses nothing committed; with
    "FULL" neither does a power cut.
    """

    def on_connect(connection: Any, record: object) -> None:
        if engine.dialect.name == "sqlite":
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            return
        connection.cursor().execute(_SERVER_KEEPALIVE)
        connection.commit()

    event.listen(engine, "connect", on_connect)
    engine.dispose()  # connections opened before now lack the settings


def open_write_engine(url: URL) -> Engine:
    """Create an engine whose transactions take the write lock when they begin.

    SQLite's driver would take it at the first change, after we have counted the trials: two
    processes could count the same number. Every commit reaches the disk before it returns; one
    flush for a whole batch of trials is cheap.
    """
    engine = create_engine(url, **engine_options(url))
    configure(engine, synchronous="FULL")
    if is_sqlite(url):

        def on_connect(connection: Any, record: object) -> None:
            connection.isolation_level = None  # transactions begin below, not in the driver

        event.listen(engine, "connect", on_connect)
        event.listen(engine, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine
