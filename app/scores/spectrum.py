"""How evenly a set of vectors fills its directions: two distances of a spectrum from a flat one.

With the eigenvalues λ of an n×n matrix scaled to mean 1 and p = λ/n, the entropy of p is
ln n − KL(p‖flat), and the mean of ln λ is −KL(flat‖p). The first asks how many directions carry
most of the variance, the second how little variance the weakest still have.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

LEAST = 1e-6
"""The smallest eigenvalue, in units of the mean: below it float32 features are noise."""


def eigenvalues(gram: Tensor) -> Tensor:
    """The n eigenvalues, ascending and scaled to mean 1, of a symmetric positive n×n matrix.

    NaN for the zero matrix, which has no directions.
    """
    values: Tensor = torch.linalg.eigvalsh(gram.double()).clamp_min(0)
    return values / values.mean()


def entropy(values: Tensor) -> Tensor:
    """Entropy (nats) of n `eigenvalues`.

    It is ln k for k equal ones and no others, the logarithm of the effective rank (Roy and
    Vetterli, EUSIPCO 2007).
    """
    nats: Tensor = torch.special.entr(values / len(values)).sum()
    return nats


def spectrum_entropy(gram: Tensor) -> Tensor:
    """The entropy of the eigenvalues of a symmetric positive n×n matrix."""
    return entropy(eigenvalues(gram))


def log_volume(values: Tensor) -> Tensor:
    """Mean logarithm of `eigenvalues`: 0 if all are equal, down to ln LEAST.

    For a correlation matrix it is the log-determinant by direction, that is the volume which
    its vectors span.
    """
    return values.clamp_min(LEAST).log().mean()


def unit_diagonal(gram: Tensor) -> Tensor:
    """The correlations of an n×n matrix of products; what has no length is correlated with none."""
    lengths = gram.double().diagonal().clamp_min(1e-30).sqrt()
    return gram / lengths / lengths[:, None]


def covariance(features: Tensor) -> Tensor:
    """C×C covariance of N×C×H×W features over images and positions."""
    columns = features.movedim(1, 0).flatten(1)
    centred = columns - columns.mean(1, keepdim=True)
    return centred @ centred.T / columns.shape[1]


def correlation(vectors: Tensor) -> Tensor:
    """n×n correlation of n×D vectors; a constant one is correlated with none, itself included."""
    directions = F.normalize(vectors - vectors.mean(1, keepdim=True), dim=1)
    return directions @ directions.T


def channel_correlation(features: Tensor) -> Tensor:
    """C×C correlation of the channels of N×C×H×W features over images and positions."""
    return correlation(features.movedim(1, 0).flatten(1))
