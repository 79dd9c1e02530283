"""The cells of NAS-Bench-101 (arXiv 1902.09635) as labelled graphs, without any network."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb

from spaces.base import ArchitectureError

OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
MAX_INNER, MAX_EDGES = 5, 9

Edge = tuple[int, int]


@dataclass(frozen=True)
class Cell:
    """A directed acyclic graph from the input, vertex 0, over inner vertices to the output.

    `operations[i]` is what inner vertex i + 1 does. Edges go from lower to higher vertices.
    """

    edges: frozenset[Edge]
    operations: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Cell":
        """Read a cell, without pruning it. Raises ArchitectureError."""
        bits, colon, tail = text.partition(":")
        if not colon or set(bits) - {"0", "1"}:
            raise ArchitectureError(f"{text!r} is not of the form BITS:OPERATION|OPERATION|…")
        operations = tuple(tail.split("|")) if tail else ()
        if unknown := [o for o in operations if o not in OPERATIONS]:
            known = ", ".join(OPERATIONS)
            raise ArchitectureError(f"unknown operation {unknown[0]!r}; choose from: {known}")
        if len(bits) != (needed := comb(len(operations) + 2, 2)):
            raise ArchitectureError(
                f"{len(bits)} adjacency bits where {len(operations)} inner vertices need {needed}"
            )
        pairs = combinations(range(len(operations) + 2), 2)
        present = (pair for pair, bit in zip(pairs, bits, strict=True) if bit == "1")
        return cls(frozenset(present), operations)

    def __str__(self) -> str:
        """Upper triangle of the adjacency matrix, row by row, `:`, operations joined by `|`."""
        pairs = combinations(range(self.output + 1), 2)
        return "".join("01"[p in self.edges] for p in pairs) + ":" + "|".join(self.operations)

    @property
    def inner(self) -> range:
        """The vertices between input and output."""
        return range(1, self.output)

    @property
    def output(self) -> int:
        """The output vertex, which is the last."""
        return len(self.operations) + 1

    def parents(self, vertex: int) -> list[int]:
        """The vertices with an edge into `vertex`, in order."""
        return [u for u in range(vertex) if (u, vertex) in self.edges]

    def pruned(self) -> "Cell":
        """Drop whatever lies on no path from input to output; without any path no edge is left.

        Vertices keep their order.
        """
        ahead, back = {0}, {self.output}  # vertices after the input, and before the output
        for u, v in sorted(self.edges):
            if u in ahead:
                ahead.add(v)
        for u, v in sorted(self.edges, reverse=True):
            if v in back:
                back.add(u)
        kept = sorted(ahead & back)
        number = {vertex: i for i, vertex in enumerate(kept)}
        return Cell(
            frozenset((number[u], number[v]) for u, v in self.edges if u in number and v in number),
            tuple(self.operations[v - 1] for v in kept if 0 < v < self.output),
        )

    def canonical(self) -> "Cell":
        """Return the isomorphic cell that NAS-Bench-101's generator meets first and so lists.

        It counts up through adjacency matrices as binary numbers, in which an edge into a later
        vertex weighs more, then through operations in the order of `OPERATIONS`. More than the
        name depends on it: channels that do not divide evenly go to the first vertices.
        """
        return min(self._orders(), key=Cell._rank)

    def _rank(self) -> tuple[int, tuple[int, ...]]:
        number = sum(1 << (u + v * (v - 1) // 2) for u, v in self.edges)
        return number, tuple(map(OPERATIONS.index, self.operations))

    def _orders(self) -> Iterator["Cell"]:
        """The cell under every topological numbering; at most 5! of them."""
        stack: list[tuple[int, ...]] = [(0,)]
        while stack:
            order = stack.pop()
            if len(order) == self.output:
                number = {vertex: i for i, vertex in enumerate((*order, self.output))}
                yield Cell(
                    frozenset((number[u], number[v]) for u, v in self.edges),
                    tuple(self.operations[v - 1] for v in order[1:]),
                )
            stack += (
                (*order, v)
                for v in self.inner
                if v not in order and all(u in order for u in self.parents(v))
            )

    def widths(self, channels: int) -> dict[int, int]:
        """Channels of each inner vertex and of the output, which has `channels`.

        The inner vertices that feed the output share its channels; the first ones get one more if
        they do not divide evenly. Any other vertex is as wide as the widest that it feeds, so no
        vertex is wider than one that it reads.
        """
        feeding = [v for v in self.parents(self.output) if v in self.inner]
        widths = {self.output: channels}
        for i, v in enumerate(feeding):
            widths[v] = channels // len(feeding) + (i < channels % len(feeding))
        for v in reversed(self.inner):
            if v not in feeding:
                widths[v] = max(widths[w] for w in self.inner if (v, w) in self.edges)
        return widths


@lru_cache(maxsize=1 << 16)
def canonical_cell(text: str) -> Cell:
    """Return the canonical cell of a string. Raises ArchitectureError.

    The limits apply after pruning, as in the official `ModelSpec`.
    """
    cell = Cell.parse(text).pruned()
    if not cell.edges:
        raise ArchitectureError(f"no path leads from input to output in {text!r}")
    if len(cell.edges) > MAX_EDGES:
        raise ArchitectureError(f"{len(cell.edges)} edges where at most {MAX_EDGES} are allowed")
    if len(cell.operations) > MAX_INNER:
        raise ArchitectureError(
            f"{len(cell.operations)} inner vertices where at most {MAX_INNER} are allowed"
        )
    return cell.canonical()
