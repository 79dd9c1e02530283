"""Several processes on one study: who prepares it, and which of them is which.

Both are locks on files, which the system frees when their process ends, however it ends: a dead
process holds nothing, so there is nothing to take over. They hold between processes of one
machine, or of several that share a file system with locks.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from app.errors import InputError
from app.files import remove_leftovers
from app.progress import console

MOST = 256


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


@contextmanager
def worker_number(folder: Path) -> Iterator[int]:
    """The first number from 0 that no living process has, held until the end of the block.

    Number 0 alone takes up trials that are left running: that they are of a dead process is
    certain, as the number would not be free otherwise. The others draw other random numbers.
    """
    number, lock = _first_free(folder)
    try:
        yield number
    finally:
        lock.release()


def _first_free(folder: Path) -> tuple[int, BaseFileLock]:
    for number in range(MOST):
        lock = FileLock(folder / f"worker-{number}.lock")
        with suppress(Timeout):
            lock.acquire(timeout=0)
            return number, lock
    raise InputError(f"{MOST} processes are working on this study already")


def check_idle(folder: Path) -> None:
    """Raises InputError if any process searches. Asked while `preparing`, so that none begins."""
    for path in folder.glob("worker-*.lock"):
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise InputError(
                f"another process is working on this study (it holds '{path}'): "
                "wait for it, or give --study-name NAME"
            ) from None
        lock.release()
