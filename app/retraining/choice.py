"""Which networks: trials by number, architectures by string, picks from the front, the best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.config import CostName
from app.costs import COSTS
from app.errors import InputError
from app.pareto import Row, check_pick, pareto_front, pick_from, within
from spaces import ArchitectureError, Space


@dataclass(frozen=True)
class SelectedArch:
    """An architecture, what to call it, and the trials that found it."""

    label: str
    arch: str
    trials: list[int]
    score: float | None


@dataclass(frozen=True)
class Selection:
    """What the user asked for. Raises InputError for an unknown pick, before any work."""

    trials: Sequence[int] = ()
    archs: Sequence[str] = ()
    picks: Sequence[str] = ()

    def __post_init__(self) -> None:
        for pick in self.picks:
            check_pick(pick)


def choose(
    space: Space,
    rows: list[Row],
    selection: Selection,
    objectives: Sequence[CostName] = ("flops",),
) -> list[SelectedArch]:
    """The networks asked for, each architecture once, in that order.

    Raises InputError for a trial that is not there or not complete, a string that is no
    architecture, and a pick that finds nothing.
    """
    labels: dict[str, list[str]] = {}
    by_number = {row.trial: row for row in rows}
    for number in selection.trials:
        if number not in by_number:
            known = f"0 to {max(by_number)}" if by_number else "none yet: run the study first"
            raise InputError(f"--trial {number}: there is no such completed trial ({known})")
        labels.setdefault(by_number[number].arch, []).append(f"trial {number}")
    for text in selection.archs:
        try:
            labels.setdefault(space.canonical(text), [])
        except ArchitectureError as error:
            raise InputError(f"--arch: {error}") from None
    for pick in selection.picks:
        front = pareto_front(rows, objectives)
        if rows and not front:
            raise InputError(f"--pick {pick}: no trial of the study meets its limits")
        row = pick_from(front, pick, objectives)
        labels.setdefault(row.arch, []).append(f"{pick} (trial {row.trial})")
    chosen = []
    for arch, names in labels.items():
        same = [row for row in rows if row.arch == arch]
        names = names or [f"trial {row.trial}" for row in same[:1]] or [arch]
        trials, score = [row.trial for row in same], same[0].score if same else None
        chosen.append(SelectedArch(", ".join(names), arch, trials, score))
    return chosen


def choose_best(
    rows: list[Row],
    limits: Mapping[CostName, float],
    count: int,
    objectives: Sequence[CostName],
) -> list[SelectedArch]:
    """The best by score within the limits; without any, networks spread evenly along the front.

    Raises InputError if there are none.
    """
    if not rows:
        raise InputError("there is no completed trial yet: run the study first")
    feasible = [row for row in rows if row.feasible]
    if not feasible:
        raise InputError("no trial of the study meets its limits")
    for name, limit in limits.items():
        feasible = within(feasible, COSTS[name], limit, f"--max-{name}")
    if not limits:
        front = pareto_front(feasible, objectives)
        places = {round(i * (len(front) - 1) / (count - 1)) for i in range(count)}
        best = [front[place] for place in sorted(places)]
    else:
        ranked = sorted(feasible, key=lambda row: (row.score, -row.trial))
        best = list({row.arch: row for row in ranked}.values())[: -count - 1 : -1]
    return [SelectedArch(f"trial {r.trial}", r.arch, [r.trial], r.score) for r in best]
