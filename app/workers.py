"""Several processes on one study: who prepares it, which of them is which, and which leads.

All of it are locks that end with their process, however it ends: a dead process holds nothing,
so there is nothing to take over. On SQLite they are locks on files, which the system frees; they
hold between processes of one machine, or of several that share a file system with locks. On a
database server they are held by the session that also commits (`app.cluster.session`), and hold
between all machines. Only preparation, which writes files, is a matter of the folder in any case.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from filelock import BaseFileLock, FileLock, Timeout
from sqlalchemy import Engine

from app.atomic import remove_leftovers
from app.cluster.session import SessionLocks
from app.console import console
from app.errors import InputError


@contextmanager
def preparing(folder: Path, wait: bool) -> Iterator[None]:
    """Hold the lock under which supernet and reference sample are made, or the study deleted.

    Another process that holds it is named and waited for, or refused unless `wait`.

    Raises InputError if it is not to be waited for, or the folder cannot be written.
    """
    owner = folder / "lock.owner"
    lock = FileLock(folder / "lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            who = _owner(owner)
            if not wait:
                raise InputError(
                    f"another process ({who}) is working on this study (it holds "
                    f"'{lock.lock_file}'): wait for it, or give --study-name NAME"
                ) from None
            console.print(f"Waiting for another process ({who}), which prepares this study …")
            lock.acquire(poll_interval=0.5)
        owner.write_text(f"{os.getpid()}\n")
        remove_leftovers(folder)
    except OSError as error:
        raise InputError(
            f"cannot write to '{folder}' ({error.strerror}): give --runs DIR"
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):  # the folder may have been removed
            owner.unlink(missing_ok=True)
        lock.release()


def _owner(path: Path) -> str:
    with suppress(OSError):
        return f"process {path.read_text().strip()}"
    return "unknown"


class Locks(Protocol):
    """Named locks of one study, each held until its process ends or releases all it has."""

    most: int
    """So many processes can work on a study."""

    def try_lock(self, name: str) -> bool:
        """Take a lock, unless another process has it."""

    def held(self) -> str | None:
        """What some process holds as a worker, in words; None if none works."""

    def release(self) -> None:
        """Give back all that were taken."""


class FileLocks:
    """Locks on files in the study's folder."""

    most = 256

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._taken: list[BaseFileLock] = []

    def try_lock(self, name: str) -> bool:
        """Lock `<name>.lock`."""
        lock = FileLock(self.folder / f"{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        self._taken.append(lock)
        return True

    def held(self) -> str | None:
        """The file of some worker's lock."""
        for path in self.folder.glob("worker-*.lock"):
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                return f"'{path}'"
            lock.release()
        return None

    def release(self) -> None:
        """Unlock all files."""
        for lock in self._taken:
            lock.release()
        self._taken.clear()


def study_locks(engine: Engine, folder: Path, study: str) -> Locks:
    """The locks of a study whose trials lie where `engine` of `open_engine` leads."""
    return FileLocks(folder) if engine.dialect.name == "sqlite" else SessionLocks(engine, study)


class Worker:
    """One of the processes that search."""

    def __init__(self, number: int, locks: Locks) -> None:
        self.number = number
        """The first from 0 that no living process had: random numbers differ by it."""
        self._locks = locks
        self._leads = False

    def leads(self) -> bool:
        """Whether this process is the one that takes up what is queued or was left running.

        One at a time is, until it ends; then the next one that asks. Trials are running under
        the leader alone, so those that a new leader finds are of a dead process for certain.
        """
        self._leads = self._leads or self._locks.try_lock("leader")
        return self._leads


@contextmanager
def at_work(locks: Locks) -> Iterator[Worker]:
    """Be a worker until the end of the block. Raises InputError if there are too many."""
    try:
        for number in range(locks.most):
            if locks.try_lock(f"worker-{number}"):
                break
        else:
            raise InputError(f"{locks.most} processes are working on this study already")
        yield Worker(number, locks)
    finally:
        locks.release()


def check_idle(locks: Locks) -> None:
    """Raises InputError if any process searches. Asked while `preparing`, so that none begins."""
    if (held := locks.held()) is not None:
        raise InputError(
            f"another process is working on this study (it holds {held}): "
            "wait for it, or give --study-name NAME"
        )
