"""Scores that exist only in a population: sums of the ranks of other scores."""

from collections.abc import Mapping, Sequence

import numpy as np

from app.scores.ranks import ranks

RANK_SUMS: dict[str, tuple[str, ...]] = {
    "te_nas": ("te_nas_ntk", "te_nas_regions"),
    "az_nas": ("az_nas_expressivity", "az_nas_progressivity", "az_nas_trainability", "flops"),
}
"""The parts of each sum."""

LOGARITHMIC = frozenset({"az_nas"})
"""Sums of log(rank / n) (AZ-NAS, arXiv 2403.19232); the others add the ranks themselves
(TE-NAS, arXiv 2102.11535)."""


def combine(columns: Mapping[str, Sequence[float | None]]) -> dict[str, list[float]]:
    """Each rank sum whose parts are all among `columns`, one value an architecture.

    A column holds one score of the same n architectures in the same order. The worst has rank
    1, the best n; equal scores share their mean rank, and all that are not finite are worst.
    """
    sums = {}
    for name, parts in RANK_SUMS.items():
        if all(part in columns for part in parts):
            table = np.stack([ranks(columns[part]) for part in parts])
            terms = np.log(table / table.shape[1]) if name in LOGARITHMIC else table
            sums[name] = [float(total) for total in terms.sum(0)]
    return sums
