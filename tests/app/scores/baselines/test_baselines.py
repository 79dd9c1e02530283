"""The contract of a baseline, checked for every registered one."""

import math

import pytest
import torch

import spaces
from app.rank.scores import ON_SUPERNET
from app.scores import BASELINES, SCORES
from tests.app.scores.baselines.helpers import DISCONNECTED, trace_of


def measured(name: str, space: str, arch: str | None = None) -> float:
    return BASELINES[name](trace_of(space, arch, name in ON_SUPERNET))


def test_baselines_are_not_measured_in_trials() -> None:
    assert {"params", "flops", "synflow", "zico"} <= set(BASELINES)
    assert not set(BASELINES) & set(SCORES)


@pytest.mark.parametrize("space", spaces.names())
@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_baseline_has_a_value_in_every_space(name: str, space: str) -> None:
    value = measured(name, space)
    assert isinstance(value, float)
    assert math.isfinite(value)


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_baseline_neither_uses_nor_moves_the_global_generator(name: str) -> None:
    value = measured(name, "nasbench201")
    torch.rand(1)
    before = torch.random.get_rng_state()
    assert measured(name, "nasbench201") == pytest.approx(value, rel=1e-4)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_network_that_ignores_its_input_raises_nothing(name: str) -> None:
    assert isinstance(measured(name, "nasbench201", DISCONNECTED), float)
