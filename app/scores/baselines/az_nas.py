"""The parts of AZ-NAS (arXiv 2403.19232), which `app.rank` sums with `flops` as the fourth.

All three read the outputs f₁ … f_L of the feature nodes for Gaussian images.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.scores import BASELINES
from app.scores.baselines.networks import fan_in, gaussian_images, redraw
from app.scores.features import covariance, eigenvalues, entropy
from app.scores.trace import Trace
from spaces import FeatureNode


@BASELINES.register("az_nas_expressivity")
def az_nas_expressivity(trace: Trace) -> float:
    """Σ over feature nodes of the entropy of the feature covariance's spectrum."""
    with torch.no_grad():
        return float(entropies(_node_features(trace)[0]).sum())


@BASELINES.register("az_nas_progressivity")
def az_nas_progressivity(trace: Trace) -> float:
    """The smallest increase of that entropy from one feature node to the next."""
    with torch.no_grad():
        return progressivity(entropies(_node_features(trace)[0]))


@BASELINES.register("az_nas_trainability")
def az_nas_trainability(trace: Trace) -> float:
    """How well gradients keep their size between feature nodes."""
    features, searched = _node_features(trace)
    return trainability(features, searched, trace.probe.seed)


def _node_features(trace: Trace) -> tuple[list[Tensor], list[bool]]:
    seed = trace.probe.seed
    network = redraw(trace.fresh_network(), fan_in, seed)
    return node_features(network, gaussian_images(trace.probe.images, seed))


def node_features(network: nn.Module, images: Tensor) -> tuple[list[Tensor], list[bool]]:
    """N×C×H×W output of each feature node, and whether it ends a searched layer or cell."""
    features: list[Tensor] = []
    searched: list[bool] = []

    def keep(node: FeatureNode, inputs: tuple[Tensor], output: Tensor) -> None:
        features.append(output)
        searched.append(node.searched)

    for module in network.modules():
        if isinstance(module, FeatureNode):
            module.register_forward_hook(keep)
    network(images)
    return features, searched


def entropies(features: list[Tensor]) -> Tensor:
    """Nats, one per feature; NaN for features that are zero."""
    return torch.stack([entropy(eigenvalues(covariance(f))) for f in features])


def progressivity(entropies: Tensor) -> float:
    """Smallest difference of neighbours; NaN for a single feature."""
    return float(entropies.diff().min()) if len(entropies) > 1 else float("nan")


def trainability(features: list[Tensor], searched: list[bool], seed: int) -> float:
    """Mean over searched layers of 2 − σ − 1/σ, with σ the spectral norm of the layer's Jacobian.

    It has its maximum 0 at σ = 1, where gradients neither grow nor fade. Layers that only pass
    their input on (skips) are left out of the mean; without any other layer it is −∞.
    """
    layers = zip(pairwise(features), searched[1:], strict=True)
    norms = [
        jacobian_norm(x, y, seed + i)
        for i, ((x, y), is_searched) in enumerate(layers)
        if is_searched and x is not y
    ]
    if not norms:
        return float("-inf")
    sigma = torch.stack(norms)
    return float((2 - sigma - 1 / sigma).mean())


def jacobian_norm(x: Tensor, y: Tensor, seed: int) -> Tensor:
    """Spectral norm of the mean of g_x g_yᵀ over images and positions.

    g_y are random signs in the shape of y, and g_x is their backpropagation to x. Since g_y is
    white, the mean estimates the (transposed) Jacobian of one position. If y is smaller than x,
    the positions of x for one of y become channels.
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
