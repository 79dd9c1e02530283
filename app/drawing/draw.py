"""An architecture's sketch as a picture: its cells or strips below each other."""

import io

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from app.drawing import graph, strip
from spaces.sketch import Graph, Sketch, Strip

TITLE = 0.26  # inches above each part, where there are several


def draw(sketch: Sketch) -> Figure:
    """A figure as large as the sketch needs."""
    sizes = [_size(part) for part in sketch]
    several = len(sketch) > 1
    width = max(w for w, _ in sizes)
    height = sum(h for _, h in sizes) + TITLE * len(sketch) * several
    figure = Figure(figsize=(width, height))
    top = height
    for part, (w, h) in zip(sketch, sizes, strict=True):
        if several:
            figure.text(0.02, (top - TITLE * 0.75) / height, part.title, fontsize=9, weight="bold")
            top -= TITLE
        axes = figure.add_axes((0, (top - h) / height, w / width, h / height))
        axes.axis("off")
        _draw(part, axes, w, h)
        top -= h
    return figure


def svg(sketch: Sketch) -> str:
    """The picture as SVG text, whose words stay words; the same sketch gives the same text."""
    text = io.StringIO()
    with rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "sketch", "font.family": "sans-serif"}
    ):
        draw(sketch).savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _size(part: Graph | Strip) -> tuple[float, float]:
    return graph.size(part) if isinstance(part, Graph) else strip.size(part)


def _draw(part: Graph | Strip, axes: Axes, width: float, height: float) -> None:
    """Draw the part and fit the view to it, at one unit an inch."""
    if isinstance(part, Graph):
        graph.draw_graph(axes, part)
        box = axes.dataLim
    else:
        strip.draw_strip(axes, part)
        axes.set_xlim(-strip.MARGIN, width - strip.MARGIN)
        axes.set_ylim(-strip.BELOW, height - strip.BELOW)
        return
    axes.set_xlim(*_centred(box.x0, box.x1, width))
    axes.set_ylim(*_centred(box.y0, box.y1, height))


def _centred(low: float, high: float, extent: float) -> tuple[float, float]:
    middle = (low + high) / 2
    return middle - extent / 2, middle + extent / 2
