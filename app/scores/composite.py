"""The composite: one number from several scores, the same on every worker and after every resume.

Ranks need a population, but Optuna needs one number per trial. So each measure is mapped to its
quantile in a fixed reference sample of random architectures, and the composite is the sum of the
logarithms of these quantiles. An architecture must do well in every measure, since others cannot
make up for a low quantile (AZ-NAS, arXiv 2403.19232, sums log-ranks for the same reason).
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from app.scores import MEASURES, PARTS

FLOOR = -20.0
"""The lowest logarithm of a quantile, and the value of a measure that is None (not finite)."""

LOWEST = FLOOR * len(MEASURES)
"""The lowest composite, that of a degenerate architecture."""


def percentile(score: float, reference: Sequence[float]) -> float:
    """The share of the reference scores that are lower, in percent; ties count half."""
    scores = np.asarray(reference)
    return float(50 * ((scores < score).mean() + (scores <= score).mean()))


class LogQuantile:
    """Maps a value to the logarithm of its quantile in a sample, strictly increasing everywhere.

    The quantile is rank/(n + 1) at each value of the sample and interpolated in between. Beyond
    the ends it has exponential tails with the sample's standard deviation, so architectures that
    are better than the whole sample still differ.
    """

    def __init__(self, sample: Sequence[float]) -> None:
        """Raises ValueError for an empty sample."""
        values = np.sort(np.asarray(sample, dtype=float))
        if not len(values):
            raise ValueError("the sample of a quantile is empty")
        self.n = len(values)
        self.scale: float = float(values.std()) or 1.0
        self.values, first, repeats = np.unique(values, return_index=True, return_counts=True)
        self.ranks = first + (repeats + 1) / 2  # equal values share their mean rank

    def __call__(self, value: float | None) -> float:
        """Between FLOOR and 0; FLOOR for None."""
        if value is None or not math.isfinite(value):
            return FLOOR
        low, high = float(self.values[0]), float(self.values[-1])
        if value > high:
            rest = 1 - float(self.ranks[-1]) / (self.n + 1)
            return math.log1p(-rest * math.exp(-(value - high) / self.scale))
        if value < low:
            tail = math.log(float(self.ranks[0]) / (self.n + 1)) - (low - value) / self.scale
            return max(FLOOR, tail)
        rank = float(np.interp(value, self.values, self.ranks))
        return math.log(rank / (self.n + 1))


class Composite:
    """Sums the log-quantiles of the measures; each part is the sum over its own measures."""

    def __init__(self, reference: Sequence[Mapping[str, float | None]]) -> None:
        """Take the scores of each architecture of the reference sample.

        Raises ValueError if a measure is finite for none of them.
        """
        self._log_quantiles = {}
        for name in MEASURES:
            finite = [v for scores in reference if (v := scores.get(name)) is not None]
            if not finite:
                raise ValueError(f"no architecture of the reference sample has a finite {name}")
            self._log_quantiles[name] = LogQuantile(finite)

    def __call__(self, scores: Mapping[str, float | None]) -> float:
        """Between LOWEST and 0; higher is better."""
        return sum(self.parts(scores).values())

    def parts(self, scores: Mapping[str, float | None]) -> dict[str, float]:
        """Expressivity, trainability and uncertainty, at most 0 each; they sum to the composite."""
        return {
            part: sum(self._log_quantiles[name](scores[name]) for name in names)
            for part, names in PARTS.items()
        }
