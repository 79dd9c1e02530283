import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from app.search.storage import open_engine, open_storage
from app.search.tables import COLUMNS, UnknownTablesError, read_tables


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE alembic_version SET version_num = 'v9'", "their revision is v9"),
        ("DELETE FROM alembic_version", "their revision is None"),
        ("ALTER TABLE trials ADD COLUMN host TEXT", "table 'trials' differs in column 'host'"),
        ("ALTER TABLE trial_values DROP COLUMN value", "'trial_values' differs in column 'value'"),
        ("DROP TABLE trial_params", "table 'trial_params' is missing"),
    ],
)
def test_tables_that_differ_are_not_taken_for_known(
    change: str, message: str, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    open_storage(url)
    assert read_tables(open_engine(url)).keys() == COLUMNS.keys()
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute(change)
        connection.commit()
    with pytest.raises(UnknownTablesError, match=message):
        read_tables(open_engine(url))


def test_another_optuna_is_not_taken_for_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    open_storage(url)
    monkeypatch.setattr(optuna, "__version__", "6.1.0")
    with pytest.raises(UnknownTablesError, match=r"Optuna is 6\.1\.0, not 5"):
        read_tables(open_engine(url))
