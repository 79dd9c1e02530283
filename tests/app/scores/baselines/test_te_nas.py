import math

import pytest
import torch
from torch import nn

from app.scores.baselines.te_nas import (
    condition_number,
    linear_regions,
    patches,
    tangent_kernel,
    thinnest,
)
from tests.app.scores.baselines.helpers import linear, pixels, small_space


def test_kernel_of_a_linear_model_is_the_gram_matrix_of_its_inputs() -> None:
    # each of two class scores has the image itself as gradient
    network = nn.Sequential(nn.Flatten(), linear([[1.0, 2.0], [3.0, 4.0]]))
    kernel = tangent_kernel(network, pixels([[3.0, 0.0], [0.0, 1.0]]))
    assert kernel.tolist() == [[18.0, 0.0], [0.0, 2.0]]
    assert condition_number(kernel) == pytest.approx(9)


def test_batchnorm_uses_the_statistics_of_the_batch() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), linear([[1.0]]))
    # mean 4 and, as running statistics correct it, deviation √8
    kernel = tangent_kernel(network, pixels([[2.0], [6.0]]))
    assert kernel.flatten().tolist() == pytest.approx([0.5, -0.5, -0.5, 0.5], rel=1e-4)


def test_a_singular_kernel_is_infinitely_bad() -> None:
    assert condition_number(torch.diag(torch.tensor([2.0, 0.0]))) == math.inf
    assert math.isnan(condition_number(torch.zeros(2, 2)))
    assert math.isnan(condition_number(torch.full((2, 2), math.nan)))


def test_regions_are_distinct_patterns() -> None:
    network = nn.Sequential(nn.Flatten(), linear([[1.0, 0.0], [0.0, 1.0]]), nn.ReLU(inplace=True))
    images = pixels([[1.0, 1.0], [2.0, 3.0], [1.0, -1.0], [-1.0, -1.0], [-5.0, -1.0]])
    assert linear_regions(network, images) == 3
    assert linear_regions(network[:2], images) == 1


def test_patches_come_from_the_images() -> None:
    images = torch.arange(2.0)[:, None, None, None].expand(2, 3, 8, 8)
    found = patches(images, seed=0)
    assert found.shape == (8, 3, 3, 3)  # 2×2 in each of the two images
    assert sorted(found[:, 0, 0, 0].tolist()) == [0.0] * 4 + [1.0] * 4
    assert torch.equal(patches(images, seed=0), found)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("darts", {"layers": 3, "channels": 2}),
        ("nasbench101", {"modules": 1, "channels": 4}),
        ("nasbench201", {"cells": 1, "channels": 1}),
        ("mobilenet", {"width": 1 / 16}),
    ],
)
def test_thinnest_space(name: str, options: dict[str, float]) -> None:
    space = small_space(name)
    assert vars(thinnest(space)).items() >= {**options, "classes": space.classes}.items()
