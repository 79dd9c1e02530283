"""Reading study files: presets, TOML files, and what a study was last run with."""

import json
import reprlib
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.config import StudyConfig
from app.database import HIDDEN
from app.errors import InputError, one_of

PRESETS = Path(__file__).parent.parent / "studies"
SAVED = "study.json"
"""In a study's folder: what it was last run with."""


def presets() -> dict[str, Path]:
    """The study files that come with the program, by name."""
    return {path.stem: path for path in sorted(PRESETS.glob("*.toml"))}


def load_config(
    study: str, overrides: dict[str, Any] | None = None, fresh: bool = False
) -> StudyConfig:
    """Load the settings to run a study with; dotted `overrides` win over them.

    `study` is the path of a TOML file, the name of a study that was run, whose last settings
    then hold unless it starts `fresh`, or the name of a preset. Raises InputError that names the
    file, the field and what is wrong with it.
    """
    given = overrides or {}
    if _is_file_name(study) or (fresh and study in presets()):
        values, path = _read_toml(study)
        _check_inside(values, given, path)
        return _validated(values, given, path)
    return load_last(study, given)


def load_last(study: str, overrides: dict[str, Any] | None = None) -> StudyConfig:
    """Load what a study was last run with, or else its file or preset, with `overrides` over it.

    Raises InputError as `load_config`.
    """
    given = overrides or {}
    values, path = _read_toml(study) if _is_file_name(study) or study in presets() else ({}, None)
    name = str(given.get("name") or values.get("name") or study)
    place = {"space": "", "name": name, "runs": given.get("runs") or values.get("runs") or "runs"}
    saved = _validated(place, {}, Path(study)).folder / SAVED
    if not saved.exists():
        if path is None:
            raise one_of(study, "study", [*presets(), "or the path of a .toml file"])
        _check_inside(values, given, path)
        return _validated(values, given, path)
    stored = _read_saved(saved)
    if "storage" not in given and HIDDEN in str(stored.get("storage")):
        raise InputError(
            f"the password of the storage {stored['storage']} is not kept in '{saved}': "
            "give --storage URL again"
        )
    return _validated(stored, {**given, "runs": place["runs"], "name": name}, saved)


def load_preset(name: str) -> StudyConfig:
    """Load a preset as it is, whatever was run."""
    values, path = _read_toml(name)
    return _validated(values, {}, path)


def _is_file_name(study: str) -> bool:
    return study.endswith(".toml")


def _read_toml(study: str) -> tuple[dict[str, Any], Path]:
    """Read a preset or a TOML file: its values, its name among them, and its path."""
    path = Path(study).expanduser() if _is_file_name(study) else presets()[study]
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"the study file '{path}' is not valid TOML: {error}") from None
    except (OSError, ValueError) as error:  # bytes that are not UTF-8, a path or number too long
        raise InputError(f"cannot read the study file '{_short(path)}': {error}") from None
    values.setdefault("name", path.stem)
    return values, path


def _read_saved(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it holds no settings")
        values.get("latency", {}).pop("source", None)  # earlier versions could add up a table
        values.get("supernet", {}).setdefault("initialisation", "kaiming")  # they knew no other
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"cannot read '{path}': {error}") from None
    return values


def _validated(values: dict[str, Any], overrides: dict[str, Any], path: Path) -> StudyConfig:
    """Validate `values` of the file at `path` with `overrides` over them."""
    for field, value in overrides.items():
        _set(values, field, value)
    try:
        return StudyConfig.model_validate(values)
    except ValidationError as error:
        raise InputError(_describe(error, path)) from None


def _check_inside(values: dict[str, Any], overrides: dict[str, Any], path: Path) -> None:
    """Refuse a study file whose folders lie elsewhere; the command line may name any folder."""
    for field in {"runs", "data_dir", "storage"} - overrides.keys():
        value = values.get(field)
        if not isinstance(value, str) or (field == "storage" and not value.startswith("sqlite")):
            continue
        folder = Path(value.partition("///")[2] if field == "storage" else value)
        if folder.is_absolute() or ".." in folder.parts or value.startswith("~"):
            raise InputError(
                f"the study file '{path}' sets {field} = {_SHORT.repr(value)}, outside of "
                f"'{Path.cwd()}': to allow that, give --{field.replace('_', '-')} yourself"
            )


def _set(values: dict[str, Any], field: str, value: Any) -> None:
    """Set a dotted field in nested tables."""
    *tables, last = field.split(".")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise InputError(f"'{table}' in '{field}' is a single value, not a table of settings")
    values[last] = value


def _describe(error: ValidationError, path: Path) -> str:
    """The first complaint of pydantic as one line."""
    first = error.errors()[0]
    field = _short(".".join(map(str, first["loc"])))
    if first["type"] == "extra_forbidden":
        return f"unknown setting '{field}' (in '{path}' or on the command line)"
    if first["type"] == "missing":
        return f"the study file '{path}' lacks '{field}'"
    reason = first["msg"][0].lower() + first["msg"][1:]
    if field.startswith("storage"):  # it may hold a password
        return f"{field}: {reason}"
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{field} = {_SHORT.repr(first['input'])}: {reason}{more}"


def _short(text: object) -> str:
    """Text of any length, such as a key of a study file, for a line that people read."""
    return text if len(text := str(text)) <= 200 else f"{text[:100]}…{text[-50:]}"


class _Short(reprlib.Repr):
    """Of any length, and of any number: Python refuses to print one of more than 4,300 digits."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 80

    def repr_int(self, x: int, level: int) -> str:
        return super().repr_int(x, level) if x.bit_length() < 10_000 else "a very long number"


_SHORT = _Short()
