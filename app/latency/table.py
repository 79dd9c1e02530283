"""Latency as a sum of look-ups: each operation of a network, at its input's shape, measured once.

An operation is a module without children, such as a convolution. What happens between modules,
adding and concatenating, is not counted, and neither is that a module's input may be in a
processor's cache or not; `benchmarks/latency_table.py` tells how well the sum ranks networks.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from app.atomic import DamagedError, read_checked, write_checked
from app.errors import InputError
from app.latency.measure import machine, measure_latency

FORMAT = "bnnas latency table 1"
LEAST_SECONDS = 0.02
FREE = (nn.Identity, nn.Flatten, nn.Dropout)


class LatencyTable:
    """Milliseconds of operations on one device; grows as networks with new ones are asked for."""

    def __init__(self, device: torch.device, batch: int = 1, cpu_threads: int = 1) -> None:
        self.device, self.batch, self.cpu_threads = device, batch, cpu_threads
        self.milliseconds: dict[str, float] = {}

    def predict(self, network: nn.Module, image_size: int) -> float:
        """Milliseconds of a forward pass of `batch` images, from the table.

        `network` lies on the device "meta": it is not run, only asked for its shapes.
        """
        total = 0.0
        for module, shape in operations(network, (self.batch, 3, image_size, image_size)):
            key = f"{module} of {'×'.join(map(str, shape))}"
            if key not in self.milliseconds:
                self.milliseconds[key] = self._measure(module, shape)
            total += self.milliseconds[key]
        return total

    def save(self, path: Path) -> None:
        """Write the table as JSON."""
        write_checked(path, {**self._definition(), "milliseconds": self.milliseconds})

    def load(self, path: Path) -> None:
        """Take over a table that was saved on the same kind of device.

        Raises DamagedError for a file that is no table as it was written, InputError if it is of
        another machine, version of PyTorch, batch or number of threads.
        """
        values = read_checked(path)
        try:
            milliseconds = {str(k): float(v) for k, v in values.pop("milliseconds").items()}
        except (ValueError, AttributeError, KeyError, TypeError):
            raise DamagedError("it is no latency table") from None
        for key, value in self._definition().items():
            if values.get(key) != value:
                raise InputError(
                    f"the latencies in '{path}' were measured with {key} = {values.get(key)!r}, "
                    f"not {value!r}: give --study-name NAME for a study beside this one"
                )
        self.milliseconds = milliseconds

    def _definition(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "machine": machine(self.device, self.cpu_threads),
            "batch": self.batch,
            "torch": torch.__version__,
        }

    def _measure(self, module: nn.Module, shape: tuple[int, ...]) -> float:
        real = deepcopy(module).to_empty(device="cpu")
        for parameter in real.parameters():
            nn.init.normal_(parameter, std=0.1)
        for name, buffer in real.named_buffers():
            buffer.fill_(0 if name == "running_mean" else 1)
        return measure_latency(real, shape, self.device, self.cpu_threads, LEAST_SECONDS)


def operations(
    network: nn.Module, input_shape: tuple[int, ...]
) -> list[tuple[nn.Module, tuple[int, ...]]]:
    """The modules without children that a forward pass runs, and the shape that each is given."""
    found: list[tuple[nn.Module, tuple[int, ...]]] = []

    def see(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        found.append((module, tuple(inputs[0].shape)))

    leaves = [m for m in network.modules() if not list(m.children()) and not isinstance(m, FREE)]
    handles = [leaf.register_forward_pre_hook(see) for leaf in leaves]
    device = next(network.parameters()).device
    with torch.no_grad():
        network.eval()(torch.empty(input_shape, device=device))
    for handle in handles:
        handle.remove()
    return found
