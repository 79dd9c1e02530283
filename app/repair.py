"""Repair of choices: from any choices of a space to a network within the limits.

A cost needs no trial, so a network beyond a limit is not tried but changed until it fits.
"""

from dataclasses import dataclass
from random import Random
from typing import Any

from spaces import InfeasibleError, Space

MAX_CHANGES_PER_CHOICE = 20


@dataclass(frozen=True)
class Repair:
    """Changes random choices until the network is feasible and within `max_flops`."""

    space: Space
    max_flops: float | None

    def __call__(self, params: dict[str, Any], rng: Random) -> tuple[dict[str, Any], str] | None:
        """Return choices within the limit and their architecture; None if none was found."""
        arch = self._decode(params)
        if arch is None:
            return None
        names = list(self.space.choices)
        for _ in range(MAX_CHANGES_PER_CHOICE * len(names)):
            if self.allows(arch):
                return params, arch
            name = rng.choice(names)
            changed = params | {name: rng.choice(self.space.choices[name].choices)}
            other = self._decode(changed)
            if other is not None and self.space.cost(other).macs < self.space.cost(arch).macs:
                params, arch = changed, other
        return (params, arch) if self.allows(arch) else None

    def allows(self, arch: str) -> bool:
        """Whether an architecture is within the limit."""
        return self.max_flops is None or self.space.cost(arch).macs <= self.max_flops

    def _decode(self, params: dict[str, Any]) -> str | None:
        try:
            return self.space.decode(params)
        except InfeasibleError:
            return None
