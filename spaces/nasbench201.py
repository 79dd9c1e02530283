"""The cell space of NAS-Bench-201 (arXiv 2001.00326): 15,625 cells of six edges and five ops."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from optuna.distributions import CategoricalDistribution
from torch import nn

from spaces import register
from spaces._nasbench201_networks import (
    CONV1,
    CONV3,
    EDGES,
    NONE,
    OPS,
    POOL,
    SKIP,
    CellNetwork,
    CellSupernet,
    Trunk,
    candidate,
    edge_key,
    run_cell,
)
from spaces.base import ArchitectureError, Space, Supernet
from spaces.batchnorm import BatchNormMode
from spaces.cost import Cost, count
from spaces.memory import Piece, Value
from spaces.sketch import Graph, Kind, Sketch, Vertex

LOOKS = {
    SKIP: Vertex("skip", Kind.IDENTITY),
    CONV1: Vertex("conv 1×1", Kind.CONVOLUTION, 1),
    CONV3: Vertex("conv 3×3", Kind.CONVOLUTION, 3),
    POOL: Vertex("avg pool 3×3", Kind.POOLING),
}
TEMPLATE = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"
PATTERN = re.compile(re.escape(TEMPLATE).replace(r"\{\}", r"(\w+)"))


@register
@dataclass(frozen=True)
class NASBench201(Space):
    """Stem 3×3, three stages of one repeated cell, residual blocks that halve the size between.

    The benchmark trained all 15,625 cells on CIFAR-10, CIFAR-100 and 16 px ImageNet.

    A cell has four nodes; each of the last three sums one edge from every node before it. An
    architecture is the six operations, `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`: the edges into node
    1, then 2, then 3, with the node an edge comes from after `~`. As in the benchmark, isomorphic
    cells stay distinct, and an edge that does not reach the output is computed and counted.

    Args:
        cells: Cells per stage; the benchmark's networks have 5.
        channels: Width of the first stage, doubled in each of the next two; the benchmark's
            networks have 16.

    Raises:
        ValueError: An option is not a positive integer.
    """

    name: ClassVar[str] = "nasbench201"

    cells: int = 5
    channels: int = 16

    def __post_init__(self) -> None:
        for option in ("cells", "channels"):
            value = getattr(self, option)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"option '{option}' must be a positive integer, not {value!r}")

    @cached_property
    def stages(self) -> tuple[tuple[int, int], ...]:
        """Channels and height in pixels of the cells of each stage."""
        half = -(-self.image_size // 2)
        sizes = (self.image_size, half, -(-half // 2))
        return tuple((self.channels * 2**i, size) for i, size in enumerate(sizes))

    def distributions(self) -> dict[str, CategoricalDistribution]:
        """One choice per edge, `edge 1<-0` to `edge 3<-2`."""
        return {f"edge {node}<-{source}": CategoricalDistribution(OPS) for node, source in EDGES}

    def decode(self, params: Mapping[str, Any]) -> str:
        """Turn choices into a string; every combination is feasible."""
        return TEMPLATE.format(*(params[name] for name in self.choices))

    def encode(self, arch: str) -> dict[str, Any]:
        """Turn a string into choices."""
        return dict(zip(self.choices, self.operations(arch), strict=True))

    def canonical(self, text: str) -> str:
        """Check a string, which is its own canonical form. Raises ArchitectureError."""
        return TEMPLATE.format(*self.operations(text))

    def operations(self, arch: str) -> tuple[str, ...]:
        """The operation of each edge, in the order of EDGES. Raises ArchitectureError."""
        match = PATTERN.fullmatch(arch)
        if match is None:
            raise ArchitectureError(f"{arch!r} is not of the form {TEMPLATE.format(*['op'] * 6)}")
        for (node, source), op in zip(EDGES, match.groups(), strict=True):
            if op not in OPS:
                raise ArchitectureError(
                    f"edge {node}<-{source} cannot be {op!r}; it is one of: {', '.join(OPS)}"
                )
        return match.groups()

    def supernet(self, bn_mode: BatchNormMode) -> Supernet:
        """All candidates of every edge; each cell has its own weights."""
        return CellSupernet(self, bn_mode)

    def network(self, arch: str, bn_mode: BatchNormMode = BatchNormMode.USUAL) -> nn.Module:
        """The chosen candidates only."""
        chosen = [(e, op) for e, op in zip(EDGES, self.operations(arch), strict=True) if op != NONE]
        cells = (
            nn.ModuleDict({edge_key(e): candidate(op, channels, bn_mode) for e, op in chosen})
            for channels in self.widths
        )
        return CellNetwork(self, cells, bn_mode)

    def cost(self, arch: str) -> Cost:
        """Add the fixed part and a look-up per edge."""
        return sum((self._table[op] for op in self.operations(arch)), self._fixed_cost)

    def peak_activations(self, arch: str) -> int:
        """Most numbers live at once; the cells of a stage are alike, so one of each is counted."""
        stem, stages, (*reductions, head) = self._pieces
        x = stem(Value.image(self.image_size))
        ops = self.operations(arch)
        for pieces, after in zip(stages, (*reductions, head), strict=True):
            chosen = zip(EDGES, ops, strict=True)
            edges = {edge_key(edge): pieces[op] for edge, op in chosen if op != NONE}
            x = after(run_cell(x, edges))
        return x.peak

    def sketch(self, arch: str) -> Sketch:
        """Describe the cell: its nodes, and between them the operations other than `none`."""
        vertices = [
            Vertex("input", Kind.TERMINAL),
            *(Vertex(str(node), Kind.NODE) for node in (1, 2)),
            Vertex("output", Kind.TERMINAL),
        ]
        edges = []
        for (node, source), op in zip(EDGES, self.operations(arch), strict=True):
            if op != NONE:
                edges += [(source, len(vertices)), (len(vertices), node)]
                vertices.append(LOOKS[op])
        return (Graph("cell", tuple(vertices), tuple(edges)),)

    @property
    def widths(self) -> Iterator[int]:
        """The channels of each cell, first to last."""
        return (channels for channels, _ in self.stages for _ in range(self.cells))

    @cached_property
    def _table(self) -> dict[str, Cost]:
        """The cost of each operation on one edge, over all cells."""
        table = dict.fromkeys(OPS, Cost())
        with torch.device("meta"):
            for op in set(OPS) - {NONE}:
                for channels, size in self.stages:
                    one = count(candidate(op, channels, BatchNormMode.USUAL), channels, size, size)
                    table[op] += Cost(self.cells * one.macs, self.cells * one.params)
        return table

    @cached_property
    def _pieces(self) -> tuple[Piece, list[dict[str, Piece]], list[Piece]]:
        """The stem; the operations of each stage; what follows each stage."""
        with torch.device("meta"):
            trunk = Trunk(replace(self, cells=1), (), BatchNormMode.USUAL)
            stages = [
                {
                    op: Piece(candidate(op, width, BatchNormMode.USUAL), width, size, size)
                    for op in OPS
                    if op != NONE
                }
                for width, size in self.stages
            ]
            after = [
                Piece(module, width, size, size)
                for module, (width, size) in zip(
                    (*trunk.reductions, trunk.head), self.stages, strict=True
                )
            ]
            return Piece(trunk.stem, 3, self.image_size, self.image_size), stages, after

    @cached_property
    def _fixed_cost(self) -> Cost:
        with torch.device("meta"):
            trunk = Trunk(self, (nn.ModuleDict() for _ in self.widths), BatchNormMode.USUAL)
            (first, size), (second, half), (last, quarter) = self.stages
            return (
                count(trunk.stem, 3, size, size)
                + count(trunk.reductions[0], first, size, size)
                + count(trunk.reductions[1], second, half, half)
                + count(trunk.head, last, quarter, quarter)
                + count(trunk.classifier, last)
            )
