"""A cell as a graph: operations in boxes, sums as circles, arrows from left to right."""

from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from app.drawing.colours import LINE, fill, text_on
from app.drawing.layout import Layout, layout
from spaces.sketch import Graph, Kind, Vertex

ROW = 0.56  # inches between the middles of rows
BETWEEN = 0.36  # inches between columns, where the arrows bend
BOX_HEIGHT = 0.36
TIP = 0.1  # what an arrow goes straight before its box
GAP = 0.02  # between an arrow's tip and its box
MARGIN = 0.15


def size(graph: Graph) -> tuple[float, float]:
    """Width and height in inches that `draw_graph` wants."""
    placed = layout(len(graph.vertices), graph.edges)
    middles, halves = _columns(graph, placed)
    rows = [row for route in placed.routes.values() for _, row in route]
    rows += [row for _, row in placed.places]
    width = middles[-1] + halves[0] + halves[-1] - 2 * TIP + 2 * MARGIN
    return width, (max(rows) - min(rows)) * ROW + BOX_HEIGHT + 2 * MARGIN


def draw_graph(axes: Axes, graph: Graph) -> None:
    """Draw into `axes`, one unit of which is one inch."""
    placed = layout(len(graph.vertices), graph.edges)
    middles, halves = _columns(graph, placed)
    for (source, target), route in placed.routes.items():
        points = []
        for column, row in route:  # straight past the boxes of a column, bent between columns
            points += [(middles[column] + side * halves[column], -row * ROW) for side in (-1, 1)]
        start, end = (_width(graph.vertices[v]) / 2 for v in (source, target))
        points[0] = (middles[route[0][0]] + start, points[0][1])
        points[-1] = (middles[route[-1][0]] - end - GAP, points[-1][1])
        axes.add_patch(
            FancyArrowPatch(
                path=_smooth(points),
                arrowstyle="-|>,head_length=4,head_width=2.2",
                color=LINE,
                linewidth=1.1,
                shrinkA=0,
                shrinkB=0,
                capstyle="butt",
            )
        )
    for vertex, (column, row) in zip(graph.vertices, placed.places, strict=True):
        _draw_vertex(axes, vertex, middles[column], -row * ROW)


def _columns(graph: Graph, placed: Layout) -> tuple[list[float], list[float]]:
    """Middle and half the width of each column with its arrow tips, in inches."""
    halves = [0.0] * placed.columns
    for vertex, (column, _) in zip(graph.vertices, placed.places, strict=True):
        halves[column] = max(halves[column], _width(vertex) / 2 + TIP)
    middles = [0.0]
    for left, right in pairwise(halves):
        middles.append(middles[-1] + left + BETWEEN + right)
    return middles, halves


def _draw_vertex(axes: Axes, vertex: Vertex, x: float, y: float) -> None:
    width, colour = _width(vertex), fill(vertex.kind, vertex.kernel)
    rounding = BOX_HEIGHT / 2 if vertex.kind in (Kind.NODE, Kind.TERMINAL) else 0.06
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - BOX_HEIGHT / 2),
            width,
            BOX_HEIGHT,
            boxstyle=f"round,pad=0,rounding_size={rounding}",
            facecolor=colour,
            edgecolor=LINE,
            linestyle="--" if vertex.kind is Kind.NONE else "-",
            linewidth=1.0,
            zorder=3,
        )
    )
    axes.text(
        x, y, vertex.label, ha="center", va="center", fontsize=9, color=text_on(colour), zorder=4
    )


def _width(vertex: Vertex) -> float:
    return BOX_HEIGHT if vertex.kind is Kind.NODE else max(0.62, 0.085 * len(vertex.label) + 0.16)


def _smooth(points: list[tuple[float, float]]) -> Path:
    """Bézier curves through the points, horizontal at each of them."""
    vertices, codes = [points[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(points):
        bend = (x1 - x0) / 2
        vertices += [(x0 + bend, y0), (x1 - bend, y1), (x1, y1)]
        codes += [Path.CURVE4] * 3
    return Path(vertices, codes)
