"""Drawings: every word is there, inside the picture and in a box of its own."""

import re
from random import Random
from xml.etree import ElementTree

import pytest

import spaces
from app.diagram import svg
from spaces.sketch import Graph, Kind, Layer, Sketch, Strip, Vertex

SVG = "{http://www.w3.org/2000/svg}"
Box = tuple[float, float, float, float]


def sketches(name: str) -> list[Sketch]:
    space, rng = spaces.create(name, 10, 32, {}), Random(1)
    return [space.sketch(space.sample(rng)) for _ in range(4)]


def boxes(group: ElementTree.Element) -> list[Box]:
    """Left, top, right and bottom of each box."""
    places = [
        [float(r.attrib[k]) for k in ("x", "y", "width", "height")]
        for r in group.iter(f"{SVG}rect")
    ]
    return [(x, y, x + w, y + h) for x, y, w, h in places]


@pytest.mark.parametrize("name", spaces.names())
def test_everything_is_in_view_and_nothing_overlaps(name: str) -> None:
    for sketch in sketches(name):
        root = ElementTree.fromstring(svg(sketch))
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        groups = root.findall(f"{SVG}g")
        assert len(groups) == len(sketch)
        for part, group in zip(sketch, groups, strict=True):
            items = part.vertices if isinstance(part, Graph) else part.layers
            found = boxes(group)
            assert len(found) == len(items)
            for i, (x0, y0, x1, y1) in enumerate(found):
                assert x0 > 0 and x1 < width and y0 > 0 and y1 < height
                assert all(
                    x1 < left or right < x0 or y1 < top or bottom < y0
                    for left, top, right, bottom in found[:i]
                )


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201", "darts"])
def test_labels_are_in_their_boxes_and_arrows_around_them(name: str) -> None:
    for sketch in sketches(name):
        for part, group in zip(
            sketch, ElementTree.fromstring(svg(sketch)).iter(f"{SVG}g"), strict=True
        ):
            assert isinstance(part, Graph)
            for vertex, text, (x0, y0, x1, y1) in zip(
                part.vertices, group.iter(f"{SVG}text"), boxes(group), strict=True
            ):
                x, y, size = (float(text.attrib[k]) for k in ("x", "y", "font-size"))
                assert text.text == vertex.label
                assert y0 < y < y1 and (x0 + x1) / 2 == pytest.approx(x, abs=0.1)
                assert 0.55 * size * len(vertex.label) < x1 - x0
            for path in group.iter(f"{SVG}path"):
                numbers = [float(n) for n in re.findall(r"-?[\d.]+", path.attrib["d"])]
                points = (
                    list(zip(numbers[2::6], numbers[3::6], strict=False))
                    if "C" in path.attrib["d"]
                    else []
                )
                assert all(
                    not (x0 + 1 < x < x1 - 1 and y0 + 1 < y < y1 - 1)
                    for x, y in points
                    for x0, y0, x1, y1 in boxes(group)
                )


def test_arrows_go_right() -> None:
    """Each edge ends at the box it leads to, right of where it starts."""
    for sketch in sketches("darts"):
        for group in ElementTree.fromstring(svg(sketch)).iter(f"{SVG}g"):
            for path in group.iter(f"{SVG}path"):
                if "C" in path.attrib["d"]:
                    xs = [float(n) for n in re.findall(r"-?[\d.]+", path.attrib["d"])][::2]
                    assert xs == sorted(xs)


def test_crossings_are_undone() -> None:
    """Two chains whose vertices are listed crosswise."""
    vertices = tuple(Vertex(letter, Kind.CONVOLUTION, 3) for letter in "abcdef")
    graph = Graph("cell", vertices, ((0, 3), (1, 2), (4, 0), (4, 1), (2, 5), (3, 5)))
    middles = [(y0 + y1) / 2 for _, y0, _, y1 in boxes(ElementTree.fromstring(svg((graph,))))]
    assert (middles[0] - middles[1]) * (middles[3] - middles[2]) > 0


def test_the_text_is_escaped_and_the_same_every_time() -> None:
    sketch = (Strip("<a>", (Layer("<script>", Kind.CONVOLUTION),)), *sketches("darts")[0])
    assert svg(sketch) == svg(sketch)
    assert "<script>" in "".join(ElementTree.fromstring(svg(sketch)).itertext())
