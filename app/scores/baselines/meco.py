"""MeCo, the minimum eigenvalue of the correlation of feature maps (NeurIPS 2023)."""

import torch
from torch import Tensor, nn

from app.scores import BASELINES
from app.scores.baselines.networks import gaussian_images
from app.scores.features import channel_correlation
from app.scores.trace import Trace


@BASELINES.register("meco")
def meco(trace: Trace) -> float:
    """MeCo of a single Gaussian image; needs no data."""
    image = gaussian_images(trace.probe.images[:1], trace.probe.seed)
    return smallest_eigenvalues(trace.fresh_network(), image)


def smallest_eigenvalues(network: nn.Module, image: Tensor) -> float:
    """Σ over layers of the smallest eigenvalue of the correlation of the channels of their output.

    Layers are the modules without submodules that return feature maps; the authors' code counts a
    cell or block once more. A constant channel is correlated with none, itself included.
    """
    smallest: list[Tensor] = []

    def add(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        if output.dim() == 4:
            smallest.append(torch.linalg.eigvalsh(channel_correlation(output))[0])

    for module in network.modules():
        if not any(module.children()):
            module.register_forward_hook(add)
    with torch.no_grad():
        network(image)
    return float(torch.stack(smallest).sum())
