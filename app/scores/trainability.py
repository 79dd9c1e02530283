"""Trainability: whether signals arrive on their way forward, and gradients on their way back."""

import torch

from app.scores import register
from app.scores.spectrum import channel_correlation, spectrum_entropy
from app.scores.trace import Trace


@register("signal_strength")
def signal_strength(trace: Trace) -> float:
    """Logarithm of the mean of the features' positive part, summed over the taps.

    That is what the activations behind a cell let through. Every operation ends in a BatchNorm,
    so what it adds to a cell's output has the size of its γ: much arrives where several branches
    with large γ agree, and little where one alone does. It is the scale that BN-NAS (arXiv
    2108.07375) sums over operations, as the network downstream sees it; short and parallel
    branches are what keeps deep networks trainable (arXiv 1605.06431).
    """
    return float(torch.stack([f.relu().mean().log() for f in trace.features]).sum())


@register("gradient_entropy")
def gradient_entropy(trace: Trace) -> float:
    """Entropy of the spectrum of the gradients' channel correlation, summed over the taps.

    What the features are for expressivity, the gradients are here: a layer learns from as many
    directions as arrive at it from above, and they become fewer where gradients shatter or meet
    operations that hand on only some of them. AZ-NAS (arXiv 2403.19232) asks whether gradients
    keep their size on the way; this asks whether they keep their variety. No gradient has none.
    """
    spectra = [spectrum_entropy(channel_correlation(g)) for g in trace.gradients]
    return float(torch.stack(spectra).nansum())
