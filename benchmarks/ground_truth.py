"""The spaces with tables of trained accuracies, and the settings for each. Nothing to run."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import common  # noqa: F401  (makes `app` importable)
import typer

from app.atomic import write_text
from app.errors import one_of
from app.rank.table import read_table


@dataclass(frozen=True)
class Benchmark:
    """The column of accuracies in a space's table, and settings over the space's preset."""

    column: str
    options: dict[str, Any] = field(default_factory=dict)


# Over every preset; supernets keep the size of their preset, except for NAS-Bench-101.
EVERYWHERE: dict[str, Any] = {
    "score.images": 64,
    "supernet.steps": 1000,
    "supernet.batch_size": 64,
}
# Sizes of the stand-alone networks, which the baselines read and `flops` counts.
BENCHMARKS = {
    "nasbench201": Benchmark(
        "cifar10_test",
        {"space_options.cells": 5, "space_options.channels": 16, "supernet.steps": 2000},
    ),
    # a quarter of the published width, at a sixteenth of the cost
    "nasbench101": Benchmark(
        "cifar10_test",
        {
            "space_options.modules": 3,
            "space_options.channels": 32,
            "supernet.space_options": {"modules": 3, "channels": 32},
            "supernet.steps": 500,
        },
    ),
    "nasbenchmacro": Benchmark("cifar10_test"),
    "mnasnet": Benchmark("imagenet_top1"),
    # the size that DARTS searches with, not the size of its final networks
    "darts": Benchmark("cifar10_valid", {"space_options.layers": 8, "space_options.channels": 16}),
}


def network_sizes(space: str) -> dict[str, Any]:
    """Settings of the sizes of a space's networks; none without a table."""
    return BENCHMARKS[space].options if space in BENCHMARKS else {}


Tables = Annotated[Path, typer.Option(help="Folder of the tables SPACE-dev.csv.")]
Dataset = Annotated[str, typer.Option(help="CIFAR-10: a name or an image folder.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the results there.")]


def table_path(tables: Path, space: str) -> Path:
    """The path of a space's table."""
    return tables / f"{space}-dev.csv"


def odd_rows(tables: Path, spaces: Iterable[str], folder: Path) -> Path:
    """Write tables with rows 1, 3, 5, … only; the score was chosen on rows 0, 2, 4, …"""
    for space in spaces:
        with table_path(tables, space).open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([header, *rows[1::2]])
        write_text(table_path(folder, space), text.getvalue())
    return folder


def benchmarks_of(spaces: str, tables: Path) -> dict[str, Benchmark]:
    """Look up the benchmarks of a comma-separated list of spaces.

    Raises InputError for a bad table, now and not after hours of work on another one.
    """
    names = list(dict.fromkeys(name.strip() for name in spaces.split(",")))
    for name in names:
        if name not in BENCHMARKS:
            raise one_of(name, "space", list(BENCHMARKS))
        read_table(table_path(tables, name), BENCHMARKS[name].column)
    return {name: BENCHMARKS[name] for name in names}


def markdown_row(cells: list[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"
