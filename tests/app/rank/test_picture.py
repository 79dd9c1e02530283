import numpy as np
import pytest

from app.rank.picture import positions


def test_ordinary_scores_lie_where_they_are() -> None:
    values = [0.5, -1.0, 2.0, 0.0]
    x, scale = positions(values)
    assert (x.tolist(), scale) == (values, "linear")


def test_missing_scores_lie_lowest() -> None:
    assert positions([0.5, None, -1.0, float("nan")])[0].tolist() == [0.5, -1.0, -1.0, -1.0]
    assert positions([None, None])[0].tolist() == [0, 0]


def test_orders_of_magnitude_get_a_logarithmic_axis() -> None:
    assert positions(np.logspace(-3, 6, 50).tolist())[1] == "log"


def test_outliers_are_drawn_at_the_fence() -> None:
    x, scale = positions([*np.linspace(-1, 1, 101).tolist(), -1e9])
    assert scale == "linear"
    assert x[-1] == x.min() == pytest.approx(-3.5, abs=0.1)
    assert x[:-1].tolist() == np.linspace(-1, 1, 101).tolist()


def test_constant_scores_with_an_exception_keep_it() -> None:
    assert positions([1.0] * 9 + [5.0])[0][-1] == 5
