"""How well a score orders architectures by their trained accuracy.

All of it depends on the order of the scores alone, so scores come as ranks
(`app.scores.ranks`). A
statistic that is undefined, as any correlation with a constant, is NaN.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

Array = NDArray[np.float64]

BUDGETS = 40
LOW_BUDGETS = BUDGETS // 3


def kendall(x: Array, y: Array) -> float:
    """Kendall's τ-b of n pairs: 1 for the same order, −1 for the reverse."""
    if len(x) < 2:
        return np.nan
    return float(kendalltau(x, y).statistic)


def spearman(x: Array, y: Array) -> float:
    """Spearman's ρ of n pairs: the correlation of their ranks."""
    a, b = (rank - rank.mean() for rank in (rankdata(x), rankdata(y)))
    spread = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / spread if spread else np.nan


def flops_groups(flops: Array) -> list[NDArray[np.intp]]:
    """Indices of n architectures in groups of similar FLOPs, cheapest first.

    10 groups of equal count, 6 below 500 architectures. Those of equal FLOPs stay together, in
    the group where the middle of them falls; so sizes may differ, and a group may fall away.
    """
    count = 10 if len(flops) >= 500 else 6
    group = ((rankdata(flops) - 0.5) * count / len(flops)).astype(int)
    return [np.flatnonzero(group == g) for g in np.unique(group)]


def kendall_within(x: Array, y: Array, groups: Sequence[NDArray[np.intp]]) -> float:
    """Mean of Kendall's τ inside the groups, over those where it is defined."""
    return float(mean_of_defined(np.array([kendall(x[g], y[g]) for g in groups])))


def mean_of_defined(values: Array) -> Array:
    """Mean over the first axis of what is not NaN; NaN where nothing is."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: Array = np.where(defined, values, 0).sum(0) / defined.sum(0)
    return mean


def regrets(score: Array, accuracy: Array, flops: Array) -> Array:
    """Accuracy lost by trusting the score, for each of 40 FLOPs budgets from low to high.

    The budgets are the quantiles 0.05…1 of the FLOPs. Under each, the best true accuracy minus
    that of the best-scored architecture, in the unit of `accuracy`; where several share the best
    score, the mean of their accuracies, as if one of them were drawn.
    """
    lost = []
    for budget in np.quantile(flops, np.linspace(0.05, 1, BUDGETS)):
        affordable = flops <= budget
        best_scored = affordable & (score == score[affordable].max())
        lost.append(accuracy[affordable].max() - accuracy[best_scored].mean())
    return np.array(lost)
