"""The candidate operations of DARTS (arXiv 1806.09055) and the preprocessing of its cells."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.batchnorm import BatchNormMode
from spaces.ops import AvgPool, MaxPool, Skip, conv

# ReLU is never in place on an operation's input: other operations read the same tensor.


class FactorizedReduce(nn.Module):
    """Halves the size: ReLU, two 1×1 convolutions of stride 2, one pixel apart, BatchNorm.

    Together they see both pixels of each diagonal; a single one would drop three pixels of four.
    Zero padding on the far side rounds odd sizes up, as the other operations do.
    """

    def __init__(self, inputs: int, outputs: int, bn_mode: BatchNormMode) -> None:
        super().__init__()
        self.activation = nn.ReLU()
        self.even = conv(inputs, outputs // 2, 1, 2)
        self.odd = conv(inputs, outputs - outputs // 2, 1, 2)
        self.norm = bn_mode.last(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """N×inputs×H×W to N×outputs×⌈H/2⌉×⌈W/2⌉."""
        x = self.activation(x)
        shifted = F.pad(x[:, :, 1:, 1:], (0, 1, 0, 1))
        y: Tensor = self.norm(torch.cat([self.even(x), self.odd(shifted)], 1))
        return y


class SeparableConv(nn.Sequential):
    """ReLU, depthwise k×k and 1×1 convolution, BatchNorm; all twice, the stride in the first."""

    def __init__(self, channels: int, kernel: int, stride: int, bn_mode: BatchNormMode) -> None:
        super().__init__(
            nn.ReLU(),
            conv(channels, channels, kernel, stride, groups=channels),
            conv(channels, channels, 1),
            bn_mode.inner(channels),
            nn.ReLU(inplace=True),
            conv(channels, channels, kernel, groups=channels),
            conv(channels, channels, 1),
            bn_mode.last(channels),
        )


class DilatedConv(nn.Sequential):
    """ReLU, depthwise k×k convolution over every second pixel, 1×1 convolution, BatchNorm."""

    def __init__(self, channels: int, kernel: int, stride: int, bn_mode: BatchNormMode) -> None:
        depthwise = nn.Conv2d(
            channels,
            channels,
            kernel,
            stride,
            padding=kernel - 1,
            dilation=2,
            groups=channels,
            bias=False,
        )
        super().__init__(nn.ReLU(), depthwise, conv(channels, channels, 1), bn_mode.last(channels))


class Zero(nn.Module):
    """`none`: zeros of the shape that the other operations put out."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W to N×C×⌈H/stride⌉×⌈W/stride⌉."""
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])


def _skip(channels: int, stride: int, bn_mode: BatchNormMode) -> nn.Module:
    if stride == 1:
        return Skip(channels, bn_mode)
    return FactorizedReduce(channels, channels, bn_mode)


BUILDERS: dict[str, Callable[[int, int, BatchNormMode], nn.Module]] = {
    "none": lambda channels, stride, bn_mode: Zero(stride),
    "max_pool_3x3": MaxPool,
    "avg_pool_3x3": AvgPool,
    "skip_connect": _skip,
    "sep_conv_3x3": lambda channels, *rest: SeparableConv(channels, 3, *rest),
    "sep_conv_5x5": lambda channels, *rest: SeparableConv(channels, 5, *rest),
    "dil_conv_3x3": lambda channels, *rest: DilatedConv(channels, 3, *rest),
    "dil_conv_5x5": lambda channels, *rest: DilatedConv(channels, 5, *rest),
}
"""Builders by name, called with channels, stride and BatchNorm mode."""
