"""What a pass through the supernet leaves behind for the scores."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor, nn

from spaces import FeatureNode, Supernet

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish)


@dataclass
class Recorder:
    """Context in which a forward pass of the supernet is recorded, to be passed backward later."""

    supernet: Supernet
    features: list[Tensor] = field(default_factory=list)
    """Output of each searched tap, with its graph."""
    activations: list[Tensor] = field(default_factory=list)
    """Output of each activation function on images, without."""
    _hooks: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        for module in self.supernet.modules():
            if isinstance(module, FeatureNode) and module.searched:
                hook = module.register_forward_hook(self._see_feature)
            elif isinstance(module, ACTIVATIONS):
                hook = module.register_forward_hook(self._see_activation)
            else:
                continue
            self._hooks.callback(hook.remove)
        return self

    def __exit__(self, *failure: object) -> None:
        self._hooks.close()

    def _see_feature(self, module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        # none of an architecture without learning parameters would require a gradient
        feature = output if output.requires_grad else output.detach().requires_grad_()
        self.features.append(feature)
        return feature

    def _see_activation(self, module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        if output.dim() == 4:
            self.activations.append(output.detach())

    def gradients(self, seed: int) -> list[Tensor]:
        """How each of the features moves the last one: gradients, of the shapes of the features.

        What is passed backward is a sum of the last feature's values with random signs, so that
        neither labels matter nor a classifier that has learnt more or less. Ends the graph's
        life.
        """
        target = self.features[-1]
        generator = torch.Generator().manual_seed(seed)
        signs = torch.randint(0, 2, target.shape, generator=generator) * 2 - 1
        signs = signs.to(target, memory_format=torch.channels_last)  # else backward is slow on CPU
        return list(
            torch.autograd.grad(
                target, self.features, signs, allow_unused=True, materialize_grads=True
            )
        )
