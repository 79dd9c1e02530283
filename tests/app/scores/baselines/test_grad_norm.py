import math

import pytest
import torch
from torch import nn

from app.scores.baselines.grad_norm import gradient_norm
from tests.app.scores.baselines.helpers import linear, pixels


def test_linear_layer_by_hand() -> None:
    # equal class scores: ∂L/∂W = (1/2 − 1, 1/2)ᵀ x for an image of class 0
    network = nn.Sequential(nn.Flatten(), linear([[0.0, 0.0], [0.0, 0.0]]))
    value = gradient_norm(network, pixels([[3.0, 4.0]]), torch.tensor([0]))
    assert value == pytest.approx(5 * math.sqrt(0.5))


def test_norms_of_layers_are_added_and_dead_ones_count_nothing() -> None:
    # zero weights behind it: the first layer gets no gradient
    network = nn.Sequential(nn.Flatten(), linear([[1.0, 0.0]]), linear([[0.0], [0.0]]))
    value = gradient_norm(network, pixels([[3.0, 4.0]]), torch.tensor([0]))
    assert value == pytest.approx(3 * math.sqrt(0.5))
