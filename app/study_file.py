"""Reading study files: presets, TOML files, and what a study was last run with."""

import json
import shlex
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app import PROGRAM
from app.atomic import is_file
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
    study: str, overrides: dict[str, Any] | None = None, resume: bool | None = None
) -> StudyConfig:
    """Load the configuration of a study; dotted `overrides` win over it.

    Args:
        study: The path of a TOML file, or the name of a preset or of a study that was run.
        overrides: Values by field, such as `search.trials`.
        resume: Whether to take what the study was last run with, if it was run; by default for
            a name, and not for a file, which may have been edited.

    Raises:
        InputError: Names the file, the field and what is wrong with it.
    """
    given = overrides or {}
    is_path = study.endswith(".toml")
    path = Path(study) if is_path else presets().get(study)
    values = {} if path is None else _read_toml(path)
    resume = not is_path if resume is None else resume
    if resume or path is None:
        own = {field: given.get(field) or values.get(field) for field in ("name", "runs")}
        _check_inside({"runs": values.get("runs")}, given, study)
        here = {"space": "", "name": own["name"] or study, "runs": own["runs"] or "runs"}
        saved = _validated(here, {}, study).folder / SAVED
        if is_file(saved):
            last = _read_saved(saved)
            if "storage" not in given and HIDDEN in str(last.get("storage")):
                raise InputError(
                    f"the password of the storage {last['storage']} is not kept in '{saved}': "
                    "give --storage URL again"
                )
            if here["name"] != study and values.get("space", last["space"]) != last["space"]:
                raise InputError(
                    f"study '{here['name']}' searches space {last['space']}, not "
                    f"{values['space']}: give another --study-name"
                )
            return _validated(last, {**given, "runs": here["runs"], "name": here["name"]}, saved)
    if path is None:
        raise one_of(study, "study", [*presets(), "or the path of a .toml file"])
    _check_inside(values, given, path)
    return _validated(values, given, path)


def study_command(command: str, config: StudyConfig, *options: str) -> str:
    """Return a command on a study that was run, quoted for a shell."""
    words = [*PROGRAM.split(), command, "--study", config.name]
    return shlex.join([*words, *runs_option(config), *options])


def runs_option(config: StudyConfig) -> list[str]:
    """Return the `--runs` option of a command on a study, if it needs one."""
    return [] if config.runs == Path("runs") else ["--runs", str(config.runs)]


def _read_toml(path: Path) -> dict[str, Any]:
    """Read a study file; a study without a name has the file's."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if "\0" in text:
            raise UnicodeError
        return {"name": path.stem, **tomllib.loads(text)}
    except UnicodeError:  # such as UTF-16, which some editors write
        raise InputError(f"the study file '{path}' is not UTF-8: save it as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"the study file '{path}' is not valid TOML: {error}") from None
    except (OSError, ValueError) as error:  # a path or a number that is too long
        raise InputError(f"cannot read the study file {_shown(str(path))}: {error}") from None


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


def _validated(values: dict[str, Any], overrides: dict[str, Any], path: Path | str) -> StudyConfig:
    """Validate `values` of the file at `path` with `overrides` over them."""
    for field, value in overrides.items():
        _set(values, field, value)
    try:
        return StudyConfig.model_validate(values)
    except ValidationError as error:
        raise InputError(_describe(error, path)) from None


def _check_inside(values: dict[str, Any], overrides: dict[str, Any], path: Path | str) -> None:
    """Refuse a study file whose folders lie elsewhere; the command line may name any folder."""
    for field in {"runs", "data_dir", "storage"} - overrides.keys():
        value = values.get(field)
        if not isinstance(value, str) or (field == "storage" and not value.startswith("sqlite")):
            continue
        folder = Path(value.partition("///")[2] if field == "storage" else value)
        if folder.is_absolute() or ".." in folder.parts or value.startswith("~"):
            raise InputError(
                f"the study file '{path}' sets {field} = {_shown(value)}, outside of "
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


def _describe(error: ValidationError, path: Path | str) -> str:
    """The first complaint of pydantic as one line."""
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return f"unknown setting {_shown(field)} (in '{path}' or on the command line)"
    if first["type"] == "missing":
        return f"the study file '{path}' lacks '{field}'"
    reason = first["msg"][0].lower() + first["msg"][1:]
    if field.startswith("storage"):  # it may hold a password
        return f"{field}: {reason}"
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{field} = {_shown(first['input'])}: {reason}{more}"


def _shown(value: object) -> str:
    """Print a value of any length, such as a key of a study file, in a line that people read."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python prints no number of more than 4,300 digits
        return "a value that is too long to be shown"
    return text if len(text) <= 200 else f"{text[:100]}…{text[-50:]}"
