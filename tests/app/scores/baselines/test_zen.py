import math

import pytest
import torch
from torch import nn

from app.scores.baselines.zen import ALPHA, zen_score
from spaces import FeatureNode

GENERATOR = torch.Generator().manual_seed(0)
IMAGES, NOISE = torch.randn(2, 64, 3, 4, 4, generator=GENERATOR)


def scaled(factor: float, *after: nn.Module) -> nn.Module:
    """A 1×1 convolution that multiplies by `factor`, and what follows it."""
    convolution = nn.Conv2d(3, 3, 1, bias=False)
    convolution.weight.data = factor * torch.eye(3)[..., None, None]
    return nn.Sequential(convolution, *after, FeatureNode(), nn.Flatten(), nn.Linear(48, 2))


def test_linear_network_scales_the_perturbation() -> None:
    size = NOISE.flatten(1).norm(dim=1).mean().item()
    expected = math.log(7 * ALPHA * size)
    assert zen_score(scaled(7.0), IMAGES, NOISE) == pytest.approx(expected, abs=1e-3)


def test_the_scaling_of_batchnorm_is_undone() -> None:
    plain, normalised = scaled(7.0), scaled(7.0, nn.BatchNorm2d(3))
    # up to the other statistics of the perturbed images
    expected = zen_score(plain, IMAGES, NOISE)
    assert zen_score(normalised, IMAGES, NOISE) == pytest.approx(expected, abs=0.01)


def test_a_batchnorm_without_signal_counts_nothing() -> None:
    class DeadBranch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.norm(torch.zeros_like(x))

    expected = zen_score(scaled(7.0), IMAGES, NOISE)
    assert zen_score(scaled(7.0, DeadBranch()), IMAGES, NOISE) == pytest.approx(expected)
