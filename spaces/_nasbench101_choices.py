"""The cells of NAS-Bench-101 as independent choices.

Most random adjacency matrices exceed nine edges or leave vertices dangling. Here each of five
inner vertices is an operation or `none` and reads one vertex before it, and five extra edges are
added. Nothing dangles, because a vertex that no other reads feeds the output. Every cell can be
reached, and only 0.2 % of uniform draws describe no cell.
"""

from collections.abc import Collection, Mapping
from itertools import combinations, zip_longest

from optuna.distributions import CategoricalDistribution

from spaces._nasbench101_cell import MAX_EDGES, MAX_INNER, OPERATIONS, Cell, Edge
from spaces.base import InfeasibleError

NONE = "none"
INNER = range(1, MAX_INNER + 1)
OUTPUT = MAX_INNER + 1
VERTICES = ("input", *(f"vertex {v}" for v in INNER), "output")
READS = {v: f"{VERTICES[v]} reads" for v in INNER if v > 1}  # vertex 1 can only read the input
EDGES = {
    f"{VERTICES[u]} to {VERTICES[v]}": (u, v)
    for u, v in combinations(range(OUTPUT + 1), 2)
    if v > 1
}
LABELS = {edge: label for label, edge in EDGES.items()}
# n inner vertices read n edges and imply at least one more, so that of the nine edges that are
# allowed (or the fewer that exist) at most five are left, for n = 3
EXTRAS = tuple(f"extra edge {i}" for i in range(1, 6))


def distributions() -> dict[str, CategoricalDistribution]:
    """The choices by name: five vertices, the vertex that four of them read, five extra edges."""
    return {
        **{VERTICES[v]: CategoricalDistribution((*OPERATIONS, NONE)) for v in INNER},
        **{reads: CategoricalDistribution(VERTICES[:v]) for v, reads in READS.items()},
        **{extra: CategoricalDistribution((NONE, *EDGES)) for extra in EXTRAS},
    }


def decode(params: Mapping[str, str]) -> Cell:
    """Turn choices into the canonical cell.

    Reading a vertex that is `none` means reading the vertex that it reads. An extra edge is
    ignored if it leads to a vertex that is `none` or would be the tenth. Raises InfeasibleError
    for ten edges without any extra one.
    """
    present = [v for v in INNER if params[VERTICES[v]] != NONE]
    reads = {1: 0} | {v: VERTICES.index(params[choice]) for v, choice in READS.items()}

    def source(vertex: int) -> int:
        while vertex in reads and vertex not in present:
            vertex = reads[vertex]
        return vertex

    edges = {(source(reads[v]), v) for v in present}
    if len(_complete(edges, present)) > MAX_EDGES:
        raise InfeasibleError(f"five vertices that all read the input need {2 * MAX_INNER} edges")
    for extra in EXTRAS:
        if params[extra] == NONE:
            continue
        u, v = EDGES[params[extra]]
        longer = edges | {(source(u), v)}
        if v in (*present, OUTPUT) and len(_complete(longer, present)) <= MAX_EDGES:
            edges = longer
    operations = tuple(params[VERTICES[v]] for v in INNER)
    # a vertex that is `none` has no edges, so it is pruned
    return Cell(frozenset(_complete(edges, present)), operations).pruned().canonical()


def encode(cell: Cell) -> dict[str, str]:
    """Turn a cell into choices: vertices in order, each reading its first parent, then `none`."""
    vertex = {cell.output: OUTPUT}
    edges = {(u, vertex.get(v, v)) for u, v in cell.edges}
    read = {v: cell.parents(v)[0] for v in cell.inner}
    plain = _complete({(u, v) for u, v in edges if v != OUTPUT}, cell.inner)
    implied = {(u, v) for u, v in plain if v == OUTPUT or read[v] == u}
    extras = [LABELS[edge] for edge in sorted(edges - implied)]
    operations = dict(zip(INNER, cell.operations, strict=False))
    return {
        **{VERTICES[v]: operations.get(v, NONE) for v in INNER},
        **{choice: VERTICES[read.get(v, 0)] for v, choice in READS.items()},
        **dict(zip_longest(EXTRAS, extras, fillvalue=NONE)),
    }


def _complete(edges: set[Edge], present: Collection[int]) -> set[Edge]:
    """Add an edge to the output from each vertex that leads nowhere."""
    tails = {u for u, _ in edges}
    return edges | {(v, OUTPUT) for v in present or (0,) if v not in tails}
