"""Uncertainty: how much the features depend on which images are normalised together.

Monte-Carlo BatchNorm (Teye et al. 2018, arXiv 1802.06455) normalises an image with different
batches and takes the spread of the outputs as the network's uncertainty. This spread comes from
the batch statistics only, above all from the mean of each channel. Over batches of B random images
the variance of that mean is s·σ²/B, where σ² is the variance of the channel and s the share of it
between images (the rest, between positions of one image, averages out). So a single pass gives the
noise in closed form.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from app.scores import SCORES
from app.scores.features import Moments
from app.scores.trace import Trace


@SCORES.register("activation_certainty")
def activation_certainty(trace: Trace) -> float:
    """Minus ln s, summed over the activations: s is the noise of their batch means."""
    return certainty(trace.activation_moments)


def certainty(layers: Iterable[Moments]) -> float:
    """Minus ln s, summed over the layers; constant layers are left out."""
    shares = torch.stack([share_between_images(layer) for layer in layers])
    return -float(shares.log().nansum())


def share_between_images(layer: Moments) -> Tensor:
    """Mean over channels of Var(mean of an image) / Var(all values).

    Between 1/(H·W) for independent positions and 1 for images of one colour each. Constant
    channels are left out; NaN if all are constant.
    """
    varies = layer.variance > 0
    between = layer.image_means.var(0, correction=0)
    return (between[varies] / layer.variance[varies]).mean()
