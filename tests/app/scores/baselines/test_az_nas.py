import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.scores.baselines.az_nas import (
    entropies,
    jacobian_norm,
    node_features,
    progressivity,
    trainability,
)
from spaces import FeatureNode


def noise(channels: int, size: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(64, channels, size, size, generator=generator).requires_grad_()


def rotation(channels: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.linalg.qr(torch.randn(channels, channels, generator=generator)).Q


def mix(x: Tensor, matrix: Tensor) -> Tensor:
    return F.conv2d(x, matrix[..., None, None])


def test_entropy_is_the_logarithm_of_the_number_of_independent_channels() -> None:
    x = noise(8).detach()
    features = [x, x[:, :1].expand(-1, 8, -1, -1), torch.zeros_like(x)]
    rich, poor, none = entropies(features).tolist()
    assert rich == pytest.approx(math.log(8), abs=0.01)
    assert poor == pytest.approx(0, abs=1e-3)
    assert math.isnan(none)


BOTH = [True, True]


def test_progressivity_is_the_smallest_increase() -> None:
    assert progressivity(torch.tensor([1.0, 4.0, 6.0])) == 2
    assert progressivity(torch.tensor([1.0, 4.0, 3.5])) == -0.5
    assert math.isnan(progressivity(torch.tensor([1.0])))


def test_norm_of_a_rotation_is_its_scale() -> None:
    x = noise(4)
    norm = jacobian_norm(x, mix(x, 3 * rotation(4)), seed=0)
    assert float(norm.detach()) == pytest.approx(3, rel=0.1)  # an estimate


@pytest.mark.parametrize("size", [8, 7])
def test_norm_of_pooling(size: int) -> None:
    # each of four positions gets a quarter of the gradient: √(4 · 1/16)
    x = noise(4, size)
    y = F.avg_pool2d(x, 2, ceil_mode=True)
    expected = pytest.approx(0.5, rel=0.1 if size == 8 else 0.3)  # borders of three get more
    assert float(jacobian_norm(x, y, seed=0)) == expected


def test_trainability_is_highest_where_gradients_keep_their_size() -> None:
    x = noise(4)
    kept = trainability([x, mix(x, rotation(4))], BOTH, seed=0)
    assert kept == pytest.approx(0, abs=0.02)
    for factor in (0.2, 5.0):
        value = trainability([x, mix(x, factor * rotation(4))], BOTH, seed=0)
        assert value == pytest.approx(2 - factor - 1 / factor, rel=0.2)


def test_skips_and_layers_that_are_not_searched_are_left_out() -> None:
    x = noise(4)
    y = mix(x, 3 * rotation(4))
    alone = trainability([x, y], BOTH, seed=1)
    assert trainability([x, x, y, y], [True] * 4, seed=0) == alone
    fixed = 2 * x
    z = mix(fixed, 3 * rotation(4))
    assert trainability([x, fixed, z], [True, False, True], seed=0) == pytest.approx(alone)
    assert trainability([x, x], BOTH, seed=0) == -math.inf


def test_no_gradient_is_minus_infinity() -> None:
    x = noise(4)
    assert trainability([x, torch.zeros_like(x)], BOTH, seed=0) == -math.inf
    assert trainability([x.detach(), 2 * x], BOTH, seed=0) == -math.inf


def test_features_are_the_outputs_of_the_feature_nodes() -> None:
    network = nn.Sequential(
        nn.ReLU(), FeatureNode(searched=False), nn.AvgPool2d(2), FeatureNode(), nn.Flatten()
    )
    images = noise(3)
    (first, second), searched = node_features(network, images)
    assert searched == [False, True]
    assert torch.equal(first, images.relu())
    assert torch.equal(second, F.avg_pool2d(images.relu(), 2))
