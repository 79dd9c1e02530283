"""A picture of the search: every trial, the front, and the constraint."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from app.files import write_atomically
from app.report.front import Row
from app.report.statistics import lowest_in_view


def write_picture(
    path: Path, rows: list[Row], front: list[Row], max_flops: float | None, title: str
) -> None:
    """Score against FLOPs as PNG. Trials far below all others are left out of view, and counted."""
    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    macs = np.array([row.flops for row in rows]) / 1e6
    scores = np.array([row.score for row in rows])
    points = axes.scatter(
        macs, scores, c=[row.trial for row in rows], s=14, cmap="viridis", alpha=0.8, linewidths=0
    )
    figure.colorbar(points, label="trial")
    axes.plot(
        [row.flops / 1e6 for row in front],
        [row.score for row in front],
        drawstyle="steps-post",
        marker="o",
        markersize=5,
        color="crimson",
        label=f"Pareto front ({len(front)})",
    )
    if max_flops is not None:
        axes.axvline(max_flops / 1e6, color="grey", linestyle="--", label="--max-flops")
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
    axes.set(xlabel="multiply–adds (M)", ylabel="score (sum of log-quantiles)", title=title)
    axes.legend(loc="lower right")
    axes.grid(alpha=0.3)
    write_atomically(path, lambda file: figure.savefig(file, format="png"))


def _lowest_in_view(scores: np.ndarray, front: list[float]) -> float:
    """Tukey's outer fence, but never above a point of the front."""
    if not len(scores):
        return -np.inf
    low, high = np.quantile(scores, [0.25, 0.75])
    fence = lowest_in_view(list(scores))
    return float(min([fence, *(score - 0.05 * (high - low) for score in front)]))
