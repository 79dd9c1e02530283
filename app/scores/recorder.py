"""What a pass through the supernet leaves behind for the scores."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces import Supernet, Tap

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish)


@dataclass
class Layer:
    """A learning BatchNorm on the path."""

    weight: Tensor
    """γ, C."""
    inputs: Tensor
    """What it normalises, N×C×H×W."""
    gradient: Tensor | None = None
    """With respect to its output, once a gradient has come back to it."""

    def keep_gradient(self, gradient: Tensor) -> None:
        """The hook of its output."""
        self.gradient = gradient


@dataclass
class Recorder:
    """Context in which a forward pass of the supernet is recorded, to be passed backward later."""

    supernet: Supernet
    features: list[Tensor] = field(default_factory=list)
    """Output of each searched tap, with its graph."""
    activations: list[Tensor] = field(default_factory=list)
    """Output of each activation function on images, without."""
    layers: list[Layer] = field(default_factory=list)
    _hooks: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        for module in self.supernet.modules():
            if isinstance(module, Tap) and module.searched:
                hook = module.register_forward_hook(self._see_feature)
            elif isinstance(module, ACTIVATIONS):
                hook = module.register_forward_hook(self._see_activation)
            elif isinstance(module, nn.BatchNorm2d) and module.affine:
                hook = module.register_forward_hook(self._see_batchnorm)
            else:
                continue
            self._hooks.callback(hook.remove)
        return self

    def __exit__(self, *failure: object) -> None:
        self._hooks.close()

    def _see_feature(self, module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        self.features.append(output)

    def _see_activation(self, module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        if output.dim() == 4:
            self.activations.append(output.detach())

    def _see_batchnorm(self, module: nn.BatchNorm2d, inputs: tuple[Tensor], output: Tensor) -> None:
        layer = Layer(module.weight, inputs[0].detach())
        # a hook and not the tensor: an activation in place may overwrite it, and its gradient
        output.register_hook(layer.keep_gradient)  # type: ignore[no-untyped-call]
        self.layers.append(layer)

    def tangents(self, seed: int) -> list[Tensor]:
        """N×2C for each layer that reaches the last feature: its γ's and β's gradients by image.

        With x̂ the normalised input and g the gradient of the output, they are Σ g·x̂ and Σ g over
        the positions of an image (BatchNorm's statistics held). What is passed backward is a sum
        of the last feature's values with random signs: the labels, and a classifier that has
        learnt more or less, do not matter. Ends the graph's life.
        """
        target = self.features[-1]
        if not target.requires_grad:
            return []  # nothing that learns lies before it
        generator = torch.Generator().manual_seed(seed)
        signs = torch.randint(0, 2, target.shape, generator=generator) * 2 - 1
        signs = signs.to(target, memory_format=torch.channels_last)  # else backward is slow on CPU
        weights = [layer.weight for layer in self.layers]
        torch.autograd.grad(target, weights, signs, allow_unused=True)
        return list(self._tangents())

    def _tangents(self) -> Iterator[Tensor]:
        for layer in self.layers:
            if layer.gradient is not None:
                normalised = F.batch_norm(layer.inputs, None, None, training=True)
                by_scale = (layer.gradient * normalised).sum((2, 3))
                yield torch.cat([by_scale, layer.gradient.sum((2, 3))], 1)
