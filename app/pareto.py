"""The Pareto front of a study, score up and costs down, and the networks to pick from it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.study import Study
from optuna.trial import FrozenTrial

from app.config import CostName, parse_count
from app.costs import COSTS, Cost
from app.errors import InputError
from app.trials import completed_trials

KNEE = "the network farthest above the straight line from the front's cheapest to its best, "
KNEE += "costs on a logarithmic axis"

BUDGETS = 20


@dataclass(frozen=True)
class Row:
    """One completed trial, as tables and pictures show it."""

    trial: int
    score: float
    flops: int
    """Multiply–adds."""
    params: int
    expressivity: float | None
    trainability: float | None
    uncertainty: float | None
    bn_nas: float | None
    feasible: bool
    arch: str
    latency_ms: float | None = None
    """Set where latency is an objective or limited."""
    memory: int | None = None
    """Bytes of activations; trials of earlier versions lack it."""

    @staticmethod
    def of(trial: FrozenTrial) -> "Row":
        """Read a completed trial."""
        names = [f.name for f in fields(Row) if f.name not in ("trial", "score", "feasible")]
        attributes: dict[str, Any] = {name: trial.user_attrs.get(name) for name in names}
        return Row(
            trial=trial.number,
            score=trial.values[0],
            feasible=all(value <= 0 for value in trial.constraints.values()),
            **attributes,
        )


def completed_rows(study: Study) -> list[Row]:
    """Return the completed trials, oldest first, except those that other programs have added."""
    return [Row.of(trial) for trial in completed_trials(study)]


def pareto_front(rows: Sequence[Row], objectives: Sequence[CostName] = ("flops",)) -> list[Row]:
    """Return the feasible rows that no feasible row beats in score and all objectives.

    The cheapest by the first objective comes first; each architecture appears once.
    """

    front: list[tuple[Row, list[float]]] = []
    feasible = [(row, [COSTS[name].of(row) for name in objectives]) for row in rows if row.feasible]
    # in this order, a row can only be beaten by rows before it
    for row, cost in sorted(feasible, key=lambda pair: (pair[1], -pair[0].score, pair[0].trial)):
        if not any(
            other.score >= row.score and all(a <= b for a, b in zip(theirs, cost, strict=True))
            for other, theirs in reversed(front)
        ):
            front.append((row, cost))
    return [row for row, _ in front]


LIMITS = {f"max-{name}": cost for name, cost in COSTS.items()}


def check_pick(pick: str) -> None:
    """Raises InputError unless a pick is one that `pick_from` understands."""
    name, equals, value = pick.partition("=")
    if name not in ("knee", "best-score", *LIMITS) or (name in LIMITS) != bool(equals):
        raise InputError(
            f"--pick {pick}: give knee, best-score, max-flops=300M, max-params=500k, "
            "max-memory=256k (bytes) or max-latency=5 (milliseconds)"
        )
    if equals and parse_count(value) is None:
        raise InputError(f"--pick {pick}: '{value}' is not a number such as 300M or 2.5")


def pick_from(front: list[Row], pick: str, objectives: Sequence[CostName] = ("flops",)) -> Row:
    """Return the row that `knee`, `best-score`, or a limit such as `max-flops=300M` names.

    Raises InputError.
    """
    check_pick(pick)
    name, _, value = pick.partition("=")
    if not front:
        raise InputError(f"--pick {pick}: there is no completed trial yet; run the study first")
    if name == "best-score":
        return max(front, key=lambda row: row.score)
    if name == "knee":
        return knee(front, objectives)
    affordable = within(front, LIMITS[name], parse_count(value) or 0.0, f"--pick {pick}")
    return max(affordable, key=lambda row: row.score)


def within(rows: Sequence[Row], cost: Cost, limit: float, option: str) -> list[Row]:
    """The rows that cost at most so much. Raises InputError, naming the option, if none do."""
    affordable = [row for row in rows if cost.of(row) <= limit / cost.scale]  # NaN is not
    if not affordable:
        known = [row for row in rows if not math.isnan(cost.of(row))]
        if not known:
            raise InputError(f"{option}: the trials of this study have no {cost.name}")
        cheapest = min(known, key=cost.of)
        raise InputError(
            f"{option}: the cheapest network found takes {cost.show(cheapest)} {cost.unit}"
        )
    return affordable


def knee(front: Sequence[Row], objectives: Sequence[CostName] = ("flops",)) -> Row:
    """Return the row farthest above the straight line from the cheapest to the best.

    The axes, costs as logarithms, are scaled to the front's extent; of several costs, the mean
    counts.
    """

    def scaled(values: Sequence[float]) -> NDArray[Any]:
        array: NDArray[Any] = np.array(values, float) - min(values)
        return array / (array.max() or 1)

    floor = outer_fence([row.score for row in front])
    # one degenerate network, the cheapest of all, would move the line's end far down
    front = [row for row in front if row.score >= floor]
    gain = scaled([row.score for row in front])
    spent = np.mean(
        [scaled([math.log(COSTS[n].of(row)) for row in front]) for n in objectives], axis=0
    )
    return front[int(np.argmax(gain - spent))]


def by_budget(front: Sequence[Row], lowest: float, highest: float) -> dict[float, Row | None]:
    """The best network within each of 20 budgets, evenly spaced in the logarithm of the FLOPs.

    None where no network of the front is within the budget.
    """
    budgets = [lowest * (highest / lowest) ** (i / (BUDGETS - 1)) for i in range(BUDGETS)]
    budgets[-1] = highest  # whatever rounding did
    within = {b: [row for row in front if row.flops <= b] for b in budgets}
    return {b: max(rows, key=lambda row: row.score, default=None) for b, rows in within.items()}


def outer_fence(scores: Sequence[float]) -> float:
    """Tukey's lower outer fence: plots that reach below it hide all other differences."""
    if not scores:
        return -math.inf
    low, high = np.quantile(scores, [0.25, 0.75])
    return float(low - 3 * (high - low))
