import math

import pytest
import torch

from app.scores.spectrum import spectrum_entropy


@pytest.mark.parametrize("n", [1, 2, 7])
def test_equal_eigenvalues_give_the_logarithm_of_their_number(n: int) -> None:
    assert float(spectrum_entropy(3.0 * torch.eye(n))) == pytest.approx(math.log(n), abs=1e-12)


def test_one_direction_gives_zero() -> None:
    vector = torch.tensor([1.0, -2.0, 3.0])
    assert float(spectrum_entropy(torch.outer(vector, vector))) == pytest.approx(0, abs=1e-6)


def test_two_unequal_eigenvalues() -> None:
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert float(spectrum_entropy(torch.diag(torch.tensor([1.0, 3.0])))) == pytest.approx(entropy)


def test_no_direction_at_all_is_not_a_number() -> None:
    assert math.isnan(float(spectrum_entropy(torch.zeros(3, 3))))
