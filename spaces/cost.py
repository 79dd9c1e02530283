"""What a network costs: multiply–adds and learnable parameters.

FLOPs means multiply–adds of convolutions and linear layers, as NAS-Bench-201, NAS-Bench-Macro
and BN-NAS count; BatchNorm and pooling cost nothing.
"""

from dataclasses import dataclass
from typing import Any

import thop
import torch
from torch import nn


@dataclass(frozen=True)
class Cost:
    """Multiply–adds of one image and learnable parameters."""

    macs: int = 0
    params: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.macs + other.macs, self.params + other.params)


def _free(module: nn.Module, inputs: Any, output: Any) -> None:
    """A thop rule: this module multiplies nothing that we count."""


_FREE_MODULES: dict[type[nn.Module], Any] = {
    nn.BatchNorm2d: _free,
    nn.AvgPool2d: _free,
    nn.MaxPool2d: _free,
    nn.AdaptiveAvgPool2d: _free,
}


def count(network: nn.Module, *input_shape: int) -> Cost:
    """Cost of `network` on one input of this shape (C, H, W), or (C,) for a linear layer.

    thop adds buffers to what it measures: hand it a module made for the purpose, on any device.
    """
    parameters = sum(p.numel() for p in network.parameters())
    device = next(network.parameters(), torch.empty(0)).device
    sample = torch.zeros(1, *input_shape, device=device)
    training = network.training
    macs, _ = thop.profile(network.eval(), (sample,), custom_ops=_FREE_MODULES, verbose=False)
    network.train(training)
    return Cost(round(macs), parameters)
