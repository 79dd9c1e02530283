"""Zen-score (Zen-NAS, arXiv 2102.01063, algorithm 1)."""

import math

import torch
from torch import Tensor, nn

from app.scores import BASELINES
from app.scores.baselines.networks import gaussian_images, redraw, unit, watch
from app.scores.trace import Trace
from spaces import FeatureNode

ALPHA = 0.01
"""Size of the perturbation; the paper's value."""


@BASELINES.register("zen")
def zen(trace: Trace) -> float:
    """Zen-score on as many Gaussian images as the probe batch has; needs no data."""
    images, seed = trace.probe.images, trace.probe.seed
    network = redraw(trace.fresh_network(), unit, seed)
    return zen_score(network, gaussian_images(images, seed), gaussian_images(images, seed + 1))


def zen_score(network: nn.Module, images: Tensor, noise: Tensor) -> float:
    """ln E‖f(x) − f(x + α·noise)‖ + Σ over BatchNorms of ln σ̄, f being the last feature.

    σ̄² is the mean over channels of the variance that a BatchNorm divides by, so the sum undoes
    the scaling. A BatchNorm with constant input adds nothing. Residual links stay: the paper
    removes them, but in a cell every edge is one.
    """
    features: list[Tensor] = []
    variances: list[float] = []

    def keep_variance(x: Tensor, _: Tensor) -> None:
        variances.append(float(x.var((0, 2, 3), correction=0).mean()))

    with torch.no_grad(), watch(network, FeatureNode, lambda _, output: features.append(output)):
        with watch(network, nn.BatchNorm2d, keep_variance):
            network(images)
        original = features[-1]
        network(images + ALPHA * noise)
    difference = (features[-1] - original).flatten(1).norm(dim=1).mean()
    scaling = sum(math.log(v) for v in variances if v > 0) / 2
    return float(difference.log()) + scaling
