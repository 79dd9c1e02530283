"""Helpers of the baselines: hooks, weights, gradients and initialisations of a network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@contextmanager
def watch(
    network: nn.Module, kind: type[nn.Module] | tuple[type[nn.Module], ...], call: Any
) -> Iterator[None]:
    """Within the block, call `call(input, output)` after each forward pass of a `kind` module."""

    def hook(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        call(inputs[0], output)

    watched = [module for module in network.modules() if isinstance(module, kind)]
    handles = [module.register_forward_hook(hook) for module in watched]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def weights(network: nn.Module) -> list[Tensor]:
    """The weight of each convolution and linear layer, without biases and BatchNorm."""
    layers = (m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    return [layer.weight for layer in layers]


def gradients(value: Tensor, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """∂ value / ∂ inputs; zeros for inputs on which the value does not depend."""
    return torch.autograd.grad(value, inputs, allow_unused=True, materialize_grads=True)


def loss_gradients(
    network: nn.Module, images: Tensor, labels: Tensor
) -> list[tuple[Tensor, Tensor]]:
    """Each weight, and its gradient of the mean cross-entropy of the batch."""
    loss = F.cross_entropy(network(images), labels)
    chosen = weights(network)
    return list(zip(chosen, gradients(loss, chosen), strict=True))


def redraw(network: nn.Module, std: Callable[[Tensor], float], seed: int) -> nn.Module:
    """Draw every weight from a normal distribution of deviation `std(weight)`; return `network`.

    The draws are made on the CPU, so they are the same for every device.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in weights(network):
            weight.copy_(torch.randn(weight.shape, generator=generator) * std(weight))
    return network


def unit(weight: Tensor) -> float:
    """Deviation 1 for every weight."""
    return 1.0


def fan_in(weight: Tensor) -> float:
    """Kaiming initialisation (arXiv 1502.01852) by the number of inputs of a ReLU network."""
    return float((2 / weight[0].numel()) ** 0.5)


def gaussian_images(images: Tensor, seed: int) -> Tensor:
    """Standard normal noise in the shape and on the device of `images`."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images.shape, generator=generator).to(images)
