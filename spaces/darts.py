"""The DARTS space (arXiv 1806.09055): one normal and one reduction cell, stacked."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, ClassVar

import torch
from optuna.distributions import CategoricalDistribution
from torch import nn

from spaces import register
from spaces._darts_cells import (
    KINDS,
    NODES,
    OPERATIONS,
    canonical_cells,
    graph,
    parse,
    to_genotype,
    to_json,
)
from spaces._darts_networks import CellShape, DartsSupernet, EdgeShape, Network, Trunk, run_cell
from spaces.base import Space, Supernet
from spaces.batchnorm import BatchNormMode
from spaces.cost import Cost, count
from spaces.memory import Piece, Value
from spaces.sketch import Sketch

SLOTS = "ab"


@register
@dataclass(frozen=True)
class Darts(Space):
    """A stem, `layers` cells, global average pooling and a classifier; no auxiliary head.

    A cell reads the outputs of the two cells before it and concatenates its nodes 2 to 5. Each
    node adds two operations on earlier nodes, possibly on the same one. The cells at one third
    and two thirds of the depth are reduction cells, which halve the size and double the channels.
    For images of at most 64 px the stem is one 3×3 convolution to 3·channels; for larger ones it
    is three of stride 2. The defaults are the paper's network for CIFAR; its network for ImageNet
    has 14 layers and 48 channels.

    An architecture is `{"normal":[[operation,input],…],"reduce":[…]}`, two entries per node; see
    `canonical`. Raises ValueError for fewer than 3 layers or odd channels.
    """

    name: ClassVar[str] = "darts"

    layers: int = 20
    channels: int = 36

    def __post_init__(self) -> None:
        if type(self.layers) is not int or self.layers < 3:
            raise ValueError(f"layers must be an integer of at least 3, not {self.layers!r}")
        if type(self.channels) is not int or self.channels < 2 or self.channels % 2:
            raise ValueError(f"channels must be a positive even integer, not {self.channels!r}")

    @property
    def _small(self) -> bool:
        return self.image_size <= 64

    @cached_property
    def shapes(self) -> tuple[CellShape, ...]:
        """The shapes of the cells, first to last."""
        channels, size, reduced = self.channels, self.image_size, not self._small
        farther = nearer = 3 * channels if self._small else channels
        for _ in range(0 if self._small else 3):
            size = -(-size // 2)
        shapes = []
        for layer in range(self.layers):
            reduction = layer in (self.layers // 3, 2 * self.layers // 3)
            channels *= 2 if reduction else 1
            shape = CellShape(farther, nearer, channels, size, reduction, reduced)
            farther, nearer, size, reduced = nearer, shape.outputs, shape.size_out, reduction
            shapes.append(shape)
        return tuple(shapes)

    def distributions(self) -> dict[str, CategoricalDistribution]:
        """Operation and input of the two entries, a and b, of every node: 32 choices."""
        return {
            f"{kind} {node}{slot} {what}": CategoricalDistribution(choices)
            for kind in KINDS
            for node in NODES
            for slot in SLOTS
            for what, choices in (("operation", OPERATIONS), ("input", range(node)))
        }

    def decode(self, params: Mapping[str, Any]) -> str:
        """Turn choices into a string; every combination is feasible."""
        values = [params[name] for name in self.choices]
        entries = list(zip(values[::2], values[1::2], strict=True))
        half = len(entries) // 2
        return to_json(canonical_cells(entries[:half], entries[half:]))

    def encode(self, arch: str) -> dict[str, Any]:
        """Turn a string into choices."""
        values = (value for cell in parse(arch) for entry in cell for value in entry)
        return dict(zip(self.choices, values, strict=True))

    def canonical(self, text: str) -> str:
        """Return the JSON for this JSON or `Genotype(…)`. Raises ArchitectureError.

        The two entries of a node are sorted by input, then by operation name, and `none` reads 0.
        """
        return to_json(parse(text))

    def genotype(self, arch: str) -> str:
        """Return the form that papers print: `Genotype(normal=[('skip_connect', 0), …], …)`."""
        return to_genotype(parse(arch))

    def supernet(self, bn_mode: BatchNormMode) -> Supernet:
        """All candidates on every edge of every cell; the two entries of a node share them."""
        return DartsSupernet(self.shapes, self.classes, bn_mode)

    def network(self, arch: str, bn_mode: BatchNormMode = BatchNormMode.USUAL) -> nn.Module:
        """The chosen operations only, each entry with its own weights."""
        return Network(self.shapes, self.classes, parse(arch), bn_mode)

    def cost(self, arch: str) -> Cost:
        """Add the fixed part and a look-up per entry of the two cells."""
        normal, reduce = parse(arch)
        chosen = (
            _entry_cost(self, reduction, *entry)
            for reduction, cell in ((False, normal), (True, reduce))
            for entry in cell
        )
        return sum(chosen, self._fixed_cost)

    def peak_activations(self, arch: str) -> int:
        """Most numbers live at once; more than nine cells need no more than nine."""
        cells = parse(arch)
        space = replace(self, layers=min(self.layers, 9))
        first, second = self._stem_pieces
        farther = first(Value.image(self.image_size))
        nearer = second(farther)
        for shape in space.shapes:
            inputs = [p(x) for p, x in zip(_inputs(shape), (farther, nearer), strict=True)]
            steps = [(_operation_piece(op, shape.edge(i)), i) for op, i in shape.entries(cells)]
            farther, nearer = nearer, run_cell(inputs, steps)
        return nearer.peak

    def sketch(self, arch: str) -> Sketch:
        """Describe both cells."""
        cells = parse(arch)
        return graph("normal cell", cells.normal), graph("reduction cell", cells.reduce)

    @cached_property
    def _stem_pieces(self) -> tuple[Piece, Piece]:
        with torch.device("meta"):
            first, second = Trunk(self.shapes[:1], 1, [()], BatchNormMode.USUAL).stem
            piece = Piece(first, 3, self.image_size, self.image_size)
            return piece, Piece(second, *piece.shape)

    @cached_property
    def _fixed_cost(self) -> Cost:
        with torch.device("meta"):
            trunk = Trunk(self.shapes, self.classes, [()] * self.layers, BatchNormMode.USUAL)
            total = count(trunk.classifier, self.shapes[-1].outputs)
            total += count(nn.Sequential(*trunk.stem), 3, self.image_size, self.image_size)
            for shape in self.shapes:
                farther, nearer = shape.preprocess(BatchNormMode.USUAL)
                size = 2 * shape.size if shape.after_reduction else shape.size
                total += count(farther, shape.farther, size, size)
                total += count(nearer, shape.nearer, shape.size, shape.size)
        return total


@cache
def _entry_cost(space: Darts, reduction: bool, operation: str, source: int) -> Cost:
    """The cost of an entry in all normal or all reduction cells."""
    edges = (shape.edge(source) for shape in space.shapes if shape.reduction is reduction)
    return sum((_operation_cost(operation, edge) for edge in edges), Cost())


@cache
def _operation_cost(operation: str, edge: EdgeShape) -> Cost:
    with torch.device("meta"):
        built = edge.build(operation, BatchNormMode.USUAL)
        return count(built, edge.channels, edge.size, edge.size)


@cache
def _operation_piece(operation: str, edge: EdgeShape) -> Piece:
    with torch.device("meta"):
        built = edge.build(operation, BatchNormMode.USUAL)
        return Piece(built, edge.channels, edge.size, edge.size)


@cache
def _inputs(shape: CellShape) -> tuple[Piece, Piece]:
    """What brings the two inputs of a cell to its channels and size."""
    with torch.device("meta"):
        farther, nearer = shape.preprocess(BatchNormMode.USUAL)
        size = 2 * shape.size if shape.after_reduction else shape.size
        return (
            Piece(farther, shape.farther, size, size),
            Piece(nearer, shape.nearer, shape.size, shape.size),
        )
