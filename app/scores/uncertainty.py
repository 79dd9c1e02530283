"""Uncertainty: how much the features depend on which images are normalised together.

Monte-Carlo BatchNorm (Teye et al. 2018, arXiv 1802.06455) normalises an image in the company of
different batches and takes the spread of the answers for the network's uncertainty. All of this
spread comes from the batch statistics, foremost the mean of each channel. Over batches of B random
images the variance of that mean is s·σ²/B, with σ² the variance of the channel and s the share of
it that lies between images (the rest, between the positions of one image, averages out). So the
noise is known in closed form from a single pass.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from app.scores import register
from app.scores.moments import Moments, moments
from app.scores.trace import Trace


@register("feature_certainty")
def feature_certainty(trace: Trace) -> float:
    """Minus ln s, s being the noise of the batch mean relative to the features, over the taps."""
    return certainty([moments(feature) for feature in trace.features])


@register("activation_certainty")
def activation_certainty(trace: Trace) -> float:
    """The same over all activations: what enters the convolutions, and their BatchNorm."""
    return certainty(trace.activation_moments)


def certainty(layers: Iterable[Moments]) -> float:
    """Minus ln s, summed over the layers; those that are constant are left out."""
    shares = torch.stack([share_between_images(layer) for layer in layers])
    return -float(shares.log().nansum())


def share_between_images(layer: Moments) -> Tensor:
    """Mean over channels of Var(mean of an image) / Var(all values).

    From 1/(H·W), for independent positions, to 1, for images of one colour. Constant channels
    have no variance to share and are left out; NaN if all are constant.
    """
    varies = layer.variance > 0
    between = layer.image_means.var(0, correction=0)
    return (between[varies] / layer.variance[varies]).mean()
