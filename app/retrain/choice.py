"""Which networks: trials by number, architectures by string, or picks from the Pareto front."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import InputError
from app.report.front import COSTS, Row, pareto_front
from app.report.statistics import lowest_in_view
from app.settings import CostName, parse_count
from spaces import ArchitectureError, Space


@dataclass(frozen=True)
class SelectedArch:
    """An architecture, what to call it, and the trials that found it."""

    label: str
    arch: str
    trials: tuple[int, ...]
    score: float | None = None


@dataclass(frozen=True)
class Selection:
    """What the user asked for."""

    trials: Sequence[int] = ()
    archs: Sequence[str] = ()
    picks: Sequence[str] = ()


def choose(
    space: Space,
    rows: list[Row],
    selection: Selection,
    objectives: Sequence[CostName] = ("flops",),
) -> list[SelectedArch]:
    """The networks asked for, each architecture once, in that order.

    Raises InputError for a trial that is not there or not complete, a string that is no
    architecture, and a pick that is unknown or finds nothing.
    """
    found: dict[str, list[str]] = {}
    by_number = {row.trial: row for row in rows}
    for number in selection.trials:
        if number not in by_number:
            known = f"0 to {max(by_number)}" if by_number else "none yet: run the study first"
            raise InputError(f"--trial {number}: there is no such completed trial ({known})")
        found.setdefault(by_number[number].arch, []).append(f"trial {number}")
    for text in selection.archs:
        try:
            found.setdefault(space.canonical(text), [])
        except ArchitectureError as error:
            raise InputError(f"--arch: {error}") from None
    for pick in selection.picks:
        front = pareto_front(rows, objectives)
        if rows and not front:
            raise InputError(f"--pick {pick}: no trial of the study keeps to its --max-flops")
        row = pick_from(front, pick, objectives)
        found.setdefault(row.arch, []).append(f"{pick} (trial {row.trial})")
    return [_chosen(arch, labels, rows) for arch, labels in found.items()]


def pick_from(front: list[Row], pick: str, objectives: Sequence[CostName] = ("flops",)) -> Row:
    """The row of the front that `knee`, `best-score`, `max-flops=300M` or `max-latency=5` names.

    The knee is the row farthest above the line from the cheapest to the best, all axes scaled to
    the front's extent; of several costs their mean counts. Raises InputError.
    """
    name, equals, value = pick.partition("=")
    limits = {"max-flops": COSTS["flops"], "max-latency": COSTS["latency"]}
    if name not in ("knee", "best-score", *limits) or (name in limits) != bool(equals):
        raise InputError(
            f"--pick {pick}: give knee, best-score, max-flops=300M, or max-latency=5 (milliseconds)"
        )
    if not front:
        raise InputError(f"--pick {pick}: there is no completed trial yet; run the study first")
    if name == "best-score":
        return max(front, key=lambda row: row.score)
    if name == "knee":
        scores = [row.score for row in front]
        floor = lowest_in_view(scores)  # one degenerate network would move the line's end far down
        costs = [[COSTS[name].of(row) for row in front] for name in objectives]
        return front[knee(costs, [max(s, floor) for s in scores])]
    cost = limits[name]
    limit = parse_count(value)
    if limit is None:
        raise InputError(f"--pick {pick}: '{value}' is no number such as 300M or 2.5")
    affordable = [row for row in front if (cost.exact(row) or math.inf) <= limit]
    if not affordable:
        least = min(front, key=cost.of)
        if math.isnan(cost.of(least)):
            raise InputError(f"--pick {pick}: latency is no objective of this study")
        raise InputError(
            f"--pick {pick}: the cheapest network of the front takes "
            f"{cost.show(least)} {cost.suffix}"
        )
    return max(affordable, key=lambda row: row.score)


def knee(costs: Sequence[Sequence[float]], scores: Sequence[float]) -> int:
    """The index farthest above the line from the cheapest to the best; a sequence each cost."""

    def scaled(values: Sequence[float]) -> NDArray[Any]:
        array: NDArray[Any] = np.array(values, float) - min(values)
        return array / (array.max() or 1)

    spent = np.mean([scaled(values) for values in costs], axis=0)
    return int(np.argmax(scaled(scores) - spent))


def _chosen(arch: str, labels: list[str], rows: list[Row]) -> SelectedArch:
    same = [row for row in rows if row.arch == arch]
    trials = tuple(row.trial for row in same)
    if not labels:
        labels = [f"trial {trials[0]}"] if trials else [arch if len(arch) < 30 else f"{arch[:29]}…"]
    return SelectedArch(", ".join(labels), arch, trials, same[0].score if same else None)
