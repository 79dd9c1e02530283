import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from app.rank.bootstrap import correlation_intervals, resample, resampled_correlations


@pytest.mark.filterwarnings("ignore:An input array is constant")
@pytest.mark.parametrize("n", [7, 300])  # more than one block of rows
def test_resampled_correlations_agree_with_scipy_on_the_resamples(n: int) -> None:
    rng = np.random.default_rng(n)
    x, y = rng.integers(0, n // 2, n).astype(float), rng.random(n)
    counts = resample(n, seed=0)[:20]
    tau, rho = resampled_correlations(x, y, counts)
    for i, count in enumerate(counts):
        drawn = np.repeat(np.arange(n), count.astype(int))
        expected = [f(x[drawn], y[drawn]).statistic for f in (kendalltau, spearmanr)]
        assert [tau[i], rho[i]] == pytest.approx(expected, abs=1e-5, nan_ok=True)


def test_resamples_have_n_draws_are_seeded_and_fewer_for_large_tables() -> None:
    counts = resample(50, seed=3)
    assert counts.shape == (1000, 50)
    assert (counts.sum(1) == 50).all()
    assert (counts == resample(50, seed=3)).all()
    assert (counts != resample(50, seed=4)).any()
    assert len(resample(5000, seed=0)) == 160


def test_interval_of_independent_values_is_as_wide_as_theory_says() -> None:
    n = 400
    rng = np.random.default_rng(6)
    x, y = rng.random(n), rng.random(n)
    (low, high), rho, _ = correlation_intervals(x, y, [], resample(n, seed=0))
    deviation = np.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1)))  # of τ under independence
    assert high - low == pytest.approx(2 * 1.96 * deviation, rel=0.2)
    assert rho[1] - rho[0] == pytest.approx(2 * 1.96 / np.sqrt(n - 1), rel=0.2)


def test_undefined_everywhere_gives_an_undefined_interval() -> None:
    groups = [np.arange(5), np.arange(5, 10)]
    intervals = correlation_intervals(np.ones(10), np.arange(10.0), groups, resample(10, 0))
    assert np.isnan(intervals).all()
