"""The MobileNet space of BN-NAS (arXiv 2108.07375): 21 layers of MBConv blocks or skips."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from optuna.distributions import CategoricalDistribution
from torch import Tensor, nn

from spaces import register
from spaces.base import ArchitectureError, Space, Supernet, Tap
from spaces.batchnorm import Placement, freeze_convolutions, initialise
from spaces.cost import Cost, count
from spaces.ops import MBConv, Skip, conv

SKIP = -1
CANDIDATES = tuple((kernel, expansion) for kernel in (3, 5, 7) for expansion in (3, 6))
STAGES = ((32, 4, 2), (56, 4, 2), (112, 4, 2), (128, 4, 1), (256, 4, 2), (432, 1, 1))
STEM, FIRST, HEAD = 40, 24, 1728
LABELS = {SKIP: "skip"} | {i: f"k{k} e{e}" for i, (k, e) in enumerate(CANDIDATES)}
CODES = {label: code for code, label in LABELS.items()}


@dataclass(frozen=True)
class LayerShape:
    """A searched layer: channels in and out, stride, and the height of its input in pixels."""

    inputs: int
    outputs: int
    stride: int
    size: int

    @property
    def may_skip(self) -> bool:
        """Whether input and output shapes agree."""
        return self.stride == 1 and self.inputs == self.outputs

    @property
    def choices(self) -> tuple[int, ...]:
        """The codes of the candidates of this layer."""
        return (*range(len(CANDIDATES)), *([SKIP] if self.may_skip else []))

    def build(self, code: int, placement: Placement) -> nn.Module:
        """The candidate operation `code`."""
        if code == SKIP:
            return Skip(self.inputs, placement)
        kernel, expansion = CANDIDATES[code]
        return MBConv(self.inputs, self.outputs, kernel, expansion, self.stride, placement)


@register
@dataclass(frozen=True)
class MobileNet(Space):
    """Stem 3×3 to 40, MBConv to 24, 21 searched layers, 1×1 to 1728, classifier.

    Each layer is one of six MBConv blocks (kernel 3, 5, 7 × expansion 3, 6) or, in the 15 layers
    whose input and output shapes agree, a skip. On images of at most 64 px the first two
    strides (the stem's and the first stage's) are 1 instead of 2, so that the last layers still
    see 4×4 pixels of a 32 px image.

    An architecture is 21 integers joined by commas: −1 skip, 0–5 the candidates in the order
    3/e3, 3/e6, 5/e3, 5/e6, 7/e3, 7/e6.
    """

    name: ClassVar[str] = "mobilenet"

    @property
    def _small(self) -> bool:
        return self.image_size <= 64

    @cached_property
    def layers(self) -> tuple[LayerShape, ...]:
        """The shapes of the searched layers, first to last."""
        size = self.image_size if self._small else -(-self.image_size // 2)
        inputs, shapes = FIRST, []
        for stage, (outputs, repeats, first_stride) in enumerate(STAGES):
            for layer in range(repeats):
                stride = 1 if layer or (stage == 0 and self._small) else first_stride
                shapes.append(LayerShape(inputs, outputs, stride, size))
                inputs, size = outputs, -(-size // stride)
        return tuple(shapes)

    def distributions(self) -> dict[str, CategoricalDistribution]:
        """One choice a layer, `layer 01` to `layer 21`."""
        return {
            f"layer {i:02}": CategoricalDistribution([LABELS[c] for c in shape.choices])
            for i, shape in enumerate(self.layers, 1)
        }

    def decode(self, params: Mapping[str, Any]) -> str:
        """Choices to string; every combination is feasible."""
        return ",".join(str(CODES[params[name]]) for name in self.distributions())

    def encode(self, arch: str) -> dict[str, Any]:
        """String to choices."""
        return dict(zip(self.distributions(), map(LABELS.get, self.codes(arch)), strict=True))

    def canonical(self, text: str) -> str:
        """The string without spaces. Raises ArchitectureError."""
        return ",".join(map(str, self.codes(text)))

    def codes(self, arch: str) -> list[int]:
        """The integers of a string. Raises ArchitectureError."""
        try:
            codes = [int(part) for part in arch.split(",")]
        except ValueError:
            raise ArchitectureError(f"{arch!r} is not a list of integers joined by ','") from None
        if len(codes) != len(self.layers):
            raise ArchitectureError(f"{len(codes)} layers where {len(self.layers)} are expected")
        for i, (code, shape) in enumerate(zip(codes, self.layers, strict=True), 1):
            if code not in shape.choices:
                known = ", ".join(map(str, sorted(shape.choices)))
                raise ArchitectureError(f"layer {i} cannot be {code}; it is one of: {known}")
        return codes

    def supernet(self, placement: Placement) -> Supernet:
        """All candidates of every layer around one stem, head and classifier."""
        return MobileNetSupernet(self, placement)

    def network(self, arch: str, placement: Placement = Placement.USUAL) -> nn.Module:
        """The chosen candidates only."""
        chosen = zip(self.layers, self.codes(arch), strict=True)
        return _Network(self, (shape.build(code, placement) for shape, code in chosen), placement)

    def cost(self, arch: str) -> Cost:
        """The fixed part plus a look-up per layer."""
        chosen = zip(self.layers, self.codes(arch), strict=True)
        return sum((self._table[shape, code] for shape, code in chosen), self._fixed_cost)

    @cached_property
    def _table(self) -> dict[tuple[LayerShape, int], Cost]:
        with torch.device("meta"):
            return {
                (shape, code): count(
                    shape.build(code, Placement.USUAL), shape.inputs, shape.size, shape.size
                )
                for shape in set(self.layers)
                for code in shape.choices
            }

    @cached_property
    def _fixed_cost(self) -> Cost:
        with torch.device("meta"):
            trunk = _Trunk(self, (), Placement.USUAL)
            last = self.layers[-1]
            return (
                count(trunk.stem, 3, self.image_size, self.image_size)
                + count(trunk.head, last.outputs, last.size, last.size)
                + count(trunk.classifier, HEAD)
            )


class _Trunk(nn.Module):
    """What every network of the space shares around its searched layers."""

    def __init__(self, space: MobileNet, layers: Iterable[nn.Module], placement: Placement) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv(3, STEM, 3, 1 if space._small else 2),
            placement.last(STEM),
            nn.ReLU6(inplace=True),
            MBConv(STEM, FIRST, 3, 1, 1, placement),
        )
        self.layers = nn.ModuleList(layers)
        self.taps = nn.ModuleList(Tap() for _ in space.layers)
        self.head = nn.Sequential(
            conv(space.layers[-1].outputs, HEAD, 1),
            placement.last(HEAD),
            nn.ReLU6(inplace=True),
        )
        self.classifier = nn.Linear(HEAD, space.classes)
        initialise(self)

    def run(self, images: Tensor, path: Iterable[nn.Module]) -> Tensor:
        """Class scores of `images`, the searched layers being `path`."""
        x = self.stem(images)
        for operation, tap in zip(path, self.taps, strict=True):
            x = tap(operation(x))
        scores: Tensor = self.classifier(self.head(x).mean((2, 3)))
        return scores


class _Network(_Trunk):
    """The stand-alone network of one architecture."""

    def forward(self, images: Tensor) -> Tensor:
        """N×3×H×W images to N×classes scores."""
        return self.run(images, self.layers)


class MobileNetSupernet(_Trunk, Supernet):
    """Every candidate of every layer; a forward pass runs one of them a layer."""

    def __init__(self, space: MobileNet, placement: Placement) -> None:
        candidates = (
            nn.ModuleList(shape.build(code, placement) for code in shape.choices)
            for shape in space.layers
        )
        super().__init__(space, candidates, placement)
        self.space = space
        freeze_convolutions(self)

    def forward(self, images: Tensor, arch: str) -> Tensor:
        """N×3×H×W images to N×classes scores along `arch`."""
        return self.run(images, (operation for operation, _ in self._chosen(arch)))

    def scales(self, arch: str) -> list[Tensor]:
        """γ of the last BatchNorm of each chosen block; a biased skip has none."""
        norms = (
            [m for m in operation.modules() if isinstance(m, nn.BatchNorm2d)][-1:]
            for operation, _ in self._chosen(arch)
        )
        return [norm.weight for found in norms for norm in found]

    def state_of(self, arch: str) -> dict[str, Tensor]:
        """The trunk's entries, and those of the chosen candidates under the layer's name."""
        state = {k: v for k, v in self.state_dict().items() if not k.startswith("layers.")}
        for layer, (operation, _) in enumerate(self._chosen(arch)):
            state |= {f"layers.{layer}.{k}": v for k, v in operation.state_dict().items()}
        return state

    def _chosen(self, arch: str) -> Iterator[tuple[nn.Module, LayerShape]]:
        """The operation of each layer. SKIP (−1) is the last candidate, which −1 indexes."""
        for code, shape, candidates in zip(
            self.space.codes(arch), self.space.layers, self.layers, strict=True
        ):
            assert isinstance(candidates, nn.ModuleList)
            yield candidates[code], shape
