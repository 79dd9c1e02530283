"""How well a score orders architectures by their trained accuracy.

Only the order of a score matters, so the functions here take its ranks. A statistic that is
undefined, such as a correlation with a constant, is NaN.

Intervals are percentiles over bootstrap resamples, each written as the number of times w that it
holds each architecture. With the n×n signs S_ij = sign(x_i − x_j), Kendall's τ-b of a resample is
wᵀ(Sˣ∘Sʸ)w / √(wᵀ|Sˣ|w · wᵀ|Sʸ|w), and Sw is twice its centred ranks, whose correlation is
Spearman's ρ. So a thousand resamples are a few matrix products.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

Array = NDArray[np.float64]
Groups = Sequence[NDArray[np.intp]]
Interval = tuple[float, float]

BUDGETS = 40
BLOCK_ROWS = 256
"""Rows of the sign matrices in memory at once; those of a large table would fill it."""


@dataclass(frozen=True)
class Ranking:
    """How well a score ranks, with 95 % bootstrap intervals; NaN is undefined."""

    tau: float
    tau_interval: Interval
    rho: float
    rho_interval: Interval
    tau_within_flops: float
    tau_within_flops_interval: Interval
    regret_mean: float
    """Over 40 FLOPs budgets, in the unit of the accuracies."""
    regret_max: float


class Ranker:
    """Compares scores with the accuracies of n architectures.

    All scores are compared on the same FLOPs groups and the same bootstrap resamples.
    """

    def __init__(self, accuracy: Sequence[float], flops: Sequence[int], seed: int) -> None:
        self.accuracy: Array = np.array(accuracy, dtype=float)
        self.flops: Array = np.array(flops, dtype=float)
        self.groups = flops_groups(self.flops)
        self.counts = resample(len(accuracy), seed)

    def __call__(self, values: Sequence[float | None]) -> Ranking:
        """Rank n values of a score; higher is better. Without a finite one all is undefined."""
        score, accuracy, counts = ranks(values), self.accuracy, self.counts
        taus, rhos = resampled_correlations(score, accuracy, counts)
        within = [
            resampled_correlations(score[g], accuracy[g], counts[:, g])[0] for g in self.groups
        ]
        lost = regrets(score, accuracy, self.flops) if has_finite(values) else np.array([np.nan])
        return Ranking(
            tau=kendall(score, accuracy),
            tau_interval=_interval(taus),
            rho=spearman(score, accuracy),
            rho_interval=_interval(rhos),
            tau_within_flops=kendall_within(score, accuracy, self.groups),
            tau_within_flops_interval=_interval(_mean_of_defined(within)),
            regret_mean=float(lost.mean()),
            regret_max=float(lost.max()),
        )


def has_finite(values: Sequence[float | None]) -> bool:
    """Whether a score is a number for any architecture."""
    return any(value is not None and np.isfinite(value) for value in values)


def ranks(values: Sequence[float | None]) -> Array:
    """Ranks from 1 up of n values; equal values share their mean rank.

    None, NaN and infinities rank below all numbers, as a search would not take them.
    """
    scores = np.array([np.nan if value is None else value for value in values], dtype=float)
    scores[~np.isfinite(scores)] = -np.inf
    return np.asarray(rankdata(scores))


def kendall(x: Array, y: Array) -> float:
    """Kendall's τ-b of n pairs: 1 for the same order, −1 for the reverse."""
    return float(kendalltau(x, y).statistic) if len(x) > 1 else np.nan


def spearman(x: Array, y: Array) -> float:
    """Spearman's ρ of n pairs: the correlation of their ranks."""
    with np.errstate(invalid="ignore"):
        return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])


def flops_groups(flops: Array) -> Groups:
    """Split n architectures into groups of similar FLOPs, cheapest first; returns indices.

    There are 10 groups of equal size, or 6 below 500 architectures. Equal FLOPs stay together in
    the group of their middle one, so sizes may differ and a group may be missing.
    """
    count = 10 if len(flops) >= 500 else 6
    group = ((rankdata(flops) - 0.5) * count / len(flops)).astype(int)
    return [np.flatnonzero(group == g) for g in np.unique(group)]


def kendall_within(x: Array, y: Array, groups: Groups) -> float:
    """Mean of Kendall's τ-b over the groups in which it is defined."""
    return float(_mean_of_defined([kendall(x[g], y[g]) for g in groups]))


def regrets(score: Array, accuracy: Array, flops: Array) -> Array:
    """Accuracy lost by trusting the score, for each of 40 FLOPs budgets from low to high.

    The budgets are the quantiles 0.05…1 of the FLOPs. The regret is the best true accuracy within
    the budget minus the true accuracy of the best-scored architecture within it, or the mean of
    several that share the best score.
    """
    lost = []
    for budget in np.quantile(flops, np.linspace(0.05, 1, BUDGETS)):
        affordable = flops <= budget
        best_scored = affordable & (score == score[affordable].max())
        lost.append(accuracy[affordable].max() - accuracy[best_scored].mean())
    return np.array(lost)


def resample(n: int, seed: int) -> NDArray[np.float32]:
    """Draw resamples×n counts: 1,000 resamples up to n = 2,000, then fewer, down to 100.

    Work grows with resamples × n².
    """
    resamples = int(np.clip(4e9 / n**2, 100, 1000))
    rng = np.random.default_rng(seed)
    return rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float32)


def resampled_correlations(x: Array, y: Array, counts: NDArray[np.float32]) -> tuple[Array, Array]:
    """Kendall's τ-b and Spearman's ρ in each resample."""
    forms = np.zeros((6, len(counts)))
    for start in range(0, len(x), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        a, b = (np.sign(v[rows, None] - v).astype(np.float32) for v in (x, y))
        x_ranks, y_ranks = counts @ a.T, counts @ b.T
        pairs = (counts @ product.T for product in (a * b, a * a, b * b))
        for i, form in enumerate((*pairs, x_ranks * y_ranks, x_ranks**2, y_ranks**2)):
            forms[i] += (counts[:, rows] * form).sum(1)
    with np.errstate(invalid="ignore"):
        taus, rhos = forms[::3] / np.sqrt(forms[1::3] * forms[2::3])
    return taus, rhos


def _interval(values: Array) -> Interval:
    defined = values[~np.isnan(values)]
    low, high = np.percentile(defined, [2.5, 97.5]) if len(defined) else (np.nan, np.nan)
    return float(low), float(high)


def _mean_of_defined(values: Sequence[Array | float]) -> Array:
    """Mean over the first axis of whatever is not NaN."""
    mean = np.ma.masked_invalid(np.array(values)).mean(0)
    return np.asarray(np.ma.filled(mean, np.nan))
