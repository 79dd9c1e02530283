"""What the terminal shows at the end of a run: the front, and what to do with it."""

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from app.costs import COSTS
from app.pareto import KNEE
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
            limits = [COSTS[name] for name in data.config.search.limits]
            options = " and ".join(f"--max-{cost.name}" for cost in limits)
            least = (f"{cost.show(min(data.rows, key=cost.of))} {cost.unit}" for cost in limits)
            out.print(f"No trial meets {options}; the least of all is {', '.join(least)}.")
        return
    titles = [*data.columns, "architecture"]
    other_costs = [cost.title for cost in data.shown_costs if cost is not data.costs[0]]
    droppable = ["architecture", "params (M)", "percentile", *other_costs]
    unbounded = out.options.update(max_width=ANY_WIDTH)
    table = front_table(data, titles)
    while Measurement.get(out, unbounded, table).maximum > out.width and droppable:
        titles.remove(droppable.pop(0))
        table = front_table(data, titles)
    notes = [f"* knee: {KNEE}"]
    if "percentile" in titles:
        count = len(data.reference_scores)
        notes.append(f"percentile: share of {count} random networks that score lower, in %")
    if "architecture" not in titles:
        notes.append(f"all columns and architectures: {StudyPaths(data.config.folder).front}")
    notes += ["", "To train the knee from scratch (--trial N instead of --pick takes another):"]
    objectives = " and ".join(n.replace("flops", "FLOPs") for n in data.config.search.objectives)
    out.print(f"\nPareto front: score up, {objectives} down\n")
    out.print(table)
    for line in ["", *notes, study_command("retrain", data.config, "--pick", "knee"), ""]:
        out.print(line, soft_wrap=True, markup=False)


def front_table(data: ReportData, titles: list[str]) -> Table:
    """Return these columns of the front as a table that wraps nothing."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in titles:
        table.add_column(title.replace(" (", "\n("), justify="right", no_wrap=True)
    table.columns[-1].justify = "left" if titles[-1] == "architecture" else "right"
    show = data.columns | {"architecture": lambda row: row.arch}
    for row in data.front:
        table.add_row(*(escape(show[title](row)) for title in titles))
    return table
