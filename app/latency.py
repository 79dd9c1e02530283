"""Latency of a stand-alone network: milliseconds for a batch of images on this machine.

Measured in evaluation mode, float32, without compilation, and on the CPU channels last. Compare
latencies of one machine only.
"""

import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

import torch
from torch import nn

from app.config import LatencyConfig
from app.device import device_name, memory_format, with_threads
from spaces import Space

WARM_UP_RUNS = 3
MIN_RUNS = 15
MIN_SECONDS = 0.2
"""Fast networks run more often, because timer noise weighs more on them."""


def measure_arch(space: Space, arch: str, config: LatencyConfig, device: torch.device) -> float:
    """Milliseconds that the stand-alone network of `arch` takes for the settings' batch.

    Weights and images are random, since their values do not matter; the state of PyTorch's
    generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        shape = (config.batch, 3, space.image_size, space.image_size)
        return measure_latency(space.network(arch), shape, device, config.threads)


def measure_latency(
    network: nn.Module,
    input_shape: tuple[int, int, int, int],
    device: torch.device,
    threads: int = 1,
    min_seconds: float = MIN_SECONDS,
) -> float:
    """Median milliseconds of a forward pass on an input of `input_shape` (N, C, H, W).

    Moves the network to `device` and puts it into evaluation mode.
    """
    layout = memory_format(device)
    network = network.to(device).to(memory_format=layout).eval()
    images = torch.randn(input_shape).to(device, memory_format=layout)

    def run() -> None:
        network(images)
        _synchronize(device)

    with cpu_threads(threads), torch.inference_mode():
        return median_milliseconds(run, min_seconds)


def median_milliseconds(run: Callable[[], object], min_seconds: float = MIN_SECONDS) -> float:
    """Median milliseconds of a call, after a warm-up."""
    for _ in range(WARM_UP_RUNS):
        run()
    seconds: list[float] = []
    while len(seconds) < MIN_RUNS or sum(seconds) < min_seconds:
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return 1000 * median(seconds)


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Let PyTorch compute with `count` CPU threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def machine(device: torch.device, threads: int) -> str:
    """Name the hardware that latencies are measured on; those of two machines do not compare."""
    if device.type != "cpu":
        return device_name(device)
    model = platform.processor() or platform.machine()
    with suppress(OSError):  # only Linux has this file
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    return with_threads(model, threads)


def _synchronize(device: torch.device) -> None:
    """Wait for an accelerator, which computes asynchronously."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
