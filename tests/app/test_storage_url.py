"""Passwords of a database are shown nowhere, wherever in its URL they stand."""

import json
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from app.cli import main
from app.errors import InputError
from app.search.storage import open_storage
from app.settings import SAVED, StudySettings, load_study
from app.storage_url import hide_passwords, shown_storage, without_passwords

SECRETIVE = (
    "postgresql://user:secret@host/name",
    "postgresql://host/name?user=u&password=secret",
    "postgresql://host/name?password=secret&password=secret2",
    "postgresql://u:secret@host/name?sslmode=require&sslpassword=secret",
    "mysql+pymysql://host/name?passwd=secret",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Dsecret",
)
OPEN = ("postgresql://user@host:5432/name?sslmode=require", "sqlite:///runs/studies.db")


@pytest.mark.parametrize("url", SECRETIVE)
def test_every_password_is_hidden_and_nothing_else(url: str) -> None:
    shown = shown_storage(url)
    assert shown == without_passwords(url)
    assert "secret" not in shown and "***" in shown
    assert make_url(shown).database == make_url(url).database
    assert make_url(shown).query.keys() == make_url(url).query.keys()


@pytest.mark.parametrize("url", OPEN)
def test_a_url_without_passwords_stays_as_it_is(url: str) -> None:
    assert without_passwords(url) == url


def test_a_file_is_shown_as_a_file() -> None:
    assert shown_storage("sqlite:///runs/studies.db") == "runs/studies.db"


def test_a_drivers_words_lose_the_passwords() -> None:
    said = 'invalid dsn: missing "=" after "secret"'
    assert hide_passwords(said, make_url(SECRETIVE[1])) == 'invalid dsn: missing "=" after "***"'
    assert hide_passwords(said, make_url(OPEN[0])) == said


@pytest.mark.parametrize("url", SECRETIVE)
def test_errors_do_not_tell(url: str) -> None:
    scheme, _, rest = url.partition("://")
    with pytest.raises(InputError) as error:
        open_storage(f"{scheme.partition('+')[0]}+nosuchdriver://{rest}")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("url", SECRETIVE)
def test_a_setting_that_is_refused_does_not_tell(
    url: str, study_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--study", str(study_file), "--set", f"storage={url}\0"]) == 2
    assert "secret" not in capsys.readouterr().err


@pytest.mark.parametrize("url", SECRETIVE)
def test_what_is_saved_lacks_them_and_they_are_asked_for(
    url: str, settings: StudySettings, tmp_path: Path
) -> None:
    saved = settings.model_copy(update={"storage": url}).to_save()
    assert "secret" not in json.dumps(saved)
    path = tmp_path / "runs" / "small" / SAVED
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(saved))
    given = {"runs": str(tmp_path / "runs")}
    with pytest.raises(InputError, match="give --storage URL again"):
        load_study("small", given)
    assert load_study("small", {**given, "storage": url}).storage == url
