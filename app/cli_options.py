"""Options that several commands of `python main.py` have."""

from pathlib import Path
from typing import Annotated

import typer

Study = Annotated[str, typer.Option(help="A preset's name or a study file.")]
Runs = Annotated[Path | None, typer.Option(help="Folder of the database and the studies.")]
Dataset = Annotated[str | None, typer.Option(help="A data set's name or an image folder.")]
DataDir = Annotated[Path | None, typer.Option(help="Where downloads are kept.")]
ImageSize = Annotated[int | None, typer.Option(help="Pixels a side.")]
TrainSteps = Annotated[int | None, typer.Option(help="Steps of the supernet.")]
BatchNorm = Annotated[str | None, typer.Option(help="unbiased or biased.")]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1, …")]
Storage = Annotated[
    str | None,
    typer.Option(help="Database URL; default: studies.db in --runs.", envvar="BNNAS_STORAGE"),
]
StudyName = Annotated[str | None, typer.Option(help="Name to keep the study under.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Any field of the study file."),
]

KnownStudy = Annotated[str, typer.Option(help="A study that was run, a preset or a study file.")]
Trials = Annotated[list[int] | None, typer.Option(help="A trial's number.")]
Archs = Annotated[list[str] | None, typer.Option(help="An architecture's string.")]
Picks = Annotated[
    list[str] | None, typer.Option(help="knee, best-score, max-flops=300M or max-latency=5 (ms).")
]
