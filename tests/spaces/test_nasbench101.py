"""NAS-Bench-101: published parameter counts, the channel rule, isomorphism, the choices."""

from collections.abc import Callable
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from spaces import ArchitectureError, BatchNormMode
from spaces._nasbench101_cell import OPERATIONS, Cell, canonical_cell
from spaces._nasbench101_parts import CellShape
from spaces.nasbench101 import NASBench101

CONV3X3, CONV1X1, POOL = OPERATIONS
SPACE = NASBench101()
SMALL = NASBench101(modules=1, channels=8)


def cell(edges: str, *operations: str) -> Cell:
    """A cell from edges such as "01 12"; vertex 0 is the input, the last one the output."""
    return Cell(frozenset((int(u), int(v)) for u, v in edges.split()), operations)


def parameters(edges: str, *operations: str) -> int:
    """Parameters of the published network."""
    return SPACE.cost(str(cell(edges, *operations))).params


def formula(of_cell: Callable[[int, int], int]) -> int:
    """Stem, nine cells as a function of channels in and out, classifier."""
    shapes = [(128, 128)] * 3 + [(128, 256)] + [(256, 256)] * 2 + [(256, 512)] + [(512, 512)] * 2
    return unit(3, 128, 3) + sum(of_cell(*shape) for shape in shapes) + 512 * 10 + 10


def unit(inputs: int, outputs: int, kernel: int) -> int:
    """Convolution without bias, γ and β."""
    return inputs * outputs * kernel**2 + 2 * outputs


def test_parameters_are_those_published() -> None:
    """The Inception-like cell in the benchmark's read-me; its smallest and its largest network."""
    inception = parameters("01 02 03 05 16 26 34 46 56", CONV1X1, CONV3X3, CONV3X3, CONV3X3, POOL)
    assert inception == 2_694_282
    assert parameters("01 12 23 34 15 25 35 45", POOL, POOL, POOL, POOL) == 227_274
    assert parameters("01 12 23 34 45 56 02 03 06", *[CONV3X3] * 5) == 49_979_274


def test_parameters_of_a_chain() -> None:
    expected = formula(lambda i, o: unit(i, o, 1) + 2 * unit(o, o, 3))
    assert parameters("01 12 23", CONV3X3, CONV3X3) == expected


def test_parameters_of_three_branches_that_share_unevenly() -> None:
    shares = {128: (43, 43, 42), 256: (86, 85, 85), 512: (171, 171, 170)}

    def branches(i: int, o: int) -> int:  # listed with the 3×3 convolution first
        a, b, c = shares[o]
        return unit(i, a, 1) + unit(a, a, 3) + unit(i, b, 1) + unit(b, b, 1) + unit(i, c, 1)

    for operations in ((CONV3X3, CONV1X1, POOL), (POOL, CONV1X1, CONV3X3)):
        assert parameters("01 02 03 14 24 34", *operations) == formula(branches)


def test_parameters_with_an_edge_from_input_to_output() -> None:
    expected = formula(lambda i, o: 2 * unit(i, o, 1) + unit(o, o, 3))
    assert parameters("01 12 02", CONV3X3) == expected
    assert parameters("01") == formula(lambda i, o: unit(i, o, 1))


def test_channels_worked_out_by_hand() -> None:
    """1, 3 and 5 share ten channels as 4, 3, 3; 4 feeds 5, and 2 feeds both 3 and 4."""
    widths = cell("01 02 23 24 45 16 36 56", *[CONV3X3] * 5).widths(10)
    assert widths == {6: 10, 5: 3, 4: 3, 3: 3, 2: 3, 1: 4}
    # 1 feeds 2, which is as wide as the output, though 3 vertices share: 2 alone feeds it.
    assert cell("01 12 23", POOL, POOL).widths(7) == {3: 7, 2: 7, 1: 7}
    assert cell("01").widths(7) == {1: 7}


def test_a_cell_computes_what_its_edges_say() -> None:
    """1 has two channels of three, 2 has one; 2 reads 1 cut to one channel, and the input."""
    x = torch.arange(3.0).reshape(1, 3, 1, 1)
    parts = {
        "input_to_1": lambda x: 10 + x[:, :2],
        "input_to_2": lambda x: 20 + x[:, :1],
        "input_to_output": lambda x: 1000 + x,
        "vertex1": lambda x: 2 * x,
        "vertex2": lambda x: 3 * x,
    }
    y = CellShape(3, 3, 1).run(cell("01 02 12 13 23 03", POOL, POOL), x, parts)
    assert y.flatten().tolist() == [20 + 1000, 22 + 1001, 3 * (20 + 20) + 1002]


@st.composite
def renumbered(draw: st.DrawFn) -> tuple[Cell, Cell]:
    """A random cell, and the same with its inner vertices in another order."""
    original = canonical_cell(SPACE.sample(Random(draw(st.integers(0, 10_000)))))
    order, left = [0], list(original.inner)
    while left:
        ready = [v for v in left if set(original.parents(v)) <= set(order)]
        order.append(draw(st.sampled_from(ready)))
        left.remove(order[-1])
    order.append(original.output)
    edges = frozenset((order.index(u), order.index(v)) for u, v in original.edges)
    return original, Cell(edges, tuple(original.operations[v - 1] for v in order[1:-1]))


@given(renumbered())
def test_isomorphic_cells_are_one_architecture(pair: tuple[Cell, Cell]) -> None:
    original, other = pair
    assert SPACE.canonical(str(other)) == str(original)


def test_what_is_on_no_path_is_pruned() -> None:
    expected = SPACE.canonical("101:maxpool3x3")
    dead_end = cell("01 02 13", POOL, CONV3X3)
    no_start = cell("02 13 23 12", CONV3X3, POOL)
    assert SPACE.canonical(str(dead_end)) == SPACE.canonical(str(no_start)) == expected
    # The limits hold for what is left: eleven edges and eight vertices before pruning.
    wide = cell("01 17 02 03 04 05 06 12 13 14 15", *[POOL] * 6)
    assert SPACE.canonical(str(wide)) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "'' is not of the form BITS:OPERATION|OPERATION|…"),
        ("1", "'1' is not of the form BITS:OPERATION|OPERATION|…"),
        ("1\n:", "'1\\n:' is not of the form BITS:OPERATION|OPERATION|…"),
        ("21:", "'21:' is not of the form BITS:OPERATION|OPERATION|…"),
        ("11:", "2 adjacency bits where 0 inner vertices need 1"),
        ("1011:maxpool3x3", "4 adjacency bits where 1 inner vertices need 3"),
        ("101:skip", f"unknown operation 'skip'; choose from: {', '.join(OPERATIONS)}"),
        ("101:maxpool3x3|", f"unknown operation ''; choose from: {', '.join(OPERATIONS)}"),
        ("0:", "no path leads from input to output in '0:'"),
        ("100:maxpool3x3", "no path leads from input to output in '100:maxpool3x3'"),
        (f"1111111111:{'|'.join([POOL] * 3)}", "10 edges where at most 9 are allowed"),
        (
            str(cell("01 12 23 34 45 56 67", *[POOL] * 6)),
            "6 inner vertices where at most 5 are allowed",
        ),
    ],
)
def test_what_is_no_cell_is_refused_in_one_line(text: str, reason: str) -> None:
    with pytest.raises(ArchitectureError) as error:
        SPACE.canonical(text)
    assert str(error.value) == reason


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"channels": 3}, "channels must be an integer of at least 4, not 3"),
        ({"channels": 16.0}, "channels must be an integer of at least 4, not 16.0"),
        ({"modules": 0}, "modules must be an integer of at least 1, not 0"),
    ],
)
def test_options_out_of_range(options: dict[str, int], reason: str) -> None:
    with pytest.raises(ValueError) as error:
        NASBench101(**options)
    assert str(error.value) == reason


def test_the_narrowest_network_gives_every_vertex_a_channel() -> None:
    space = NASBench101(modules=1, channels=4)
    arch = str(cell("01 12 23 34 15 25 35 45", POOL, CONV1X1, CONV3X3, POOL))
    assert space.network(arch)(torch.randn(2, 3, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_candidate_of_an_unbiased_supernet_learns_as_much(operation: str) -> None:
    supernet = SMALL.supernet(BatchNormMode.UNBIASED)
    for place in range(1, 6):
        candidate = supernet.get_submodule(f"cells.0.vertex{place}:{operation}")
        learning = [p for p in candidate.parameters() if p.requires_grad]
        assert [p.numel() for p in learning] == [8, 8]  # γ and β of the last BatchNorm


def test_only_biased_pooling_has_no_gamma() -> None:
    """The output's eight channels are shared as 3, 3, 2, and double from stack to stack."""
    arch = SPACE.canonical(str(cell("01 02 03 14 24 34", CONV3X3, CONV1X1, POOL)))
    unbiased = SMALL.supernet(BatchNormMode.UNBIASED).bn_gammas(arch)
    assert [len(gamma) for gamma in unbiased] == [3, 3, 2, 6, 5, 5, 11, 11, 10]
    biased = SMALL.supernet(BatchNormMode.BIASED).bn_gammas(arch)
    assert [len(gamma) for gamma in biased] == [3, 3, 6, 5, 11, 11]


def test_hooks_on_batchnorm_see_the_channels_in_use() -> None:
    supernet = SMALL.supernet(BatchNormMode.UNBIASED)
    seen: list[int] = []
    for module in supernet.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda m, i, output: seen.append(output.shape[1]))
    arch = str(cell("01 12 02 23 13", POOL, CONV3X3).canonical())
    supernet(torch.randn(2, 3, 8, 8), arch)
    # The stem; in each cell two projections and two vertices, each with half of the channels.
    assert seen == [8] + [4] * 4 + [8] * 4 + [16] * 4
