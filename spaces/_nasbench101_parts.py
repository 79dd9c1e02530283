"""The parts of NAS-Bench-101's cells, at their exact width or sliced from the supernet's.

Stand-alone cells hold plain modules, so that they can be exported and counted as usual. A supernet
holds every part at full width; an architecture uses its first channels.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial, reduce
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spaces._nasbench101_cell import MAX_INNER, OPERATIONS, Cell
from spaces.batchnorm import BatchNormMode
from spaces.ops import MaxPool, conv

KERNELS = {"conv3x3-bn-relu": 3, "conv1x1-bn-relu": 1}
STEM, PROJECTION = KERNELS
INNER = range(1, MAX_INNER + 1)


class Part(NamedTuple):
    """An operation of a cell, or a projection of its input, with its channels in and out."""

    operation: str
    inputs: int
    outputs: int

    def build(self, bn_mode: BatchNormMode) -> nn.Sequential:
        """Build the module. It ends in its BatchNorm, followed by a ReLU if it is a convolution."""
        if self.operation not in KERNELS:
            return MaxPool(self.outputs, 1, bn_mode)
        return nn.Sequential(
            conv(self.inputs, self.outputs, KERNELS[self.operation]),
            bn_mode.last(self.outputs),
            nn.ReLU(),  # not in place: scores read the output of BatchNorm
        )


class CellShape(NamedTuple):
    """The position of a cell: channels in and out, and its height in pixels."""

    inputs: int
    outputs: int
    size: int

    def parts(self, cell: Cell) -> dict[str, Part]:
        """The operations of `cell` (`vertex1`, …) and the projections of its input, by name."""
        widths = cell.widths(self.outputs)
        operations = {
            f"vertex{v}": Part(operation, widths[v], widths[v])
            for v, operation in zip(cell.inner, cell.operations, strict=True)
        }
        projections = {
            self.projection(cell, v): Part(PROJECTION, self.inputs, widths[v])
            for v in (*cell.inner, cell.output)
            if 0 in cell.parents(v)
        }
        return operations | projections

    def candidates(self) -> dict[str, list[Part]]:
        """The candidates for each part of any cell, by name and at full width."""
        operations = [Part(operation, self.outputs, self.outputs) for operation in OPERATIONS]
        projection = [Part(PROJECTION, self.inputs, self.outputs)]
        names = (*(f"input_to_{v}" for v in INNER), "input_to_output")
        return {f"vertex{v}": operations for v in INNER} | dict.fromkeys(names, projection)

    def run(self, cell: Cell, x: Any, parts: Mapping[str, Callable[[Any], Any]]) -> Any:
        """N×inputs×H×W to N×outputs×H×W: apply `cell`, made of `parts`, to `x`.

        A vertex adds its inputs, sliced to its own channels; the output concatenates them. The
        cell's input is projected for each vertex that reads it; the output adds its projection.
        """
        widths = cell.widths(self.outputs)
        values: dict[int, Any] = {}
        for v in (*cell.inner, cell.output):
            read = [values[u] for u in cell.parents(v) if u]
            if v == cell.output:
                terms = [torch.cat(read, 1)] if read else []
            else:
                terms = [value[:, : widths[v]] for value in read]
            if 0 in cell.parents(v):
                terms.append(parts[self.projection(cell, v)](x))
            total = reduce(torch.add, terms)
            values[v] = total if v == cell.output else parts[f"vertex{v}"](total)
        return values[cell.output]

    @staticmethod
    def projection(cell: Cell, vertex: int) -> str:
        """The name of the projection that `vertex` reads; the output has one name in all cells."""
        return f"input_to_{'output' if vertex == cell.output else vertex}"


class PlainCell(nn.ModuleDict):
    """One cell of a stand-alone network: its parts and no others."""

    def __init__(self, shape: CellShape, cell: Cell, bn_mode: BatchNormMode) -> None:
        super().__init__({n: part.build(bn_mode) for n, part in shape.parts(cell).items()})
        self.shape, self.cell = shape, cell

    def forward(self, x: Tensor) -> Tensor:
        """N×inputs×H×W to N×outputs×H×W."""
        y: Tensor = self.shape.run(self.cell, x, dict(self.items()))
        return y


class _SlicedConv(nn.Conv2d):
    """A convolution of stride 1 that can use its first channels only, in and out."""

    def forward(self, x: Tensor, outputs: int | None = None) -> Tensor:
        """N×inputs×H×W to N×outputs×H×W."""
        weight = self.weight[:outputs, : x.shape[1]]
        return F.conv2d(x, weight, padding=self.padding)


class _SlicedBatchNorm(nn.BatchNorm2d):
    """A BatchNorm that can use its first channels only, always with batch statistics."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise N×C×H×W."""
        weight, bias = (parameter[: x.shape[1]] for parameter in (self.weight, self.bias))
        return F.batch_norm(x, None, None, weight, bias, training=True, eps=self.eps)


class SlicedPart(nn.Sequential):
    """A part at full width, whose state dict has the keys of `Part.build`."""

    def __init__(self, part: Part, bn_mode: BatchNormMode) -> None:
        super().__init__(*map(self._sliced, part.build(bn_mode)))

    @staticmethod
    def _sliced(layer: nn.Module) -> nn.Module:
        if isinstance(layer, nn.Conv2d):
            kernel = layer.kernel_size[0]
            return _SlicedConv(
                layer.in_channels, layer.out_channels, kernel, padding=kernel // 2, bias=False
            )
        if isinstance(layer, nn.BatchNorm2d):
            return _SlicedBatchNorm(layer.num_features, layer.eps, track_running_stats=False)
        return layer

    def forward(self, x: Tensor, outputs: int | None = None) -> Tensor:
        """N×inputs×H×W to N×outputs×H×W; neither may be wider than the part."""
        for layer in self:
            x = layer(x, outputs) if isinstance(layer, _SlicedConv) else layer(x)
        return x

    def subnet_state_dict(self, part: Part) -> dict[str, Tensor]:
        """The state dict of `part.build`, sliced as in `forward`."""
        ends = part.outputs, part.inputs
        return {
            name: tensor[tuple(map(slice, ends[: tensor.dim()]))]
            for name, tensor in self.state_dict().items()
        }


class SuperCell(nn.ModuleDict):
    """Every part that any cell may have at this position."""

    def __init__(self, shape: CellShape, bn_mode: BatchNormMode) -> None:
        super().__init__(
            {
                f"{name}:{part.operation}": SlicedPart(part, bn_mode)
                for name, parts in shape.candidates().items()
                for part in parts
            }
        )
        self.shape = shape

    def chosen(self, cell: Cell) -> Iterator[tuple[str, Part, SlicedPart]]:
        """Name, shape and module of each part of `cell`."""
        for name, part in self.shape.parts(cell).items():
            module = self[f"{name}:{part.operation}"]
            assert isinstance(module, SlicedPart)
            yield name, part, module

    def forward(self, x: Tensor, cell: Cell) -> Tensor:
        """N×inputs×H×W to N×outputs×H×W."""
        parts = {n: partial(m, outputs=part.outputs) for n, part, m in self.chosen(cell)}
        y: Tensor = self.shape.run(cell, x, parts)
        return y
