"""Statistics of feature maps: moments of channels, correlations, and the spectrum of a matrix.

With the eigenvalues λ of an n×n matrix scaled to mean 1 and p = λ/n, the entropy of p is
ln n − KL(p‖flat), and the mean of ln λ is −KL(flat‖p). The first asks how many directions carry
most of the variance, the second how little variance the weakest directions still have.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

ROUNDING = 1e-12
"""The variance that float32 may give a constant channel, in units of its squared mean."""

MIN_EIGENVALUE = 1e-6
"""The smallest eigenvalue, in units of the mean: below it float32 features are noise."""


class Moments(NamedTuple):
    """Mean and variance of the channels of N×C×H×W features."""

    image_means: Tensor
    """Mean of each channel in each image, N×C."""
    mean: Tensor
    """Mean of each channel over images and positions, C."""
    variance: Tensor
    """Variance of each channel over images and positions, C; exactly 0 for a constant channel."""

    def standardise(self, responses: Tensor) -> Tensor:
        """Shift and scale n×C responses of these channels; constant ones become 0."""
        deviation = torch.where(self.variance > 0, self.variance.sqrt(), torch.inf)
        return (responses - self.mean) / deviation


def moments(features: Tensor) -> Moments:
    """Moments of N×C×H×W features.

    Sums are ten times faster than `torch.var_mean` in the channels-last layout.
    """
    image_means = features.mean((2, 3))
    mean = image_means.mean(0)
    variance = (features - mean[:, None, None]).square().mean((0, 2, 3))
    varies = variance > ROUNDING * mean.square()
    return Moments(image_means, mean, torch.where(varies, variance, 0))


def sample(layer: Tensor, positions: Tensor) -> Tensor:
    """Values of an N×C×H×W layer at P positions per image: (N·P)×C.

    `positions` is N×P×2, fractions in [0, 1) of height and width, so that layers of any size are
    sampled at the same positions.
    """
    images, _, height, width = layer.shape
    size = torch.tensor([height, width])
    rows, columns = (positions * size).long().to(layer.device).unbind(-1)
    return layer[torch.arange(images, device=layer.device)[:, None], :, rows, columns].flatten(0, 1)


def covariance(features: Tensor) -> Tensor:
    """C×C covariance of N×C×H×W features over images and positions."""
    columns = features.movedim(1, 0).flatten(1)
    centred = columns - columns.mean(1, keepdim=True)
    return centred @ centred.T / columns.shape[1]


def correlation(vectors: Tensor) -> Tensor:
    """n×n correlation of n×D vectors; 0 for a constant vector, even with itself."""
    directions = F.normalize(vectors - vectors.mean(1, keepdim=True), dim=1)
    return directions @ directions.T


def channel_correlation(features: Tensor) -> Tensor:
    """C×C correlation of the channels of N×C×H×W features over images and positions."""
    return correlation(features.movedim(1, 0).flatten(1))


def eigenvalues(gram: Tensor) -> Tensor:
    """The n eigenvalues of a symmetric positive n×n matrix, ascending and scaled to mean 1.

    NaN for the zero matrix.
    """
    values: Tensor = torch.linalg.eigvalsh(gram.double()).clamp_min(0)
    return values / values.mean()


def entropy(spectrum: Tensor) -> Tensor:
    """Entropy (nats) of n eigenvalues of mean 1.

    It is ln k for k equal eigenvalues and no others: the logarithm of the effective rank (Roy and
    Vetterli, EUSIPCO 2007).
    """
    nats: Tensor = torch.special.entr(spectrum / len(spectrum)).sum()
    return nats


def log_volume(spectrum: Tensor) -> Tensor:
    """Mean logarithm of n eigenvalues of mean 1.

    It is 0 if all are equal, and ln MIN_EIGENVALUE at the least. For those of a correlation matrix
    it is the log-determinant divided by n: the volume that its vectors span.
    """
    return spectrum.clamp_min(MIN_EIGENVALUE).log().mean()
