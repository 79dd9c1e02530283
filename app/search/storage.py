"""The database of trials: one for all studies, through SQLAlchemy."""

import sqlite3
from collections.abc import Container
from contextlib import suppress
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Engine, create_engine, event, or_, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool, StaticPool

from app.errors import InputError
from app.search.backup import backups
from app.search.connect import arguments, is_sqlite, notice_the_dead, tune_sqlite
from app.search.reading import read_trials
from app.search.tables import Tables, UnknownTablesError, read_tables
from app.storage_url import hide_passwords, shown_storage, without_passwords

QUICK_TO_CHECK = 64 << 20  # bytes: within about a second
FEW_TRIALS = 500  # databases limit how many values a query may name


class Storage(RDBStorage):
    """Optuna's storage, which reads all trials of a study quickly where it knows the tables."""

    tables: Tables | None = None

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        """As the base class. All that Optuna and its dashboard read of many trials comes by here;
        should a later Optuna not call it, reading is slower and nothing else."""
        if self.tables is None or states is not None or len(included_trial_ids) > FEW_TRIALS:
            return super()._get_trials(study_id, states, included_trial_ids, trial_id_greater_than)
        self.get_study_name_from_id(study_id)  # raises KeyError for none
        table = self.tables["trials"]
        chosen = select(table.c.trial_id).where(
            table.c.study_id == study_id,
            or_(
                table.c.trial_id > trial_id_greater_than,
                table.c.trial_id.in_(included_trial_ids),
            ),
        )
        with self.engine.connect() as connection:
            return read_trials(connection, self.tables, chosen)


def open_storage(url: str, kind: type[Storage] = Storage) -> BaseStorage:
    """Optuna's storage at `url`, made if it is not there; `kind` may narrow what is read.

    Raises InputError for a URL that is none, a database that cannot be opened or written, and
    one that belongs to another program or another version of Optuna.
    """
    parsed = check_storage(url)
    server = not is_sqlite(parsed)
    try:
        # a server may have closed a connection during a long score
        options = {"connect_args": arguments(parsed), "pool_pre_ping": server}
        storage = kind(url, engine_kwargs=options)
    except SQLAlchemyError as error:
        raise _unreachable(parsed, error) from None
    except RuntimeError:
        raise InputError(
            f"the database {shown_storage(parsed)} was made by another version of Optuna; install "
            f"that version, or run: optuna storage upgrade --storage {without_passwords(parsed)}"
        ) from None
    if server:
        notice_the_dead(storage.engine)
    else:
        tune_sqlite(storage.engine, synchronous="NORMAL")
    with suppress(UnknownTablesError):
        storage.tables = read_tables(storage.engine)
    return optuna.storages.get_storage(storage)


def check_storage(url: str) -> URL:
    """The URL of a database, taken apart, before anything is written there.

    Raises InputError for one that is none, for trials in memory, for a driver that is not
    installed, a server that lets nobody in, and an SQLite file that cannot be one of ours.
    """
    try:
        parsed = make_url(url)
        create_engine(parsed)  # finds the driver, and does not connect
    except ImportError:
        raise InputError(
            f"no driver is installed for {shown_storage(parsed)}: {_driver(parsed)}"
        ) from None
    except (ArgumentError, ValueError, TypeError):  # their words may hold the password
        raise InputError(
            "the storage is no database URL such as sqlite:///runs/studies.db"
        ) from None
    if not is_sqlite(parsed):
        try:
            create_engine(
                parsed, connect_args=arguments(parsed), poolclass=NullPool
            ).connect().close()
        except (SQLAlchemyError, ValueError, TypeError) as error:  # a host that is no name, say
            raise _unreachable(parsed, error) from None
        return parsed
    if parsed.database in (None, "", ":memory:"):
        raise InputError("the storage must be a file or a server: trials in memory would be lost")
    if parsed.query:
        raise InputError("an SQLite storage takes no options: give sqlite:///FILE alone")
    check_sqlite_file(Path(parsed.database or ""))
    return parsed


def check_sqlite_file(path: Path) -> None:
    """Refuse a file that is no SQLite database or holds another program's tables."""
    try:
        if path.is_dir():
            raise InputError(f"the database '{path}' is a folder")
        if not path.parent.is_dir():
            raise InputError(f"the database '{path}' lies in no folder: make '{path.parent}' first")
        if not path.exists() or not path.stat().st_size:
            return
    except (OSError, ValueError) as error:
        raise InputError(f"'{path}' cannot be the database ({error})") from None
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {name for (name,) in rows}
            if tables and path.stat().st_size <= QUICK_TO_CHECK:
                ((verdict,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
                if verdict != "ok":
                    raise _damaged(path, verdict)
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        if "malformed" in str(error):
            raise _damaged(path, error) from None
        raise InputError(
            f"'{path}' is no readable SQLite database ({error}): move it away or name another one"
        ) from None
    if tables and not {"studies", "trials", "version_info"} <= tables:
        raise InputError(
            f"'{path}' is a database of another program: move it away or name another one"
        )


def _damaged(path: Path, reason: object) -> InputError:
    kept = backups(path)
    return InputError(
        f"the database '{path}' is damaged ({reason}); save what can be read with: "
        f"sqlite3 '{path}' .recover | sqlite3 mended.db, or copy the newest backup over it"
        + (f": '{kept[-1]}'" if kept else " (there is none yet)")
    )


def open_engine(url: str) -> Engine:
    """Connections for group commits to the database of `open_storage`, made before.

    SQLite takes the lock to write when a transaction begins. Its driver would take it at the
    first change, after our count of trials: two processes could count the same number, and one
    of them fail without waiting. A commit reaches the disk before it returns
    (`synchronous = FULL`): a trial that was told outlives a power cut, and one flush for a whole
    batch is cheap.

    On a server it is one connection, whose session also holds the worker's locks: if it breaks,
    a commit fails rather than go on without them (see `app.cluster.session`).
    """
    parsed = make_url(url)
    if not is_sqlite(parsed):
        engine = create_engine(parsed, poolclass=StaticPool, connect_args=arguments(parsed))
        notice_the_dead(engine)
        return engine
    engine = create_engine(parsed, connect_args=arguments(parsed))
    tune_sqlite(engine, synchronous="FULL")

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "begin", begin)
    return engine


def _driver(url: URL) -> str:
    """How to install what connects to such a database."""
    return {
        "postgresql+psycopg": 'pip install "psycopg[binary]"',
        "mysql+pymysql": "pip install pymysql",
        "mariadb+pymysql": "pip install pymysql",
    }.get(url.drivername, "give postgresql+psycopg://… or mysql+pymysql://…")


def _unreachable(url: URL, error: Exception) -> InputError:
    reason = hide_passwords(_first(error), url)
    return InputError(f"cannot open the database {shown_storage(url)}: {reason}")


def _first(error: Exception) -> str:
    """The driver's own words, without SQLAlchemy's statement and link below them."""
    return str(getattr(error, "orig", None) or error).splitlines()[0]
