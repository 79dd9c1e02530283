"""NAS-Bench-201: the benchmark's costs, closed forms of the operations, the unbiased rule."""

from itertools import product

import pytest
import torch
from torch import nn

from spaces import ArchitectureError, BatchNormMode
from spaces._nasbench201_networks import EDGES, OPS, run_cell
from spaces.base import Supernet
from spaces.nasbench201 import TEMPLATE, NASBench201
from tests.tables import rows

SMALL = NASBench201(cells=1, channels=4)


def uniform(op: str) -> str:
    """The cell that has `op` on every edge."""
    return TEMPLATE.format(*[op] * 6)


def candidate(op: str, bn_mode: BatchNormMode, channels: int = 4) -> nn.Module:
    """The operation `op` of the first edge of a fresh supernet's first cell."""
    supernet = NASBench201(cells=1, channels=channels).supernet(bn_mode)
    return supernet.get_submodule(f"cells.0.edge_1_0.{op}")


def test_costs_published_with_the_benchmark() -> None:
    space = NASBench201()
    largest = space.cost(uniform("nor_conv_3x3"))
    assert (largest.macs, largest.params) == (220_119_680, 1_531_546)
    smallest = space.cost(uniform("none"))  # stem, reductions, last BatchNorm, classifier
    assert smallest.macs == 1024 * 432 + 2 * 256 * (4608 + 9216 + 512) + 640
    assert smallest.params == (432 + 32) + (14_336 + 128) + (57_344 + 256) + 128 + 650


def test_costs_are_those_of_the_table() -> None:
    space = NASBench201()
    for row in rows("nasbench201-dev.csv"):
        assert space.canonical(row["arch"]) == row["arch"]
        cost = space.cost(row["arch"])
        assert (cost.macs, cost.params) == (int(row["macs"]), int(row["params"])), row["arch"]


def test_every_cell_has_a_string_of_its_own() -> None:
    choices = SMALL.distributions()
    assert list(choices) == [
        *("edge 1<-0", "edge 2<-0", "edge 2<-1", "edge 3<-0", "edge 3<-1", "edge 3<-2")
    ]
    cells = product(*(d.choices for d in choices.values()))
    assert len({SMALL.decode(dict(zip(choices, ops, strict=True))) for ops in cells}) == 15_625


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not of the form"),
        (uniform("none") + "+", "not of the form"),
        (uniform("none").replace("~2", "~1"), "not of the form"),
        ("|none~0|+|none~0|none~1|", "not of the form"),
        (uniform("none") + "\n", "not of the form"),
        (uniform("none").replace("none~2", "max_pool_3x3~2"), "edge 3<-2 cannot be 'max_pool_3x3'"),
    ],
)
def test_invalid_strings(text: str, problem: str) -> None:
    with pytest.raises(ArchitectureError, match=problem) as caught:
        SMALL.cost(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [{"cells": 0}, {"channels": -1}, {"channels": 1.5}])
def test_options_are_positive_integers(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"'{next(iter(options))}' must be a positive integer"):
        NASBench201(**options)


def learnable(op: str, bn_mode: BatchNormMode) -> int:
    return sum(p.numel() for p in candidate(op, bn_mode).parameters() if p.requires_grad)


def test_candidates_learn_equally_only_without_bias() -> None:
    ops = [op for op in OPS if op != "none"]
    assert [learnable(op, BatchNormMode.UNBIASED) for op in ops] == [8, 8, 8, 8]
    assert [learnable(op, BatchNormMode.BIASED) for op in ops] == [0, 8, 8, 0]


def test_gammas_end_the_chosen_operations() -> None:
    arch = "|skip_connect~0|+|none~0|nor_conv_3x3~1|+|avg_pool_3x3~0|none~1|none~2|"
    for bn_mode, chosen in ((BatchNormMode.UNBIASED, 3), (BatchNormMode.BIASED, 1)):
        bn_gammas = NASBench201(cells=2, channels=4).supernet(bn_mode).bn_gammas(arch)
        assert [len(s) for s in bn_gammas] == [w for w in (4, 8, 16) for _ in range(2 * chosen)]
    assert SMALL.supernet(BatchNormMode.UNBIASED).bn_gammas(uniform("none")) == []


def test_skip_is_the_identity_and_pooling_keeps_a_constant() -> None:
    x = torch.randn(2, 4, 6, 6)
    assert torch.equal(candidate("skip_connect", BatchNormMode.BIASED)(x), x)
    constant = torch.full((2, 4, 6, 6), 3.0)
    torch.testing.assert_close(candidate("avg_pool_3x3", BatchNormMode.BIASED)(constant), constant)


def test_unbiased_skip_normalises() -> None:
    x = 5 + 3 * torch.randn(8, 4, 6, 6)
    y = candidate("skip_connect", BatchNormMode.UNBIASED)(x)
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(4), rtol=0, atol=1e-5)
    torch.testing.assert_close(y.var((0, 2, 3), correction=0), torch.ones(4), rtol=0, atol=1e-4)


def test_nodes_sum_what_arrives() -> None:
    """With the identity on every edge the nodes are x, x, 2x and 4x."""
    x = torch.randn(2, 4, 6, 6)
    edges = {f"edge_{node}_{source}": nn.Identity() for node, source in EDGES}
    torch.testing.assert_close(run_cell(x, edges), 4 * x)
    del edges["edge_3_0"]
    torch.testing.assert_close(run_cell(x, edges), 3 * x)
    assert torch.equal(run_cell(x, {}), torch.zeros_like(x))


@pytest.mark.parametrize("bn_mode", [BatchNormMode.UNBIASED, BatchNormMode.BIASED])
@pytest.mark.parametrize(
    "arch",
    [uniform("none"), uniform("nor_conv_3x3").replace("nor_conv_3x3~0", "none~0")],
    ids=["no edge", "convolutions of zeros"],
)
def test_a_cell_without_input_is_finite_and_constant(bn_mode: BatchNormMode, arch: str) -> None:
    supernet = SMALL.supernet(bn_mode)
    first, second = (supernet(torch.randn(4, 3, 16, 16), arch) for _ in range(2))
    assert torch.equal(first, second) and first.isfinite().all()
    first.logsumexp(1).sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in supernet.parameters())


def ran(supernet: Supernet, arch: str) -> set[str]:
    """The names of the candidates that a forward pass runs."""
    seen: set[str] = set()
    for name, module in supernet.named_modules():
        if name.rpartition(".")[2] in OPS:
            module.register_forward_hook(lambda m, i, o, name=name: seen.add(name))
    supernet(torch.randn(2, 3, 16, 16), arch)
    return seen


def test_only_the_chosen_candidates_run() -> None:
    arch = "|none~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|avg_pool_3x3~2|"
    expected = {
        f"cells.{cell}.{name}"
        for cell in range(3)
        for name in ("edge_2_0.nor_conv_1x1", "edge_3_2.avg_pool_3x3")
    }
    assert ran(SMALL.supernet(BatchNormMode.UNBIASED), arch) == expected


@pytest.mark.parametrize("image_size", [8, 30, 33])
def test_any_image_size(image_size: int) -> None:
    supernet = NASBench201(image_size=image_size, cells=1, channels=4).supernet(
        BatchNormMode.UNBIASED
    )
    images = torch.randn(2, 3, image_size, image_size)
    assert supernet(images, uniform("nor_conv_1x1")).shape == (2, 10)
