"""MnasNet: its strings, the costs of EfficientNet-B0 and of the benchmark, absent layers."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import efficientnet_b0

from spaces import ArchitectureError, BatchNormMode
from spaces.mnasnet import DEPTHS, MnasNet
from tests.tables import rows

SPACE = MnasNet()
B0 = "e1k3l1se-e6k3l2se-e6k5l2se-e6k3l3se-e6k5l3se-e6k5l4se-e6k3l1se"
SMALLEST = "-".join(["e1k3l1"] * 7)


def test_efficientnet_b0_has_the_published_cost() -> None:
    """5,288,548 parameters (arXiv 1905.11946); multiply–adds as torchvision's network has."""
    cost = MnasNet(classes=1000, image_size=224).cost(B0)
    assert cost.params == 5_288_548
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        efficientnet_b0().eval()(torch.empty(1, 3, 224, 224))
    assert cost.macs == counter.get_total_flops() / 2


def test_parameters_are_those_of_the_table() -> None:
    space = MnasNet(classes=1000)
    for row in rows("mnasnet-dev.csv"):
        assert space.canonical(row["arch"]) == row["arch"]
        assert space.cost(row["arch"]).params == int(row["params"]), row["arch"]


@pytest.mark.parametrize(("image_size", "last"), [(32, 4), (64, 8), (65, 3), (224, 7)])
def test_large_images_are_halved_twice_more(image_size: int, last: int) -> None:
    assert MnasNet(image_size=image_size).layers[-1].size_out == last


def test_choices_are_readable() -> None:
    params = SPACE.encode(B0)
    assert list(params)[:4] == [f"block 1 {w}" for w in ("expansion", "kernel", "layers", "se")]
    assert list(params.values())[4:8] == [6, 3, 2, True]
    choices = [SPACE.distributions()[f"block {i} layers"].choices for i in (5, 6)]
    assert choices == [(1, 2, 3), (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("e6k5l2se", "1 blocks where 7 are expected"),
        (SMALLEST.replace("e1k3l1", "e1k3l4", 1), "block 1 cannot be 'e1k3l4'"),
        (SMALLEST.replace("e1k3l1", "e3k3l1", 1), "block 1 cannot be 'e3k3l1'"),
        (SMALLEST + "SE", "block 7 cannot be 'e1k3l1SE'"),
    ],
)
def test_invalid_strings(text: str, reason: str) -> None:
    with pytest.raises(ArchitectureError, match=reason):
        SPACE.cost(text)


def test_every_layer_ends_in_one_learnable_batchnorm_and_absent_ones_too() -> None:
    unbiased, biased = map(SPACE.supernet, (BatchNormMode.UNBIASED, BatchNormMode.BIASED))
    widths = [shape.outputs for shape in SPACE.layers]
    assert [len(gamma) for gamma in unbiased.bn_gammas(SMALLEST)] == widths
    assert len(biased.bn_gammas(SMALLEST)) == len(DEPTHS)
    for shape, layer in zip(SPACE.layers, unbiased.get_submodule("layers").children(), strict=True):
        for candidate in layer.children():
            learnable = sum(p.numel() for p in candidate.parameters() if p.requires_grad)
            assert learnable == 2 * shape.outputs
