"""The layout of cells: arrows go right, nothing overlaps, planar graphs have no crossing."""

from random import Random

import pytest

from app.drawing.layout import Edge, layout


def random_edges(count: int, seed: int) -> list[Edge]:
    rng = Random(seed)
    edges = [(rng.randrange(v), v) for v in range(1, count)]
    return edges + [(u, v) for v in range(count) for u in range(v) if rng.random() < 0.2]


@pytest.mark.parametrize("seed", range(20))
def test_arrows_go_right_and_vertices_keep_apart(seed: int) -> None:
    edges = random_edges(9, seed)
    placed = layout(9, edges)
    assert set(placed.routes) == set(edges)
    for (source, target), route in placed.routes.items():
        assert route[0] == placed.places[source] and route[-1] == placed.places[target]
        assert [column for column, _ in route] == list(range(route[0][0], route[-1][0] + 1))
    inner = [point for route in placed.routes.values() for point in route[1:-1]]
    points = [*placed.places, *inner]
    for i, (column, row) in enumerate(points):
        for other_column, other_row in points[:i]:
            assert column != other_column or abs(row - other_row) >= 1 - 1e-9


def test_a_column_is_the_longest_path_from_a_source() -> None:
    placed = layout(4, [(0, 1), (1, 2), (2, 3), (0, 3)])
    assert [column for column, _ in placed.places] == [0, 1, 2, 3]
    assert placed.columns == 4


def test_crossings_are_undone() -> None:
    placed = layout(6, [(0, 3), (1, 2), (4, 0), (4, 1), (2, 5), (3, 5)])
    (_, above), (_, below) = placed.places[0], placed.places[1]
    (_, reads_below), (_, reads_above) = placed.places[2], placed.places[3]
    assert (above - below) * (reads_above - reads_below) > 0
