"""The shapes of a chain of layers, at any width."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class LayerShape:
    """A searched layer: channels in and out, stride, and the height of its input in pixels."""

    inputs: int
    outputs: int
    stride: int
    size: int

    @property
    def size_out(self) -> int:
        """Height of the output in pixels."""
        return -(-self.size // self.stride)

    @property
    def is_plain(self) -> bool:
        """Whether input and output shapes agree."""
        return self.stride == 1 and self.inputs == self.outputs


def scaled(channels: int, width: float) -> int:
    """Channels at a width, as MobileNetV2 scales them: a multiple of 8, at most 10 % fewer.

    At width 1 they stay as they are.
    """
    if width == 1:
        return channels
    rounded = max(8, int(channels * width + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels * width else rounded + 8


def layer_shapes(
    inputs: int, size: int, stages: Iterable[tuple[int, int, int]], width: float = 1.0
) -> tuple[LayerShape, ...]:
    """Return the layers of stages given as channels, layers and the stride of the first layer.

    `inputs` and the channels of the stages are those at width 1.
    """
    shapes, inputs = [], scaled(inputs, width)
    for channels, layers, first_stride in stages:
        outputs = scaled(channels, width)
        for layer in range(layers):
            shapes.append(LayerShape(inputs, outputs, 1 if layer else first_stride, size))
            inputs, size = outputs, shapes[-1].size_out
    return tuple(shapes)
