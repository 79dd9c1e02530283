"""Operations that several spaces share, in any BatchNorm mode."""

from torch import Tensor, nn

from spaces.batchnorm import BatchNormMode


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias, padded so that stride 1 keeps the size."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


class ReLUConvBN(nn.Sequential):
    """ReLU, convolution, BatchNorm. Not in place, since other operations may read the input."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, bn_mode: BatchNormMode
    ) -> None:
        super().__init__(nn.ReLU(), conv(inputs, outputs, kernel, stride), bn_mode.last(outputs))


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation (arXiv 1709.01507) with SiLU, as in EfficientNet (arXiv 1905.11946).

    Scores see its activation, of 1×1 pixels, as they see any other.
    """

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.activation = nn.SiLU(inplace=True)
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """N×channels×H×W, each channel scaled by a factor between 0 and 1."""
        squeezed = self.activation(self.reduce(x.mean((2, 3), keepdim=True)))
        scale: Tensor = self.expand(squeezed).sigmoid()
        return x * scale


class MBConv(nn.Module):
    """Inverted residual block (MobileNetV2, arXiv 1801.04381): expand, depthwise, project.

    Expansion 1 has no expanding convolution. The input is added where the shapes agree. With `se`,
    squeeze-and-excitation to a quarter of the input channels comes before the projection.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        expansion: int,
        stride: int,
        bn_mode: BatchNormMode,
        activation: type[nn.Module] = nn.ReLU6,
        se: bool = False,
    ) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [conv(inputs, hidden, 1), bn_mode.inner(hidden), activation(inplace=True)]
        layers += [
            conv(hidden, hidden, kernel, stride, groups=hidden),
            bn_mode.inner(hidden),
            activation(inplace=True),
            *([SqueezeExcite(hidden, inputs // 4)] if se else []),
            conv(hidden, outputs, 1),
            bn_mode.last(outputs),
        ]
        self.body = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """N×inputs×H×W to N×outputs×H/stride×W/stride."""
        y: Tensor = self.body(x)
        return x + y if self.residual else y


class Skip(nn.Sequential):
    """The identity; in an unbiased supernet followed by its own BatchNorm."""

    def __init__(self, channels: int, bn_mode: BatchNormMode) -> None:
        super().__init__(bn_mode.after_parameter_free(channels))


class MaxPool(nn.Sequential):
    """3×3 max pooling."""

    def __init__(self, channels: int, stride: int, bn_mode: BatchNormMode) -> None:
        super().__init__(nn.MaxPool2d(3, stride, padding=1), bn_mode.after_parameter_free(channels))


class AvgPool(nn.Sequential):
    """3×3 average pooling; padding does not count."""

    def __init__(self, channels: int, stride: int, bn_mode: BatchNormMode) -> None:
        super().__init__(
            nn.AvgPool2d(3, stride, padding=1, count_include_pad=False),
            bn_mode.after_parameter_free(channels),
        )
