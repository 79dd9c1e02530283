"""The configuration of a study: every field, its type, limits and default."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)
from sqlalchemy.engine import URL

from app.console import printable
from app.database import hide_passwords, parse_url, sqlite_url

DATABASE = "studies.db"
"""The file in the runs folder that holds the trials of all studies."""

MAX_IMAGES_OR_ARCHS = 1_000_000
"""The most images or sampled architectures; a larger number is a typing error."""


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
        raise ValueError("file names hold no null characters")
    return value


def _expand_home(value: object) -> object:
    """Expand `~`, except of a user that does not exist."""
    return os.path.expanduser(value) if isinstance(value, str) else value  # noqa: PTH111


_Path = Annotated[Path, BeforeValidator(_expand_home), BeforeValidator(_no_null)]


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SupernetConfig(_Config):
    """The supernet's size and training; part of what defines a study."""

    space_options: dict[str, Any] = {}
    """Over those of the study, which are the networks': a supernet may be smaller than they."""
    steps: NonNegativeInt = 1000
    """0 leaves the supernet untrained, for comparison."""
    initialisation: Literal["kaiming", "shared"] = "shared"
    """Frozen weights: each drawn by itself, or one shared by the candidates of a choice."""
    batch_size: Annotated[int, Field(ge=2)] = 64
    learning_rate: PositiveFloat = 0.3
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


class ScoreConfig(_Config):
    """What an architecture is scored on; part of what defines a study."""

    images: Annotated[int, Field(ge=8, le=MAX_IMAGES_OR_ARCHS)] = 32
    reference: Annotated[int, Field(ge=8, le=MAX_IMAGES_OR_ARCHS)] = 64


CostName = Literal["flops", "params", "memory", "latency"]
"""What a network costs: multiply–adds, parameters, bytes of activations, or milliseconds here."""

_Limit = Annotated[PositiveFloat | None, BeforeValidator(_count)]


class LatencyConfig(_Config):
    """What a latency is measured with; part of what defines a study that minds it."""

    batch: Annotated[int, Field(ge=1, le=MAX_IMAGES_OR_ARCHS)] = 1
    threads: Annotated[int, Field(ge=1, le=1024)] = 1


class SearchConfig(_Config):
    """How long and with what Optuna searches. The objectives and limits define a study."""

    objectives: Annotated[tuple[CostName, ...], Field(min_length=1, max_length=3)] = ("flops",)
    """What is minimised beside the score, which is maximised."""
    trials: PositiveInt = 200
    sampler: str = "nsga2"
    population: Annotated[int, Field(ge=4, le=MAX_IMAGES_OR_ARCHS)] = 32
    max_flops: _Limit = None
    max_params: _Limit = None
    max_memory: _Limit = None
    """Bytes, k being 1,000."""
    max_latency: _Limit = None
    """Milliseconds."""
    activations: Literal["float32", "int8"] = "float32"
    """What memory is counted in."""

    @property
    def limits(self) -> dict[CostName, float]:
        """The limits that are set, by cost."""
        limits = {name: getattr(self, f"max_{name}") for name in get_args(CostName)}
        return {name: limit for name, limit in limits.items() if limit is not None}

    def uses(self, cost: CostName) -> bool:
        """Whether a cost is minimised or limited."""
        return cost in self.objectives or cost in self.limits

    @field_validator("objectives")
    @classmethod
    def _objectives_differ(cls, value: tuple[CostName, ...]) -> tuple[CostName, ...]:
        if len(set(value)) < len(value):
            raise ValueError("give each objective once")
        return value


class StudyConfig(_Config):
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
    supernet: SupernetConfig = SupernetConfig()
    score: ScoreConfig = ScoreConfig()
    latency: LatencyConfig = LatencyConfig()
    search: SearchConfig = SearchConfig()

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
        """The data set's name, or that of its folder, as it can be shown."""
        return printable(Path(self.dataset).name)

    @property
    def folder(self) -> Path:
        """Where everything of the study lies, except its trials."""
        return self.runs / self.name

    @property
    def supernet_space_options(self) -> dict[str, Any]:
        """The options of the space that the supernet is built for."""
        return {**self.space_options, **self.supernet.space_options}

    @property
    def storage_url(self) -> URL:
        """The database that holds the trials: one for all studies unless `storage` says else."""
        return database_url(self.runs, self.storage)

    def to_save(self) -> dict[str, Any]:
        """Return JSON values without the storage's passwords, since many may read the file."""
        values = self.model_dump(mode="json")
        if self.storage is not None:
            values["storage"] = hide_passwords(parse_url(self.storage))
        return values


def database_url(runs: Path, storage: str | None = None) -> URL:
    """The database at `storage`, else that of a runs folder. Raises InputError for a bad URL."""
    return sqlite_url(runs / DATABASE) if storage is None else parse_url(storage)
