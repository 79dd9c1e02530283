import numpy as np
import pytest
from scipy.stats import spearmanr

from app.rank.ranking import Judge
from app.rank.statistics import (
    BUDGETS,
    flops_groups,
    kendall,
    kendall_within,
    mean_of_defined,
    regrets,
    spearman,
)
from app.scores.ranks import ranks


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


def test_mean_of_nothing_defined_is_undefined() -> None:
    assert np.isnan(mean_of_defined(np.array([np.nan, np.nan])))


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
    judge = Judge(accuracy.tolist(), flops.tolist(), seed=0)
    perfect, reverse = judge(accuracy.tolist()), judge((-accuracy).tolist())
    assert (perfect.tau, perfect.rho, perfect.tau_within_flops) == pytest.approx((1, 1, 1))
    assert (reverse.tau, reverse.rho, reverse.tau_within_flops) == pytest.approx((-1, -1, -1))
    assert perfect.tau_interval == perfect.tau_within_flops_interval == pytest.approx((1, 1))
    assert reverse.rho_interval == pytest.approx((-1, -1))
    assert perfect.regret_mean == perfect.regret_max == perfect.regret_low == 0
    assert reverse.regret_max == 119
    assert (perfect.missing, judge([None, *accuracy[1:].tolist()]).missing) == (0, 1)


def test_only_the_order_of_a_score_matters() -> None:
    rng = np.random.default_rng(5)
    judge = Judge(rng.random(60).tolist(), rng.integers(0, 20, 60).tolist(), seed=1)
    score = rng.random(60)
    assert judge(score.tolist()) == judge(np.exp(20 * score).tolist())
