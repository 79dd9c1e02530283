"""95 % intervals of the rank correlations: percentiles over resampled architectures.

A resample is written as how often it holds each architecture. With the n×n matrix of signs
S_ij = sign(x_i − x_j), the counts w give Kendall's τ-b of the resample as
wᵀ(Sˣ∘Sʸ)w / √(wᵀ|Sˣ|w · wᵀ|Sʸ|w), and Sw is twice the centred ranks in it, whose correlation
is Spearman's ρ. So a thousand resamples are a few matrix products, with no sorting.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.rank.statistics import Array, mean_of_defined

Interval = tuple[float, float]

_BLOCK = 256


def resample(n: int, seed: int) -> NDArray[np.float32]:
    """Resamples×n counts: 1,000 resamples up to n = 2,000, then fewer, down to 100.

    The work grows with resamples × n².
    """
    resamples = int(np.clip(4e9 / n**2, 100, 1000))
    rng = np.random.default_rng(seed)
    return rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float32)


def correlation_intervals(
    x: Array, y: Array, groups: Sequence[NDArray[np.intp]], counts: NDArray[np.float32]
) -> tuple[Interval, Interval, Interval]:
    """Intervals of τ, ρ and the mean τ within `groups`, whose borders stay where they are."""
    tau, rho = resampled_correlations(x, y, counts)
    within = [resampled_correlations(x[g], y[g], counts[:, g])[0] for g in groups]
    return _interval(tau), _interval(rho), _interval(mean_of_defined(np.array(within)))


def resampled_correlations(x: Array, y: Array, counts: NDArray[np.float32]) -> tuple[Array, Array]:
    """Kendall's τ-b and Spearman's ρ in each resample; NaN where undefined."""
    pairs, x_pairs, y_pairs, xy, xx, yy = np.zeros((6, len(counts)))
    for start in range(0, len(x), _BLOCK):  # whole sign matrices of a large table fill the memory
        block = slice(start, start + _BLOCK)
        held = counts[:, block]
        x_signs = np.sign(x[block, None] - x).astype(np.float32)
        y_signs = np.sign(y[block, None] - y).astype(np.float32)
        x_ranks, y_ranks = counts @ x_signs.T, counts @ y_signs.T
        pairs += (held * (counts @ (x_signs * y_signs).T)).sum(1)
        x_pairs += (held * (counts @ np.abs(x_signs).T)).sum(1)
        y_pairs += (held * (counts @ np.abs(y_signs).T)).sum(1)
        xy += (held * x_ranks * y_ranks).sum(1)
        xx += (held * x_ranks**2).sum(1)
        yy += (held * y_ranks**2).sum(1)
    with np.errstate(invalid="ignore"):
        return pairs / np.sqrt(x_pairs * y_pairs), xy / np.sqrt(xx * yy)


def _interval(values: Array) -> Interval:
    defined = values[~np.isnan(values)]
    if not len(defined):
        return np.nan, np.nan
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)
