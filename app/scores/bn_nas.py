"""The score of BN-NAS (arXiv 2108.07375), kept as the baseline."""

import torch

from app.scores import register
from app.scores.trace import Trace


@register("bn_nas")
def bn_nas(trace: Trace) -> float:
    """Sum over the chosen operations of the mean |γ| of the operation's last BatchNorm.

    An operation without one (a skip of the biased supernet) adds nothing.
    """
    means = [scale.abs().mean() for scale in trace.bn_gammas]
    return float(torch.stack(means).sum()) if means else 0.0
