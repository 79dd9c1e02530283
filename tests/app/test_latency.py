"""Latency is measured in evaluation mode, on a fixed number of threads, without side effects."""

import pytest
import torch
from torch import Tensor, nn

from app.config import LatencyConfig
from app.latency import MIN_RUNS, WARM_UP_RUNS, cpu_threads, measure_arch, measure_latency
from tests.toy import Toy

CPU = torch.device("cpu")


class Spy(nn.Module):
    """Keeps how it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[bool, bool, int, tuple[int, ...]]] = []

    def forward(self, images: Tensor) -> Tensor:
        inference, threads = torch.is_inference_mode_enabled(), torch.get_num_threads()
        self.calls.append((self.training, inference, threads, tuple(images.shape)))
        return images


def test_a_network_is_warmed_up_and_run_for_inference_on_the_given_threads() -> None:
    spy = Spy()
    with cpu_threads(2):
        assert measure_latency(spy, (2, 3, 8, 8), CPU, threads=1, min_seconds=0) > 0
        assert torch.get_num_threads() == 2
    assert spy.calls == [(False, True, 1, (2, 3, 8, 8))] * (WARM_UP_RUNS + MIN_RUNS)


def test_fast_networks_run_more_often() -> None:
    spy = Spy()
    measure_latency(spy, (2, 3, 8, 8), CPU, min_seconds=0.01)
    assert len(spy.calls) > WARM_UP_RUNS + MIN_RUNS


def test_measuring_an_architecture_draws_no_random_numbers(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.latency.MIN_SECONDS", 0)
    before = torch.random.get_rng_state()
    assert measure_arch(toy, "conv3-skip-conv1", LatencyConfig(batch=2), CPU) > 0
    assert torch.equal(torch.random.get_rng_state(), before)
