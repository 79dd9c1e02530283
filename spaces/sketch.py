"""What an architecture looks like, said without saying how it is drawn.

A space answers `sketch` with these; `app/drawing/` turns them into pictures and knows no space.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a vertex or layer does, which decides its colour."""

    TERMINAL = "input or output"
    NODE = "sum"
    CONVOLUTION = "convolution"
    POOLING = "pooling"
    IDENTITY = "identity"
    NONE = "none"


@dataclass(frozen=True)
class Vertex:
    """A box of a graph: its text, what it does, and the kernel size of a convolution."""

    label: str
    kind: Kind
    kernel: int = 0


@dataclass(frozen=True)
class Graph:
    """A cell: `edges` lead from one index of `vertices` to another, without a circle."""

    title: str
    vertices: tuple[Vertex, ...]
    edges: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Layer:
    """One layer of a chain: its text, what it does, its channels and the pixels it puts out.

    `kernel`, `expansion` and `stride` are those of a convolution or an inverted residual block.
    """

    label: str
    kind: Kind
    kernel: int = 0
    expansion: float = 1
    stride: int = 1
    channels: int = 0
    size: int = 0


@dataclass(frozen=True)
class Strip:
    """A chain of layers, first to last."""

    title: str
    layers: tuple[Layer, ...]


Sketch = tuple[Graph | Strip, ...]
"""An architecture: drawn below each other."""
