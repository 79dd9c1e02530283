"""Uncertainty: how much the features depend on which images are normalised together.

Monte-Carlo BatchNorm (Teye et al. 2018, arXiv 1802.06455) normalises an image in the company of
different batches and takes the spread of the answers for the network's uncertainty. All of this
spread comes from the batch statistics, foremost the mean of each channel. Over batches of B random
images the variance of that mean is s·σ²/B, with σ² the variance of the channel and s the share of
it that lies between images (the rest, between the positions of one image, averages out). So the
noise is known in closed form from a single pass.
"""

import torch
from torch import Tensor

from app.scores import register
from app.scores.observation import Observation


@register("batch_certainty")
def batch_certainty(observation: Observation) -> float:
    """Minus ln s, s being the noise of the batch mean relative to the features, over the taps."""
    shares = [share_between_images(f) for f in observation.features]
    return -float(torch.stack(shares).log().sum())


def share_between_images(features: Tensor) -> Tensor:
    """Mean over channels of Var(mean of an image) / Var(all values), for N×C×H×W features.

    From 1/(H·W), for independent positions, to 1, for images of one colour. Constant channels
    have no variance to share and are left out; NaN if all are constant.
    """
    total = features.var((0, 2, 3), correction=0)
    between = features.mean((2, 3)).var(0, correction=0)
    varies = total > 0
    return (between[varies] / total[varies]).mean()
