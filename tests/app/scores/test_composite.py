import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.scores import MEASURES, PARTS
from app.scores.composite import FLOOR, LOWEST, Composite, LogQuantile

numbers = st.floats(-1e6, 1e6)


def test_quantiles_of_the_sample_are_rank_over_n_plus_one() -> None:
    quantile = LogQuantile([30.0, 10.0, 20.0])
    assert [math.exp(quantile(v)) for v in (10, 20, 30)] == pytest.approx([0.25, 0.5, 0.75])
    assert math.exp(quantile(15.0)) == pytest.approx(0.375)


def test_equal_values_share_their_mean_rank() -> None:
    quantile = LogQuantile([1.0, 2.0, 2.0, 3.0])
    assert math.exp(quantile(2.0)) == pytest.approx(2.5 / 5)


def test_tails_are_exponential_and_join_without_a_jump() -> None:
    quantile = LogQuantile([0.0, 2.0])  # standard deviation 1
    assert math.exp(quantile(3.0)) == pytest.approx(1 - math.exp(-1) / 3)
    assert math.exp(quantile(-1.0)) == pytest.approx(math.exp(-1) / 3)
    assert quantile(2.0 + 1e-12) == pytest.approx(quantile(2.0))
    assert quantile(-1e-12) == pytest.approx(quantile(0.0))


@given(st.lists(numbers, min_size=2, max_size=20), numbers, numbers)
def test_it_never_decreases(sample: list[float], a: float, b: float) -> None:
    quantile = LogQuantile(sample)
    low, high = sorted((a, b))
    assert FLOOR <= quantile(low) <= quantile(high) + 1e-12 <= 1e-12


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, -1e30])
def test_what_is_not_finite_counts_least(value: float | None) -> None:
    assert LogQuantile([1.0, 2.0])(value) == FLOOR


def test_a_sample_of_equal_values_still_tells_better_from_worse() -> None:
    quantile = LogQuantile([1.0, 1.0])
    assert quantile(0.5) < quantile(1.0) < quantile(1.5)


def test_the_composite_sums_its_parts_and_has_a_lowest_value() -> None:
    composite = Composite(
        [dict.fromkeys(MEASURES, v) for v in (1.0, 2.0, 3.0)] + [{**dict.fromkeys(MEASURES)}]
    )
    middle = dict.fromkeys(MEASURES, 2.0)
    assert composite(middle) == pytest.approx(len(MEASURES) * math.log(0.5))
    assert composite.parts(middle) == pytest.approx(
        {part: len(names) * math.log(0.5) for part, names in PARTS.items()}
    )
    assert composite(dict.fromkeys(MEASURES)) == LOWEST


def test_a_measure_that_is_never_finite_is_refused() -> None:
    with pytest.raises(ValueError, match=f"finite {MEASURES[0]}"):
        Composite([dict.fromkeys(MEASURES)])
