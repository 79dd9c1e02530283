"""Locks of a study: one process at a time prepares it, any number of processes search it.

A lock ends with its process, however that ends, so a dead process holds nothing and there is
nothing to take over. For an SQLite database the locks are files beside it; a server's are
PostgreSQL advisory locks, each held by a connection of its own, and hold between machines.
"""

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from filelock import ReadWriteLock, Timeout
from sqlalchemy import Connection, Engine, create_engine, func, select
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from app.console import console
from app.database import configure, engine_options, is_sqlite
from app.errors import InputError

SECONDS_BETWEEN_TRIES = 0.3


class _FileLock:
    def __init__(self, path: Path) -> None:
        """Make the folder of the lock. Raises InputError if that or the lock cannot be written."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not all(os.access(p, os.W_OK) for p in (path.parent, path) if p.exists()):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            raise InputError(
                f"cannot write to '{path.parent}' ({error.strerror}): give --runs DIR"
            ) from None
        self._lock = ReadWriteLock(path, is_singleton=False)

    def try_acquire(self, shared: bool) -> bool:
        try:
            acquire = self._lock.acquire_read if shared else self._lock.acquire_write
            acquire(blocking=False)
        except Timeout:
            return False
        return True

    def release(self) -> None:
        self._lock.close()


class _AdvisoryLock:
    def __init__(self, url: URL, name: str) -> None:
        engine = create_engine(url, **engine_options(url) | {"poolclass": NullPool})
        configure(engine)
        self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        _refuse_pooled_transactions(engine, self._connection)
        digest = hashlib.sha256(f"bnnas {name}".encode()).digest()
        self._key = int.from_bytes(digest[:8], signed=True)

    def try_acquire(self, shared: bool) -> bool:
        call = func.pg_try_advisory_lock_shared if shared else func.pg_try_advisory_lock
        return bool(self._connection.scalar(select(call(self._key))))

    def release(self) -> None:
        self._connection.close()  # the session ends, and its locks with it


def _refuse_pooled_transactions(engine: Engine, connection: Connection) -> None:
    """Raises InputError behind a pooler that gives each transaction another session of the server.

    A lock taken there would stay with a session that others use, and hold nothing.
    """
    pid = select(func.pg_backend_pid())
    session = connection.scalar(pid)
    driver: Any = connection.connection.driver_connection
    if session == driver.info.backend_pid:
        return  # no pooler, which would have told a number of its own
    with engine.connect() as other:  # keeps a session until its transaction ends
        if session == other.scalar(pid) or session != connection.scalar(pid):
            raise InputError(
                "the storage is a pooler in transaction mode, which loses locks: let it pool "
                "sessions (pool_mode = session), or give the address of PostgreSQL itself"
            )


_Lock = _FileLock | _AdvisoryLock


def preparing(url: URL, study: str) -> AbstractContextManager[None]:
    """Hold the lock under which a study is made, prepared or deleted, waiting for it if need be."""
    return _holding(_lock(url, f"{study}.prepare"), f"the process that prepares study {study}")


def creating_tables(url: URL) -> AbstractContextManager[None]:
    """Hold the lock under which one process at a time creates the tables of a database."""
    return _holding(_lock(url, "create"), "the process that creates the database")


def searching(url: URL, study: str) -> AbstractContextManager[None]:
    """Hold the shared lock of a process that adds trials."""
    lock = _lock(url, f"{study}.search")
    return _holding(lock, "the process that deletes the study", shared=True)


def writing(folder: Path) -> AbstractContextManager[None]:
    """Hold the lock under which the files of a folder are made.

    Raises InputError if the folder cannot be written.
    """
    return _holding(_FileLock(folder / "lock"), f"the process that writes to {folder}")


@contextmanager
def claiming(folder: Path) -> Iterator[bool]:
    """Try to take the lock of `writing`, without waiting; yields whether this process holds it."""
    lock = _FileLock(folder / "lock")
    try:
        yield lock.try_acquire(shared=False)
    finally:
        lock.release()


def is_searched(url: URL, study: str) -> bool:
    """Whether any process searches the study."""
    lock = _lock(url, f"{study}.search")
    try:
        return not lock.try_acquire(shared=False)
    finally:
        lock.release()


def _lock(url: URL, name: str) -> _Lock:
    if not is_sqlite(url):
        return _AdvisoryLock(url, name)
    database = Path(url.database or "")
    return _FileLock(database.parent / ".locks" / f"{database.name}.{name}")


@contextmanager
def _holding(lock: _Lock, holder: str, shared: bool = False) -> Iterator[None]:
    try:
        waits = False
        while not lock.try_acquire(shared):
            if not waits:
                console.print(f"Waiting for {holder} …", soft_wrap=True, markup=False)
                waits = True
            time.sleep(SECONDS_BETWEEN_TRIES)
        yield
    finally:
        lock.release()
