"""The score of BN-NAS (arXiv 2108.07375), for comparison."""

import torch

from app.scores import SCORES
from app.scores.trace import Trace


@SCORES.register("bn_nas")
def bn_nas(trace: Trace) -> float:
    """Sum over the chosen operations of the mean |γ| of the operation's last BatchNorm.

    An operation without one, such as a skip of the biased supernet, adds nothing.
    """
    means = [gamma.abs().mean() for gamma in trace.bn_gammas]
    return float(torch.stack(means).sum()) if means else 0.0
