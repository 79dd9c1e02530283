"""What every baseline must keep, asked of each there is."""

import math

import pytest
import torch

import spaces
from app.scores import BASELINES, SCORES
from app.scores.baselines import RANK_SUMS
from tests.app.scores.baselines.helpers import DISCONNECTED, observe


def test_baselines_are_no_scores_of_a_trial() -> None:
    assert {"params", "flops", "synflow", "zico"} <= set(BASELINES)
    assert not set(BASELINES) & set(SCORES)


def test_rank_sums_add_known_baselines() -> None:
    assert {part for parts in RANK_SUMS.values() for part in parts} <= set(BASELINES)


@pytest.mark.parametrize("space", spaces.names())
@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_baseline_has_a_value_in_every_space_and_repeats_it(name: str, space: str) -> None:
    value = BASELINES[name](observe(space))
    assert isinstance(value, float)
    assert math.isfinite(value)
    torch.rand(1)  # the global generator must not matter
    assert BASELINES[name](observe(space)) == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_network_that_ignores_its_input_raises_nothing(name: str) -> None:
    assert isinstance(BASELINES[name](observe("nasbench201", DISCONNECTED)), float)


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_baseline_leaves_the_global_generator_alone(name: str) -> None:
    before = torch.random.get_rng_state()
    BASELINES[name](observe("nasbench201"))
    assert torch.equal(torch.random.get_rng_state(), before)
