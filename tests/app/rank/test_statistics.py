import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from app.rank.statistics import (
    BUDGETS,
    Ranker,
    flops_groups,
    kendall,
    kendall_within,
    ranks,
    regrets,
    resample,
    resampled_correlations,
    spearman,
)


def test_scores_that_are_not_finite_rank_lowest_and_tied() -> None:
    values = [3.0, None, -7.0, float("inf"), float("nan"), -float("inf")]
    assert ranks(values).tolist() == [6, 2.5, 5, 2.5, 2.5, 2.5]


def test_kendall_of_a_hand_computed_case_with_ties() -> None:
    # pairs: 4 of the same order, 1 reversed, 1 tied in x only; τ-b = 3 / √(5·6)
    x, y = np.array([1.0, 2, 2, 3]), np.array([1.0, 4, 2, 3])
    assert kendall(x, y) == pytest.approx(3 / np.sqrt(30))


def test_spearman_with_ties_agrees_with_scipy() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, 50).astype(float), rng.random(50)
    assert spearman(x, y) == pytest.approx(spearmanr(x, y).statistic)


def test_correlation_with_a_constant_or_of_one_pair_is_undefined() -> None:
    constant, line = np.ones(4), np.arange(4.0)
    assert np.isnan(kendall(constant, line))
    assert np.isnan(spearman(constant, line))
    assert np.isnan(kendall(line[:1], line[:1]))


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


def test_tau_within_groups_is_the_mean_of_the_defined_ones() -> None:
    groups = [np.array(g) for g in ([0, 1, 2], [3, 4], [5, 6], [7])]
    accuracy = np.array([1.0, 2, 3, 5, 4, 6, 6, 9])  # constant in the third group
    score = np.array([1.0, 3, 2, 1, 2, 1, 2, 1])  # τ: 1/3, −1, undefined, undefined
    assert kendall_within(score, accuracy, groups) == pytest.approx((1 / 3 - 1) / 2)


def test_flops_as_a_score_say_little_within_flops() -> None:
    rng = np.random.default_rng(3)
    flops = rng.random(2000)
    accuracy = flops + 0.05 * rng.random(2000)
    score = ranks(flops.tolist())
    noise = rng.random(2000)
    assert kendall(score, accuracy) > 0.9
    assert abs(kendall_within(score, noise, flops_groups(flops))) < 0.06
    tied = np.floor(flops * 10)  # one FLOPs a group: nothing is left to rank
    assert np.isnan(kendall_within(ranks(tied.tolist()), accuracy, flops_groups(tied)))


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


def test_a_perfect_score_and_its_reverse() -> None:
    rng = np.random.default_rng(4)
    accuracy = rng.permutation(120).astype(float)
    flops = rng.integers(0, 40, 120)
    ranker = Ranker(accuracy.tolist(), flops.tolist(), seed=0)
    perfect, reverse = ranker(accuracy.tolist()), ranker((-accuracy).tolist())
    assert (perfect.tau, perfect.rho, perfect.tau_within_flops) == pytest.approx((1, 1, 1))
    assert (reverse.tau, reverse.rho, reverse.tau_within_flops) == pytest.approx((-1, -1, -1))
    assert perfect.tau_interval == perfect.tau_within_flops_interval == pytest.approx((1, 1))
    assert reverse.rho_interval == pytest.approx((-1, -1))
    assert perfect.regret_mean == perfect.regret_max == 0
    assert reverse.regret_max == 119


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
    ranking = Ranker(rng.random(n).tolist(), list(range(n)), seed=0)(rng.random(n).tolist())
    deviation = np.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1)))  # of τ under independence
    low, high = ranking.tau_interval
    assert high - low == pytest.approx(2 * 1.96 * deviation, rel=0.2)
    low, high = ranking.rho_interval
    assert high - low == pytest.approx(2 * 1.96 / np.sqrt(n - 1), rel=0.2)


def test_statistics_of_a_constant_score_are_undefined() -> None:
    ranking = Ranker(list(range(10)), list(range(10)), seed=0)([1.0] * 10)
    assert np.isnan([ranking.tau, ranking.rho, ranking.tau_within_flops]).all()
    assert np.isnan([*ranking.tau_interval, *ranking.tau_within_flops_interval]).all()


@pytest.mark.parametrize("value", [None, float("nan"), -float("inf")])
def test_a_score_without_a_finite_value_loses_no_accuracy(value: float | None) -> None:
    ranking = Ranker(list(range(10)), list(range(10)), seed=0)([value] * 10)
    assert np.isnan([ranking.tau, ranking.regret_mean, ranking.regret_max]).all()
