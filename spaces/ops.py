"""Operations that several spaces offer as candidates."""

from torch import Tensor, nn

from spaces.batchnorm import Placement


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the size at stride 1."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


class MBConv(nn.Module):
    """Inverted residual block (MobileNetV2, arXiv 1801.04381): expand, depthwise, project.

    Expansion 1 has no expanding convolution. The input is added where the shapes agree.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        expansion: int,
        stride: int,
        placement: Placement,
    ) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [conv(inputs, hidden, 1), placement.inner(hidden), nn.ReLU6(inplace=True)]
        layers += [
            conv(hidden, hidden, kernel, stride, groups=hidden),
            placement.inner(hidden),
            nn.ReLU6(inplace=True),
            conv(hidden, outputs, 1),
            placement.last(outputs),
        ]
        self.body = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """N×inputs×H×W to N×outputs×H/stride×W/stride."""
        y: Tensor = self.body(x)
        return x + y if self.residual else y


class Skip(nn.Sequential):
    """The identity; in an unbiased supernet followed by its own BatchNorm."""

    def __init__(self, channels: int, placement: Placement) -> None:
        super().__init__(placement.after_parameter_free(channels))
