import math

import pytest
import torch
from torch import nn

from app.scores.baselines.jacob_cov import K, input_jacobian, spectrum_score
from tests.app.scores.baselines.helpers import linear, pixels


def test_jacobian_of_a_linear_network_is_the_sum_of_its_rows() -> None:
    network = nn.Sequential(nn.Flatten(), linear([[1.0, 2.0, 0.0], [3.0, -2.0, 1.0]]))
    jacobian = input_jacobian(network, pixels([[5.0, 5.0, 5.0], [1.0, 2.0, 3.0]]))
    assert jacobian.tolist() == [[4.0, 0.0, 1.0]] * 2


def test_score_from_known_eigenvalues() -> None:
    r = 0.6  # the eigenvalues are 1 ± r
    correlation = torch.tensor([[1, r], [r, 1]], dtype=torch.double)
    expected = -sum(math.log(s + K) + 1 / (s + K) for s in (1 + r, 1 - r))
    assert spectrum_score(correlation) == pytest.approx(expected)


def test_uncorrelated_gradients_score_highest() -> None:
    assert spectrum_score(torch.eye(4).double()) == pytest.approx(-4)
    assert spectrum_score(torch.ones(4, 4).double()) < -1 / K


def test_constant_gradients_have_no_score() -> None:
    assert math.isnan(spectrum_score(torch.corrcoef(torch.ones(2, 3))))
