"""Pictures of architectures: a space's sketch as one SVG image, for report and dashboard."""

from html import escape
from itertools import groupby, pairwise
from random import Random
from statistics import fmean

import networkx as nx
import numpy as np
from scipy.optimize import isotonic_regression

from spaces.sketch import Graph, Kind, Layer, Sketch, Strip, Vertex

# lengths in pixels
BOX, ROW, GAP, TIP, MARGIN = 30, 46, 36, 10, 12
STEP, STRIDE_GAP = 45, 26
SKIPPED, PER_EXPANSION, MAX_EXPANSION = 26, 22, 8
TITLE = 24

INK, PALE, RED = "#33414e", "#7a8894", "#b2452f"
KERNELS = {1: "#d3e5f5", 3: "#8fbfe6", 5: "#4a8fcb", 7: "#22649f"}
"""Convolutions are darker the larger their kernel; other sizes take the next smaller colour."""
KEY = "k×k kernel · e expansion · ÷ stride · ch channels"
FILL = {Kind.TERMINAL: "#f4f1ea", Kind.POOLING: "#bfe3c0", Kind.IDENTITY: "#e6e6e6"}

Markup = tuple[str, float, float]
"""SVG elements, their width and their height."""


def svg(sketch: Sketch) -> str:
    """Draw the parts of an architecture below each other; the same sketch gives the same text."""
    body, width, height = "", 0.0, 0.0
    for part in sketch:
        if len(sketch) > 1:
            body += _text(MARGIN, height + 15, part.title, size=13, anchor="start", weight="bold")
            height += TITLE
        markup, w, h = _graph(part) if isinstance(part, Graph) else _strip(part)
        body += f'<g transform="translate(0 {height:g})">{markup}</g>'
        width, height = max(width, w), height + h
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" font-family="system-ui, sans-serif" '
        f'text-anchor="middle" role="img">{body}</svg>'
    )


def _graph(graph: Graph) -> Markup:
    """Draw a cell from left to right: a column for each step of the longest path."""
    columns, rows, chains = _layout(len(graph.vertices), graph.edges)
    half = [0.0] * (max(columns.values()) + 1)
    for v, vertex in enumerate(graph.vertices):
        half[columns[v]] = max(half[columns[v]], _width(vertex) / 2 + TIP)
    middle = [MARGIN - TIP + half[0]]
    for left, right in pairwise(half):
        middle.append(middle[-1] + left + GAP + right)
    top = min(rows.values())
    y = {v: MARGIN + BOX / 2 + (row - top) * ROW for v, row in rows.items()}
    body = ""
    for chain in chains:  # straight past the boxes of a column, bent between columns
        points = [
            (middle[columns[v]] + side * half[columns[v]], y[v]) for v in chain for side in (-1, 1)
        ]
        start, end = (_width(graph.vertices[v]) / 2 for v in (chain[0], chain[-1]))
        points[0] = (middle[columns[chain[0]]] + start, points[0][1])
        points[-1] = (middle[columns[chain[-1]]] - end, points[-1][1])
        path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
        for (x0, y0), (x1, y1) in pairwise(points):
            bend = (x1 - x0) / 2
            path += f"C{x0 + bend:.1f} {y0:.1f} {x1 - bend:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
        body += f'<path d="{path}" fill="none" stroke="{INK}" stroke-width="1.3"/>'
        body += f'<path d="M{points[-1][0]:.1f} {points[-1][1]:.1f}l-8-3.5v7z" fill="{INK}"/>'
    for v, vertex in enumerate(graph.vertices):
        is_round = vertex.kind in (Kind.NODE, Kind.TERMINAL)
        box = (middle[columns[v]], y[v], _width(vertex), BOX)
        fill = _fill(vertex.kind, vertex.kernel)
        body += _box(*box, fill, BOX / 2 if is_round else 5, dashed=vertex.kind is Kind.NONE)
        body += _text(*box[:2], vertex.label, colour=_text_on(fill))
    width = middle[-1] + half[-1] - TIP + MARGIN
    return body, width, (max(rows.values()) - top) * ROW + BOX + 2 * MARGIN


def _layout(
    count: int, edges: tuple[tuple[int, int], ...]
) -> tuple[dict[int, int], dict[int, float], list[list[int]]]:
    """Place the vertices of a cell, layered as in Sugiyama, Tagawa and Toda (1981).

    Returns columns, rows, and the vertices that each edge passes: an edge longer than a column
    gets invisible ones, numbered from `count`, so that it runs around boxes and not through them.
    """
    dag = nx.DiGraph(edges)
    dag.add_nodes_from(range(count))
    columns = {v: c for c, layer in enumerate(nx.topological_generations(dag)) for v in layer}
    chains = []
    for source, target in dict.fromkeys(edges):
        inner = range(columns[source] + 1, columns[target])
        hidden = {len(columns) + i: column for i, column in enumerate(inner)}
        columns |= hidden
        chains.append([source, *hidden, target])
    layered = nx.Graph([pair for chain in chains for pair in pairwise(chain)])
    layered.add_nodes_from(columns)
    layers = [[v for v in columns if columns[v] == c] for c in range(max(columns.values()) + 1)]
    rng = Random(0)
    tries = (_rows(layers, layered, rng) for _ in range(8))

    def climb(rows: dict[int, float]) -> float:
        """The least climb of edges goes with few crossings."""
        return sum((rows[a] - rows[b]) ** 2 for a, b in layered.edges)

    return columns, min(tries, key=climb), chains


def _rows(layers: list[list[int]], graph: "nx.Graph[int]", rng: Random) -> dict[int, float]:
    """Move each vertex towards its neighbours, at least one row from others of its column."""
    row = {v: float(k) for layer in layers for k, v in enumerate(rng.sample(layer, len(layer)))}
    for layer in 8 * [*layers, *layers[::-1]]:
        near = {v: fmean(row[u] for u in graph[v]) if graph[v] else row[v] for v in layer}
        order = sorted(layer, key=lambda v: (near[v], v))
        spread = np.arange(len(order))
        wanted = np.array([near[v] for v in order])
        row |= zip(order, isotonic_regression(wanted - spread).x + spread, strict=True)
    return row


def _strip(strip: Strip) -> Markup:
    """Draw a chain of layers: colour shows the kernel, height the expansion, a gap the stride."""
    tallest = max(map(_height, strip.layers))
    has_kernels = any(layer.kernel for layer in strip.layers)
    body, x, places = "", float(MARGIN), []
    top, middle = MARGIN + 22, MARGIN + 22 + tallest / 2
    bottom = top + tallest
    if has_kernels:
        key = KEY + (" · SE squeeze-and-excitation" if any(x.se for x in strip.layers) else "")
        body += _text(MARGIN + 3, MARGIN + 2, key, size=11, colour=PALE, anchor="start")
    for number, layer in enumerate(strip.layers, 1):
        if layer.stride > 1:
            gap = x + STRIDE_GAP / 2
            line = f"M{gap:g} {top}V{middle - 10:g}m0 20V{bottom:g}"
            body += f'<path d="{line}" stroke="{RED}"/>'
            body += _text(gap, middle, f"÷{layer.stride}", size=11, colour=RED, weight="bold")
            x += STRIDE_GAP
        places.append(x)
        skipped = layer.kind is Kind.IDENTITY
        fill = "#ffffff" if skipped else _fill(layer.kind, layer.kernel)
        body += _box(x + STEP / 2, middle, STEP - 6, _height(layer), fill, 5, dashed=skipped)
        lines = [layer.label]
        if layer.kernel:
            more = [f"e{layer.expansion:g}"] if layer.expansion != 1 else []
            more += ["SE"] if layer.se else []
            lines = [f"{layer.kernel}×{layer.kernel}", *([" ".join(more)] if more else [])]
        for i, line in enumerate(lines):
            y = middle + 14 * i - 7 * (len(lines) - 1)
            colour = PALE if skipped else _text_on(fill)
            body += _text(x + STEP / 2, y, line, size=12 if len(line) < 6 else 9, colour=colour)
        body += _text(x + STEP / 2, bottom + 12, str(number), size=10, colour=PALE)
        x += STEP
    width = max(x + MARGIN, 280 if has_kernels else 0)
    return body + _stages(strip, places, bottom + 23), width, bottom + 60


def _stages(strip: Strip, places: list[float], y: float) -> str:
    """Write channels and resolution below each run of layers that share them."""
    body = ""
    for (channels, pixels), run in groupby(
        zip(strip.layers, places, strict=True), lambda pair: (pair[0].channels, pair[0].size)
    ):
        if channels:
            xs = [x for _, x in run]
            left, right = xs[0] + 3, xs[-1] + STEP - 3
            body += f'<path d="M{left:g} {y:g}H{right:g}" stroke="{PALE}"/>'
            for i, line in enumerate((f"{channels} ch", f"{pixels} px")):
                body += _text((left + right) / 2, y + 11 + 13 * i, line, size=11)
    return body


def _box(
    x: float, y: float, w: float, h: float, fill: str, radius: float, dashed: bool = False
) -> str:
    """A rectangle around the point x, y."""
    stroke = f'stroke="{PALE}" stroke-dasharray="4 3"' if dashed else f'stroke="{INK}"'
    return (
        f'<rect x="{x - w / 2:.1f}" y="{y - h / 2:.1f}" width="{w:g}" height="{h:g}" '
        f'rx="{radius:g}" fill="{fill}" {stroke}/>'
    )


def _text(
    x: float,
    y: float,
    text: str,
    size: float = 12,
    colour: str = INK,
    anchor: str = "middle",
    weight: str = "normal",
) -> str:
    """A line of text whose middle is at height y."""
    return (
        f'<text x="{x:.1f}" y="{y + 0.35 * size:.1f}" font-size="{size:g}" fill="{colour}" '
        f'text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
    )


def _fill(kind: Kind, kernel: int) -> str:
    if kind is not Kind.CONVOLUTION:
        return FILL.get(kind, "#ffffff")
    return KERNELS[max((k for k in KERNELS if k <= kernel), default=3)]


def _text_on(fill: str) -> str:
    """Black or white, whichever reads better on this colour."""
    red, green, blue = (int(fill[i : i + 2], 16) for i in (1, 3, 5))
    return "#ffffff" if 0.299 * red + 0.587 * green + 0.114 * blue < 140 else "#1a222a"


def _width(vertex: Vertex) -> float:
    return BOX if vertex.kind is Kind.NODE else max(56, 7 * len(vertex.label) + 18)


def _height(layer: Layer) -> float:
    if layer.kind is Kind.IDENTITY:
        return SKIPPED
    return 18 + PER_EXPANSION * min(max(layer.expansion, 1), MAX_EXPANSION)
