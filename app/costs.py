"""The costs of a network: how each is counted, and how it is shown.

`memory` is what the activations of one image take at once (`spaces.memory` says what counts), in
numbers of `search.activations`. `latency` is measured on this machine.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from app.config import CostName, SearchConfig
from spaces import Space

BYTES = {"float32": 4, "int8": 1}


@lru_cache(maxsize=2**14)
def _peak(space: Space, arch: str) -> int:
    return space.peak_activations(arch)  # repairs ask again and again, and some spaces are slow


@dataclass(frozen=True)
class Cost:
    """A cost that is minimised or limited, as tables and pictures show it."""

    name: CostName
    title: str
    """For table headings and axes."""
    unit: str
    """Follows a number in a sentence."""
    scale: float
    digits: int
    attribute: str
    """Of a trial, and what Optuna calls the cost."""
    count: Callable[[Space, str, SearchConfig], int] | None
    """Counts it for an architecture; None where its network must be built and measured."""

    def of(self, row: Any) -> float:
        """The cost in `unit`; NaN where the row has none."""
        value: float | None = getattr(row, self.attribute)
        return math.nan if value is None else value / self.scale

    def show(self, row: Any) -> str:
        """The cost as a table shows it."""
        value = self.of(row)
        return "" if math.isnan(value) else f"{value:.{self.digits}f}"


COSTS: dict[CostName, Cost] = {
    cost.name: cost
    for cost in (
        Cost(
            *("flops", "multiply–adds (M)", "M multiply–adds", 1e6, 1, "flops"),
            lambda space, arch, config: space.cost(arch).macs,
        ),
        Cost(
            *("params", "params (M)", "M parameters", 1e6, 3, "params"),
            lambda space, arch, config: space.cost(arch).params,
        ),
        Cost(
            *("memory", "memory (kB)", "kB of activations", 1e3, 1, "memory"),
            lambda space, arch, config: _peak(space, arch) * BYTES[config.activations],
        ),
        Cost("latency", "latency (ms)", "ms", 1.0, 3, "latency_ms", None),
    )
}


def counted(space: Space, arch: str, config: SearchConfig) -> dict[str, int]:
    """The costs of an architecture that need no network built, by attribute."""
    return {c.attribute: c.count(space, arch, config) for c in COSTS.values() if c.count}


def show_limits(config: SearchConfig) -> str:
    """The limits in words."""
    limits = config.limits.items()
    return " and ".join(f"{v / COSTS[n].scale:g} {COSTS[n].unit}" for n, v in limits)
