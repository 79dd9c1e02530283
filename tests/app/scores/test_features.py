import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy as divergence

from app.scores.features import (
    MIN_EIGENVALUE,
    correlation,
    covariance,
    eigenvalues,
    entropy,
    log_volume,
    moments,
)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_equal_eigenvalues_give_the_logarithm_of_their_number(n: int) -> None:
    assert float(entropy(eigenvalues(3.0 * torch.eye(n)))) == pytest.approx(math.log(n), abs=1e-12)


def test_one_direction_gives_zero() -> None:
    vector = torch.tensor([1.0, -2.0, 3.0])
    assert float(entropy(eigenvalues(torch.outer(vector, vector)))) == pytest.approx(0, abs=1e-6)


def test_two_unequal_eigenvalues() -> None:
    expected = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert float(entropy(eigenvalues(torch.diag(torch.tensor([1.0, 3.0]))))) == pytest.approx(
        expected
    )


def test_no_direction_at_all_is_not_a_number() -> None:
    assert math.isnan(float(entropy(eigenvalues(torch.zeros(3, 3)))))


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=12))
def test_entropy_and_volume_are_the_two_divergences_from_a_flat_spectrum(raw: list[float]) -> None:
    p = np.array(raw) / sum(raw)
    flat = np.full(len(p), 1 / len(p))
    gram = torch.diag(torch.tensor(raw, dtype=torch.float64))
    assert math.log(len(p)) - divergence(p, flat) == pytest.approx(
        float(entropy(eigenvalues(gram)))
    )
    assert -divergence(flat, p) == pytest.approx(float(log_volume(eigenvalues(gram))), abs=1e-9)


def test_a_missing_direction_has_the_smallest_eigenvalue() -> None:
    gram = torch.diag(torch.tensor([2.0, 0.0]))
    assert float(log_volume(eigenvalues(gram))) == pytest.approx(
        (math.log(2) + math.log(MIN_EIGENVALUE)) / 2
    )


def test_correlation_is_numpys_and_ignores_constants() -> None:
    vectors = torch.randn(3, 50, dtype=torch.float64)
    torch.testing.assert_close(correlation(vectors), torch.corrcoef(vectors))
    vectors[1] = 4
    assert torch.equal(correlation(vectors)[1], torch.zeros(3, dtype=torch.float64))


def test_covariance_is_numpys() -> None:
    features = torch.randn(4, 3, 2, 2, dtype=torch.float64)
    expected = torch.cov(features.movedim(1, 0).flatten(1), correction=0)
    torch.testing.assert_close(covariance(features), expected)


def test_moments_are_those_of_torch() -> None:
    features = (5 + 3 * torch.randn(6, 4, 5, 7)).to(memory_format=torch.channels_last)
    found = moments(features)
    torch.testing.assert_close(found.image_means, features.mean((2, 3)))
    torch.testing.assert_close(found.mean, features.mean((0, 2, 3)))
    torch.testing.assert_close(found.variance, features.var((0, 2, 3), correction=0))


def test_a_constant_channel_has_no_variance() -> None:
    """Although sums of float32 do not give its mean exactly."""
    features = torch.full((7, 2, 3, 3), 1 / 3)
    features[:, 1] = 0
    assert not moments(features).variance.any()
