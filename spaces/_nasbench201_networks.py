"""Networks and supernet of NAS-Bench-201: stem, cells with residual blocks between, classifier."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from spaces.base import FeatureNode, Supernet
from spaces.batchnorm import BatchNormMode, freeze_convolutions, initialise, last_gammas
from spaces.initialisation import Choice
from spaces.ops import AvgPool, ReLUConvBN, Skip, conv

if TYPE_CHECKING:
    from spaces.nasbench201 import NASBench201

NONE, SKIP, CONV1, CONV3, POOL = OPS = (
    "none",
    "skip_connect",
    "nor_conv_1x1",
    "nor_conv_3x3",
    "avg_pool_3x3",
)
EDGES = tuple((node, source) for node in (1, 2, 3) for source in range(node))


def candidate(op: str, channels: int, bn_mode: BatchNormMode) -> nn.Module:
    """The operation `op`, which keeps N×channels×H×W; `none` has no module."""
    if op == SKIP:
        return Skip(channels, bn_mode)
    if op == POOL:
        return AvgPool(channels, 1, bn_mode)
    return ReLUConvBN(channels, channels, {CONV1: 1, CONV3: 3}[op], 1, bn_mode)


def edge_key(edge: tuple[int, int]) -> str:
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
        keys = [edge_key((node, source)) for source in range(node)]
        inputs = [edges[k](nodes[i]) for i, k in enumerate(keys) if k in edges]
        nodes.append(sum(inputs[1:], inputs[0]) if inputs else torch.zeros_like(x))
    return nodes[-1]


class Trunk(nn.Module):
    """The parts that all networks of the space share around the edges of their cells."""

    def __init__(
        self, space: "NASBench201", cells: Iterable[nn.ModuleDict], bn_mode: BatchNormMode
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


class CellNetwork(Trunk):
    """The stand-alone network of one architecture."""

    def forward(self, images: Tensor) -> Tensor:
        """N×3×H×W images to N×classes scores."""
        return self.run(images, (dict(cell.named_children()) for cell in self.cells))


class CellSupernet(Trunk, Supernet):
    """Every candidate of every edge; a forward pass runs one per edge."""

    def __init__(self, space: "NASBench201", bn_mode: BatchNormMode) -> None:
        cells = (
            nn.ModuleDict({edge_key(edge): self._candidates(width, bn_mode) for edge in EDGES})
            for width in space.widths
        )
        super().__init__(space, cells, bn_mode)
        self.space = space
        freeze_convolutions(self)

    @staticmethod
    def _candidates(channels: int, bn_mode: BatchNormMode) -> Choice:
        return Choice({op: candidate(op, channels, bn_mode) for op in OPS if op != NONE})

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
            (edge_key(edge), op)
            for edge, op in zip(EDGES, self.space.operations(arch), strict=True)
            if op != NONE
        ]
        return [
            {key: cell.get_submodule(f"{key}.{op}") for key, op in chosen} for cell in self.cells
        ]
