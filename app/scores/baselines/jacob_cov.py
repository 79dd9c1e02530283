"""Jacobian covariance, the score of the first version of NASWOT (arXiv 2006.04647v1)."""

import torch
from torch import Tensor, nn

from app.scores import BASELINES
from app.scores.baselines.networks import gradients
from app.scores.trace import Trace

K = 1e-5
"""Keeps eigenvalues of zero finite; the paper's value."""


@BASELINES.register("jacob_cov")
def jacob_cov(trace: Trace) -> float:
    """How little the input gradients of the probe images are correlated."""
    jacobian = input_jacobian(trace.fresh_network(), trace.probe.images)
    return spectrum_score(torch.corrcoef(jacobian.double()))


def input_jacobian(network: nn.Module, images: Tensor) -> Tensor:
    """N×D: the gradient of the summed class scores with respect to each of N images."""
    images = images.detach().requires_grad_()
    (jacobian,) = gradients(network(images).sum(), [images])
    return jacobian.flatten(1)


def spectrum_score(correlation: Tensor) -> float:
    """−Σ ln(σ + K) + 1/(σ + K) over the eigenvalues σ of an N×N correlation matrix.

    It has its maximum for uncorrelated gradients, where every σ is 1. NaN if a gradient is
    constant.
    """
    if not correlation.isfinite().all():
        return float("nan")
    shifted = torch.linalg.eigvalsh(correlation).clamp_min(0) + K
    return -float((shifted.log() + 1 / shifted).sum())
