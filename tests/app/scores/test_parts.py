"""Each own score against a closed form on features, gradients and answers made by hand."""

import math
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from app.data import ImageData
from app.scores import PARTS, SCORES
from app.scores.expressivity import covariance
from app.scores.observation import Anchors, Observation
from app.scores.scorer import Scorer
from spaces import Placement
from tests.toy import Toy

CPU = torch.device("cpu")


def by_hand(**results: Any) -> Observation:
    """An observation whose passes gave these results."""
    return cast(Observation, SimpleNamespace(**results))


def test_covariance_is_numpys() -> None:
    features = torch.randn(4, 3, 2, 2, dtype=torch.float64)
    expected = torch.cov(features.movedim(1, 0).flatten(1), correction=0)
    torch.testing.assert_close(covariance(features), expected)


def test_expressivity_adds_the_logarithms_of_independent_channels() -> None:
    signs = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])  # uncorrelated
    three = signs[:, :, None, None]
    same = three[:, :1].expand(-1, 3, -1, -1)
    backward = SimpleNamespace(features=[three, same])
    assert SCORES["expressivity"](by_hand(backward=backward)) == pytest.approx(
        math.log(3) + 0, abs=1e-5
    )


def test_trainability_is_full_when_images_pull_in_independent_directions() -> None:
    independent = SimpleNamespace(gradients=torch.diag(torch.tensor([1.0, 5.0, 0.1])))
    assert SCORES["trainability"](by_hand(backward=independent)) == pytest.approx(math.log(3))
    same = SimpleNamespace(gradients=torch.tensor([[1.0, 2.0], [2.0, 4.0], [0.5, 1.0]]))
    assert SCORES["trainability"](by_hand(backward=same)) == pytest.approx(0, abs=1e-6)


def test_uncertainty_is_minus_the_variance_of_the_answers() -> None:
    answers = torch.tensor([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]])
    # image 1: variance 0.5 in each of two classes; image 2: none
    assert SCORES["uncertainty"](by_hand(monte_carlo=answers)) == pytest.approx(-0.5)


def test_bn_nas_sums_the_mean_scales() -> None:
    scales = [torch.tensor([1.0, -3.0]), torch.tensor([0.5])]
    assert SCORES["bn_nas"](by_hand(scales=scales)) == pytest.approx(2.5)
    assert SCORES["bn_nas"](by_hand(scales=[])) == 0


def scorer(toy: Toy, digits: ImageData) -> Scorer:
    torch.manual_seed(0)
    return Scorer(toy, toy.supernet(Placement.UNBIASED), Anchors.draw(digits, 16, 0, CPU))


def test_scores_are_finite_repeatable_and_tell_architectures_apart(
    toy: Toy, digits: ImageData
) -> None:
    measure = scorer(toy, digits)
    first = measure("conv3-conv3-conv3")
    assert first == measure("conv3-conv3-conv3")
    second = measure("skip-conv1-skip")
    for name in (*PARTS, "bn_nas"):
        assert first[name] is not None
        assert math.isfinite(first[name] or math.nan)
    assert all(first[part] != second[part] for part in PARTS)


def test_a_network_blind_to_its_images_has_no_score(toy: Toy, digits: ImageData) -> None:
    measure = scorer(toy, digits)
    with torch.no_grad():
        measure.supernet.classifier.weight.zero_()  # type: ignore[operator, union-attr]
    assert measure("conv3-conv3-conv3") == dict.fromkeys(SCORES)


def test_a_network_of_infinities_has_no_score(toy: Toy, digits: ImageData) -> None:
    measure = scorer(toy, digits)
    with torch.no_grad():
        measure.supernet.classifier.bias.fill_(math.inf)  # type: ignore[operator, union-attr]
    assert measure("conv3-conv3-conv3") == dict.fromkeys(SCORES)
