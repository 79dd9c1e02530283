"""The Pareto front of a study: score up, FLOPs down."""

import csv
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from app.files import write_text


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


def pareto_front(rows: list[Row]) -> list[Row]:
    """Feasible rows that no feasible row beats, cheapest first; one row an architecture."""
    front: list[Row] = []
    feasible = (row for row in rows if row.feasible)
    for row in sorted(feasible, key=lambda row: (row.flops, -row.score, row.trial)):
        if not front or row.score > front[-1].score:
            front.append(row)
    return front


def write_front(path: Path, front: list[Row]) -> None:
    """The front as CSV, one row an architecture."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in front)
    write_text(path, text.getvalue())


def front_table(front: list[Row]) -> Table:
    """The front for a terminal."""
    table = Table(title="Pareto front: score up, FLOPs down", title_justify="left")
    for column in ("trial", "score", "FLOPs (M)", "params (M)"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("architecture", overflow="fold")
    for row in front:
        table.add_row(
            str(row.trial),
            f"{row.score:.3f}",
            f"{row.flops / 1e6:.1f}",
            f"{row.params / 1e6:.3f}",
            row.arch,
        )
    return table
