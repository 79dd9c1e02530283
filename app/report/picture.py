"""A picture of the search: every trial, the front, and the constraint."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from app.atomic import write_atomically
from app.pareto import COSTS, outer_fence
from app.report.data import ReportData


def write_picture(path: Path, data: ReportData) -> None:
    """Draw score against each cost as PNG, a panel each.

    Trials far below all others are left out of view, and counted.
    """
    rows, front, search = data.rows, data.front, data.config.search
    scores = np.array([row.score for row in rows])
    figure = Figure(figsize=(8 * len(data.costs), 5), dpi=150, layout="constrained")
    figure.suptitle(
        f"{data.config.name}: {data.config.space} on {data.config.dataset_name}, "
        f"{len(rows)} trials".replace("$", r"\$")  # else matplotlib reads a formula
    )
    panels = figure.subplots(1, len(data.costs), squeeze=False)[0]
    for axes, cost in zip(panels, data.costs, strict=True):
        numbers = [row.trial for row in rows]
        x = [cost.of(row) for row in rows]
        points = axes.scatter(x, scores, c=numbers, s=14, alpha=0.8, linewidths=0)
        axes.plot(
            [cost.of(row) for row in front],
            [row.score for row in front],
            drawstyle="steps-post",
            linestyle="-" if len(data.costs) == 1 else "",  # at two costs, no line
            marker="o",
            markersize=5,
            color="crimson",
            label=f"Pareto front ({len(front)})",
        )
        if search.max_flops is not None and cost is COSTS["flops"]:
            limit = search.max_flops / cost.scale
            axes.axvline(limit, color="grey", linestyle="--", label="--max-flops")
        lowest = min([outer_fence(list(scores)), *(row.score for row in front)])
        if hidden := int((scores < lowest).sum()):
            axes.set_ylim(bottom=lowest - 0.05 * (scores.max() - lowest))
            note = f"{hidden} lower trials not shown"
            axes.text(0.01, 0.01, note, transform=axes.transAxes, color="grey", fontsize=8)
        axes.set_xscale("log")
        for axis in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
            axis("{x:g}")
        axes.set(xlabel=cost.title, ylabel="score (sum of log-quantiles)")
        axes.legend(loc="lower right")
        axes.grid(alpha=0.3)
    figure.colorbar(points, ax=panels[-1], label="trial")
    write_atomically(path, lambda file: figure.savefig(file, format="png"))
