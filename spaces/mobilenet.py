"""The MobileNet space of BN-NAS (arXiv 2108.07375): 21 layers of MBConv blocks or skips."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import ClassVar

from torch import nn

from spaces import register
from spaces.base import ArchitectureError
from spaces.batchnorm import BatchNormMode
from spaces.layer_shapes import LayerShape, layer_shapes, scaled
from spaces.layered import ScalableSpace
from spaces.ops import MBConv, Skip, conv

SKIP = "-1"
BLOCKS = {str(i): block for i, block in enumerate(product((3, 5, 7), (3, 6)))}
"""Kernel and expansion by code."""
STEM, FIRST, HEAD = 40, 24, 1728


@register
@dataclass(frozen=True)
class MobileNet(ScalableSpace):
    """Stem 3×3 to 40, MBConv to 24, 21 searched layers, 1×1 to 1728, classifier.

    The space for your own images: 2·10¹⁷ networks small enough for a phone, at any image size.
    `width` multiplies all channels, which are rounded to multiples of 8.

    Each layer is one of six MBConv blocks (kernel 3, 5, 7 × expansion 3, 6) or, in the 15 layers
    whose input and output shapes agree, a skip. For images of at most 64 px the first two strides
    (of the stem and the first stage) are 1 instead of 2, so that the last layers still see 4×4
    pixels of a 32 px image.

    An architecture is 21 integers joined by commas: −1 is a skip, 0–5 are the blocks in the order
    3/e3, 3/e6, 5/e3, 5/e6, 7/e3, 7/e6.
    """

    name: ClassVar[str] = "mobilenet"
    labels = {code: f"k{k} e{e}" for code, (k, e) in BLOCKS.items()} | {SKIP: "skip"}
    blocks = BLOCKS
    separator = ","
    head_channels = HEAD

    @cached_property
    def layers(self) -> tuple[LayerShape, ...]:
        """The shapes of the 21 layers. A stage is given as channels, layers and first stride."""
        stages = (
            (32, 4, self.first_stride),
            *((56, 4, 2), (112, 4, 2), (128, 4, 1), (256, 4, 2), (432, 1, 1)),
        )
        return layer_shapes(FIRST, self.stem_size, stages, self.width)

    def stem(self, bn_mode: BatchNormMode) -> nn.Module:
        """Images to 24 channels."""
        stem = scaled(STEM, self.width)
        return nn.Sequential(
            conv(3, stem, 3, self.first_stride),
            bn_mode.last(stem),
            nn.ReLU6(inplace=True),
            MBConv(stem, scaled(FIRST, self.width), 3, 1, 1, bn_mode),
        )

    def candidates(self, shape: LayerShape) -> tuple[str, ...]:
        """The six blocks, and the skip where the shapes agree."""
        return (*BLOCKS, SKIP) if shape.is_plain else (*BLOCKS,)

    def candidate(self, code: str, shape: LayerShape, bn_mode: BatchNormMode) -> nn.Module:
        """A skip or a block."""
        if code == SKIP:
            return Skip(shape.inputs, bn_mode)
        kernel, expansion = BLOCKS[code]
        return MBConv(shape.inputs, shape.outputs, kernel, expansion, shape.stride, bn_mode)

    def head(self, bn_mode: BatchNormMode) -> nn.Module:
        """432 to 1728 channels."""
        outputs = self.layers[-1].outputs
        head = conv(outputs, self.features, 1)
        return nn.Sequential(head, bn_mode.last(self.features), nn.ReLU6(inplace=True))

    def codes(self, text: str) -> list[str]:
        """The integers of a string, with or without spaces. Raises ArchitectureError."""
        try:
            codes = [str(int(part)) for part in text.split(",")]
        except ValueError:
            raise ArchitectureError(f"{text!r} is not a list of integers joined by ','") from None
        if len(codes) != len(self.layers):
            raise ArchitectureError(f"{len(codes)} layers where {len(self.layers)} are expected")
        for i, (code, shape) in enumerate(zip(codes, self.layers, strict=True), 1):
            if code not in self.candidates(shape):
                known = ", ".join(sorted(self.candidates(shape), key=int))
                raise ArchitectureError(f"layer {i} cannot be {code}; it is one of: {known}")
        return codes
