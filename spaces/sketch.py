"""What an architecture looks like, regardless of how it is drawn.

A space describes an architecture in these terms, and `app/diagram.py`, which knows no space, draws
it.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a vertex or layer does; it decides the colour."""

    TERMINAL = "input or output"
    NODE = "sum"
    CONVOLUTION = "convolution"
    POOLING = "pooling"
    IDENTITY = "identity"
    NONE = "none"


@dataclass(frozen=True)
class Vertex:
    """A box of a graph: its text, its kind, and the kernel size if it is a convolution."""

    label: str
    kind: Kind
    kernel: int = 0


@dataclass(frozen=True)
class Graph:
    """A cell, an acyclic graph: each edge leads from one index of `vertices` to another."""

    title: str
    vertices: tuple[Vertex, ...]
    edges: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Layer:
    """One layer of a chain: its text, its kind, its output channels and resolution in pixels.

    `kernel`, `expansion`, `stride` and `se` (squeeze-and-excitation) describe a convolution or an
    inverted residual block.
    """

    label: str
    kind: Kind
    kernel: int = 0
    expansion: float = 1
    stride: int = 1
    channels: int = 0
    size: int = 0
    se: bool = False


@dataclass(frozen=True)
class Strip:
    """A chain of layers, first to last."""

    title: str
    layers: tuple[Layer, ...]


Sketch = tuple[Graph | Strip, ...]
"""An architecture: its parts, drawn below each other."""
