"""Trainability: how well signals travel forward and gradients backward."""

import torch

from app.scores import SCORES
from app.scores.features import channel_correlation, spectrum_entropy
from app.scores.trace import Trace


@SCORES.register("signal_strength")
def signal_strength(trace: Trace) -> float:
    """Logarithm of the mean of a feature's positive part, summed over the features.

    This is the signal that passes the ReLU after a cell. Every operation ends in a BatchNorm, so
    it adds to the cell's output in proportion to its γ: much arrives if several branches with
    large γ agree, little if there is one branch only. BN-NAS (arXiv 2108.07375) sums the same γ
    over operations; here it counts as the rest of the network sees it. Short, parallel branches
    keep deep networks trainable (arXiv 1605.06431).
    """
    return float(torch.stack([f.relu().mean().log() for f in trace.features]).sum())


@SCORES.register("gradient_entropy")
def gradient_entropy(trace: Trace) -> float:
    """Entropy of the spectrum of a gradient's channel correlation, summed over the features.

    It does for gradients what expressivity does for features: a layer learns from as many
    directions as reach it from above, and there are fewer if gradients shatter or pass operations
    that transmit only some of them. AZ-NAS (arXiv 2403.19232) measures whether gradients keep
    their size on the way; this measures whether they keep their variety. Zero gradients add 0.
    """
    spectra = [spectrum_entropy(channel_correlation(g)) for g in trace.gradients]
    return float(torch.stack(spectra).nansum())
