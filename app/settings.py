"""A study file, and options over it, validated into one typed object."""

import json
import re
import reprlib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from app.errors import InputError, one_of
from app.storage_url import HIDDEN, without_passwords

PRESETS = Path(__file__).parent.parent / "studies"
SAVED = "study.json"
"""In a study's folder: what it was last run with."""
DATABASE = "studies.db"
"""The file in the runs folder that holds the trials of all studies."""

MAX_IMAGES_OR_ARCHS = 1_000_000
"""More images or sampled architectures than anybody means: a slip of the keyboard."""


def _count(value: object) -> object:
    """Let people write 300M or 1.5G for a number of multiply–adds."""
    if isinstance(value, str) and (count := parse_count(value)) is not None:
        return count
    return value


def parse_count(text: str) -> float | None:
    """The number that `300M`, `1.5G`, `20k` or `1000` writes; None for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*([kKMG]?)", text.strip())
    if match is None:
        return None
    return float(match[1]) * {"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}[match[2]]


def _no_null(value: object) -> object:
    if "\0" in str(value):
        raise ValueError("a null character is in no name of a file")
    return value


_Path = Annotated[Path, BeforeValidator(_no_null)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SupernetSettings(_Settings):
    """The supernet's size and training; part of what defines a study."""

    space_options: dict[str, Any] = {}
    """Over those of the study, which are the networks': a supernet may be smaller than they."""
    steps: NonNegativeInt = 1000
    """0 leaves the supernet untrained, for comparison."""
    batch_size: Annotated[int, Field(ge=2)] = 64
    learning_rate: PositiveFloat = 0.02
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: NonNegativeFloat = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    gradient_clip: PositiveFloat = 5.0
    augment: bool = True
    bn_groups: PositiveInt = 4
    """Parts of a batch that BatchNorm normalises separately; torchrun's processes share them."""

    @model_validator(mode="before")
    @classmethod
    def _earlier_versions_had_one_group(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("sync_batchnorm") is True:
            return {"bn_groups": 1} | {k: v for k, v in values.items() if k != "sync_batchnorm"}
        return values


class ScoreSettings(_Settings):
    """What an architecture is scored on; part of what defines a study."""

    images: Annotated[int, Field(ge=8, le=MAX_IMAGES_OR_ARCHS)] = 32
    reference: Annotated[int, Field(ge=8, le=MAX_IMAGES_OR_ARCHS)] = 64


CostName = Literal["flops", "latency"]
"""What a network costs: multiply–adds, or milliseconds on this machine."""


class LatencySettings(_Settings):
    """How a network's latency is found, where it is an objective; it then defines the study."""

    source: Literal["table", "measured"] = "table"
    """The sum of its operations, each measured once, or the whole network, measured for itself."""
    batch: Annotated[int, Field(ge=1, le=MAX_IMAGES_OR_ARCHS)] = 1
    threads: Annotated[int, Field(ge=1, le=1024)] = 1


class SearchSettings(_Settings):
    """How long and with what Optuna searches. `objectives` and `max_flops` define a study."""

    objectives: Annotated[tuple[CostName, ...], Field(min_length=1)] = ("flops",)
    """What is minimised beside the score, which is maximised."""
    trials: PositiveInt = 200
    sampler: str = "nsga2"
    population: Annotated[int, Field(ge=4, le=MAX_IMAGES_OR_ARCHS)] = 32
    max_flops: Annotated[PositiveFloat | None, BeforeValidator(_count)] = None

    @field_validator("objectives")
    @classmethod
    def _objectives_differ(cls, value: tuple[CostName, ...]) -> tuple[CostName, ...]:
        if len(set(value)) < len(value):
            raise ValueError("give each objective once")
        return value


class StudySettings(_Settings):
    """Everything that a run needs to know."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    space: str
    space_options: dict[str, Any] = {}
    dataset: str = "digits"
    image_size: Annotated[int, Field(ge=8, le=1024)] = 32
    batchnorm: Literal["unbiased", "biased"] = "unbiased"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    device: str = "auto"
    runs: _Path = Path("runs")
    data_dir: _Path = Path("data")
    storage: Annotated[str, BeforeValidator(_no_null), Field(min_length=1)] | None = None
    supernet: SupernetSettings = SupernetSettings()
    score: ScoreSettings = ScoreSettings()
    latency: LatencySettings = LatencySettings()
    search: SearchSettings = SearchSettings()

    @field_validator("name")
    @classmethod
    def _name_is_free(cls, value: str) -> str:
        if value.lower() == "artifacts":
            raise ValueError("this folder holds the files of all studies; give another name")
        if value.startswith(DATABASE):  # its folder lies beside the database
            raise ValueError("the database has this name")
        return value

    @field_validator("dataset")
    @classmethod
    def _dataset_is_named(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("give the name of a data set or an image folder")
        return value

    @property
    def dataset_name(self) -> str:
        """The data set's name, or that of its folder."""
        return Path(self.dataset).name

    @property
    def folder(self) -> Path:
        """Where everything of the study lies, except its trials."""
        return self.runs / self.name

    @property
    def supernet_space_options(self) -> dict[str, Any]:
        """The options of the space that the supernet is built for."""
        return {**self.space_options, **self.supernet.space_options}

    @property
    def storage_url(self) -> str:
        """The database that holds the trials: one for all studies unless `storage` says else."""
        return self.storage or database_url(self.runs)

    def to_save(self) -> dict[str, Any]:
        """As JSON values, without the storage's passwords: many may read the file."""
        values = self.model_dump(mode="json")
        if self.storage is not None:
            values["storage"] = without_passwords(self.storage)
        return values


def database_url(runs: Path) -> str:
    """The database of all studies of a runs folder."""
    return f"sqlite:///{(runs / DATABASE).absolute()}"


def presets() -> dict[str, Path]:
    """The study files that come with the program, by name."""
    return {path.stem: path for path in sorted(PRESETS.glob("*.toml"))}


def load_settings(study: str, overrides: dict[str, Any] | None = None) -> StudySettings:
    """Settings of a preset's name or a path ending in `.toml`; dotted `overrides` win over it.

    Raises InputError naming the file, the field and what is wrong with it.
    """
    values, path = _read(study)
    _check_inside(values, overrides or {}, path)
    return _validated(values, overrides or {}, path)


def _read(study: str) -> tuple[dict[str, Any], Path]:
    """The values of a preset or a file, its name among them, and its path. Raises InputError."""
    if study.endswith(".toml"):
        path = Path(study)
    elif study in presets():
        path = presets()[study]
    else:
        raise one_of(study, "study", [*presets(), "or the path of a .toml file"])
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"the study file '{path}' is not valid TOML: {error}") from None
    except (OSError, ValueError) as error:  # bytes that are not UTF-8, a path or number too long
        raise InputError(f"cannot read the study file '{_short(path)}': {error}") from None
    values.setdefault("name", path.stem)
    return values, path


def _validated(values: dict[str, Any], overrides: dict[str, Any], path: Path) -> StudySettings:
    """`values` of the file at `path` with `overrides` over them. Raises InputError."""
    for field, value in overrides.items():
        _set(values, field, value)
    try:
        return StudySettings.model_validate(values)
    except ValidationError as error:
        raise InputError(_describe(error, path)) from None


def load_study(study: str, overrides: dict[str, Any] | None = None) -> StudySettings:
    """Settings of a study that may have been run: what it was last run with, by its name.

    A name that no run has is a preset's or a file's, as in `load_settings`; `overrides` win over
    either. Raises InputError.
    """
    given = overrides or {}
    name = given.get("name") or (_read(study)[0]["name"] if study.endswith(".toml") else study)
    place = {"space": "", "name": name, "runs": given.get("runs", "runs")}
    saved = _validated(place, {}, Path(study)).folder / SAVED
    if not saved.exists():
        return load_settings(study, given)
    try:
        values = json.loads(saved.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it holds no settings")
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read '{saved}': {error}") from None
    if "storage" not in given and HIDDEN in str(values.get("storage")):
        raise InputError(
            f"the password of the storage {values['storage']} is not kept in '{saved}': "
            "give --storage URL again"
        )
    return _validated(values, {**given, "runs": place["runs"], "name": name}, saved)


def _check_inside(values: dict[str, Any], overrides: dict[str, Any], path: Path) -> None:
    """Refuse a file whose folders lie elsewhere: one from a stranger must not write anywhere.

    On the command line any folder may be given.
    """
    for field in {"runs", "data_dir", "storage"} - overrides.keys():
        value = values.get(field)
        if not isinstance(value, str) or (field == "storage" and not value.startswith("sqlite")):
            continue
        folder = Path(value.partition("///")[2] if field == "storage" else value)
        if folder.is_absolute() or ".." in folder.parts or value.startswith("~"):
            raise InputError(
                f"the study file '{path}' has {field} = {_SHORT.repr(value)}, which lies outside "
                f"of '{Path.cwd()}': if that is meant, give --{field.replace('_', '-')} yourself"
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
        return f"'{field}' is no setting of a study (from '{path}' or the command line)"
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
