import math

import pytest
import torch
from torch import nn

from app.scores.baselines.zico import batch_gradients, inverse_variation
from tests.app.scores.baselines.helpers import linear, pixels


def test_score_of_gradients_by_hand() -> None:
    first = torch.tensor([[1.0, -2.0], [3.0, 6.0]])  # mean |g| 2 and 4, deviation 1 and 4
    second = torch.tensor([[5.0], [7.0]])  # 6 and 1
    assert inverse_variation([first, second]) == pytest.approx(math.log(2 + 1) + math.log(6))


def test_what_does_not_vary_is_left_out() -> None:
    half = torch.tensor([[1.0, 4.0], [3.0, 4.0]])
    dead = torch.zeros(2, 3)
    assert inverse_variation([half, dead]) == pytest.approx(math.log(2))
    assert inverse_variation([dead]) == 0


def test_gradients_of_the_halves() -> None:
    network = nn.Sequential(nn.Flatten(), linear([[0.0], [0.0]]))
    images, labels = pixels([[2.0], [4.0], [6.0], [6.0]]), torch.tensor([0, 0, 1, 1])
    (layer,) = batch_gradients(network, images, labels)
    assert layer.tolist() == [[[-1.5], [1.5]], [[3.0], [-3.0]]]
