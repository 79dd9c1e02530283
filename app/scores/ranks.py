"""Ranks of scores, in which those that do not exist are worst."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


def ranks(values: Sequence[float | None]) -> NDArray[np.float64]:
    """Ranks from 1 up of n scores; equal ones share their mean rank.

    A score that is missing or not finite ranks below all that are: a search would not take it.
    """
    scores = np.array([np.nan if value is None else value for value in values], dtype=float)
    scores[~np.isfinite(scores)] = -np.inf
    return np.asarray(rankdata(scores))
