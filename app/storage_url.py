"""The URL of a database as it may be shown: without the passwords in it."""

import re

from sqlalchemy.engine import URL, make_url

from app.search.connect import is_sqlite

HIDDEN = "***"
"""What stands for a password, as in SQLAlchemy."""

_SECRET = re.compile("pass|pwd|secret|token|odbc_connect", re.IGNORECASE)
"""Drivers take passwords as options too (`?password=…`); ODBC's option holds a whole connection."""


def shown_storage(url: str | URL) -> str:
    """The file of an SQLite database, the URL of any other without passwords.

    `url` is one that `make_url` can read.
    """
    parsed = make_url(url)
    if is_sqlite(parsed) and parsed.database:
        return parsed.database
    return without_passwords(url)


def without_passwords(url: str | URL) -> str:
    """The URL with every password in it hidden, and otherwise as it is."""
    parsed = make_url(url)
    if not _passwords(parsed):
        return str(url)
    hidden = {key: HIDDEN for key in parsed.query if _SECRET.search(key)}
    shown = parsed.update_query_dict(hidden).render_as_string(hide_password=True)
    return shown.replace("%2A%2A%2A", HIDDEN)


def hide_passwords(text: str, url: URL) -> str:
    """A text, such as a driver's complaint, in which the passwords of `url` are hidden."""
    for secret in _passwords(url):
        text = text.replace(secret, HIDDEN)
    return text


def _passwords(url: URL) -> list[str]:
    """All there are; an option can be given several times."""
    options = [values for key, values in url.query.items() if _SECRET.search(key)]
    found = [v for values in options for v in ([values] if isinstance(values, str) else values)]
    return [secret for secret in (url.password, *found) if secret]
