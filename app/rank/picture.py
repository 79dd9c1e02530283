"""Scatter pictures: each score against the trained accuracy, coloured by FLOPs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from app.atomic import write_atomically

GRID = 4
"""Panels side by side in the overview, at most."""


def write_pictures(
    stem: Path,
    columns: Mapping[str, Sequence[float | None]],
    taus: Mapping[str, float],
    accuracies: Sequence[float],
    flops: Sequence[int],
    label: str,
) -> None:
    """Write `<stem>.png`, all scores in one, and `<stem>-<score>.png` of each."""

    def draw(axes: Axes, name: str) -> PathCollection:
        axes.set_title(f"{name}: τ = {taus[name]:.3f}", fontsize="medium")
        axes.grid(alpha=0.3)
        x, scale = positions(columns[name])
        axes.set_xscale(scale)
        if scale == "linear":
            axes.locator_params(axis="x", nbins=5)
            axes.ticklabel_format(axis="x", scilimits=(-3, 5))
        colours = np.array(flops) / 1e6
        return axes.scatter(x, accuracies, c=colours, s=8, cmap="viridis", linewidths=0)

    def save(path: Path, figure: Figure, points: PathCollection) -> None:
        figure.colorbar(points, ax=figure.axes, label="multiply–adds (M)", aspect=30)
        write_atomically(path, lambda file: figure.savefig(file, format="png"))

    across = min(GRID, len(columns))
    rows = -(-len(columns) // across)
    overview = Figure(figsize=(3 * across + 1, 2.6 * rows + 0.5), dpi=100, layout="constrained")
    for i, name in enumerate(columns, 1):
        points = draw(overview.add_subplot(rows, across, i), name)
        single = Figure(figsize=(6, 4.5), dpi=120)  # laying out twenty figures would take long
        axes = single.add_subplot()
        axes.set(xlabel=name, ylabel=label)
        save(stem.with_name(f"{stem.name}-{name}.png"), single, draw(axes, name))
    overview.supylabel(label)
    save(stem.with_name(f"{stem.name}.png"), overview, points)


def positions(values: Sequence[float | None]) -> tuple[NDArray[np.float64], str]:
    """Where n scores lie on the axis, and its scale.

    Positive scores that span orders of magnitude get a logarithmic axis. Those beyond Tukey's
    outer fences are drawn on them, or a few would squeeze all others together; a missing score
    is drawn at the lowest place.
    """
    x = np.array([np.nan if value is None else value for value in values], dtype=float)
    x[~np.isfinite(x)] = np.nan
    if np.isnan(x).all():
        return np.zeros(len(x)), "linear"
    x = np.where(np.isnan(x), np.nanmin(x), x)
    low, high = np.quantile(x, [0.01, 0.99])
    if low > 0 and high > 100 * low:
        return np.maximum(x, low), "log"
    first, third = np.quantile(x, [0.25, 0.75])
    reach = 3 * (third - first)
    return (np.clip(x, first - reach, third + reach) if reach else x), "linear"
