import math

import pytest
import torch
from torch import nn

from app.scores.baselines.vkdnw import decile_entropy, fisher
from tests.app.scores.baselines.helpers import linear, pixels


def test_fisher_information_of_a_linear_model() -> None:
    # the chosen weight moves the first of two equal class scores by the first pixel, so that its
    # information is x²·p(1 − p)
    network = nn.Sequential(nn.Flatten(), linear([[0.0, 0.0], [0.0, 0.0]]))
    assert fisher(network, pixels([[2.0, 5.0], [4.0, 7.0]])).tolist() == [[(4 + 16) / 2 / 4]]


def test_weights_that_move_nothing_carry_no_information() -> None:
    network = nn.Sequential(nn.Flatten(), linear([[0.0], [0.0]]), linear([[0.0, 0.0]]))
    assert not fisher(network, pixels([[1.0], [2.0]])).any()  # a single class is always right


def test_batchnorm_does_not_look_at_the_batch() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1, affine=False), nn.Flatten(), linear([[1.0], [1.0]]))
    assert float(fisher(network, pixels([[2.0], [2.0]]))) == pytest.approx(1, rel=1e-4)


def test_entropy_of_the_deciles() -> None:
    assert decile_entropy(3 * torch.eye(20)) == pytest.approx(math.log(9))
    one_of_nine = torch.diag(torch.tensor([0.0] * 9 + [1e9]))  # only the last decile is above 0
    assert decile_entropy(one_of_nine) == pytest.approx(0, abs=1e-6)
    assert decile_entropy(torch.zeros(3, 3)) == 0
