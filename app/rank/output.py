"""What the rank benchmark prints and writes: a table, CSV, JSON and a picture."""

import csv
import io
import math
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from app.atomic import write_atomically, write_json, write_text
from app.errors import InputError
from app.rank.scores import Column
from app.rank.statistics import Interval, Ranking, has_finite, ranks
from app.rank.table import Table
from spaces import Cost

PIPED_WIDTH = 140
MAX_PANELS_PER_ROW = 4


@dataclass(frozen=True)
class Result:
    """The outcome of a rank benchmark on the rows of a table."""

    study: str
    seed: int
    definition: dict[str, Any]
    table: Table
    costs: list[Cost]
    columns: dict[str, Column]
    rankings: dict[str, Ranking]
    """By score, highest τ first, undefined ones last."""
    seconds: dict[str, float]
    """Per architecture, by score."""
    hardware: str
    resamples: int


def write_result(result: Result, folder: Path, json_file: Path | None) -> None:
    """Write CSV, JSON and picture into `folder`, and print the table and their paths."""
    name = re.sub(r"[^\w.-]+", "_", f"{result.table.path.stem}-{result.table.column}")
    scores, results, picture = (folder / f"{name}.{suffix}" for suffix in ("csv", "json", "png"))
    write_text(scores, csv_text(result))
    write_json(results, json_values(result))
    figure = draw(result)
    write_atomically(picture, lambda file: figure.savefig(file, format="png"))
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    out = Console(highlight=False, markup=False, width=width)
    out.print(score_table(result))
    undefined = [name for name, column in result.columns.items() if not has_finite(column)]
    if undefined:
        out.print(f"no finite value for any architecture: {', '.join(undefined)}")
    files = {"scores": scores, "results": results, "picture": picture}
    files["measured"] = folder / "*.jsonl"
    if json_file is not None:
        try:
            write_json(json_file, json_values(result))
        except OSError as error:
            raise InputError(f"cannot write --json '{json_file}': {error.strerror}") from None
        files["json"] = json_file
    for what, path in files.items():
        out.print(f"{what:<10}{path}", soft_wrap=True)


def score_table(result: Result) -> RichTable:
    """All scores side by side for a terminal, best first."""
    title = (
        f"{result.study}: {len(result.table.rows)} architectures of {result.table.path.name}, "
        f"{result.table.column}; 95 % bootstrap intervals in brackets"
    )
    table = RichTable(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("score", no_wrap=True)
    for column in ("τ", "ρ", "τ within FLOPs", "regret mean", "regret max", "s/arch"):
        table.add_column(column, justify="right")
    for name, ranking in result.rankings.items():
        table.add_row(
            name,
            _with_interval(ranking.tau, ranking.tau_interval),
            _number(ranking.rho, 3),
            _with_interval(ranking.tau_within_flops, ranking.tau_within_flops_interval),
            _number(ranking.regret_mean, 2),
            _number(ranking.regret_max, 2),
            f"{result.seconds[name]:.3g}",
        )
    return table


def json_values(result: Result) -> dict[str, Any]:
    """The results as JSON values; undefined statistics are null."""
    return {
        "scores": {
            name: {
                **{key: _json(value) for key, value in asdict(ranking).items()},
                "seconds_per_architecture": result.seconds[name],
            }
            for name, ranking in result.rankings.items()
        },
        "n": len(result.table.rows),
        "architectures": len(result.table.archs),
        "table": str(result.table.path),
        "column": result.table.column,
        "study": result.study,
        "seed": result.seed,
        "resamples": result.resamples,
        "hardware": result.hardware,
        "definition": result.definition,
    }


def csv_text(result: Result) -> str:
    """One line per row of the table: architecture, accuracy, cost, and every score."""
    names = [name for name in result.columns if name not in ("flops", "params")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["arch", "accuracy", "flops", "params", *names])
    for i, (row, cost) in enumerate(zip(result.table.rows, result.costs, strict=True)):
        values = [result.columns[name][i] for name in names]
        writer.writerow([row.arch, row.accuracy, cost.macs, cost.params, *values])
    return text.getvalue()


def draw(result: Result) -> Figure:
    """Scatter plots of the trained accuracy over the rank of each score, coloured by FLOPs."""
    across = min(MAX_PANELS_PER_ROW, len(result.rankings))
    rows = -(-len(result.rankings) // across)
    figure = Figure(figsize=(3 * across + 1, 2.6 * rows + 0.5), dpi=100, layout="constrained")
    accuracies = [row.accuracy for row in result.table.rows]
    flops = np.array([cost.macs for cost in result.costs]) / 1e6
    for i, (name, ranking) in enumerate(result.rankings.items(), 1):
        axes = figure.add_subplot(rows, across, i)
        axes.set_title(f"{name}: τ = {ranking.tau:.3f}", fontsize="medium")
        axes.grid(alpha=0.3)
        points = axes.scatter(ranks(result.columns[name]), accuracies, c=flops, s=8, linewidths=0)
    figure.supxlabel("rank by score (right is best)")
    figure.supylabel(result.table.column)
    figure.colorbar(points, ax=figure.axes, label="multiply–adds (M)", aspect=30)
    return figure


def _json(value: float | Interval) -> float | list[float | None] | None:
    if isinstance(value, tuple):
        return [None if math.isnan(end) else end for end in value]
    return None if math.isnan(value) else value


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _with_interval(value: float, interval: Interval) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.3f} [{interval[0]:.2f},{interval[1]:.2f}]"
