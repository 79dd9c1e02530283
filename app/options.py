"""Options of `python main.py`: a table of those that set fields of a study, and the recipe's."""

import functools
import inspect
import math
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from app.errors import InputError
from app.trained import Recipe, option_name

Command = Callable[..., None]


def parse_duration(text: str) -> float:
    """The seconds that `3h`, `90m`, `45s` or `45` write. Raises InputError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*([hms]?)", text.strip())
    seconds = float(match[1]) * {"h": 3600, "m": 60, "s": 1, "": 1}[match[2]] if match else 0.0
    if not 0 < seconds < math.inf:
        raise InputError(f"--timeout {text}: write a time such as 3h, 90m or 45s")
    return seconds


Timeout = Annotated[
    float | None,
    typer.Option(
        parser=parse_duration, metavar="TIME", help="Stop after 3h, 90m or 45s [no limit]."
    ),
]


class StudyOption(NamedTuple):
    """An option, and the field of a study file that it sets."""

    field: str
    annotation: Any
    """The annotation of a parameter that typer makes an option."""


def _option(field: str, kind: Any, text: str, **more: Any) -> StudyOption:
    return StudyOption(field, Annotated[kind | None, typer.Option(help=text, **more)])


OPTIONS = {
    "runs": _option("runs", Path, "Folder of database and studies [runs]."),
    "dataset": _option("dataset", str, "A data set's name or an image folder."),
    "data_dir": _option("data_dir", Path, "Where downloads are kept [data]."),
    "image_size": _option("image_size", int, "Pixels a side [the study's]."),
    "space": _option("space", str, "Search space."),
    "trials": _option("search.trials", int, "Total number of trials to reach [the study file's]."),
    "train_steps": _option(
        "supernet.steps", int, "Training steps of the supernet [the study file's]."
    ),
    "batchnorm": _option("batchnorm", str, "unbiased or biased [unbiased]."),
    "sampler": _option("search.sampler", str, "nsga2, nsga3, tpe, gp or random [nsga2]."),
    "max_flops": _option("search.max_flops", str, "Most multiply–adds, such as 80M [the study's]."),
    "max_params": _option("search.max_params", str, "Most parameters, such as 500k [the study's]."),
    "max_memory": _option(
        "search.max_memory", str, "Most bytes of activations at once, such as 256k [the study's]."
    ),
    "max_latency": _option(
        "search.max_latency", str, "Most milliseconds on this machine [the study's]."
    ),
    "objective": _option(
        *("search.objectives", list[str]),
        "One to three of flops, params, memory and latency, minimised [flops].",
    ),
    "seed": _option("seed", int, "Seed of everything random [the study's]."),
    "device": _option("device", str, "auto, cpu, cuda, cuda:1, … [auto]."),
    "storage": _option(
        "storage", str, "Database URL [studies.db in --runs].", envvar="BNNAS_STORAGE"
    ),
    "study_name": _option("name", str, "Name to keep the study under."),
}
SET = _option("", list[str], "Any field of the study file.", metavar="FIELD=VALUE")
"""`--set FIELD=VALUE`, for fields that have no option of their own."""

FILES = ("runs", "dataset", "data_dir")
STORED = ("storage", "study_name", "set")
LIMITS = ("max_flops", "max_params", "max_memory", "max_latency")
"""Groups of options that several commands have."""


def study_options(*names: str) -> Callable[[Command], Command]:
    """Give a command the options `names`, and what they set as its argument `given`.

    `given` holds the values on the command line by dotted field, such as `search.trials`.
    """

    def collect(values: dict[str, Any]) -> dict[str, Any]:
        assigned = _assignments(values.pop("set", None) or [])
        return {OPTIONS[k].field: v for k, v in values.items() if v not in (None, [])} | assigned

    options = {name: OPTIONS.get(name, SET).annotation for name in names}
    return _replace_argument("given", options, collect)


def recipe_options(command: Command) -> Command:
    """Give a command an option for each field of Recipe, and the recipe as argument `recipe`."""
    options: dict[str, Any] = {}
    for field, info in Recipe.model_fields.items():
        kind: Any = info.annotation
        default = "" if kind is bool or info.default is None else f" [{info.default}]"
        option = typer.Option(option_name(field), help=f"{info.description}{default}")
        options[field] = Annotated[kind | None, option]
    return _replace_argument("recipe", options, Recipe.from_options)(command)


def _replace_argument(
    argument: str, options: dict[str, Any], collect: Callable[[dict[str, Any]], Any]
) -> Callable[[Command], Command]:
    """Replace an argument of a command by options, from whose values `collect` makes it."""
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in options.items()
    ]

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def run(**values: Any) -> None:
            collected = collect({name: values.pop(name) for name in options})
            command(**values, **{argument: collected})

        signature = inspect.signature(command)
        own = [p for p in signature.parameters.values() if p.name != argument]
        vars(run)["__signature__"] = signature.replace(parameters=[*own, *parameters])
        return run

    return decorate


def _assignments(texts: list[str]) -> dict[str, Any]:
    """`FIELD=VALUE` texts, the values read as TOML where they are, as strings otherwise."""
    values: dict[str, Any] = {}
    for text in texts:
        field, equals, value = text.partition("=")
        if not equals or not all(field.split(".")):
            raise InputError(
                f"--set '{text[:100]}': write FIELD=VALUE, such as supernet.batch_size=32"
            )
        try:
            read = tomllib.loads(f"value = {value}")
            values[field] = read["value"] if len(read) == 1 else value
        except (ValueError, RecursionError):  # also a number that is too long to be read
            values[field] = value
    return values
