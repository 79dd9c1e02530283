"""The contract of a baseline, checked for every registered one."""

import math

import pytest
import torch

import spaces
from app.scores import BASELINES, SCORES
from tests.app.scores.baselines.helpers import DISCONNECTED, trace_of


def test_baselines_are_not_measured_in_trials() -> None:
    assert {"params", "flops", "synflow", "zico"} <= set(BASELINES)
    assert not set(BASELINES) & set(SCORES)


@pytest.mark.parametrize("space", spaces.names())
@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_baseline_has_a_value_in_every_space_and_repeats_it(name: str, space: str) -> None:
    value = BASELINES[name](trace_of(space))
    assert isinstance(value, float)
    assert math.isfinite(value)
    torch.rand(1)  # the global generator must not matter
    assert BASELINES[name](trace_of(space)) == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_network_that_ignores_its_input_raises_nothing(name: str) -> None:
    assert isinstance(BASELINES[name](trace_of("nasbench201", DISCONNECTED)), float)


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_baseline_leaves_the_global_generator_alone(name: str) -> None:
    before = torch.random.get_rng_state()
    BASELINES[name](trace_of("nasbench201"))
    assert torch.equal(torch.random.get_rng_state(), before)
