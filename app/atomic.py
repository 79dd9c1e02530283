"""Files that are either whole or absent: written under a temporary name, flushed, then renamed."""

import csv
import io
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from app.console import console
from app.errors import InputError

SECONDS_UNTIL_LEFT = 60.0
"""A temporary file that nobody has written to for so long has no writer any more."""


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Call `write` on a temporary file beside `path`, force it to disk, then rename it to `path`.

    A reader, or a process killed at any moment, sees the old file or the new one, never a part.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp's 0600 would hide a report from colleagues
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and not error.filename:
            error.filename = str(path)  # a full disk does not say what it was full for
        raise
    if os.name == "posix":  # Windows opens no folder
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # makes the rename itself durable
        finally:
            os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    write_atomically(path, lambda file: file.write(content))


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically; bytes of a path that are no UTF-8 are escaped."""
    write_bytes(path, text.encode(errors="backslashreplace"))


def csv_text(columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV, under a line of titles."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [*columns], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically. Raises ValueError on NaN, which is not JSON."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


class DamagedError(Exception):
    """A file of ours that is not what was written: cut off, or with changed bytes."""


def set_aside(path: Path, reason: object, state: str = "damaged") -> None:
    """Rename a file that is of no use, so that it is kept and can be made again, and say so."""
    kept = path.with_name(f"{path.name}.{state}-{time.strftime('%Y%m%d-%H%M%S')}")
    path.replace(kept)
    console.print(
        f"'{path}' is {state} ({reason}). It is kept as '{kept.name}' and made again.",
        soft_wrap=True,
        markup=False,
    )


def remove_leftovers(folder: Path, of: str = "**/.*") -> None:
    """Delete the temporary files of writers that were killed, of the files that `of` matches.

    Others may be writing here: what has changed within the last minute may still be theirs.
    """
    for path in [*folder.glob(f"{of}.part*"), *folder.glob("pixels-*.u8")]:
        with suppress(OSError):  # its writer has finished, or it is not ours to delete
            if time.time() - path.stat().st_mtime > SECONDS_UNTIL_LEFT:
                path.unlink()


def check_output(path: Path) -> None:
    """Raises InputError unless a file can be written at `path`; writes nothing.

    To be called before the work whose result is to go there. Folders that are missing are made
    by then.
    """
    try:
        if path.exists() and not path.is_file():  # root would replace /dev/null
            raise InputError(f"'{path}' is a folder, device or pipe: name a file")
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot write '{str(path)[:100]}': {reason}") from None


def is_file(path: Path) -> bool:
    """Whether there is a file. Raises InputError for a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError) as error:
        raise InputError(f"'{str(path)[:100]}' cannot be looked for: {error}") from None
