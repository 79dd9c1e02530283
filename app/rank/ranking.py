"""All statistics of one score."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.rank.bootstrap import Interval, correlation_intervals, resample
from app.rank.statistics import (
    LOW_BUDGETS,
    Array,
    flops_groups,
    kendall,
    kendall_within,
    regrets,
    spearman,
)
from app.scores.ranks import ranks


@dataclass(frozen=True)
class Ranking:
    """How well a score ranks; intervals are 95 % bootstrap intervals, NaN is undefined."""

    tau: float
    tau_interval: Interval
    rho: float
    rho_interval: Interval
    tau_within_flops: float
    tau_within_flops_interval: Interval
    regret_mean: float
    """Over 40 FLOPs budgets, in the unit of the accuracies, as are the next two."""
    regret_max: float
    regret_low: float
    """Mean over the lowest third of the budgets."""
    missing: int
    """Architectures without a finite score; they rank lowest."""


class Judge:
    """Ranks scores against the accuracies and FLOPs of n architectures.

    Every score is judged on the same FLOPs groups and the same resamples.
    """

    def __init__(self, accuracy: Sequence[float], flops: Sequence[int], seed: int) -> None:
        self.accuracy: Array = np.array(accuracy, dtype=float)
        self.flops: Array = np.array(flops, dtype=float)
        self.groups: list[NDArray[np.intp]] = flops_groups(self.flops)
        self.counts = resample(len(accuracy), seed)

    def __call__(self, values: Sequence[float | None]) -> Ranking:
        """The ranking of n scores, higher being better."""
        score, accuracy = ranks(values), self.accuracy
        tau, rho, within = correlation_intervals(score, accuracy, self.groups, self.counts)
        lost = regrets(score, accuracy, self.flops)
        return Ranking(
            tau=kendall(score, accuracy),
            tau_interval=tau,
            rho=spearman(score, accuracy),
            rho_interval=rho,
            tau_within_flops=kendall_within(score, accuracy, self.groups),
            tau_within_flops_interval=within,
            regret_mean=float(lost.mean()),
            regret_max=float(lost.max()),
            regret_low=float(lost[:LOW_BUDGETS].mean()),
            missing=sum(value is None or not math.isfinite(value) for value in values),
        )
