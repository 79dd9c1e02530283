"""Figures about a search: its hypervolume trial by trial, and what each choice matters."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from app.report.front import Cost, Row


def lowest_in_view(scores: Sequence[float]) -> float:
    """Tukey's outer fence: what lies below it would hide all differences among the others."""
    if not len(scores):
        return -np.inf
    low, high = np.quantile(scores, [0.25, 0.75])
    return float(low - 3 * (high - low))


def hypervolume(rows: Sequence[Row], cost: Cost) -> list[float]:
    """Of the feasible rows up to each one, as a share of the box that holds the feasible rows.

    The box reaches from the lowest score in view to the highest and from the lowest cost to the
    highest; 1 would be one network that is best in both.
    """
    feasible = [row for row in rows if row.feasible]
    if not feasible:
        return [0.0] * len(rows)
    scores = [row.score for row in feasible]
    floor = max(min(scores), lowest_in_view(scores))
    costs = [cost.of(row) for row in feasible]
    low, high, top = min(costs), max(costs), max(scores)
    box = (high - low) * (top - floor) or 1.0
    front: list[tuple[float, float]] = []
    volumes, volume = [], 0.0
    for row in rows:
        point = (cost.of(row), row.score)
        if row.feasible and not any(c <= point[0] and s >= point[1] for c, s in front):
            front = sorted(
                [(c, s) for c, s in front if not (c >= point[0] and s <= point[1])] + [point]
            )
            ends = [c for c, _ in front[1:]] + [high]
            strips = zip(front, ends, strict=True)
            volume = sum((end - c) * max(0.0, s - floor) for (c, s), end in strips) / box
        volumes.append(volume)
    return volumes


@dataclass(frozen=True)
class Importance:
    """How much of the spread of score and of costs goes with one choice, between 0 and 1."""

    choice: str
    score: float
    costs: tuple[float, ...]
    options: dict[str, float]
    """The mean score with each option that was tried."""


def importances(
    rows: Sequence[Row], choices: Mapping[str, Mapping[str, Any]], costs: Sequence[Cost]
) -> list[Importance]:
    """Of each choice over different architectures, in the order of the space.

    `choices` holds the parameters of each architecture. The measure is the correlation ratio η²:
    the variance between the options' means over the whole variance. Interactions are not seen,
    and what a sampler came to prefer is seen more often.
    """
    by_arch = {row.arch: row for row in rows}
    if len(by_arch) < 2:
        return []
    unique = list(by_arch.values())
    floor = lowest_in_view([row.score for row in unique])
    found = []
    for choice in choices[unique[0].arch]:
        scores: dict[str, list[float]] = defaultdict(list)
        spent: list[dict[str, list[float]]] = [defaultdict(list) for _ in costs]
        for row in unique:
            option = str(choices[row.arch][choice])
            scores[option].append(max(row.score, floor))
            for cost, values in zip(costs, spent, strict=True):
                values[option].append(cost.of(row))
        means = {option: fmean(values) for option, values in sorted(scores.items())}
        shares = tuple(_ratio(values.values()) for values in spent)
        found.append(Importance(choice, _ratio(scores.values()), shares, means))
    return found


def _ratio(groups: Any) -> float:
    """η² of values in groups."""
    values = [np.array(group) for group in groups]
    everything = np.concatenate(values)
    total = float(((everything - everything.mean()) ** 2).sum())
    between = sum(len(v) * float((v.mean() - everything.mean()) ** 2) for v in values)
    return between / total if total else 0.0
