"""Options of `python main.py`, and the fields of a study that they set."""

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from app.errors import InputError

FIELDS = {
    "runs": "runs",
    "dataset": "dataset",
    "data_dir": "data_dir",
    "image_size": "image_size",
    "space": "space",
    "trials": "search.trials",
    "train_steps": "supernet.steps",
    "batchnorm": "batchnorm",
    "sampler": "search.sampler",
    "max_flops": "search.max_flops",
    "objective": "search.objectives",
    "seed": "seed",
    "device": "device",
    "storage": "storage",
    "study_name": "name",
}
"""Field of a study file by option; `--set FIELD=VALUE` sets any other."""

Study = Annotated[
    str, typer.Option(help="A study that was run, a preset, or a study file (.toml).")
]
Runs = Annotated[Path | None, typer.Option(help="Folder of database and studies [runs].")]
Dataset = Annotated[str | None, typer.Option(help="A data set's name or an image folder.")]
DataDir = Annotated[Path | None, typer.Option(help="Where downloads are kept [data].")]
ImageSize = Annotated[int | None, typer.Option(help="Pixels a side [32].")]
Space = Annotated[str | None, typer.Option(help="Search space.")]
Trials = Annotated[int | None, typer.Option(help="Total number of trials to reach [200].")]
TrainSteps = Annotated[int | None, typer.Option(help="Training steps of the supernet [1000].")]
BatchNorm = Annotated[str | None, typer.Option(help="unbiased or biased [unbiased].")]
Sampler = Annotated[str | None, typer.Option(help="nsga2, nsga3, tpe, gp or random [nsga2].")]
MaxFlops = Annotated[
    str | None, typer.Option(help="Most multiply–adds of a network, such as 80M [no limit].")
]
Costs = Annotated[
    list[str] | None, typer.Option(help="flops, latency, or both, minimised [flops].")
]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random [0].")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1, … [auto].")]
Storage = Annotated[
    str | None,
    typer.Option(help="Database URL [studies.db in --runs].", envvar="BNNAS_STORAGE"),
]
StudyName = Annotated[str | None, typer.Option(help="Name to keep the study under.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Any field of the study file."),
]

TrialNumbers = Annotated[list[int] | None, typer.Option(help="A trial's number.")]
Archs = Annotated[list[str] | None, typer.Option(help="An architecture's string.")]
Picks = Annotated[
    list[str] | None, typer.Option(help="knee, best-score, max-flops=300M or max-latency=5 (ms).")
]


def overrides(context: typer.Context) -> dict[str, Any]:
    """The fields that a command line sets, by dotted name. Raises InputError for a bad `--set`."""
    given = {
        FIELDS[name]: value
        for name, value in context.params.items()
        if name in FIELDS and value not in (None, (), [])
    }
    return given | _assignments(context.params.get("set_") or [])


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
