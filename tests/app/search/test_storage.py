import sqlite3
from pathlib import Path

import optuna
import pytest

from app.errors import InputError
from app.search.storage import open_storage


def test_plain_optuna_reads_what_we_write(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    optuna.create_study(storage=open_storage(url), study_name="ours")
    assert optuna.get_all_study_names(url) == ["ours"]
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_foreign_and_broken_databases_are_refused_untouched(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"This is not a database." * 50)
    for path, message in ((foreign, "another program"), (broken, "no readable SQLite")):
        before = path.read_bytes()
        with pytest.raises(InputError, match=message):
            open_storage(f"sqlite:///{path}")
        assert path.read_bytes() == before


def test_a_database_of_another_optuna_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    open_storage(url)
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v99.0.0.a'")
    with pytest.raises(InputError, match="another version of Optuna"):
        open_storage(url)


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////no/such/folder/x.db", "nodb://x/y"])
def test_urls_that_lead_nowhere(url: str) -> None:
    with pytest.raises(InputError) as error:
        open_storage(url)
    assert "\n" not in str(error.value)


def test_a_password_is_not_shown() -> None:
    with pytest.raises(InputError) as error:
        open_storage("mysql+nosuchdriver://user:secret@localhost/db")
    assert "secret" not in str(error.value)
