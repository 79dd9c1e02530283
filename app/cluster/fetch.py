"""A worker's copy of the study's supernet and reference sample, from a folder or a web server."""

import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from app.atomic import DamagedError, write_atomically
from app.cluster.shared import Shared, reference_hash, supernet_hash
from app.console import console
from app.errors import InputError
from app.paths import StudyPaths
from app.scores.reference import Reference
from app.supernet.checkpoint import load_checkpoint

SECONDS_WITHOUT_BYTES = 60
HINT = "give --supernet FOLDER or URL where the main command keeps it"


def fetch(place: str | None, paths: StudyPaths, shared: Shared) -> None:
    """Have the study's supernet and reference sample in `files`, copied from `place` if need be.

    Files are checked before they take the place of others. Raises InputError if they are not
    those of the study, or cannot be had.
    """
    wanted: list[tuple[str, Path, Callable[[Path], str]]] = [
        (shared.supernet, paths.supernet, _hash_of_supernet),
        (shared.reference, paths.reference, _hash_of_reference),
    ]
    for expected, path, hash_of in wanted:
        if path.exists() and _is(path, expected, hash_of):
            continue
        if place is None:
            what = "is not the study's" if path.exists() else "is missing"
            raise InputError(f"'{path}' {what}: {HINT}")
        arrived = path.with_name(f".{path.name}.part")  # removed at the next start after a kill
        try:
            _copy(place, path.name, arrived)
            if not _is(arrived, expected, hash_of):
                raise InputError(
                    f"{path.name} of '{_shown(place)}' is not the one that the study was made "
                    "with (its fingerprint differs): give the --supernet of the main command"
                )
            arrived.replace(path)
        finally:
            arrived.unlink(missing_ok=True)
        console.print(f"Fetched {path} from {_shown(place)}", soft_wrap=True, markup=False)


def _hash_of_supernet(path: Path) -> str:
    return supernet_hash(load_checkpoint(path)["supernet"])


def _hash_of_reference(path: Path) -> str:
    return reference_hash(Reference.load(path))


def _is(path: Path, expected: str, hash_of: Callable[[Path], str]) -> bool:
    try:
        return hash_of(path) == expected
    except (DamagedError, InputError, KeyError, AttributeError):  # not even a file of ours
        return False


def _copy(place: str, name: str, target: Path) -> None:
    try:
        with closing(_open(place, name)) as source:
            write_atomically(target, lambda file: shutil.copyfileobj(source, file))
    except urllib.error.HTTPError as error:
        reason = f"the server says {error.code} {error.reason}"
        raise InputError(f"cannot fetch {name} from '{_shown(place)}': {reason}") from None
    except (OSError, ValueError, HTTPException) as error:  # also of what is no web server
        reason = str(getattr(error, "reason", None) or error)
        raise InputError(f"cannot fetch {name} from '{_shown(place)}': {reason}") from None


def _open(place: str, name: str) -> IO[bytes]:
    scheme = urlsplit(place).scheme
    if scheme in ("http", "https"):
        url = f"{place.rstrip('/')}/{name}"
        return urllib.request.urlopen(url, timeout=SECONDS_WITHOUT_BYTES)  # type: ignore[no-any-return]
    if "://" in place:
        raise ValueError(f"{scheme} is neither http nor https")
    return (Path(place) / name).open("rb")


def _shown(place: str) -> str:
    """Without a password."""
    parts = urlsplit(place)
    if "@" not in parts.netloc:
        return place[:200]
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()[:200]
