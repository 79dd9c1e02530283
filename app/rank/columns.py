"""Columns of scores over the rows of a table, put together from what was measured."""

from collections.abc import Sequence
from statistics import fmean

from app.rank.choice import COMPOSITE, OURS, WITHOUT, measured_parts
from app.rank.store import Store
from app.scores import MEASURES, PARTS, SCORES
from app.scores.baselines import combine
from app.scores.composite import Composite

Columns = dict[str, Sequence[float | None]]
"""n values of each score by name; None where it is not finite."""


def score_columns(
    archs: Sequence[str], chosen: Sequence[str], store: Store, composite: Composite
) -> Columns:
    """The chosen scores of n architectures; rank sums are over these n."""
    columns: Columns = {
        part: [store.measured(arch, part).value for arch in archs]
        for name in chosen
        for part in measured_parts(name)
    }
    columns |= combine(columns)
    if any(name in OURS for name in chosen):
        columns |= _ours(archs, store, composite)
    return {name: columns[name] for name in chosen}


def _ours(archs: Sequence[str], store: Store, composite: Composite) -> Columns:
    """The composite, its parts, and the composite without each of them."""
    rows = [
        composite.parts({name: store.measured(arch, name).value for name in MEASURES})
        for arch in archs
    ]
    columns: Columns = {part: [row[part] for row in rows] for part in PARTS}
    columns[COMPOSITE] = [sum(row.values()) for row in rows]
    for name, part in WITHOUT.items():
        columns[name] = [sum(row.values()) - row[part] for row in rows]
    return columns


def seconds_per_architecture(
    archs: Sequence[str], chosen: Sequence[str], store: Store
) -> dict[str, float]:
    """Mean time that each chosen score takes alone.

    Ours are measured together, so each of them and the composite has the time of all; a rank
    sum has the time of its parts.
    """

    def mean(part: str) -> float:
        return fmean(store.measured(arch, part).seconds for arch in archs)

    return {
        name: mean(MEASURES[0])
        if name in OURS or name in SCORES
        else sum(mean(part) for part in measured_parts(name))
        for name in chosen
    }


def hardware(archs: Sequence[str], chosen: Sequence[str], store: Store) -> str:
    """What the chosen scores of these architectures were measured on."""
    parts = {part for name in chosen for part in measured_parts(name)}
    names = {store.measured(arch, part).hardware for arch in archs for part in parts}
    return " and ".join(sorted(names))
