"""How long a stand-alone network takes for one batch of images on this machine.

Measured in evaluation mode, float32, channels last, without compilation: what PyTorch runs as it
is. Compare latencies of one machine and one run only.
"""

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

import torch
from torch import nn

from app.device import device_name, with_threads

WARM_UP = 3
REPEATS = 15
LEAST_SECONDS = 0.2  # short networks are run more often, as a timer's noise weighs more on them


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let PyTorch compute with `count` CPU threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def machine(device: torch.device, cpu_threads: int) -> str:
    """What latencies were measured on: those of two machines do not compare."""
    if device.type != "cpu":
        return device_name(device)
    model = platform.processor() or platform.machine()
    with suppress(OSError):  # Linux alone has it
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    return with_threads(model, cpu_threads)


def measure_latency(
    network: nn.Module,
    input_shape: tuple[int, ...],
    device: torch.device,
    cpu_threads: int = 1,
    least_seconds: float = LEAST_SECONDS,
) -> float:
    """Median milliseconds of a forward pass on an input of `input_shape`, such as (1, 3, 32, 32).

    The network is moved to `device` and put into evaluation mode.
    """
    network = network.to(device).to(memory_format=torch.channels_last).eval()
    images = torch.randn(input_shape, device="cpu").to(device)
    if images.dim() == 4:
        images = images.to(memory_format=torch.channels_last)
    seconds: list[float] = []
    with threads(cpu_threads), torch.inference_mode():
        for _ in range(WARM_UP):
            network(images)
        while len(seconds) < REPEATS or sum(seconds) < least_seconds:
            _wait(device)
            start = time.perf_counter()
            network(images)
            _wait(device)
            seconds.append(time.perf_counter() - start)
    return 1000 * median(seconds)


def _wait(device: torch.device) -> None:
    """Accelerators compute asynchronously."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
