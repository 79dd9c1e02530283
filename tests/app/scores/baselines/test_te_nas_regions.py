import pytest
import torch
from torch import nn

from app.scores.baselines.te_nas_regions import linear_regions, patches, thinnest
from tests.app.scores.baselines.helpers import linear, pixels, small_space


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
        ("mobilenet", {}),
    ],
)
def test_thinnest_space(name: str, options: dict[str, int]) -> None:
    space = small_space(name)
    assert vars(thinnest(space)).items() >= {**options, "classes": space.classes}.items()
