import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from app.rank.statistics import (
    BUDGETS,
    MAX_RESAMPLED,
    Ranker,
    flops_groups,
    ranks,
    regrets,
    resampled_correlations,
)


def test_scores_that_are_not_finite_rank_lowest_and_tied() -> None:
    values = [3.0, None, -7.0, float("inf"), float("nan"), -float("inf")]
    assert ranks(values).tolist() == [6, 2.5, 5, 2.5, 2.5, 2.5]


@pytest.mark.parametrize(("n", "count"), [(499, 6), (500, 10), (1000, 10)])
def test_groups_are_equal_in_count_and_ordered_by_flops(n: int, count: int) -> None:
    flops = np.random.default_rng(1).permutation(n).astype(float)
    groups = flops_groups(flops)
    assert len(groups) == count
    assert max(map(len, groups)) - min(map(len, groups)) <= 1
    assert np.concatenate([np.sort(flops[g]) for g in groups]).tolist() == sorted(flops)


def test_architectures_of_equal_flops_are_never_in_two_groups() -> None:
    flops = np.random.default_rng(2).choice([1, 2, 3, 5, 8, 13, 21], 700).astype(float)
    groups = flops_groups(flops)
    assert sorted(np.concatenate(groups)) == list(range(700))
    seen = [set(flops[g]) for g in groups]
    assert sum(map(len, seen)) == len(set().union(*seen))


def test_one_flops_for_all_is_one_group() -> None:
    assert [len(g) for g in flops_groups(np.full(30, 5.0))] == [30]


def test_regret_of_a_hand_computed_case() -> None:
    flops = np.array([1.0, 2, 3, 4])
    accuracy = np.array([50.0, 60, 80, 70])
    score = np.array([1.0, 4, 2, 3])  # the second is taken as soon as it can be paid for
    budgets = np.quantile(flops, np.linspace(0.05, 1, BUDGETS))
    expected = [0 if b < 3 else 20 for b in budgets]
    assert regrets(score, accuracy, flops).tolist() == expected


def test_regret_of_tied_scores_is_that_of_a_draw() -> None:
    flops, accuracy = np.array([1.0, 1, 1]), np.array([10.0, 20, 60])
    assert regrets(np.array([1.0, 2, 2]), accuracy, flops).tolist() == [20.0] * BUDGETS


def test_only_the_order_of_a_score_matters() -> None:
    rng = np.random.default_rng(5)
    ranker = Ranker(rng.random(60).tolist(), rng.integers(0, 20, 60).tolist(), seed=1)
    score = rng.random(60)
    assert ranker(score.tolist()) == ranker(np.exp(20 * score).tolist())


@pytest.mark.filterwarnings("ignore:An input array is constant")
@pytest.mark.parametrize("n", [7, 300])  # more than one block of rows
def test_resampled_correlations_agree_with_scipy_on_the_resamples(n: int) -> None:
    rng = np.random.default_rng(n)
    x, y = rng.integers(0, n // 2, n).astype(float), rng.random(n)
    counts = Ranker(y.tolist(), [1] * n, seed=0).counts[:20]
    tau, rho = resampled_correlations(x, y, counts)
    for i, count in enumerate(counts):
        drawn = np.repeat(np.arange(n), count.astype(int))
        expected = [f(x[drawn], y[drawn]).statistic for f in (kendalltau, spearmanr)]
        assert [tau[i], rho[i]] == pytest.approx(expected, abs=1e-5, nan_ok=True)


def test_resamples_have_n_draws_are_seeded_and_fewer_for_large_tables() -> None:
    def counts(n: int, seed: int) -> NDArray[np.float32]:
        return Ranker([1.0] * n, [1] * n, seed).counts

    assert counts(50, seed=3).shape == (1000, 50)
    assert (counts(50, seed=3).sum(1) == 50).all()
    assert (counts(50, seed=3) == counts(50, seed=3)).all()
    assert (counts(50, seed=3) != counts(50, seed=4)).any()
    assert len(counts(5000, seed=0)) == 160


def test_interval_of_independent_values_is_as_wide_as_theory_says() -> None:
    n = 400
    rng = np.random.default_rng(6)
    ranking = Ranker(rng.random(n).tolist(), list(range(n)), seed=0)(rng.random(n).tolist())
    deviation = np.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1)))  # of τ under independence
    low, high = ranking["tau_interval"]
    assert high - low == pytest.approx(2 * 1.96 * deviation, rel=0.2)
    low, high = ranking["rho_interval"]
    assert high - low == pytest.approx(2 * 1.96 / np.sqrt(n - 1), rel=0.2)


def test_statistics_of_hand_computed_cases_with_ties() -> None:
    # pairs: 4 of the same order, 1 reversed, 1 tied in x only; τ-b = 3 / √(5·6)
    ranking = Ranker([1, 4, 2, 3], [1, 2, 3, 4], seed=0)([1.0, 2, 2, 3])
    assert ranking["tau"] == pytest.approx(3 / np.sqrt(30))
    assert ranking["rho"] == pytest.approx(spearmanr([1, 2, 2, 3], [1, 4, 2, 3]).statistic)


def test_a_perfect_score_and_its_reverse() -> None:
    rng = np.random.default_rng(4)
    accuracy = rng.permutation(120).astype(float)
    ranker = Ranker(accuracy.tolist(), rng.integers(0, 40, 120).tolist(), seed=0)
    for sign in (1, -1):
        ranking = ranker((sign * accuracy).tolist())
        for name in ("tau", "rho", "tau_within_flops"):
            assert ranking[name] == pytest.approx(sign)
            assert ranking[f"{name}_interval"] == pytest.approx([sign, sign])
        assert ranking["regret_max"] == (0 if sign > 0 else 119)


def test_tau_within_flops_is_the_mean_over_the_groups_in_which_it_is_defined() -> None:
    flops = [1, 1, 1, 2, 2, 3, 3, 9]
    accuracy = [1.0, 2, 3, 5, 4, 6, 6, 9]  # constant in the third group; the last is alone
    score = [1.0, 3, 2, 1, 2, 1, 2, 1]  # τ: 1/3, −1, undefined, undefined
    ranking = Ranker(accuracy, flops, seed=0)(score)
    assert ranking["tau_within_flops"] == pytest.approx((1 / 3 - 1) / 2)


def test_nothing_is_left_to_rank_within_one_number_of_flops() -> None:
    rng = np.random.default_rng(3)
    flops = rng.integers(0, 10, 700)
    ranking = Ranker((flops + rng.random(700)).tolist(), flops.tolist(), seed=0)(flops.tolist())
    assert ranking["tau"] > 0.9
    assert ranking["tau_within_flops"] is None


def test_a_constant_score_correlates_with_nothing_and_is_a_draw() -> None:
    ranking = Ranker([1.0, 2, 3, 6], [5, 5, 5, 5], seed=0)([1.0] * 4)
    assert (ranking["tau"], ranking["rho"], ranking["tau_within_flops"]) == (None, None, None)
    assert ranking["tau_interval"] == ranking["tau_within_flops_interval"] == [None, None]
    assert ranking["regret_mean"] == 3


def test_a_score_that_is_never_finite_has_no_statistics() -> None:
    ranking = Ranker([1.0, 2, 3, 6], [1, 2, 3, 4], seed=0)([None, None, None, float("nan")])
    assert {key: value for key, value in ranking.items() if value not in (None, [None, None])} == {}


def test_tables_too_large_to_resample_have_no_intervals() -> None:
    n = MAX_RESAMPLED + 1
    ranking = Ranker(list(range(n)), [1] * n, seed=0)(list(range(n)))
    assert ranking["tau"] == ranking["tau_within_flops"] == pytest.approx(1)
    assert ranking["tau_interval"] == ranking["tau_within_flops_interval"] == [None, None]
