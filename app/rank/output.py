"""What the rank benchmark prints and writes: a table, CSV and a picture."""

import csv
import io
import sys
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from app.rank.scores import COSTS
from app.rank.statistics import Column, ranks
from app.rank.table import Row
from spaces import Cost

SHOWN = {
    "τ": "tau",
    "ρ": "rho",
    "τ within FLOPs": "tau_within_flops",
    "regret mean": "regret_mean",
    "regret max": "regret_max",
    "s/arch": "seconds_per_architecture",
}
"""Columns of the printed table."""


def print_scores(results: dict[str, Any], columns: dict[str, Column]) -> None:
    """Print all scores side by side, best first, and which have values that are not finite."""
    title = "{study}: {n} architectures of {table}, {column}; 95 % bootstrap intervals in brackets"
    table = RichTable(title=title.format(**results), title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("score", no_wrap=True)
    for heading in SHOWN:
        table.add_column(heading, justify="right")
    for name, score in results["scores"].items():
        table.add_row(name, *(_cell(score, key) for key in SHOWN.values()))
    out = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 140)
    out.print(table)
    missing = {name: list(values).count(None) for name, values in columns.items()}
    for count in sorted(set(missing.values()) - {0}):
        names = ", ".join(name for name in missing if missing[name] == count)
        few = f"{count} architectures, which rank lowest" if count < results["n"] else "all"
        out.print(f"Not finite for {few}: {names}", soft_wrap=True)


def _cell(score: dict[str, Any], key: str) -> str:
    if score[key] is None:
        return "–"
    low, high = score.get(f"{key}_interval", (None, None))
    interval = "" if low is None else f" [{low:.2f},{high:.2f}]"
    return f"{score[key]:.3f}{interval}"


def csv_text(rows: list[Row], costs: list[Cost], columns: dict[str, Column]) -> str:
    """One line per architecture: accuracy, cost, and every score."""
    others = {name: values for name, values in columns.items() if name not in COSTS}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["arch", "accuracy", *COSTS, *others])
    for row, cost, *values in zip(rows, costs, *others.values(), strict=True):
        writer.writerow([row.arch, row.accuracy, cost.macs, cost.params, *values])
    return text.getvalue()


def draw(
    results: dict[str, Any], rows: list[Row], costs: list[Cost], columns: dict[str, Column]
) -> Figure:
    """Scatter plots of the trained accuracy over the rank of each score, coloured by FLOPs."""
    scores = results["scores"]
    across = min(4, len(scores))
    down = -(-len(scores) // across)
    figure = Figure(figsize=(3 * across + 1, 2.6 * down + 0.5), dpi=100, layout="constrained")
    accuracies = [row.accuracy for row in rows]
    flops = np.array([cost.macs for cost in costs]) / 1e6
    for i, (name, score) in enumerate(scores.items(), 1):
        axes = figure.add_subplot(down, across, i)
        axes.set_title(f"{name}\nτ = {_cell(score, 'tau')}", fontsize="medium")
        axes.grid(alpha=0.3)
        points = axes.scatter(ranks(columns[name]), accuracies, c=flops, s=8, linewidths=0)
    figure.supxlabel("rank by score (right is best)")
    figure.supylabel(results["column"])
    figure.colorbar(points, ax=figure.axes, label="multiply–adds (M)", aspect=30)
    return figure
