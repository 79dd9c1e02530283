"""The cost of a network: multiply–adds and parameters.

FLOPs are multiply–adds of convolutions and linear layers, counted as in NAS-Bench-201,
NAS-Bench-Macro and BN-NAS; BatchNorm and pooling are free.
"""

from dataclasses import dataclass
from typing import Any

import thop
import torch
from torch import nn


@dataclass(frozen=True)
class Cost:
    """Multiply–adds for one image, and trainable parameters."""

    macs: int = 0
    params: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.macs + other.macs, self.params + other.params)


def _free(module: nn.Module, inputs: Any, output: Any) -> None:
    """Count nothing (a thop rule)."""


_FREE_MODULES: dict[type[nn.Module], Any] = {
    nn.BatchNorm2d: _free,
    nn.AvgPool2d: _free,
    nn.MaxPool2d: _free,
    nn.AdaptiveAvgPool2d: _free,
}


def count(network: nn.Module, *input_shape: int) -> Cost:
    """Count the cost of `network` for one input of shape (C, H, W), or (C,) for a linear layer.

    The network may be on the meta device. thop adds buffers to it, so count a module made for
    this and nothing else.
    """
    parameters = sum(p.numel() for p in network.parameters())
    device = next(network.parameters(), torch.empty(0)).device
    sample = torch.zeros(1, *input_shape, device=device)
    with torch.device("cpu"):  # where thop keeps its sums, whatever the device of the network
        macs, _ = thop.profile(network, (sample,), custom_ops=_FREE_MODULES, verbose=False)
    return Cost(round(macs), parameters)
