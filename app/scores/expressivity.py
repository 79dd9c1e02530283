"""Expressivity: how many independent patterns the features carry.

Channels that move together can be replaced by fewer; a flat spectrum of their correlation means
that none can. BatchNorm makes deep random features orthogonal (arXiv 2106.03970), more so the
better the operations of a path mix; this is what both scores see. They look at correlation and
not at covariance, so that it does not matter which channels training has made large.
"""

import torch

from app.scores import register
from app.scores.observation import Observation
from app.scores.spectrum import entropy, log_volume


@register("channel_entropy")
def channel_entropy(observation: Observation) -> float:
    """Entropy of the spectrum of the channels' correlation, summed over the taps.

    AZ-NAS (arXiv 2403.19232) takes the entropy of their covariance, in a network of its own.
    """
    return float(torch.stack([entropy(s) for s in observation.channel_spectra]).sum())


@register("channel_volume")
def channel_volume(observation: Observation) -> float:
    """Mean logarithm of the same eigenvalues, summed over the taps.

    Where the entropy hardly notices a few dependent channels, this does (as MeCo's smallest
    eigenvalue, NeurIPS 2023, does in each layer).
    """
    return float(torch.stack([log_volume(s) for s in observation.channel_spectra]).sum())
