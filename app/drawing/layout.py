"""Where the vertices of a cell go, so that arrows run left to right and cross little.

The layered method of Sugiyama, Tagawa and Toda (1981): a column a vertex by its longest path from
a source, invisible vertices where an edge passes a column, and within columns an order that puts
each vertex near the middle of its neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations, product

Edge = tuple[int, int]
SWEEPS = 12
EXHAUSTIVE = 5  # a column of so many vertices is tried in all its orders


@dataclass(frozen=True)
class Layout:
    """Columns and rows, in units of one; `routes` holds the points that each edge passes."""

    places: list[tuple[int, float]]
    routes: dict[Edge, list[tuple[int, float]]]
    columns: int


def layout(count: int, edges: Sequence[Edge]) -> Layout:
    """Places of `count` vertices; `edges` form no circle."""
    columns = _columns(count, edges)
    total = max(columns) + 1
    segments: list[Edge] = []
    chains: dict[Edge, list[int]] = {}
    column_of = list(columns)
    for source, target in dict.fromkeys(edges):
        chain = [source]
        for column in range(columns[source] + 1, columns[target]):
            chain.append(len(column_of))
            column_of.append(column)
        chain.append(target)
        chains[source, target] = chain
        segments += pairwise(chain)
    layers = [[v for v, c in enumerate(column_of) if c == column] for column in range(total)]
    layers = _ordered(layers, segments)
    row_of = _rows(layers, segments)
    points = [(column_of[v], row_of[v]) for v in range(len(column_of))]
    return Layout(
        points[:count],
        {edge: [points[v] for v in chain] for edge, chain in chains.items()},
        total,
    )


def _columns(count: int, edges: Sequence[Edge]) -> list[int]:
    """The number of edges on the longest path from a source."""
    parents = {v: [s for s, t in edges if t == v] for v in range(count)}
    depth: dict[int, int] = {}

    def visit(v: int) -> int:
        if v not in depth:
            depth[v] = max((visit(s) + 1 for s in parents[v]), default=0)
        return depth[v]

    return [visit(v) for v in range(count)]


def _ordered(layers: list[list[int]], segments: list[Edge]) -> list[list[int]]:
    """The order of fewest crossings that some sweeps of barycentres find."""
    before: dict[int, list[int]] = {v: [] for layer in layers for v in layer}
    after: dict[int, list[int]] = {v: [] for layer in layers for v in layer}
    for s, t in segments:
        before[t].append(s)
        after[s].append(t)
    best, fewest = layers, _crossings(layers, segments)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        layers = [list(layer) for layer in layers]
        near = before if forward else after
        for i in range(len(layers)) if forward else reversed(range(len(layers))):
            layers[i] = _by_barycentre(layers, i, near)
        layers = _improved(layers, segments)
        if (crossings := _crossings(layers, segments)) < fewest:
            best, fewest = layers, crossings
    return best


def _by_barycentre(layers: list[list[int]], i: int, near: dict[int, list[int]]) -> list[int]:
    """Column i, each vertex by the mean relative place of those near it."""
    place = {v: k / max(1, len(layer) - 1) for layer in layers for k, v in enumerate(layer)}
    means = {v: sum(place[u] for u in near[v]) / len(near[v]) for v in layers[i] if near[v]}
    return sorted(layers[i], key=lambda v: means.get(v, place[v]))


def _improved(layers: list[list[int]], segments: list[Edge]) -> list[list[int]]:
    """Each column in the best of all its orders, where those are few, its neighbours fixed."""
    for i, layer in enumerate(layers):
        if len(layer) > EXHAUSTIVE:
            continue
        near = [e for e in segments if e[0] in layer or e[1] in layer]
        before, after = layers[max(0, i - 1) : i], layers[i + 1 : i + 2]
        orders = map(list, permutations(layer))
        layers[i] = min(
            (_crossings([*before, o, *after], near), n, o) for n, o in enumerate(orders)
        )[2]
    return layers


def _crossings(layers: list[list[int]], segments: list[Edge]) -> int:
    position = {v: (i, k) for i, layer in enumerate(layers) for k, v in enumerate(layer)}
    spans = [
        (position[s][0], position[s][1], position[t][1])
        for s, t in segments
        if s in position and t in position
    ]
    return sum(
        a[0] == b[0] and (a[1] - b[1]) * (a[2] - b[2]) < 0
        for i, a in enumerate(spans)
        for b in spans[:i]
    )


def _rows(layers: list[list[int]], segments: list[Edge]) -> dict[int, float]:
    """Rows one apart or more, in the order given, each near the mean of its neighbours."""
    near: dict[int, list[int]] = {v: [] for layer in layers for v in layer}
    for s, t in segments:
        near[s].append(t)
        near[t].append(s)
    row = {v: k - (len(layer) - 1) / 2 for layer in layers for k, v in enumerate(layer)}
    for _, layer in product(range(SWEEPS), layers):
        wanted = [sum(row[u] for u in near[v]) / len(near[v]) if near[v] else row[v] for v in layer]
        for v, place in zip(layer, _spread(wanted), strict=True):
            row[v] = place
    return row


def _spread(wanted: list[float]) -> list[float]:
    """The places nearest to those wanted that are one apart or more: pooled neighbours."""
    groups: list[tuple[float, int]] = []  # sum of wanted minus offset, how many
    for i, place in enumerate(wanted):
        groups.append((place - i, 1))
        while len(groups) > 1 and groups[-2][0] / groups[-2][1] > groups[-1][0] / groups[-1][1]:
            (a, n), (b, m) = groups[-2:]
            groups[-2:] = [(a + b, n + m)]
    means = [total / n for total, n in groups for _ in range(n)]
    return [mean + i for i, mean in enumerate(means)]
