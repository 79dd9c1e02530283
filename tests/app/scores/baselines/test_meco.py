import math

import pytest
import torch
from torch import Tensor, nn

from app.scores.baselines.meco import smallest_eigenvalues


class Repeat(nn.Module):
    """Two channels, the second of which adds `noise` to the first."""

    def __init__(self, noise: float) -> None:
        super().__init__()
        self.noise = noise

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, x + self.noise * x.roll(1, -1)], 1)


# mean 0, and uncorrelated with itself moved by one pixel
IMAGE = torch.tensor([1.0, 1.0, -1.0, -1.0])[None, None, None]


@pytest.mark.parametrize("noise", [0.0, 0.5, 1.0])
def test_two_channels(noise: float) -> None:
    # the correlation is 1/√(1 + noise²), and the eigenvalues are 1 ± that
    expected = 1 - 1 / math.sqrt(1 + noise**2)
    assert smallest_eigenvalues(Repeat(noise), IMAGE) == pytest.approx(expected, abs=1e-6)


def test_layers_add_up_but_containers_do_not() -> None:
    network = nn.Sequential(nn.Identity(), nn.Sequential(Repeat(1.0), nn.Identity()), nn.Flatten())
    expected = 1 + 2 * (1 - 1 / math.sqrt(2))  # one channel alone has eigenvalue 1
    assert smallest_eigenvalues(network, IMAGE) == pytest.approx(expected)


def test_constant_channels_are_worth_nothing() -> None:
    assert smallest_eigenvalues(nn.Identity(), torch.ones(1, 3, 4, 4)) == 0
