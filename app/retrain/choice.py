"""Which networks: trials by number, architectures by string, or picks from the Pareto front."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.errors import InputError
from app.report.front import Row, pareto_front
from app.report.statistics import lowest_in_view
from app.settings import parse_count
from spaces import ArchitectureError, Space


@dataclass(frozen=True)
class Chosen:
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


def choose(space: Space, rows: list[Row], selection: Selection) -> list[Chosen]:
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
        front = pareto_front(rows)
        if rows and not front:
            raise InputError(f"--pick {pick}: no trial of the study keeps to its --max-flops")
        row = pick_from(front, pick)
        found.setdefault(row.arch, []).append(f"{pick} (trial {row.trial})")
    return [_chosen(arch, labels, rows) for arch, labels in found.items()]


def pick_from(front: list[Row], pick: str) -> Row:
    """The row of the front that `knee`, `best-score` or `max-flops=300M` names.

    The knee is the row farthest above the line from the cheapest to the best, both axes scaled to
    the front's extent. Raises InputError.
    """
    name, equals, value = pick.partition("=")
    if name not in ("knee", "best-score", "max-flops") or (name == "max-flops") != bool(equals):
        raise InputError(f"--pick {pick}: give knee, best-score, or max-flops=300M")
    if not front:
        raise InputError(f"--pick {pick}: there is no completed trial yet; run the study first")
    if name == "best-score":
        return front[-1]
    if name == "knee":
        scores = [row.score for row in front]
        floor = lowest_in_view(scores)  # one degenerate network would move the line's end far down
        return front[knee([row.flops for row in front], [max(s, floor) for s in scores])]
    limit = parse_count(value)
    if limit is None:
        raise InputError(f"--pick {pick}: '{value}' is no number such as 300M")
    affordable = [row for row in front if row.flops <= limit]
    if not affordable:
        raise InputError(
            f"--pick {pick}: the cheapest network of the front takes "
            f"{front[0].flops / 1e6:.1f}M multiply–adds"
        )
    return affordable[-1]


def knee(flops: Sequence[float], scores: Sequence[float]) -> int:
    """The index farthest above the line between the ends; both sequences rise."""
    x, y = np.array(flops, float), np.array(scores, float)
    x, y = ((v - v[0]) / ((v[-1] - v[0]) or 1) for v in (x, y))
    return int(np.argmax(y - x))


def _chosen(arch: str, labels: list[str], rows: list[Row]) -> Chosen:
    same = [row for row in rows if row.arch == arch]
    trials = tuple(row.trial for row in same)
    if not labels:
        labels = [f"trial {trials[0]}"] if trials else [arch if len(arch) < 30 else f"{arch[:29]}…"]
    return Chosen(", ".join(labels), arch, trials, same[0].score if same else None)
