"""How connections to the database are made: waiting, flushing, and noticing who is gone."""

from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import URL

SECONDS_TO_WAIT_FOR_A_LOCK = 60

SESSION = {
    "postgresql": (
        "tcp_keepalives_idle = 10",
        "tcp_keepalives_interval = 5",
        "tcp_keepalives_count = 3",
        "tcp_user_timeout = 25000",
        "idle_in_transaction_session_timeout = 60000",
    ),
    "mysql": ("wait_timeout = 900",),
    "mariadb": ("wait_timeout = 900", "idle_transaction_timeout = 60"),
}
"""What a server is told of each connection (seconds, or milliseconds), by its kind."""

LIBPQ = {
    "connect_timeout": 20,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25000,
}
"""The same for this side of a connection to PostgreSQL."""


def is_sqlite(url: URL) -> bool:
    """Whether it is a file, not a server."""
    return url.get_backend_name() == "sqlite"


def arguments(url: URL) -> dict[str, Any]:
    """For the driver. A writer of SQLite waits for another one (its busy timeout)."""
    if is_sqlite(url):
        return {"timeout": SECONDS_TO_WAIT_FOR_A_LOCK}
    if url.get_backend_name() == "postgresql" and url.get_driver_name().startswith("psycopg"):
        return LIBPQ
    return {}


def notice_the_dead(engine: Engine) -> None:
    """Let the server end the session of a machine that is gone, or hangs in a transaction.

    What it has locked is free then: half a minute instead of the two hours that operating
    systems wait.
    """

    def on_connect(connection: Any, record: object) -> None:
        cursor = connection.cursor()
        for setting in SESSION.get(engine.dialect.name, ()):
            cursor.execute(f"SET SESSION {setting}")
        cursor.close()
        connection.commit()

    _at_each_connection(engine, on_connect)


def tune_sqlite(engine: Engine, synchronous: str) -> None:
    """Write-ahead log: readers such as the dashboard do not block the search, nor it them.

    With `synchronous = NORMAL` a killed process loses nothing that was committed, and a power
    cut at most the last moments, never the database. Optuna's own many small commits are made
    so, as a flush for each would take most of the time.
    """

    def on_connect(connection: Any, record: object) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        if synchronous == "FULL":
            connection.isolation_level = None  # transactions begin where `open_engine` says

    _at_each_connection(engine, on_connect)


def _at_each_connection(engine: Engine, on_connect: Any) -> None:
    event.listen(engine, "connect", on_connect)
    engine.dispose()  # connections opened before now lack the settings
