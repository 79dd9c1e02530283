"""NAS-Bench-101: the choices that Optuna draws, and that they reach every cell."""

from collections.abc import Iterator
from itertools import combinations, product
from random import Random

import pytest

from spaces import InfeasibleError
from spaces._nasbench101_cell import OPERATIONS, Cell, canonical_cell
from spaces._nasbench101_choices import decode, encode
from tests.spaces.test_nasbench101 import CONV1X1, CONV3X3, POOL, SMALL, SPACE, cell
from tests.tables import rows

CHOICES = {
    "vertex 1": POOL,
    "vertex 2": "none",
    "vertex 3": CONV3X3,
    "vertex 4": CONV1X1,
    "vertex 5": "none",
    "vertex 2 reads": "vertex 1",
    "vertex 3 reads": "vertex 2",
    "vertex 4 reads": "input",
    "vertex 5 reads": "vertex 4",
} | {f"extra edge {i}": "none" for i in range(1, 6)}


def test_choices_with_vertices_left_out() -> None:
    """3 reads 1 through 2, which is none; 3 and 4 feed the output, as no other reads them."""
    chain = cell("01 12 03 24 34", POOL, CONV3X3, CONV1X1)
    assert decode(CHOICES) == chain.canonical()
    # From a vertex that is none: from what it reads. To such a vertex: nowhere.
    extra = {"extra edge 1": "vertex 2 to output", "extra edge 2": "input to vertex 5"}
    more = cell("01 12 03 24 34 14", POOL, CONV3X3, CONV1X1)
    assert decode(CHOICES | extra) == more.canonical()
    # A vertex that an extra edge leads on from need not feed the output.
    onwards = cell("01 12 23 03 34", POOL, CONV3X3, CONV1X1)
    assert decode(CHOICES | {"extra edge 1": "vertex 3 to vertex 4"}) == onwards.canonical()
    none = dict.fromkeys((f"vertex {v}" for v in range(1, 6)), "none")
    assert str(decode(CHOICES | none)) == "1:"


def test_the_tenth_edge_is_left_out() -> None:
    chain = {f"vertex {v}": POOL for v in range(1, 6)}
    chain |= {f"vertex {v} reads": f"vertex {v - 1}" for v in range(2, 6)}
    to_output = ("input", *(f"vertex {v}" for v in range(1, 5)))
    extras = {f"extra edge {i}": f"{v} to output" for i, v in enumerate(to_output, 1)}
    assert (
        decode(CHOICES | chain | extras)
        == cell("01 12 23 34 45 56 06 16 26", *[POOL] * 5).canonical()
    )


def test_few_draws_are_infeasible_and_say_why() -> None:
    """Five vertices, each reading the input: 0.75⁵ / 5! = 0.2 % of uniform draws."""
    rng, reasons = Random(0), []
    for _ in range(5_000):
        try:
            SPACE.decode({k: rng.choice(d.choices) for k, d in SPACE.distributions().items()})
        except InfeasibleError as reason:
            reasons.append(str(reason))
    assert set(reasons) == {"five vertices that all read the input need 10 edges"}
    assert len(reasons) < 25


def test_random_draws_are_of_all_sizes() -> None:
    rng = Random(0)
    drawn = [canonical_cell(SPACE.sample(rng)) for _ in range(1000)]
    assert {len(c.operations) for c in drawn} >= {1, 2, 3, 4, 5}
    assert {len(c.edges) for c in drawn} >= set(range(3, 10))
    assert len(set(drawn)) > 700


def cells_with(inner: int) -> Iterator[Cell]:
    """All canonical cells of so many inner vertices: first the graphs, then the operations."""
    pairs = list(combinations(range(inner + 2), 2))
    graphs = {
        Cell(frozenset(edges), (POOL,) * inner).canonical()
        for size in range(inner + 1, min(9, len(pairs)) + 1)
        for edges in combinations(pairs, size)
        if len({u for u, _ in edges}) == len({v for _, v in edges}) == inner + 1
    }
    for graph in graphs:
        yield from {
            Cell(graph.edges, operations).canonical()
            for operations in product(OPERATIONS, repeat=inner)
        }


# The sizes of the benchmark by inner vertices; together 423,624, as the paper has it.
@pytest.mark.parametrize(
    ("inner", "count"),
    [
        (0, 1),
        (1, 6),
        (2, 84),
        (3, 2_441),
        pytest.param(4, 62_010, marks=pytest.mark.slow),
        pytest.param(5, 359_082, marks=pytest.mark.slow),
    ],
)
def test_every_cell_of_the_benchmark_is_counted_once_and_can_be_chosen(
    inner: int, count: int
) -> None:
    cells = list(cells_with(inner))
    assert len(cells) == count
    assert all(decode(encode(c)) == c for c in cells)


@pytest.mark.slow
def test_the_rows_of_the_development_table() -> None:
    """The canonical strings are those that the benchmark lists."""
    for row in rows("nasbench101-dev.csv"):
        arch = row["arch"]
        assert SPACE.canonical(arch) == arch
        assert SPACE.decode(SPACE.encode(arch)) == arch
        built = SMALL.network(arch).parameters()
        assert SMALL.cost(arch).params == sum(p.numel() for p in built)
