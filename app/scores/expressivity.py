"""Expressivity: how many different patterns the features carry.

Two kinds of redundancy are looked for. Channels that move together can be replaced by fewer;
BatchNorm makes deep random features orthogonal (arXiv 2106.03970), more so the better the
operations of a path mix. And places of the images that all layers answer alike cannot be told
apart by what comes after. Both look at correlation and not at covariance, so that it does not
matter which channels training has made large.
"""

import torch
from torch import Tensor

from app.scores import register
from app.scores.moments import Moments
from app.scores.spectrum import channel_correlation, eigenvalues, log_volume, unit_diagonal
from app.scores.trace import Trace

PLACES = 4
"""Places of each image that are compared."""


@register("channel_volume")
def channel_volume(trace: Trace) -> float:
    """Mean logarithm of the eigenvalues of the channels' correlation, summed over the taps.

    For each tap it is the logarithm of the volume that its channels span, by channel. MeCo
    (NeurIPS 2023) takes the smallest of these eigenvalues, AZ-NAS (arXiv 2403.19232) the entropy
    of those of the covariance, each in networks of its own.
    """
    volumes = [log_volume(eigenvalues(channel_correlation(f))) for f in trace.features]
    return float(torch.stack(volumes).sum())


@register("activation_volume")
def activation_volume(trace: Trace) -> float:
    """Mean logarithm of the eigenvalues of the kernel that all activations make together.

    The kernel compares places of the images: the products of the standardised channels, summed
    over all channels of all layers and scaled to ones on its diagonal. NASWOT (arXiv 2006.04647)
    asks the same of whole images and of the signs of all activations; here every channel counts
    alike, and places are compared, as it is these that convolutions have to tell apart.
    """
    images = len(trace.probe.images)
    generator = torch.Generator().manual_seed(trace.probe.seed)
    places = torch.rand(images, PLACES, 2, generator=generator)
    kernel = torch.zeros(())
    for layer in zip(trace.activations, trace.activation_moments, strict=True):
        samples = standardised_samples(*layer, places)
        kernel = kernel + samples @ samples.T
    return float(log_volume(eigenvalues(unit_diagonal(kernel))))


def standardised_samples(features: Tensor, of: Moments, places: Tensor) -> Tensor:
    """(N·P)×C: channels of mean 0 and variance 1, at P places of each of N×C×H×W features.

    `places` is N×P×2, in [0, 1) of height and width, so that a place is the same in all layers.
    A constant channel is 0.
    """
    images, _, height, width = features.shape
    size = torch.tensor([height, width])
    rows, columns = (places * size).long().to(features.device).unbind(-1)
    chosen = features[torch.arange(images, device=features.device)[:, None], :, rows, columns]
    deviation = torch.where(of.variance > 0, of.variance.sqrt(), torch.inf)
    return ((chosen - of.mean) / deviation).flatten(0, 1)
