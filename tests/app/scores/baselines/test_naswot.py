import math

import pytest
import torch
from torch import nn

from app.scores.baselines.naswot import activation_kernel
from tests.app.scores.baselines.helpers import linear, pixels

IDENTITY = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
IMAGES = pixels([[1.0, 1.0, -1.0], [1.0, -1.0, -1.0], [-1.0, -1.0, 9.0]])
# of three units the codes 110, 100 and 001 agree in 2, 0 and 1
KERNEL = [[3.0, 2.0, 0.0], [2.0, 3.0, 1.0], [0.0, 1.0, 3.0]]


@pytest.mark.parametrize("activation", [nn.ReLU(inplace=True), nn.ReLU6(), nn.SiLU(), nn.GELU()])
def test_kernel_counts_agreeing_units(activation: nn.Module) -> None:
    network = nn.Sequential(nn.Flatten(), linear(IDENTITY), activation)
    assert activation_kernel(network, IMAGES).tolist() == KERNEL


def test_units_of_all_layers_count() -> None:
    # behind the first ReLU, the second is on where the first was
    network = nn.Sequential(nn.Flatten(), nn.ReLU(), linear(IDENTITY), nn.ReLU())
    kernel = activation_kernel(network, IMAGES)
    assert kernel.tolist() == [[2 * k for k in row] for row in KERNEL]
    assert float(torch.linalg.slogdet(kernel).logabsdet) == pytest.approx(math.log(8 * 12))


def test_no_activation_gives_the_lowest_score() -> None:
    kernel = activation_kernel(nn.Sequential(nn.Flatten(), linear(IDENTITY)), IMAGES)
    assert not kernel.any()
    assert float(torch.linalg.slogdet(kernel).logabsdet) == -math.inf
