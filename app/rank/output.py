"""What the rank benchmark shows and writes."""

import csv
import io
import math
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as Shown

from app.atomic import write_json, write_text
from app.errors import InputError
from app.rank.bootstrap import Interval
from app.rank.columns import Columns
from app.rank.picture import write_pictures
from app.rank.ranking import Ranking
from app.rank.table import Table
from spaces import Cost

PIPED_WIDTH = 140


@dataclass(frozen=True)
class Result:
    """Everything that a rank benchmark found out about n rows of a table."""

    study: str
    seed: int
    definition: dict[str, Any]
    table: Table
    costs: list[Cost]
    columns: Columns
    rankings: dict[str, Ranking]
    seconds: dict[str, float]
    """Per architecture, by score."""
    hardware: str
    resamples: int

    @property
    def by_tau(self) -> list[str]:
        """The names of the scores, highest τ first, undefined ones last."""
        return sorted(self.rankings, key=lambda name: _order(self.rankings[name].tau))


def write_result(result: Result, folder: Path, json_file: Path | None) -> None:
    """Write CSV, JSON and pictures into `folder`; print table and places."""
    name = re.sub(r"[^\w.-]+", "_", f"{result.table.path.stem}-{result.table.column}")
    stem = folder / name
    csv_file, own_json = (stem.with_name(f"{name}.{suffix}") for suffix in ("csv", "json"))
    values = json_values(result)
    write_text(csv_file, csv_text(result))
    write_json(own_json, values)
    write_pictures(
        stem,
        {score: result.columns[score] for score in result.by_tau},
        {score: ranking.tau for score, ranking in result.rankings.items()},
        [row.accuracy for row in result.table.rows],
        [cost.macs for cost in result.costs],
        result.table.column,
    )
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    out = Console(highlight=False, markup=False, width=width)
    out.print(shown_table(result))
    for what, place in {
        "scores": csv_file,
        "results": own_json,
        "picture": f"{stem}.png",
        "of each": f"{stem}-SCORE.png",
        "measured": folder / "*.jsonl",
    }.items():
        out.print(f"{what:<10}{place}", soft_wrap=True)
    if json_file is not None:
        try:
            write_json(json_file, values)
        except OSError as error:
            raise InputError(f"cannot write --json '{json_file}': {error.strerror}") from None
        out.print(f"{'json':<10}{json_file}", soft_wrap=True)


def shown_table(result: Result) -> Shown:
    """All scores side by side for a terminal, best first."""
    title = (
        f"{result.study}: {len(result.table.rows)} architectures of {result.table.path.name}, "
        f"{result.table.column}; 95 % bootstrap intervals in brackets"
    )
    table = Shown(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("score", no_wrap=True)
    for column in ("τ", "ρ", "τ within FLOPs", "regret mean", "regret max", "s/arch"):
        table.add_column(column, justify="right")
    for name in result.by_tau:
        ranking = result.rankings[name]
        table.add_row(
            name,
            _with_interval(ranking.tau, ranking.tau_interval),
            _shown(ranking.rho),
            _with_interval(ranking.tau_within_flops, ranking.tau_within_flops_interval),
            f"{ranking.regret_mean:.2f}",
            f"{ranking.regret_max:.2f}",
            f"{result.seconds[name]:.3g}",
        )
    return table


def json_values(result: Result) -> dict[str, Any]:
    """The results as JSON values; what is undefined is null."""
    return {
        "scores": {
            name: {
                **{key: _json(value) for key, value in asdict(result.rankings[name]).items()},
                "seconds_per_architecture": result.seconds[name],
            }
            for name in result.by_tau
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
    """One line a row of the table: architecture, accuracy, cost, and every score."""
    names = [name for name in result.columns if name not in ("flops", "params")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["arch", "accuracy", "flops", "params", *names])
    for i, (row, cost) in enumerate(zip(result.table.rows, result.costs, strict=True)):
        values = [result.columns[name][i] for name in names]
        writer.writerow([row.arch, row.accuracy, cost.macs, cost.params, *values])
    return text.getvalue()


def _order(tau: float) -> float:
    return math.inf if math.isnan(tau) else -tau


def _json(value: float | Interval) -> float | list[float | None] | None:
    if isinstance(value, tuple):
        return [None if math.isnan(end) else end for end in value]
    return None if math.isnan(value) else value


def _shown(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _with_interval(value: float, interval: Interval) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.3f} [{interval[0]:.2f},{interval[1]:.2f}]"
