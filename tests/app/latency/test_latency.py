"""Latencies: bigger is slower, sums are sums, a table is kept with what it was measured on."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from app.atomic import DamagedError
from app.errors import InputError
from app.latency import LatencyTable, measure_latency, threads
from app.latency.measure import REPEATS, WARM_UP
from app.latency.table import operations

CPU = torch.device("cpu")


def network(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
    )


def test_a_network_is_warmed_up_and_run_in_evaluation_mode_without_gradients() -> None:
    seen: list[tuple[bool, bool, tuple[int, ...]]] = []

    class Look(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            seen.append((self.training, torch.is_inference_mode_enabled(), tuple(images.shape)))
            return images

    assert measure_latency(Look(), (2, 3, 8, 8), CPU, least_seconds=0) > 0
    assert seen == [(False, True, (2, 3, 8, 8))] * (WARM_UP + REPEATS)
    seen.clear()
    measure_latency(Look(), (2, 3, 8, 8), CPU, least_seconds=0.01)  # a short one runs more often
    assert len(seen) > WARM_UP + REPEATS


def test_threads_are_fixed_and_given_back() -> None:
    seen: list[int] = []

    class Look(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(torch.get_num_threads())
            return images

    with threads(2):
        measure_latency(Look(), (1, 3, 8, 8), CPU, cpu_threads=1, least_seconds=0)
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2


def test_operations_are_the_leaves_in_order_with_their_shapes() -> None:
    with torch.device("meta"):
        found = operations(network(8), (2, 3, 16, 16))
    assert [type(m).__name__ for m, _ in found] == [
        *("Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d")
    ]
    assert [shape for _, shape in found] == [(2, 3, 16, 16), *[(2, 8, 16, 16)] * 4]


def test_the_prediction_is_the_sum_and_each_operation_is_measured_once() -> None:
    table = LatencyTable(CPU)
    with torch.device("meta"):
        model = network(8)
    first = table.predict(model, 16)
    entries = dict(table.milliseconds)
    assert len(entries) == 4  # both BatchNorms are one entry
    again = [k for k in entries if k.startswith("BatchNorm2d")]
    assert first == pytest.approx(sum(entries.values()) + entries[again[0]])
    assert table.predict(model, 16) == first and table.milliseconds == entries
    table.predict(model, 32)
    assert len(table.milliseconds) == 8


def test_a_table_is_read_back_for_the_same_terms_only(tmp_path: Path) -> None:
    table = LatencyTable(CPU)
    with torch.device("meta"):
        table.predict(network(4), 8)
    table.save(tmp_path / "latency.json")
    same, other = LatencyTable(CPU), LatencyTable(CPU, batch=8)
    same.load(tmp_path / "latency.json")
    assert same.milliseconds == table.milliseconds
    with pytest.raises(InputError, match="measured with batch = 1, not 8"):
        other.load(tmp_path / "latency.json")
    text = (tmp_path / "latency.json").read_text()
    for damaged in ("{", "[]", "{}", text.replace("1", "2", 1)):
        (tmp_path / "latency.json").write_text(damaged)
        with pytest.raises(DamagedError):
            same.load(tmp_path / "latency.json")
