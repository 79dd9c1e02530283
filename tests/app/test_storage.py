import sqlite3
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.storages._rdb.models import BaseModel
from sqlalchemy import Engine, create_engine, event, inspect, text

from app.database import parse_url, sqlite_url
from app.errors import InputError
from app.storage import delete_study, open_existing, open_storage
from tests.app.test_run import ROOT

TABLES = BaseModel.metadata.sorted_tables

CREATE = """
import sys
from pathlib import Path
import optuna
from app.database import sqlite_url
from app.storage import open_storage
optuna.create_study(storage=open_storage(sqlite_url(Path(sys.argv[1]))), study_name=sys.argv[2])
"""


def test_plain_optuna_reads_what_we_write(tmp_path: Path) -> None:
    path = tmp_path / "exp?1" / "studies.db"
    path.parent.mkdir()
    optuna.create_study(storage=open_storage(sqlite_url(path)), study_name="ours")
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT study_name FROM studies").fetchall() == [("ours",)]


@pytest.mark.slow
def test_processes_that_open_a_fresh_database_together_all_succeed(tmp_path: Path) -> None:
    path = tmp_path / "studies.db"
    command = [sys.executable, "-c", CREATE, str(path)]
    processes = [subprocess.Popen([*command, str(i)]) for i in range(4)]
    assert [process.wait(120) for process in processes] == [0, 0, 0, 0]
    assert sorted(optuna.get_all_study_names(f"sqlite:///{path}")) == ["0", "1", "2", "3"]


def test_a_command_leaves_everything_in_one_file(study: list[str], tmp_path: Path) -> None:
    """The log is emptied by the last connection, which a process must close before it ends."""
    runs = tmp_path / "runs"
    command = [sys.executable, "main.py", "studies", "--runs", str(runs)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert not list(runs.glob("studies.db-*"))


def test_foreign_and_broken_databases_are_refused_untouched(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"This is not a database." * 50)
    for path, message in ((foreign, "another program"), (broken, "not an SQLite database")):
        before = path.read_bytes()
        with pytest.raises(InputError, match=message):
            open_storage(sqlite_url(path))
        assert path.read_bytes() == before


@pytest.mark.parametrize("count", [1, 5, len(TABLES)])
def test_tables_that_were_not_all_created_are_completed(tmp_path: Path, count: int) -> None:
    """A kill, or a full disk, came between two of them."""
    url = sqlite_url(tmp_path / "studies.db")
    engine = create_engine(url)
    BaseModel.metadata.create_all(engine, TABLES[:count])
    engine.dispose()
    assert open_existing(url) is None
    optuna.create_study(storage=open_storage(url), study_name="s")
    assert optuna.get_all_study_names(open_storage(url)) == ["s"]


def test_a_database_of_another_optuna_is_refused(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "studies.db")
    open_storage(url)
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v99.0.0.a'")
    with pytest.raises(InputError, match="another version of Optuna"):
        open_storage(url)


@pytest.mark.parametrize("url", ["sqlite:////no/such/folder/x.db", "sqlite:////tmp"])
def test_places_that_hold_no_database(url: str) -> None:
    with pytest.raises(InputError) as error:
        open_storage(parse_url(url))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("trials", [1, 30])
def test_a_study_is_deleted_with_few_statements_and_no_other(tmp_path: Path, trials: int) -> None:
    url = sqlite_url(tmp_path / "studies.db")
    storage = open_storage(url)
    for name in ("deleted", "kept"):
        study = optuna.create_study(storage=storage, study_name=name)
        study.add_trials(
            optuna.trial.create_trial(
                params={"x": 1},
                distributions={"x": optuna.distributions.IntDistribution(0, 2)},
                value=1.0,
                user_attrs={"arch": "a"},
                system_attrs={"constraints": [0.0]},
                intermediate_values={1: 2.0},
            )
            for _ in range(trials)
        )
    statements = []
    listen = (Engine, "before_cursor_execute", lambda *seen: statements.append(seen[2]))
    event.listen(*listen)
    delete_study(storage, url, "deleted")
    event.remove(*listen)
    assert len(statements) < 30
    assert optuna.get_all_study_names(storage) == ["kept"]
    assert len(study.get_trials()) == trials
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        for table in BaseModel.metadata.tables.values():
            if "trial_id" not in table.c or table.name == "trial_heartbeats":
                continue
            assert connection.execute(f"SELECT count(*) FROM {table.name}").fetchone() == (trials,)


def test_a_database_is_only_made_where_that_is_asked_for(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "studies.db")
    assert open_existing(url, write=True) is None
    assert not list(tmp_path.iterdir())
    sqlite3.connect(tmp_path / "studies.db").close()
    assert open_existing(url) is None
    open_storage(url)
    assert open_existing(url) is not None


@pytest.mark.slow
def test_a_server_that_holds_nothing_is_left_so(postgresql: str) -> None:
    assert open_existing(parse_url(postgresql)) is None
    engine = create_engine(parse_url(postgresql))
    assert inspect(engine).get_table_names() == []
    optuna.create_study(storage=open_storage(parse_url(postgresql)), study_name="ours")
    with engine.begin() as connection:  # whoever may only read
        connection.execute(text("CREATE ROLE reader LOGIN"))
        connection.execute(text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader"))
    storage = open_existing(engine.url.set(username="reader"))
    assert storage is not None and optuna.get_all_study_names(storage) == ["ours"]
