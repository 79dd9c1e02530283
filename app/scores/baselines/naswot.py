"""NASWOT, "Neural Architecture Search without Training" (arXiv 2006.04647v3)."""

import torch
from torch import Tensor, nn

from app.scores import BASELINES
from app.scores.baselines.networks import watch
from app.scores.trace import ACTIVATIONS, Trace


@BASELINES.register("naswot")
def naswot(trace: Trace) -> float:
    """Log-determinant of the activation-pattern kernel of the probe batch."""
    kernel = activation_kernel(trace.fresh_network(), trace.probe.images)
    return float(torch.linalg.slogdet(kernel).logabsdet)


def activation_kernel(network: nn.Module, images: Tensor) -> Tensor:
    """N×N: the number of units that are on for both or off for both of two images.

    In the paper it is N_A − the Hamming distance of the binary codes of all N_A ReLU units. Here
    units are those of every activation function: on if the output is positive, which it is for a
    positive input. Without any unit the kernel is zero.
    """
    kernel = torch.zeros(len(images), len(images), dtype=torch.double, device=images.device)

    def add(_: Tensor, output: Tensor) -> None:
        # with ±1 for on and off, the inner product is agreements − disagreements
        sign = (output > 0).flatten(1).float() * 2 - 1
        kernel.add_((sign @ sign.T + sign.shape[1]) / 2)

    with torch.no_grad(), watch(network, ACTIVATIONS, add):
        network(images)
    return kernel
