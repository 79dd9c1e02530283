"""Trainability: whether signals survive on their way forward, and gradients on their way back."""

import torch

from app.scores import register
from app.scores.observation import Observation
from app.scores.spectrum import covariance, spectrum_entropy


@register("signal_strength")
def signal_strength(observation: Observation) -> float:
    """Logarithm of the features' standard deviation, summed over the taps.

    Every operation ends in a BatchNorm, so what it adds to a cell's output has the size of its
    γ. The output of a cell is strong where several branches with large γ arrive and agree, and
    weak where one alone does: the scale that BN-NAS (arXiv 2108.07375) sums over operations, as
    the network downstream sees it. Short and parallel branches are what keeps deep networks
    trainable (arXiv 1605.06431).
    """
    return float(torch.stack([f.std().log() for f in observation.features]).sum())


@register("gradient_entropy")
def gradient_entropy(observation: Observation) -> float:
    """Entropy of the spectrum of the loss gradient's channel covariance, summed over the taps.

    What the features are for expressivity, the gradients are here: a layer learns from as many
    directions as arrive at it from above, and they become fewer where gradients shatter or meet
    operations that hand on only some of them. AZ-NAS (arXiv 2403.19232) asks whether gradients
    keep their size on the way; this asks whether they keep their variety.
    """
    spectra = [spectrum_entropy(covariance(g)) for g in observation.gradients]
    return float(torch.stack(spectra).sum())
