"""The macro space of NAS-Bench-Macro (arXiv 2103.11922): eight layers of three candidates."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from torch import nn

from spaces import register
from spaces.base import ArchitectureError
from spaces.batchnorm import BatchNormMode
from spaces.layer_shapes import LayerShape, layer_shapes
from spaces.layered import LayeredSpace
from spaces.ops import MBConv, Skip, conv

IDENTITY = "0"
BLOCKS = {"1": (3, 3), "2": (5, 6)}  # kernel and expansion
STAGES = ((64, 2, 2), (128, 3, 2), (256, 3, 2))  # channels, layers, stride of the first layer
STEM, HEAD = 32, 1280


@register
@dataclass(frozen=True)
class NASBenchMacro(LayeredSpace):
    """Stem 3×3 to 32, eight searched layers in three stages, 1×1 to 1280, classifier.

    The benchmark trained all 6,561 networks on CIFAR-10 (32 px). There are no options.

    An architecture is eight digits: 0 is the identity, 1 an MBConv block of kernel 3 and expansion
    3, 2 one of kernel 5 and expansion 6. The first layer of each stage (1, 3 and 6) halves the
    size and widens; there the identity is a strided 1×1 convolution.

    Layers 4 and 5 have the same shape, and so have 7 and 8, so an identity before a block or after
    it gives the same stand-alone network: `00010000` and `00001000` differ in name only. They stay
    distinct, as in the benchmark, which trained both. In a supernet each layer has its own
    weights, so their scores differ too.
    """

    name: ClassVar[str] = "nasbenchmacro"
    labels = {IDENTITY: "identity"} | {code: f"k{k} e{e}" for code, (k, e) in BLOCKS.items()}
    blocks = BLOCKS
    separator = ""

    @property
    def features(self) -> int:
        """1280."""
        return HEAD

    @cached_property
    def layers(self) -> tuple[LayerShape, ...]:
        """The shapes of the eight layers."""
        return layer_shapes(STEM, self.image_size, STAGES)

    def stem(self, bn_mode: BatchNormMode) -> nn.Module:
        """Images to 32 channels."""
        return nn.Sequential(conv(3, STEM, 3), bn_mode.last(STEM), nn.ReLU(inplace=True))

    def candidate(self, code: str, shape: LayerShape, bn_mode: BatchNormMode) -> nn.Module:
        """A block, or the identity, which is a projection where input and output shapes differ."""
        if code in BLOCKS:
            block = (*BLOCKS[code], shape.stride, bn_mode)
            return MBConv(shape.inputs, shape.outputs, *block, activation=nn.ReLU)
        if shape.is_plain:
            return Skip(shape.inputs, bn_mode)
        projection = conv(shape.inputs, shape.outputs, 1, shape.stride)
        return nn.Sequential(projection, bn_mode.last(shape.outputs))

    def head(self, bn_mode: BatchNormMode) -> nn.Module:
        """256 to 1280 channels."""
        outputs = self.layers[-1].outputs
        return nn.Sequential(conv(outputs, HEAD, 1), bn_mode.last(HEAD), nn.ReLU(inplace=True))

    def codes(self, text: str) -> str:
        """The string itself. Raises ArchitectureError."""
        if len(text) != len(self.layers) or not set(text) <= set(self.labels):
            raise ArchitectureError(f"{text!r} is not {len(self.layers)} digits of 0, 1 and 2")
        return text
