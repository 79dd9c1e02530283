"""Pictures of architectures: every word is in them, in view, and in a box of its own."""

from random import Random

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.transforms import Bbox

import spaces
from app.drawing import draw, svg
from spaces.sketch import Graph, Sketch

EXAMPLES = 4


def sketches(name: str) -> list[Sketch]:
    space, rng = spaces.create(name, 10, 32, {}), Random(1)
    return [space.sketch(space.sample(rng)) for _ in range(EXAMPLES)]


def words(sketch: Sketch) -> list[str]:
    return [
        item.label
        for part in sketch
        for item in (part.vertices if isinstance(part, Graph) else part.layers)
    ]


@pytest.mark.parametrize("name", spaces.names())
def test_all_of_an_architecture_is_in_view_and_nothing_overlaps(name: str) -> None:
    for sketch in sketches(name):
        figure = draw(sketch)
        renderer = FigureCanvasAgg(figure).get_renderer()
        boxes: list[Bbox] = []
        for axes in figure.axes:
            for patch in axes.patches:
                if isinstance(patch, FancyBboxPatch):
                    boxes.append(patch.get_window_extent(renderer))
            for text in axes.texts:
                assert inside(text.get_window_extent(renderer), figure), text.get_text()
            if legend := axes.get_legend():
                assert inside(legend.get_window_extent(renderer), figure)
        assert len(boxes) == len(words(sketch))
        for i, box in enumerate(boxes):
            assert inside(box, figure)
            assert not any(box.overlaps(other) for other in boxes[:i])


def inside(box: Bbox, figure: Figure) -> bool:
    view = figure.bbox
    return bool(
        box.x0 >= view.x0 - 1
        and box.x1 <= view.x1 + 1
        and box.y0 >= view.y0 - 1
        and box.y1 <= view.y1 + 1
    )


def test_labels_fit_their_boxes() -> None:
    for name in ("nasbench101", "nasbench201", "darts"):
        figure = draw(sketches(name)[0])
        renderer = FigureCanvasAgg(figure).get_renderer()
        for axes in figure.axes:
            patches = [p for p in axes.patches if isinstance(p, FancyBboxPatch)]
            boxes = [patch.get_window_extent(renderer) for patch in patches]
            for text in axes.texts:
                word = text.get_window_extent(renderer)
                assert any(b.x0 <= word.x0 and word.x1 <= b.x1 for b in boxes), text.get_text()


def test_svg_keeps_words_and_is_the_same_every_time() -> None:
    for name in ("nasbench201", "darts"):
        sketch = sketches(name)[0]
        text = svg(sketch)
        assert text == svg(sketch)
        assert all(word in text for word in words(sketch))
