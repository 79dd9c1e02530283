import math

import pytest
import torch
from torch import nn

from app.scores.baselines.te_nas_ntk import condition_number, tangent_kernel
from tests.app.scores.baselines.helpers import linear, pixels


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
