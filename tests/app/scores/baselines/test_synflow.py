import math

import pytest
import torch
from torch import nn

from app.scores.baselines.synflow import synaptic_flow
from tests.app.scores.baselines.helpers import linear


def test_a_chain_carries_the_same_flow_through_each_of_its_layers() -> None:
    convolution = nn.Conv2d(3, 2, 1, bias=False)
    convolution.weight.data = torch.tensor([[1.0, -2.0, 3.0], [0.0, -4.0, 0.0]])[..., None, None]
    network = nn.Sequential(
        convolution,
        nn.Sequential(nn.BatchNorm2d(2), nn.ReLU6(inplace=True)),
        nn.Flatten(),
        linear([[1.0, -1.0], [2.0, 0.0]]),
        nn.ReLU(),
        linear([[5.0, -1.0]]),
    )
    # of ones: (6, 4), then (10, 12), then 62; each of the three layers carries all of it
    value = synaptic_flow(network, torch.zeros(7, 3, 1, 1))
    assert value == pytest.approx(math.log(3 * 62))


def test_many_layers_do_not_overflow() -> None:
    layers = [linear([[1e3, 0.0], [0.0, 1e3]]) for _ in range(60)]
    value = synaptic_flow(nn.Sequential(nn.Flatten(), *layers), torch.zeros(1, 2, 1, 1))
    assert value == pytest.approx(math.log(60 * 2) + 60 * math.log(1e3))


def test_no_flow_is_minus_infinity() -> None:
    network = nn.Sequential(nn.Flatten(), linear([[0.0]]), linear([[1.0]]))
    assert synaptic_flow(network, torch.zeros(1, 1, 1, 1)) == -math.inf
