"""What the terminal shows at the end of a run: the front, and what to do with it."""

from collections.abc import Callable, Mapping

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from app.pareto import KNEE, Row
from app.paths import StudyPaths
from app.report.data import ReportData
from app.study_file import study_command

ANY_WIDTH = 10_000


def print_front(data: ReportData, out: Console) -> None:
    """Print the front, what its columns mean, and the command that trains its knee.

    No value is broken: columns that do not fit are left out, the least important first.
    """
    if not data.front:
        if data.rows:
            cheapest = min(row.flops for row in data.rows) / 1e6
            out.print(
                f"No trial keeps to --max-flops; the cheapest takes {cheapest:.1f} M multiply-adds."
            )
        return
    columns: dict[str, Callable[[Row], str]] = {**data.columns, "architecture": lambda r: r.arch}
    other_costs = (cost.title for cost in data.shown_costs if cost is not data.costs[0])
    droppable = ["architecture", "params (M)", "percentile", *other_costs]
    everything = len(columns)
    while _width(table := front_table(data.front, columns), out) > out.width and droppable:
        del columns[droppable.pop(0)]
    lines = [f"* knee: {KNEE}"]
    if "percentile" in columns:
        count = len(data.reference_scores)
        lines.append(f"percentile: share of {count} random networks that score lower, in %")
    if len(columns) < everything:
        lines.append(f"all columns and architectures: {StudyPaths(data.config.folder).front}")
    command = study_command("retrain", data.config, "--pick", "knee")
    lines += ["", "To train the knee from scratch (--trial N instead of --pick takes another):"]
    objectives = " and ".join(n.replace("flops", "FLOPs") for n in data.config.search.objectives)
    out.print(f"\nPareto front: score up, {objectives} down\n")
    out.print(table)
    for line in ["", *lines, command, ""]:
        out.print(line, soft_wrap=True, markup=False)


def front_table(front: list[Row], columns: Mapping[str, Callable[[Row], str]]) -> Table:
    """Return the front as a table that wraps nothing."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in columns:
        is_number = title != "architecture"
        heading = title.replace(" (", "\n(")
        table.add_column(heading, justify="right" if is_number else "left", no_wrap=True)
    for row in front:
        table.add_row(*(escape(show(row)) for show in columns.values()))
    return table


def _width(table: Table, out: Console) -> int:
    return Measurement.get(out, out.options.update(max_width=ANY_WIDTH), table).maximum
