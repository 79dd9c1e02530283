"""The MnasNet space (arXiv 1807.11626) in the form of Accel-NASBench: seven blocks of layers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, product
from typing import Any, ClassVar, NamedTuple

from optuna.distributions import CategoricalDistribution
from torch import nn

from spaces import register
from spaces.base import ArchitectureError
from spaces.batchnorm import BatchNormMode
from spaces.layer_shapes import LayerShape, layer_shapes, scaled
from spaces.layered import ScalableSpace
from spaces.ops import MBConv, Skip, conv
from spaces.sketch import Layer

EXPANSIONS, KERNELS = (1, 4, 6), (3, 5)
WIDTHS, STRIDES = (16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 2, 1, 2, 1)
DEPTHS = (3, 3, 3, 3, 3, 4, 3)
"""The most layers of each block."""
STEM, HEAD = 32, 1280
SKIP = "skip"
LAYERS = {f"e{e}k{k}{se}": (k, e) for e, k, se in product(EXPANSIONS, KERNELS, ("", "se"))}
"""Kernel and expansion by code."""


class Block(NamedTuple):
    """A searched block of like layers, with or without squeeze-and-excitation."""

    expansion: int
    kernel: int
    layers: int
    se: bool

    def __str__(self) -> str:
        return f"e{self.expansion}k{self.kernel}l{self.layers}{'se' if self.se else ''}"

    @property
    def code(self) -> str:
        """The code of each layer."""
        return f"e{self.expansion}k{self.kernel}{'se' if self.se else ''}"


@register
@dataclass(frozen=True)
class MnasNet(ScalableSpace):
    """Stem 3×3 to 32, seven searched blocks of MBConv layers, 1×1 to 1280, classifier.

    A modern space for your own images: SiLU, squeeze-and-excitation, elastic depth. `width`
    multiplies all channels, which are rounded to multiples of 8. EfficientNet-B0 (arXiv
    1905.11946) is one of its 10¹¹ networks.

    The layers of a block are alike, but only the first widens and may have a stride. A layer that
    a block lacks is a skip, so that every network passes the same 22 layers. For images of at most
    64 px the first two strides of 2 (of the stem and the second block) are 1, so that the last
    layers still see 4×4 pixels of a 32 px image.

    An architecture is seven blocks joined by `-`, such as `e6k5l2se`: expansion 1, 4 or 6, kernel
    3 or 5, 1 to 3 layers (to 4 in the sixth block), `se` for squeeze-and-excitation.
    """

    name: ClassVar[str] = "mnasnet"
    labels = {code: code for code in LAYERS} | {SKIP: SKIP}
    blocks = LAYERS
    separator = "-"
    head_channels = HEAD

    @cached_property
    def layers(self) -> tuple[LayerShape, ...]:
        """The shapes of the 22 layers."""
        strides = (STRIDES[0], self.first_stride, *STRIDES[2:])
        stages = zip(WIDTHS, DEPTHS, strides, strict=True)
        return layer_shapes(STEM, self.stem_size, stages, self.width)

    def distributions(self) -> dict[str, CategoricalDistribution]:
        """Four choices per block: `block 1 expansion`, `kernel`, `layers` and `se`."""
        return {
            f"block {i} {what}": CategoricalDistribution(choices)
            for i, depth in enumerate(DEPTHS, 1)
            for what, choices in zip(
                Block._fields,
                (EXPANSIONS, KERNELS, range(1, depth + 1), (False, True)),
                strict=True,
            )
        }

    def decode(self, params: Mapping[str, Any]) -> str:
        """Turn choices into a string; every combination is feasible."""
        blocks = (
            Block(*(params[f"block {i} {what}"] for what in Block._fields))
            for i in range(1, len(DEPTHS) + 1)
        )
        return self.separator.join(map(str, blocks))

    def encode(self, arch: str) -> dict[str, Any]:
        """Turn a string into choices."""
        return dict(zip(self.choices, chain(*_parse(arch)), strict=True))

    def canonical(self, text: str) -> str:
        """Normalise a string. Raises ArchitectureError."""
        return self.separator.join(map(str, _parse(text)))

    def codes(self, text: str) -> list[str]:
        """The code of each of the 22 layers. Raises ArchitectureError."""
        codes: list[str] = []
        for block, depth in zip(_parse(text), DEPTHS, strict=True):
            codes += [block.code] * block.layers + [SKIP] * (depth - block.layers)
        return codes

    def candidates(self, shape: LayerShape) -> tuple[str, ...]:
        """The twelve MBConv layers, and the skip after the first layer of a block."""
        return (*LAYERS, SKIP) if shape.is_plain else (*LAYERS,)

    def candidate(self, code: str, shape: LayerShape, bn_mode: BatchNormMode) -> nn.Module:
        """A skip or an MBConv layer."""
        if code == SKIP:
            return Skip(shape.inputs, bn_mode)
        layer = (shape.inputs, shape.outputs, *LAYERS[code], shape.stride, bn_mode, nn.SiLU)
        return MBConv(*layer, se=code.endswith("se"))

    def stem(self, bn_mode: BatchNormMode) -> nn.Module:
        """Images to 32 channels."""
        channels = scaled(STEM, self.width)
        stem = conv(3, channels, 3, self.first_stride)
        return nn.Sequential(stem, bn_mode.last(channels), nn.SiLU(inplace=True))

    def head(self, bn_mode: BatchNormMode) -> nn.Module:
        """320 to 1280 channels."""
        head = conv(self.layers[-1].outputs, self.features, 1)
        return nn.Sequential(head, bn_mode.last(self.features), nn.SiLU(inplace=True))

    def _layer(self, code: str, shape: LayerShape) -> Layer:
        return replace(super()._layer(code, shape), se=code.endswith("se"))


def _parse(text: str) -> list[Block]:
    """Read the seven blocks of a string. Raises ArchitectureError."""
    parts = text.strip().split("-")
    if len(parts) != len(DEPTHS):
        raise ArchitectureError(f"{len(parts)} blocks where {len(DEPTHS)} are expected")
    blocks = []
    for i, (part, depth) in enumerate(zip(parts, DEPTHS, strict=True), 1):
        found = re.fullmatch(f"e([146])k([35])l([1-{depth}])(se)?", part)
        if found is None:
            raise ArchitectureError(
                f"block {i} cannot be {part!r}: write e, 1, 4 or 6; k, 3 or 5; l, 1 to {depth}; "
                "and se or nothing, such as e6k5l2se"
            )
        blocks.append(Block(int(found[1]), int(found[2]), int(found[3]), found[4] is not None))
    return blocks
