import math

import pytest

from app.errors import InputError
from app.rank.scores import RANK_SUMS, choose_scores, rank_sum
from app.scores import BASELINES


def test_parts_of_rank_sums_are_baselines() -> None:
    assert {part for parts in RANK_SUMS.values() for part in parts} <= set(BASELINES)


def test_ranks_are_added() -> None:
    assert rank_sum([[-5.0, -1.0, None], [9.0, 4.0, 4.0]], logarithmic=False) == [5, 4.5, 2.5]


def test_logarithms_of_relative_ranks_are_added() -> None:
    parts = [[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [8.0, 3.0]]
    expected = [3 * math.log(0.5), math.log(0.5)]
    assert rank_sum(parts, logarithmic=True) == pytest.approx(expected)


def test_a_rank_sum_of_a_part_that_is_never_finite_is_none() -> None:
    assert rank_sum([[None, None], [9.0, 4.0]], logarithmic=False) == [None, None]


def test_flops_and_parameters_are_always_chosen() -> None:
    assert choose_scores("synflow", baselines=True) == ["synflow", "flops", "params"]
    assert choose_scores("params, flops", baselines=False) == ["params", "flops"]
    ours = choose_scores(None, baselines=False)
    assert {"composite", "bn_nas", "flops", "params"} <= set(ours)
    assert "synflow" not in ours


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ("synflow", "'synflow' is a baseline, and --no-baselines leaves those out"),
        ("te_nas", "'te_nas' is a baseline, and --no-baselines leaves those out"),
        ("composite,zcio", "unknown score 'zcio'; choose one of: activation_certainty"),
        ("", "unknown score ''"),
    ],
)
def test_scores_that_cannot_be_chosen(names: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        choose_scores(names, baselines=False)
