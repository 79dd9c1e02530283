"""Expressivity: how many different patterns the features carry.

Three kinds of redundancy lower it. Channels that vary together could be replaced by fewer;
BatchNorm makes deep random features orthogonal (arXiv 2106.03970), the more so the better the
operations on the path mix them. Positions in the images to which all layers of a resolution
respond alike cannot be told apart by later ones. And a layer that responds like the one before adds
nothing. All use correlations, so it does not matter which channels training has made large.
"""

from itertools import pairwise

import torch
from torch import Tensor

from app.scores import SCORES
from app.scores.features import channel_correlation, log_volume
from app.scores.trace import Trace


@SCORES.register("channel_volume")
def channel_volume(trace: Trace) -> float:
    """Mean log-eigenvalue of the correlation of a feature's channels, summed over the features.

    For each feature it is the logarithm, per channel, of the volume that its channels span. MeCo
    (NeurIPS 2023) takes the smallest of these eigenvalues, AZ-NAS (arXiv 2403.19232) the entropy
    of the covariance's, both in stand-alone networks.
    """
    volumes = [log_volume(channel_correlation(f)) for f in trace.features]
    return float(torch.stack(volumes).sum())


@SCORES.register("pattern_volume")
def pattern_volume(trace: Trace) -> float:
    """ln det(I + Σ K) over the activations of one resolution, summed over the resolutions.

    K is the sum over channels of products of standardised responses at two positions. NASWOT
    (arXiv 2006.04647) takes the determinant for whole images and the signs of all activations.
    Unlike a volume scaled to a unit diagonal it grows with each layer that adds directions, and
    with each resolution, whatever the number of its layers.
    """
    volumes: dict[tuple[int, ...], Tensor] = {}
    for activation, kernel in zip(trace.activations, trace.kernels, strict=True):
        size = tuple(activation.shape[2:])
        volumes[size] = volumes.get(size, torch.eye(len(kernel)).to(kernel)) + kernel
    return float(sum(torch.logdet(volume.double()) for volume in volumes.values()))


@SCORES.register("effective_depth")
def effective_depth(trace: Trace) -> float:
    """Sum over neighbouring activations of 1 − CKA, the similarity of what they respond to.

    Centred kernel alignment (Kornblith et al., ICML 2019, arXiv 1905.00414) is 1 for two layers
    that tell positions apart in the same way, so a layer counts as far as it changes that.
    """
    changes = [1 - alignment(a, b) for a, b in pairwise(trace.kernels)]
    return float(sum(changes, torch.zeros(())))


def alignment(first: Tensor, second: Tensor) -> Tensor:
    """CKA of two n×n kernels, 0 to 1; 0 where one is constant."""
    a, b = (
        kernel - kernel.mean(0) - kernel.mean(1, keepdim=True) + kernel.mean()
        for kernel in (first, second)
    )
    cka: Tensor = (a * b).sum() / (a.norm() * b.norm()).clamp_min(1e-12)
    return cka
