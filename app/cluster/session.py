"""Locks on a database server, held by a session: they end with it, however its machine ends.

PostgreSQL has advisory locks for it, MySQL and MariaDB `GET_LOCK`. The session is the one in
which trials are committed (`storage.open_engine` has one connection only): a worker that has
lost its locks cannot commit either, and ends.
"""

import hashlib
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, Function, func, select
from sqlalchemy.exc import SQLAlchemyError

from app.errors import InputError


class SessionLocks:
    """Locks in the name of a study."""

    most = 1024

    def __init__(self, engine: Engine, study: str) -> None:
        """`engine` is one of `storage.open_engine`. Raises InputError for other databases."""
        if engine.dialect.name not in ("postgresql", "mysql", "mariadb"):
            raise InputError(
                f"a {engine.dialect.name} database has no locks that workers could hold: "
                "use PostgreSQL, MySQL or MariaDB"
            )
        self.engine = engine
        self.study = study
        self._taken: list[str] = []

    def try_lock(self, name: str) -> bool:
        """Take the lock in this session."""
        key = self._key(name)
        postgresql = self.engine.dialect.name == "postgresql"
        call = func.pg_try_advisory_lock(key) if postgresql else func.get_lock(key, 0)
        if not self._call(call):
            return False
        self._taken.append(name)
        return True

    def held(self) -> str | None:
        """The number of some worker."""
        for number in range(self.most):
            if not self.try_lock(name := f"worker-{number}"):
                return f"the place of worker {number} in the database"
            self._release(name)
        return None

    def release(self) -> None:
        """Give back what this session has taken; one that is broken has nothing any more."""
        with suppress(SQLAlchemyError):
            while self._taken:
                self._release(self._taken[-1])

    def _release(self, name: str) -> None:
        self._taken.remove(name)
        key = self._key(name)
        postgresql = self.engine.dialect.name == "postgresql"
        self._call(func.pg_advisory_unlock(key) if postgresql else func.release_lock(key))

    def _call(self, function: Function[Any]) -> bool:
        with self.engine.begin() as connection:
            return bool(connection.scalar(select(function)))

    def _key(self, name: str) -> int | str:
        """64 signed bits for PostgreSQL, whose locks are a database's own, else a short text."""
        text = f"bnnas {self.engine.url.database} {self.study} {name}"
        digest = hashlib.sha256(text.encode())
        if self.engine.dialect.name == "postgresql":
            return int.from_bytes(digest.digest()[:8], signed=True)
        return digest.hexdigest()[:60]
