"""A picture of the search: every trial, the front, and the constraint."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from app.atomic import write_atomically
from app.report.front import Cost, Row
from app.report.statistics import lowest_in_view


def write_picture(
    path: Path,
    rows: list[Row],
    front: list[Row],
    costs: Sequence[Cost],
    max_flops: float | None,
    title: str,
) -> None:
    """Score against each cost as PNG, a panel each.

    Trials far below all others are left out of view, and counted.
    """
    figure = Figure(figsize=(8 * len(costs), 5), dpi=150, layout="constrained")
    figure.suptitle(title)
    panels = figure.subplots(1, len(costs), squeeze=False)[0]
    for axes, cost in zip(panels, costs, strict=True):
        limit = max_flops if cost.attribute == "flops" else None
        points = _draw(axes, rows, front, cost, limit, line=len(costs) == 1)
    figure.colorbar(points, ax=panels[-1], label="trial")
    write_atomically(path, lambda file: figure.savefig(file, format="png"))


def _draw(
    axes: Axes, rows: list[Row], front: list[Row], cost: Cost, limit: float | None, line: bool
) -> PathCollection:
    """Score against one cost; a front of more than one cost is no line."""
    scores = np.array([row.score for row in rows])
    points = axes.scatter(
        [cost.of(row) for row in rows],
        scores,
        c=[row.trial for row in rows],
        s=14,
        cmap="viridis",
        alpha=0.8,
        linewidths=0,
    )
    axes.plot(
        [cost.of(row) for row in front],
        [row.score for row in front],
        drawstyle="steps-post",
        linestyle="-" if line else "",
        marker="o",
        markersize=5,
        color="crimson",
        label=f"Pareto front ({len(front)})",
    )
    if limit is not None:
        axes.axvline(limit / cost.unit, color="grey", linestyle="--", label="--max-flops")
    lowest = _lowest_in_view(scores, [row.score for row in front])
    hidden = int((scores < lowest).sum())
    if hidden:
        axes.set_ylim(bottom=lowest)
        axes.annotate(
            f"{hidden} lower trials not shown",
            (0.01, 0.01),
            xycoords="axes fraction",
            color="grey",
            fontsize=8,
        )
    axes.set(xlabel=cost.axis, ylabel="score (sum of log-quantiles)")
    axes.legend(loc="lower right")
    axes.grid(alpha=0.3)
    return points


def _lowest_in_view(scores: np.ndarray, front: list[float]) -> float:
    """Tukey's outer fence, but never above a point of the front."""
    if not len(scores):
        return -np.inf
    low, high = np.quantile(scores, [0.25, 0.75])
    fence = lowest_in_view(list(scores))
    return float(min([fence, *(score - 0.05 * (high - low) for score in front)]))
