"""The networks of DARTS (arXiv 1806.09055): cells stacked on a stem."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spaces._darts_cells import NODES, OPERATIONS, Cells, Entry, parse
from spaces._darts_ops import BUILDERS, FactorizedReduce
from spaces.base import FeatureNode, Supernet
from spaces.batchnorm import BatchNormMode, freeze_convolutions, initialise, last_gammas
from spaces.initialisation import Choice
from spaces.ops import ReLUConvBN, conv

EDGES = tuple((node, source) for node in NODES for source in range(node))

Step = tuple[nn.Module, int]
"""An operation and the node of its cell that it reads."""


@dataclass(frozen=True)
class EdgeShape:
    """The edge of an operation: channels in and out, stride, height of its input in pixels."""

    channels: int
    stride: int
    size: int

    def build(self, operation: str, bn_mode: BatchNormMode) -> nn.Module:
        """The candidate `operation`."""
        return BUILDERS[operation](self.channels, self.stride, bn_mode)


@dataclass(frozen=True)
class CellShape:
    """A cell: channels of its two inputs and of its nodes, and the height of its nearer input.

    If `after_reduction`, its farther input has twice that height.
    """

    farther: int
    nearer: int
    channels: int
    size: int
    reduction: bool
    after_reduction: bool

    @property
    def outputs(self) -> int:
        """Channels of the concatenated nodes."""
        return len(NODES) * self.channels

    @property
    def size_out(self) -> int:
        """Height of the output."""
        return -(-self.size // 2) if self.reduction else self.size

    def entries(self, cells: Cells) -> tuple[Entry, ...]:
        """The entries of the normal or the reduction cell, whichever this is."""
        return cells.reduce if self.reduction else cells.normal

    def edge(self, source: int) -> EdgeShape:
        """The shape of an edge from node `source`; only edges from the inputs have stride 2."""
        from_input = source < NODES[0]
        stride = 2 if self.reduction and from_input else 1
        return EdgeShape(self.channels, stride, self.size if from_input else self.size_out)

    def preprocess(self, bn_mode: BatchNormMode) -> tuple[nn.Module, nn.Module]:
        """The modules that bring the farther and the nearer input to `channels` and one size."""
        farther = (
            FactorizedReduce(self.farther, self.channels, bn_mode)
            if self.after_reduction
            else ReLUConvBN(self.farther, self.channels, 1, 1, bn_mode)
        )
        return farther, ReLUConvBN(self.nearer, self.channels, 1, 1, bn_mode)


Shapes = tuple[CellShape, ...]


def _stem(cell: CellShape, bn_mode: BatchNormMode) -> list[nn.Module]:
    """From images to the first cell's farther input, and from there to its nearer one."""
    channels, half = cell.nearer, cell.nearer // 2
    if not cell.after_reduction:
        return [nn.Sequential(conv(3, channels, 3), bn_mode.last(channels)), nn.Identity()]
    farther = nn.Sequential(
        conv(3, half, 3, 2),
        bn_mode.last(half),
        nn.ReLU(inplace=True),
        conv(half, channels, 3, 2),
        bn_mode.last(channels),
    )
    nearer = nn.Sequential(nn.ReLU(), conv(channels, channels, 3, 2), bn_mode.last(channels))
    return [farther, nearer]


def run_cell(inputs: list[Any], steps: Sequence[tuple[Callable[[Any], Any], int]]) -> Any:
    """Concatenate nodes 2 to 5, each the sum of two steps on earlier nodes."""
    nodes = [*inputs]
    for (first, i), (second, j) in zip(steps[::2], steps[1::2], strict=True):
        nodes.append(first(nodes[i]) + second(nodes[j]))
    return torch.cat(nodes[2:], 1)


class _Cell(nn.Module):
    """A cell that runs the operations it is given."""

    def __init__(
        self, shape: CellShape, operations: Iterable[nn.Module], bn_mode: BatchNormMode
    ) -> None:
        super().__init__()
        self.farther, self.nearer = shape.preprocess(bn_mode)
        self.operations = nn.ModuleList(operations)
        self.feature_node = FeatureNode()

    def forward(self, farther: Tensor, nearer: Tensor, steps: Sequence[Step]) -> Tensor:
        """N×4·channels×H×W: four nodes, each the sum of two of the eight steps."""
        nodes = run_cell([self.farther(farther), self.nearer(nearer)], steps)
        output: Tensor = self.feature_node(nodes)
        return output


class Trunk(nn.Module):
    """The parts that all networks of the space share around their chosen operations."""

    def __init__(
        self,
        shapes: Shapes,
        classes: int,
        operations: Iterable[Iterable[nn.Module]],
        bn_mode: BatchNormMode,
    ) -> None:
        super().__init__()
        self.stem = nn.ModuleList(_stem(shapes[0], bn_mode))
        self.stem_node = FeatureNode(searched=False)
        self.cells = nn.ModuleList(
            _Cell(shape, inside, bn_mode) for shape, inside in zip(shapes, operations, strict=True)
        )
        self.classifier = nn.Linear(shapes[-1].outputs, classes)
        initialise(self)

    def operations(self) -> Iterator[nn.ModuleList]:
        """The operations in each cell."""
        for cell in self.cells:
            assert isinstance(cell, _Cell)
            yield cell.operations

    def run(self, images: Tensor, steps: Iterable[Sequence[Step]]) -> Tensor:
        """Class scores of `images`, with these `steps` in the cells."""
        farther = self.stem[0](images)
        nearer = self.stem_node(self.stem[1](farther))
        for cell, inside in zip(self.cells, steps, strict=True):
            farther, nearer = nearer, cell(farther, nearer, inside)
        scores: Tensor = self.classifier(nearer.mean((2, 3)))
        return scores


class Network(Trunk):
    """The stand-alone network of one architecture."""

    def __init__(self, shapes: Shapes, classes: int, cells: Cells, bn_mode: BatchNormMode) -> None:
        entries = [shape.entries(cells) for shape in shapes]
        operations = (
            [shape.edge(source).build(operation, bn_mode) for operation, source in inside]
            for shape, inside in zip(shapes, entries, strict=True)
        )
        super().__init__(shapes, classes, operations, bn_mode)
        self.sources = [[source for _, source in inside] for inside in entries]

    def forward(self, images: Tensor) -> Tensor:
        """N×3×H×W images to N×classes scores."""
        inside = zip(self.operations(), self.sources, strict=True)
        return self.run(images, (list(zip(*both, strict=True)) for both in inside))


class DartsSupernet(Trunk, Supernet):
    """Every candidate on every edge of every cell; a forward pass runs two per node.

    Candidates belong to an edge, as in DARTS: a node that chooses the same operation on the same
    input twice uses the same weights twice.
    """

    def __init__(self, shapes: Shapes, classes: int, bn_mode: BatchNormMode) -> None:
        operations = (
            [
                Choice({op: shape.edge(source).build(op, bn_mode) for op in OPERATIONS})
                for _, source in EDGES
            ]
            for shape in shapes
        )
        super().__init__(shapes, classes, operations, bn_mode)
        self.shapes = shapes
        freeze_convolutions(self)

    def forward(self, images: Tensor, arch: str) -> Tensor:
        """N×3×H×W images to N×classes scores along `arch`."""
        return self.run(images, self._chosen(arch))

    def bn_gammas(self, arch: str) -> list[Tensor]:
        """γ of the last BatchNorm of each chosen operation that has one."""
        return last_gammas(operation for steps in self._chosen(arch) for operation, _ in steps)

    def subnet_state_dict(self, arch: str) -> dict[str, Tensor]:
        """The shared entries, and those of the chosen operations under their position."""
        state = {k: v for k, v in self.state_dict().items() if ".operations." not in k}
        for cell, steps in enumerate(self._chosen(arch)):
            for i, (operation, _) in enumerate(steps):
                prefix = f"cells.{cell}.operations.{i}."
                state |= {prefix + k: v for k, v in operation.state_dict().items()}
        return state

    def _chosen(self, arch: str) -> Iterator[list[Step]]:
        """The eight steps of each cell."""
        cells = parse(arch)
        for shape, edges in zip(self.shapes, self.operations(), strict=True):
            steps = []
            for i, (operation, source) in enumerate(shape.entries(cells)):
                candidates = edges[EDGES.index((NODES[i // 2], source))]
                assert isinstance(candidates, nn.ModuleDict)
                steps.append((candidates[operation], source))
            yield steps
