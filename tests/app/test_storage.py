import sqlite3
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from app.database import parse_url, sqlite_url
from app.errors import InputError
from app.storage import open_storage

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


@pytest.mark.system
def test_processes_that_open_a_fresh_database_together_all_succeed(tmp_path: Path) -> None:
    path = tmp_path / "studies.db"
    command = [sys.executable, "-c", CREATE, str(path)]
    processes = [subprocess.Popen([*command, str(i)]) for i in range(4)]
    assert [process.wait(120) for process in processes] == [0, 0, 0, 0]
    assert sorted(optuna.get_all_study_names(f"sqlite:///{path}")) == ["0", "1", "2", "3"]


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
