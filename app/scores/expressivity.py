"""Expressivity: how many different patterns the layers can carry.

Three kinds of redundancy lower it. Channels that vary together could be replaced by fewer;
BatchNorm makes deep random features orthogonal (arXiv 2106.03970), the more so the better the
operations on the path mix them. Positions in the images to which all layers of a resolution
respond alike cannot be told apart by later ones. And a layer that responds like the one before adds
nothing. All use correlations, so it does not matter which channels training has made large.
"""

from itertools import pairwise

import torch
from torch import Tensor

from app.scores import SCORES
from app.scores.features import entropy, log_volume, moments, sample
from app.scores.trace import RESPONSE_POSITIONS, Trace, random_positions


@SCORES.register("channel_volume")
def channel_volume(trace: Trace) -> float:
    """ln det of the correlation of a feature's channels, summed over the features.

    It is the logarithm of the volume that the channels span, and so asks how much of their own the
    most redundant ones have, the more the wider the feature. Missing directions count as
    MIN_EIGENVALUE. MeCo (NeurIPS 2023) takes the smallest eigenvalue of this matrix in stand-alone
    networks.
    """
    return float(sum(len(spectrum) * log_volume(spectrum) for spectrum in trace.channel_spectra))


@SCORES.register("effective_rank")
def effective_rank(trace: Trace) -> float:
    """ln effective rank of the correlation of a feature's channels, summed over the features.

    It asks how many directions carry most of what the channels do (Roy and Vetterli, EUSIPCO 2007).
    AZ-NAS (arXiv 2403.19232) takes the same entropy of the covariance in stand-alone networks.
    """
    return float(sum(map(entropy, trace.channel_spectra)))


@SCORES.register("pattern_volume")
def pattern_volume(trace: Trace) -> float:
    """ln det(I + Σ K) over the layers of one resolution, summed over the resolutions.

    K is the sum over channels of products of standardised responses at two positions, of layers
    that all read the images. NASWOT (arXiv 2006.04647) takes the determinant for whole images and
    the signs of all activations; SWAP (arXiv 2403.04161) too ranks DARTS by a cell that reads raw
    images. Unlike a volume scaled to a unit diagonal it grows with each layer that adds directions,
    and with each resolution, whatever the number of its layers.
    """
    volumes: dict[tuple[int, ...], Tensor] = {}
    layers = trace.image_responses
    positions = random_positions(len(layers[0]), RESPONSE_POSITIONS, trace.probe.seed)
    for layer in layers:
        responses = sample(layer, positions)
        responses = moments(responses[:, :, None, None]).standardise(responses)
        kernel, size = responses @ responses.T, tuple(layer.shape[2:])
        volumes[size] = volumes.get(size, torch.eye(len(kernel)).to(kernel)) + kernel
    return float(sum(torch.logdet(volume.double()) for volume in volumes.values()))


@SCORES.register("effective_depth")
def effective_depth(trace: Trace) -> float:
    """Sum over neighbouring activations of 1 − CKA, the similarity of what they respond to.

    Centred kernel alignment (Kornblith et al., ICML 2019, arXiv 1905.00414) is 1 for two layers
    that tell positions apart in the same way, so a layer counts as far as it changes that.
    """
    changes = [1 - alignment(a, b) for a, b in pairwise(trace.kernels)]
    return float(sum(changes, torch.zeros(())))


def alignment(first: Tensor, second: Tensor) -> Tensor:
    """CKA of two n×n kernels, 0 to 1; 0 where one is constant."""
    a, b = (
        kernel - kernel.mean(0) - kernel.mean(1, keepdim=True) + kernel.mean()
        for kernel in (first, second)
    )
    cka: Tensor = (a * b).sum() / (a.norm() * b.norm()).clamp_min(1e-12)
    return cka
