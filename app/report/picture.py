"""A picture of the search: trials, front and limit."""

from pathlib import Path

from matplotlib.figure import Figure

from app.atomic import write_atomically
from app.report.data import ReportData


def write_picture(path: Path, data: ReportData) -> None:
    """Draw score against each cost as PNG, a panel each."""
    rows, front, search = data.rows_in_view, data.front, data.config.search
    hidden = len(data.rows) - len(rows)
    figure = Figure(figsize=(8 * len(data.costs), 5), dpi=150, layout="constrained")
    figure.suptitle(
        f"{data.config.name}: {data.config.space} on {data.config.dataset_name}, "
        f"{len(data.rows)} trials{f' ({hidden} far below not shown)' if hidden else ''}",
        parse_math=False,
    )
    panels = figure.subplots(1, len(data.costs), squeeze=False)[0]
    for axes, cost in zip(panels, data.costs, strict=True):
        x, y = [cost.of(row) for row in rows], [row.score for row in rows]
        points = axes.scatter(x, y, c=[row.trial for row in rows], s=14, alpha=0.8, linewidths=0)
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
        if (limit := search.limits.get(cost.name)) is not None:
            label = f"--max-{cost.name}"
            axes.axvline(limit / cost.scale, color="grey", linestyle="--", label=label)
        axes.set_xscale("log")
        axes.tick_params(axis="x", which="both", pad=4)
        for axis in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
            axis("{x:g}")
        axes.set(xlabel=cost.title, ylabel="score (sum of log-quantiles)")
        axes.legend(loc="lower right")
        axes.grid(alpha=0.3)
    figure.colorbar(points, ax=panels[-1], label="trial")
    write_atomically(path, lambda file: figure.savefig(file, format="png"))
