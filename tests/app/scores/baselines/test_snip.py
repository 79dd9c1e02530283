import math

import pytest
import torch
from torch import nn

from app.scores.baselines.snip import connection_sensitivity
from tests.app.scores.baselines.helpers import linear, pixels


def test_linear_layer_by_hand() -> None:
    # class scores (ln 3, 0) have probabilities (3/4, 1/4); the gradient at them is (−1/4, 1/4)
    network = nn.Sequential(nn.Flatten(), linear([[math.log(3), 0.0], [-2.0, 1.0]]))
    value = connection_sensitivity(network, pixels([[1.0, 2.0]]), torch.tensor([0]))
    assert value == pytest.approx((math.log(3) * 1 + 2.0 * 1 + 1.0 * 2) / 4)
