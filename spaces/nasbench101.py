"""The cells of NAS-Bench-101 (arXiv 1902.09635), and one supernet for all 423,624 of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from typing import Any, ClassVar

import torch
from optuna.distributions import CategoricalDistribution
from torch import Tensor, nn

from spaces import _nasbench101_choices as choices
from spaces import register
from spaces._nasbench101_cell import canonical_cell
from spaces._nasbench101_parts import STEM, CellShape, Part, PlainCell, SlicedPart, SuperCell
from spaces.base import FeatureNode, Space, Supernet
from spaces.batchnorm import BatchNormMode, freeze_convolutions, initialise
from spaces.cost import Cost, count
from spaces.memory import Piece, Value
from spaces.sketch import Graph, Kind, Sketch, Vertex

STACKS = 3
LOOKS = {
    "conv3x3-bn-relu": Vertex("conv 3×3", Kind.CONVOLUTION, 3),
    "conv1x1-bn-relu": Vertex("conv 1×1", Kind.CONVOLUTION, 1),
    "maxpool3x3": Vertex("max pool 3×3", Kind.POOLING),
}


@register
@dataclass(frozen=True)
class NASBench101(Space):
    """Stem 3×3 and three stacks of equal cells, with max pooling and doubled channels between.

    The benchmark trained all 423,624 cells on CIFAR-10.

    A cell has at most five inner vertices and nine edges; every vertex is a 3×3 or 1×1
    convolution (with BatchNorm and ReLU) or 3×3 max pooling. The defaults are the published
    network. `channels` is the width of the stem and the first stack, `modules` the number of
    cells per stack; too small values raise ValueError.

    An architecture is the upper triangle of the adjacency matrix as bits, row by row, then `:`
    and the operations of the inner vertices joined by `|`. The canonical one among isomorphic
    cells is the one that the benchmark lists, so parameters match the published ones.
    """

    name: ClassVar[str] = "nasbench101"

    modules: int = 3
    channels: int = 128

    def __post_init__(self) -> None:
        # with nine edges at most four inner vertices feed the output, and each needs a channel
        for option, least in (("modules", 1), ("channels", 4)):
            value = getattr(self, option)
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{option} must be an integer of at least {least}, not {value!r}")

    @cached_property
    def shapes(self) -> tuple[CellShape, ...]:
        """The shapes of all cells, first to last."""
        inputs, size, shapes = self.channels, self.image_size, []
        for stack in range(STACKS):
            for _ in range(self.modules):
                shapes.append(CellShape(inputs, self.channels << stack, size))
                inputs = self.channels << stack
            size = -(-size // 2)
        return tuple(shapes)

    def distributions(self) -> dict[str, CategoricalDistribution]:
        """Five vertices, each an operation or `none`; the vertex each reads; five extra edges."""
        return choices.distributions()

    def decode(self, params: Mapping[str, Any]) -> str:
        """Turn choices into a string. Raises InfeasibleError for too many edges (1 draw in 506)."""
        return str(choices.decode(params))

    def encode(self, arch: str) -> dict[str, Any]:
        """Turn a string into choices."""
        return choices.encode(canonical_cell(arch))

    def canonical(self, text: str) -> str:
        """Prune the cell and write it as the benchmark lists it. Raises ArchitectureError."""
        return str(canonical_cell(text))

    def supernet(self, bn_mode: BatchNormMode) -> Supernet:
        """Each operation at each of the five vertices of each cell, at the width of the cell."""
        return NASBench101Supernet(self, bn_mode)

    def network(self, arch: str, bn_mode: BatchNormMode = BatchNormMode.USUAL) -> nn.Module:
        """The published network of this cell."""
        cell = canonical_cell(arch)
        return _Network(self, (PlainCell(shape, cell, bn_mode) for shape in self.shapes), bn_mode)

    def cost(self, arch: str) -> Cost:
        """Add the fixed part and a look-up per part of each cell."""
        cell = canonical_cell(arch)
        parts = (
            _part_cost(part, shape.size)
            for shape in self.shapes
            for part in shape.parts(cell).values()
        )
        return sum(parts, self._fixed_cost)

    def peak_activations(self, arch: str) -> int:
        """Most numbers live at once; the second cell of a stack stands for those after it."""
        cell = canonical_cell(arch)
        x = self._stem_piece(Value.image(self.image_size))
        modules = min(self.modules, 2)
        for i, shape in enumerate(replace(self, modules=modules).shapes):
            if i and i % modules == 0:
                x = _downsample_piece(*x.shape)(x)
            parts = {n: _part_piece(p, shape.size) for n, p in shape.parts(cell).items()}
            x = shape.run(cell, x, parts)
        return x.peak

    def sketch(self, arch: str) -> Sketch:
        """Describe the cell, whose vertices are the operations."""
        cell = canonical_cell(arch)
        inner = (LOOKS[operation] for operation in cell.operations)
        ends = (Vertex(name, Kind.TERMINAL) for name in ("input", "output"))
        vertices = (next(ends), *inner, next(ends))
        return (Graph("cell", vertices, tuple(sorted(cell.edges))),)

    @cached_property
    def _stem_piece(self) -> Piece:
        with torch.device("meta"):
            stem = _Trunk(self, (), BatchNormMode.USUAL).stem
            return Piece(stem, 3, self.image_size, self.image_size)

    @cached_property
    def _fixed_cost(self) -> Cost:
        with torch.device("meta"):
            trunk = _Trunk(self, (), BatchNormMode.USUAL)
            return count(trunk.stem, 3, self.image_size, self.image_size) + count(
                trunk.classifier, trunk.classifier.in_features
            )


@cache
def _part_cost(part: Part, size: int) -> Cost:
    with torch.device("meta"):
        return count(part.build(BatchNormMode.USUAL), part.inputs, size, size)


@cache
def _part_piece(part: Part, size: int) -> Piece:
    with torch.device("meta"):
        return Piece(part.build(BatchNormMode.USUAL), part.inputs, size, size)


@cache
def _downsample_piece(*shape: int) -> Piece:
    return Piece(nn.MaxPool2d(2, ceil_mode=True), *shape)


class _Trunk(nn.Module):
    """The parts that all networks of the space share around their cells."""

    def __init__(
        self, space: NASBench101, cells: Iterable[nn.Module], bn_mode: BatchNormMode
    ) -> None:
        super().__init__()
        self.modules_per_stack = space.modules
        self.stem = Part(STEM, 3, space.channels).build(bn_mode)
        self.stem_node = FeatureNode(searched=False)
        self.cells = nn.ModuleList(cells)
        self.feature_nodes = nn.ModuleList(FeatureNode() for _ in space.shapes)
        self.downsample = nn.MaxPool2d(2, ceil_mode=True)
        self.classifier = nn.Linear(space.shapes[-1].outputs, space.classes)
        initialise(self)

    def run(self, images: Tensor, path: Iterable[Callable[[Tensor], Tensor]]) -> Tensor:
        """Class scores of `images`, with `path` as the cells."""
        x = self.stem_node(self.stem(images))
        for i, (cell, node) in enumerate(zip(path, self.feature_nodes, strict=True)):
            if i and i % self.modules_per_stack == 0:
                x = self.downsample(x)
            x = node(cell(x))
        scores: Tensor = self.classifier(x.mean((2, 3)))
        return scores


class _Network(_Trunk):
    """The stand-alone network of one architecture."""

    def forward(self, images: Tensor) -> Tensor:
        """N×3×H×W images to N×classes scores."""
        return self.run(images, self.cells)


class NASBench101Supernet(_Trunk, Supernet):
    """Every operation at every vertex; an architecture uses as many channels as it needs.

    Vertex v of the canonical cell uses the operations at the v-th of five vertices.
    """

    def __init__(self, space: NASBench101, bn_mode: BatchNormMode) -> None:
        super().__init__(space, (SuperCell(shape, bn_mode) for shape in space.shapes), bn_mode)
        freeze_convolutions(self)

    def forward(self, images: Tensor, arch: str) -> Tensor:
        """N×3×H×W images to N×classes scores along `arch`."""
        cell = canonical_cell(arch)
        return self.run(images, (partial(super_cell, cell=cell) for super_cell in self.cells))

    def bn_gammas(self, arch: str) -> list[Tensor]:
        """γ of each vertex of each cell that has a BatchNorm, as wide as the vertex."""
        return [
            layer.weight[: part.outputs]
            for _, name, part, module in self._chosen(arch)
            if name.startswith("vertex")
            for layer in module
            if isinstance(layer, nn.BatchNorm2d)
        ]

    def subnet_state_dict(self, arch: str) -> dict[str, Tensor]:
        """The shared entries, and those of the parts of each cell, sliced to their width."""
        state = {k: v for k, v in self.state_dict().items() if not k.startswith("cells.")}
        for i, name, part, module in self._chosen(arch):
            state |= {f"cells.{i}.{name}.{k}": v for k, v in module.subnet_state_dict(part).items()}
        return state

    def _chosen(self, arch: str) -> Iterator[tuple[int, str, Part, SlicedPart]]:
        cell = canonical_cell(arch)
        for i, super_cell in enumerate(self.cells):
            assert isinstance(super_cell, SuperCell)
            for chosen in super_cell.chosen(cell):
                yield i, *chosen
