"""Expressivity: how many different patterns the features carry.

It measures two kinds of redundancy. Channels that vary together could be replaced by fewer;
BatchNorm makes deep random features orthogonal (arXiv 2106.03970), the more so the better the
operations on the path mix them. And positions in the images to which all layers respond alike
cannot be told apart by later layers. Both use correlation instead of covariance, so it does not
matter which channels training has made large.
"""

import torch
from torch import Tensor

from app.scores import SCORES
from app.scores.features import Moments, channel_correlation, log_volume, unit_diagonal
from app.scores.trace import Trace

POSITIONS = 4
"""Random positions per image at which activations are compared."""


@SCORES.register("channel_volume")
def channel_volume(trace: Trace) -> float:
    """Mean log-eigenvalue of the correlation of a feature's channels, summed over the features.

    For each feature it is the logarithm, per channel, of the volume that its channels span. MeCo
    (NeurIPS 2023) takes the smallest of these eigenvalues, AZ-NAS (arXiv 2403.19232) the entropy
    of the covariance's, both in stand-alone networks.
    """
    volumes = [log_volume(channel_correlation(f)) for f in trace.features]
    return float(torch.stack(volumes).sum())


@SCORES.register("activation_volume")
def activation_volume(trace: Trace) -> float:
    """Mean log-eigenvalue of the kernel of all activations.

    The kernel compares positions in the images: products of standardised channels, summed over all
    channels of all layers and scaled to ones on the diagonal. NASWOT (arXiv 2006.04647) compares
    whole images by the signs of all activations. Here all channels have the same weight, and
    positions are compared because it is positions that convolutions have to tell apart.
    """
    images = len(trace.probe.images)
    generator = torch.Generator().manual_seed(trace.probe.seed)
    positions = torch.rand(images, POSITIONS, 2, generator=generator)
    kernel = torch.zeros(())
    for layer in zip(trace.activations, trace.activation_moments, strict=True):
        samples = standardised_samples(*layer, positions)
        kernel = kernel + samples @ samples.T
    return float(log_volume(unit_diagonal(kernel)))


def standardised_samples(features: Tensor, moments: Moments, positions: Tensor) -> Tensor:
    """Sample N×C×H×W features at P positions per image, scaled to mean 0 and variance 1: (N·P)×C.

    `positions` is N×P×2, fractions in [0, 1) of height and width, so that layers of any size are
    sampled at the same positions. Constant channels become 0.
    """
    images, _, height, width = features.shape
    size = torch.tensor([height, width])
    rows, columns = (positions * size).long().to(features.device).unbind(-1)
    chosen = features[torch.arange(images, device=features.device)[:, None], :, rows, columns]
    deviation = torch.where(moments.variance > 0, moments.variance.sqrt(), torch.inf)
    return ((chosen - moments.mean) / deviation).flatten(0, 1)
