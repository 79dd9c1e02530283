"""Latency as an objective: from a table that is made once, or measured."""

from pathlib import Path

import pytest
import torch

from app.latency.meter import LatencyMeter
from app.settings import LatencySettings
from tests.toy import Toy

CPU = torch.device("cpu")


def meter(toy: Toy, path: Path, **settings: object) -> LatencyMeter:
    return LatencyMeter(toy, LatencySettings.model_validate(settings), CPU, path)


def test_a_table_is_made_of_a_sample_and_kept(toy: Toy, tmp_path: Path) -> None:
    path = tmp_path / "latency.json"
    first = meter(toy, path)
    first.prepare(["conv1-conv3-skip", "conv3-conv3-skip"], lambda: None)
    known = dict(first.table.milliseconds)
    assert first("skip-conv1-conv3") > 0 and first.table.milliseconds == known  # nothing is new
    second = meter(toy, path)
    second.table.load(path)
    assert second("conv1-conv3-skip") == first("conv1-conv3-skip")
    assert second("conv3-conv3-conv3") > second("conv3-skip-skip")
    second.prepare(["conv1-conv1-conv1"], pytest.fail)  # it has been made


def test_an_interrupted_table_keeps_what_was_measured(toy: Toy, tmp_path: Path) -> None:
    path = tmp_path / "latency.json"
    left = iter([None])

    def stop() -> None:
        if next(left, stop) is stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        meter(toy, path).prepare(["conv1-skip-skip", "conv3-skip-skip"], stop)
    kept = meter(toy, path)
    kept.table.load(path)
    known = " ".join(kept.table.milliseconds)
    assert "Conv2d(6, 6, kernel_size=(1, 1)" in known
    assert "Conv2d(6, 6, kernel_size=(3, 3)" not in known


def test_measuring_draws_no_random_numbers_and_writes_nothing(toy: Toy, tmp_path: Path) -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    measured = meter(toy, tmp_path / "latency.json", source="measured", batch=2)
    assert measured("conv3-skip-conv1") > 0
    measured.prepare(["conv1-conv1-conv1"], pytest.fail)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not list(tmp_path.iterdir())
