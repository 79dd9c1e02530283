"""One number from several scores, the same on every worker and after every resume.

Ranks need a population, and Optuna needs one number a trial. So each measure is mapped to its
quantile in a fixed reference sample of random architectures, and the composite is the sum of
the logarithms of these quantiles: an architecture must do well in every measure, as a low
quantile in one of them cannot be made good by the others (AZ-NAS, arXiv 2403.19232, sums
log-ranks for the same reason).
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from app.scores import MEASURES, PARTS

FLOOR = -20.0
"""The least logarithm of a quantile, and what a measure that is not finite (None) counts as."""

LOWEST = FLOOR * len(MEASURES)
"""The composite of a degenerate architecture, below which nothing can score."""


class LogQuantile:
    """The logarithm of a value's quantile in a sample, strictly increasing everywhere.

    Between the sample's values the quantile is interpolated, rank/(n + 1) at each of them.
    Beyond its ends it goes on with exponential tails of the sample's standard deviation, so
    that architectures better than all of the sample still differ.
    """

    def __init__(self, sample: Sequence[float]) -> None:
        """Raises ValueError for an empty sample."""
        values = np.sort(np.asarray(sample, dtype=float))
        if not len(values):
            raise ValueError("a quantile needs a sample of at least one value")
        self.n = len(values)
        self.scale: float = float(values.std()) or 1.0
        self.values, first, repeats = np.unique(values, return_index=True, return_counts=True)
        self.ranks = first + (repeats + 1) / 2  # equal values share their mean rank

    def __call__(self, value: float | None) -> float:
        """A number between FLOOR and 0; FLOOR for None."""
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
    """The sum of the log-quantiles of all measures; each part is the sum of those of its own."""

    def __init__(self, reference: Sequence[Mapping[str, float | None]]) -> None:
        """`reference` holds the measures of each architecture of the reference sample.

        Raises ValueError when no architecture of the sample has a finite value of some measure.
        """
        self._log_quantiles = {}
        for name in MEASURES:
            finite = [v for scores in reference if (v := scores[name]) is not None]
            if not finite:
                raise ValueError(f"no architecture of the reference sample has a finite {name}")
            self._log_quantiles[name] = LogQuantile(finite)

    def __call__(self, scores: Mapping[str, float | None]) -> float:
        """Between LOWEST and 0; higher is better."""
        return sum(self.parts(scores).values())

    def parts(self, scores: Mapping[str, float | None]) -> dict[str, float]:
        """Expressivity, trainability and uncertainty, each up to 0; they add up to the whole."""
        return {
            part: sum(self._log_quantiles[name](scores[name]) for name in names)
            for part, names in PARTS.items()
        }
