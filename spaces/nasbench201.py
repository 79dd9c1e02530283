"""The cell space of NAS-Bench-201 (arXiv 2001.00326): 15,625 cells of six edges and five ops."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from optuna.distributions import CategoricalDistribution
from torch import Tensor, nn

from spaces import register
from spaces.base import ArchitectureError, FeatureNode, Space, Supernet
from spaces.batchnorm import BatchNormMode, freeze_convolutions, initialise, last_gammas
from spaces.cost import Cost, count
from spaces.initialisation import Choice
from spaces.memory import Piece, Value
from spaces.ops import AvgPool, ReLUConvBN, Skip, conv
from spaces.sketch import Graph, Kind, Sketch, Vertex

NONE, SKIP, CONV1, CONV3, POOL = OPS = (
    "none",
    "skip_connect",
    "nor_conv_1x1",
    "nor_conv_3x3",
    "avg_pool_3x3",
)
LOOKS = {
    SKIP: Vertex("skip", Kind.IDENTITY),
    CONV1: Vertex("conv 1×1", Kind.CONVOLUTION, 1),
    CONV3: Vertex("conv 3×3", Kind.CONVOLUTION, 3),
    POOL: Vertex("avg pool 3×3", Kind.POOLING),
}
EDGES = tuple((node, source) for node in (1, 2, 3) for source in range(node))
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
        return NASBench201Supernet(self, bn_mode)

    def network(self, arch: str, bn_mode: BatchNormMode = BatchNormMode.USUAL) -> nn.Module:
        """The chosen candidates only."""
        chosen = [(e, op) for e, op in zip(EDGES, self.operations(arch), strict=True) if op != NONE]
        cells = (
            nn.ModuleDict({_key(e): _candidate(op, channels, bn_mode) for e, op in chosen})
            for channels in self.widths
        )
        return _Network(self, cells, bn_mode)

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
            x = after(run_cell(x, {_key(edge): pieces[op] for edge, op in chosen if op != NONE}))
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
                    one = count(_candidate(op, channels, BatchNormMode.USUAL), channels, size, size)
                    table[op] += Cost(self.cells * one.macs, self.cells * one.params)
        return table

    @cached_property
    def _pieces(self) -> tuple[Piece, list[dict[str, Piece]], list[Piece]]:
        """The stem; the operations of each stage; what follows each stage."""
        with torch.device("meta"):
            trunk = _Trunk(replace(self, cells=1), (), BatchNormMode.USUAL)
            stages = [
                {
                    op: Piece(_candidate(op, width, BatchNormMode.USUAL), width, size, size)
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
            trunk = _Trunk(self, (nn.ModuleDict() for _ in self.widths), BatchNormMode.USUAL)
            (first, size), (second, half), (last, quarter) = self.stages
            return (
                count(trunk.stem, 3, size, size)
                + count(trunk.reductions[0], first, size, size)
                + count(trunk.reductions[1], second, half, half)
                + count(trunk.head, last, quarter, quarter)
                + count(trunk.classifier, last)
            )


def _candidate(op: str, channels: int, bn_mode: BatchNormMode) -> nn.Module:
    """The operation `op`, which keeps N×channels×H×W; `none` has no module."""
    if op == SKIP:
        return Skip(channels, bn_mode)
    if op == POOL:
        return AvgPool(channels, 1, bn_mode)
    return ReLUConvBN(channels, channels, {CONV1: 1, CONV3: 3}[op], 1, bn_mode)


def _key(edge: tuple[int, int]) -> str:
    """The name of an edge among the modules of its cell."""
    return "edge_{}_{}".format(*edge)


class _Reduction(nn.Module):
    """Residual block that halves the size and doubles the channels.

    Nothing is chosen here, so there is no bias to remove, and both BatchNorms are trainable.
    """

    def __init__(self, inputs: int, bn_mode: BatchNormMode) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ReLUConvBN(inputs, 2 * inputs, 3, 2, bn_mode),
            ReLUConvBN(2 * inputs, 2 * inputs, 3, 1, bn_mode),
        )
        # rounding up matches the strided convolution on odd sizes
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), conv(inputs, 2 * inputs, 1))
        self.feature_node = FeatureNode(searched=False)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W to N×2C×⌈H/2⌉×⌈W/2⌉."""
        y: Tensor = self.feature_node(self.body(x) + self.shortcut(x))
        return y


def run_cell(x: Any, edges: Mapping[str, Callable[[Any], Any]]) -> Any:
    """The last node of the cell; edges without a module are left out, nodes without edges zero."""
    nodes = [x]
    for node in (1, 2, 3):
        keys = [_key((node, source)) for source in range(node)]
        inputs = [edges[k](nodes[i]) for i, k in enumerate(keys) if k in edges]
        nodes.append(sum(inputs[1:], inputs[0]) if inputs else torch.zeros_like(x))
    return nodes[-1]


class _Trunk(nn.Module):
    """The parts that all networks of the space share around the edges of their cells."""

    def __init__(
        self, space: NASBench201, cells: Iterable[nn.ModuleDict], bn_mode: BatchNormMode
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv(3, space.channels, 3), bn_mode.last(space.channels), FeatureNode(searched=False)
        )
        self.cells = nn.ModuleList(cells)
        self.feature_nodes = nn.ModuleList(FeatureNode() for _ in self.cells)
        self.reductions = nn.ModuleList(_Reduction(c, bn_mode) for c, _ in space.stages[:-1])
        width, _ = space.stages[-1]
        self.head = nn.Sequential(bn_mode.last(width), nn.ReLU(inplace=True))
        self.classifier = nn.Linear(width, space.classes)
        self.stage_length = space.cells
        initialise(self)

    def run(self, images: Tensor, path: Iterable[Mapping[str, nn.Module]]) -> Tensor:
        """Class scores of `images`, with `path` as the edges of the cells."""
        x = self.stem(images)
        for i, (edges, node) in enumerate(zip(path, self.feature_nodes, strict=True)):
            if i and i % self.stage_length == 0:
                x = self.reductions[i // self.stage_length - 1](x)
            x = node(run_cell(x, edges))
        scores: Tensor = self.classifier(self.head(x).mean((2, 3)))
        return scores


class _Network(_Trunk):
    """The stand-alone network of one architecture."""

    def forward(self, images: Tensor) -> Tensor:
        """N×3×H×W images to N×classes scores."""
        return self.run(images, (dict(cell.named_children()) for cell in self.cells))


class NASBench201Supernet(_Trunk, Supernet):
    """Every candidate of every edge; a forward pass runs one per edge."""

    def __init__(self, space: NASBench201, bn_mode: BatchNormMode) -> None:
        cells = (
            nn.ModuleDict({_key(edge): self._candidates(width, bn_mode) for edge in EDGES})
            for width in space.widths
        )
        super().__init__(space, cells, bn_mode)
        self.space = space
        freeze_convolutions(self)

    @staticmethod
    def _candidates(channels: int, bn_mode: BatchNormMode) -> Choice:
        return Choice({op: _candidate(op, channels, bn_mode) for op in OPS if op != NONE})

    def forward(self, images: Tensor, arch: str) -> Tensor:
        """N×3×H×W images to N×classes scores along `arch`."""
        return self.run(images, self._chosen(arch))

    def bn_gammas(self, arch: str) -> list[Tensor]:
        """γ of the last BatchNorm of each chosen operation that has one, over all cells."""
        return last_gammas(op for edges in self._chosen(arch) for op in edges.values())

    def subnet_state_dict(self, arch: str) -> dict[str, Tensor]:
        """The shared entries, and those of the chosen candidates under the edge's name."""
        state = {k: v for k, v in self.state_dict().items() if not k.startswith("cells.")}
        for cell, edges in enumerate(self._chosen(arch)):
            for key, operation in edges.items():
                entries = operation.state_dict().items()
                state |= {f"cells.{cell}.{key}.{k}": v for k, v in entries}
        return state

    def _chosen(self, arch: str) -> list[dict[str, nn.Module]]:
        """The chosen operation of each edge but `none`, cell by cell."""
        chosen = [
            (_key(edge), op)
            for edge, op in zip(EDGES, self.space.operations(arch), strict=True)
            if op != NONE
        ]
        return [
            {key: cell.get_submodule(f"{key}.{op}") for key, op in chosen} for cell in self.cells
        ]
