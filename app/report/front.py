"""The Pareto front of a study: score up, costs down."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from app.atomic import write_text
from app.settings import CostName


@dataclass(frozen=True)
class Row:
    """One trial, as tables and pictures show it."""

    trial: int
    score: float
    flops: int
    params: int
    expressivity: float | None
    trainability: float | None
    uncertainty: float | None
    bn_nas: float | None
    feasible: bool
    arch: str
    latency_ms: float | None = None
    """Where it is an objective."""

    @staticmethod
    def of(trial: FrozenTrial) -> "Row":
        """Of a completed trial."""
        names = [f.name for f in fields(Row) if f.name not in ("trial", "score", "feasible")]
        attributes: dict[str, Any] = {name: trial.user_attrs.get(name) for name in names}
        return Row(
            trial=trial.number,
            score=trial.values[0],
            feasible=all(value <= 0 for value in trial.constraints.values()),
            **attributes,
        )


def completed_rows(study: Study) -> list[Row]:
    """All completed trials of an architecture, oldest first; others may have added some of none."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [Row.of(trial) for trial in trials if "arch" in trial.user_attrs]


@dataclass(frozen=True)
class Cost:
    """A cost that is minimised, as tables and pictures show it."""

    name: str
    """For a heading."""
    axis: str
    """For an axis of a picture."""
    suffix: str
    """Behind a number in a sentence."""
    unit: float
    digits: int
    attribute: str

    def exact(self, row: Row) -> float | None:
        """Multiply–adds or milliseconds; None where the row has none."""
        value: float | None = getattr(row, self.attribute)
        return value

    def of(self, row: Row) -> float:
        """In the unit; not a number where the row has none."""
        value = self.exact(row)
        return math.nan if value is None else value / self.unit

    def show(self, row: Row) -> str:
        """For a table."""
        return f"{self.of(row):.{self.digits}f}"


COSTS: dict[CostName, Cost] = {
    "flops": Cost("FLOPs (M)", "multiply–adds (M)", "M multiply–adds", 1e6, 1, "flops"),
    "latency": Cost("latency (ms)", "latency (ms)", "ms", 1.0, 3, "latency_ms"),
}


def pareto_front(rows: Sequence[Row], objectives: Sequence[CostName] = ("flops",)) -> list[Row]:
    """Feasible rows that no feasible row beats in score and all objectives.

    Cheapest by the first objective first; one row an architecture.
    """

    def costs(row: Row) -> tuple[float, ...]:
        return tuple(COSTS[name].of(row) for name in objectives)

    front: list[tuple[Row, tuple[float, ...]]] = []
    feasible = ((row, costs(row)) for row in rows if row.feasible)
    # whatever beats a row comes before it in this order
    for row, cost in sorted(feasible, key=lambda pair: (pair[1], -pair[0].score, pair[0].trial)):
        if not any(
            other.score >= row.score and all(a <= b for a, b in zip(theirs, cost, strict=True))
            for other, theirs in reversed(front)
        ):
            front.append((row, cost))
    return [row for row, _ in front]


def write_front(path: Path, front: list[Row]) -> None:
    """The front as CSV, one row an architecture."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in front)
    write_text(path, text.getvalue())


def shown_costs(objectives: Sequence[CostName]) -> list[Cost]:
    """The columns of a table: FLOPs always, latency where it is an objective."""
    return [COSTS[name] for name in COSTS if name == "flops" or name in objectives]


def front_table(front: list[Row], objectives: Sequence[CostName] = ("flops",)) -> Table:
    """The front for a terminal."""
    costs = shown_costs(objectives)
    names = " and ".join("FLOPs" if name == "flops" else name for name in objectives)
    table = Table(title=f"Pareto front: score up, {names} down", title_justify="left")
    for column in ("trial", "score", *(cost.name for cost in costs), "params (M)"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("architecture", overflow="fold")
    for row in front:
        table.add_row(
            str(row.trial),
            f"{row.score:.3f}",
            *(cost.show(row) for cost in costs),
            f"{row.params / 1e6:.3f}",
            row.arch,
        )
    return table
