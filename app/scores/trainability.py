"""Trainability: whether signals survive on their way forward, and gradients on their way back."""

import torch

from app.scores import register
from app.scores.observation import Observation
from app.scores.spectrum import similarity, spectrum_entropy


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


@register("gradient_diversity")
def gradient_diversity(observation: Observation) -> float:
    """Entropy of the spectrum of the cosines between the images' input gradients.

    Images whose loss gradients all point the same way are one image for gradient descent; where
    they point in independent directions the entropy reaches ln N. The covariance of such
    gradients is the first score of NASWOT (arXiv 2006.04647v1); the entropy is less at the mercy
    of the smallest eigenvalue.
    """
    return float(spectrum_entropy(similarity(observation.input_gradient)))
