"""Database URLs: what they may be, and passwords that are shown nowhere."""

import json
from pathlib import Path

import pytest

from app.cli import main
from app.config import StudyConfig
from app.database import parse_url, reason, shown, sqlite_url
from app.errors import InputError
from app.study_file import SAVED, load_config

SECRETIVE = (
    "postgresql://user:secret@host/name",
    "postgres://user:secret@host/name",
    "postgresql://host/name?user=u&password=secret",
    "postgresql://host/name?password=secret&password=secret2",
    "postgresql://u:secret@host/name?sslmode=require&sslpassword=secret",
)


@pytest.mark.parametrize("url", SECRETIVE)
def test_every_password_is_hidden_and_nothing_else(url: str) -> None:
    parsed = parse_url(url)
    text = shown(parsed)
    assert "secret" not in text and "***" in text
    again = parse_url(text)
    assert (again.host, again.database, again.query.keys()) == (
        (parsed.host, parsed.database, parsed.query.keys())
    )


def test_what_has_no_password_is_shown_as_it_is(tmp_path: Path) -> None:
    url = "postgresql+psycopg://user@host:5432/name?sslmode=require"
    assert shown(parse_url(url)) == url
    assert shown(parse_url("sqlite:///runs/studies.db")) == "runs/studies.db"
    odd = tmp_path / "exp?1" / "a b#c.db"
    assert shown(sqlite_url(odd)) == str(odd)


@pytest.mark.parametrize("url", ["postgresql://u:se@cret@host/x", "postgres://u:s@ecret@h/x?a=b"])
def test_an_unescaped_at_sign_is_named_and_the_password_is_not(url: str) -> None:
    with pytest.raises(InputError, match="write it as %40") as error:
        parse_url(url)
    assert "cret" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "not a database URL"),
        ("postgresql://u:secret@host:port/x", "not a database URL"),
        ("mysql+pymysql://u:secret@host/x", "'mysql.pymysql' databases are not supported"),
        ("nosuch://u:secret@host/x", "'nosuch' databases are not supported"),
        ("sqlite+foo:///x.db", "'sqlite.foo' databases are not supported"),
        ("postgresql+nosuch://u:secret@host/x", "no driver"),
        ("sqlite://", "must be a file or a server"),
        ("sqlite:///x.db?mode=ro", "takes no options"),
    ],
)
def test_other_urls_are_refused_in_one_line(url: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        parse_url(url)
    assert "secret" not in str(error.value) and "\n" not in str(error.value)


def test_a_drivers_words_lose_whole_passwords_only() -> None:
    said = ValueError('invalid dsn: missing "=" after "secret"')
    assert reason(said, parse_url(SECRETIVE[0])) == 'invalid dsn: missing "=" after "***"'
    short = parse_url("postgresql://user:s@host/name")
    assert reason(ValueError("the host is missing: s"), short) == "the host is missing: ***"


@pytest.mark.parametrize("url", SECRETIVE)
def test_what_is_saved_lacks_them_and_they_are_asked_for(
    url: str, config: StudyConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = config.model_copy(update={"storage": url}).to_save()
    assert "secret" not in json.dumps(saved)
    path = tmp_path / "runs" / "small" / SAVED
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(saved))
    given = {"runs": str(tmp_path / "runs")}
    with pytest.raises(InputError, match="give --storage URL again"):
        load_config("small", given, resume=True)
    assert load_config("small", {**given, "storage": url}, resume=True).storage == url
    assert main(["--study", "small", "--runs", str(tmp_path), "--set", f"storage={url}\0"]) == 2
    assert "secret" not in capsys.readouterr().err
