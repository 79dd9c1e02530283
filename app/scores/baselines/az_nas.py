"""AZ-NAS (arXiv 2403.19232). Its fourth part is `flops`; `rank_sums` adds them up.

All three read the outputs f₁ … f_L of the taps for Gaussian images.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.scores import register
from app.scores.baselines.networks import fan_in, gaussian_images, redraw
from app.scores.spectrum import covariance, spectrum_entropy
from app.scores.trace import Trace
from spaces import FeatureNode


@register("az_nas_expressivity", baseline=True)
def az_nas_expressivity(trace: Trace) -> float:
    """Σ over taps of the entropy of the feature covariance's spectrum."""
    with torch.no_grad():
        return float(entropies(_features(trace)).sum())


@register("az_nas_progressivity", baseline=True)
def az_nas_progressivity(trace: Trace) -> float:
    """The smallest increase of that entropy from one tap to the next."""
    with torch.no_grad():
        return progressivity(entropies(_features(trace)))


@register("az_nas_trainability", baseline=True)
def az_nas_trainability(trace: Trace) -> float:
    """How well gradients keep their size between taps."""
    features, searched = _tapped(trace)
    return trainability(features, searched, trace.probe.seed)


def _features(trace: Trace) -> list[Tensor]:
    return _tapped(trace)[0]


def _tapped(trace: Trace) -> tuple[list[Tensor], list[bool]]:
    seed = trace.probe.seed
    network = redraw(trace.fresh_network(), fan_in, seed)
    return tap_features(network, gaussian_images(trace.probe.images, seed))


def tap_features(network: nn.Module, images: Tensor) -> tuple[list[Tensor], list[bool]]:
    """N×C×H×W output of each tap, and whether it ends a searched layer or cell."""
    features: list[Tensor] = []
    searched: list[bool] = []

    def see(tap: FeatureNode, inputs: tuple[Tensor], output: Tensor) -> None:
        features.append(output)
        searched.append(tap.searched)

    for module in network.modules():
        if isinstance(module, FeatureNode):
            module.register_forward_hook(see)
    network(images)
    return features, searched


def entropies(features: list[Tensor]) -> Tensor:
    """Nats, one a tap; NaN for features that are zero."""
    return torch.stack([spectrum_entropy(covariance(f)) for f in features])


def progressivity(entropies: Tensor) -> float:
    """Smallest difference of neighbours; NaN for a single tap, which has none."""
    return float(entropies.diff().min()) if len(entropies) > 1 else float("nan")


def trainability(features: list[Tensor], searched: list[bool], seed: int) -> float:
    """Mean of 2 − σ − 1/σ over searched layers, σ being the spectral norm of the Jacobian of one.

    It is largest, 0, at σ = 1: gradients neither grow nor fade. A layer that only hands its
    input on (a skip) is left out of the mean; without any other the value is −∞.
    """
    layers = zip(pairwise(features), searched[1:], strict=True)
    norms = [
        jacobian_norm(x, y, seed + i)
        for i, ((x, y), counts) in enumerate(layers)
        if counts and x is not y
    ]
    if not norms:
        return float("-inf")
    sigma = torch.stack(norms)
    return float((2 - sigma - 1 / sigma).mean())


def jacobian_norm(x: Tensor, y: Tensor, seed: int) -> Tensor:
    """Spectral norm of the mean of g_x g_yᵀ over images and positions.

    g_y is random signs in the shape of y, and g_x what backpropagation makes of it at x. As g_y
    is white, the mean estimates the (transposed) Jacobian of one position. Where y is smaller,
    the positions of x under one of y become channels.
    """
    if not (x.requires_grad and y.requires_grad):
        return x.new_zeros(())
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(2, y.shape, generator=generator).to(y) * 2 - 1
    (g,) = torch.autograd.grad(
        y, x, signs, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    height, width = y.shape[2:]
    stride = -(-x.shape[2] // height)
    g = F.pad(g, (0, width * stride - x.shape[3], 0, height * stride - x.shape[2]))
    g = F.pixel_unshuffle(g, stride)
    matrix = torch.einsum("nihw,njhw->ij", g, signs) / (len(y) * height * width)
    norm: Tensor = torch.linalg.matrix_norm(matrix, 2)
    return norm
