"""Random architectures: within a limit, near a given cost, or evenly over all costs of a space.

A cost needs no trial, so choices are changed until the network costs what it should. Costs are
compared by their logarithm: 50 M to 55 M multiply–adds is as far as 300 M to 330 M.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

from spaces import InfeasibleError, Space

MAX_CHANGES_PER_CHOICE = 40

TOLERANCE = 0.02
"""How far from a target a cost may be, as a share of it."""

STARTS = 3
"""Random starts of the search for the cheapest and the dearest network."""

Drawn = tuple[dict[str, Any], str]
"""Choices, and the architecture that they decode to."""


@dataclass(frozen=True)
class CostRange:
    """The cheapest and the dearest architecture of a space, and their multiply–adds."""

    cheapest: str
    dearest: str
    lowest: int
    highest: int


@lru_cache(maxsize=16)
def cost_range(space: Space) -> CostRange:
    """Find the cheapest and the dearest architecture by coordinate descent over the choices.

    Exact where the costs of the choices add up; elsewhere the best of a few random starts.
    """
    rng = Random(0)

    def macs(arch: str) -> int:
        return space.cost(arch).macs

    def extreme(target: float, sign: int) -> str:
        walks = (steer(space, draw(space, rng), target, target, rng) for _ in range(STARTS))
        ends = (_descend(space, params, sign) for params, _ in walks)
        return min(ends, key=lambda arch: sign * macs(arch))

    cheapest, dearest = extreme(1, 1), extreme(1e18, -1)
    return CostRange(cheapest, dearest, macs(cheapest), macs(dearest))


@dataclass(frozen=True)
class Repair:
    """Changes random choices until the network is feasible and within `max_flops`."""

    space: Space
    max_flops: float | None = None

    def __call__(self, params: dict[str, Any], rng: Random) -> Drawn | None:
        """Return choices within the limit and their architecture; None if none was found."""
        arch = decode(self.space, params)
        if arch is None:
            return None
        params, arch = steer(self.space, (params, arch), 0, self.limit, rng)
        if not self.allows(arch):  # nearly nothing is within the limit
            arch = _descend(self.space, params, 1)
            params = self.space.encode(arch)
        return (params, arch) if self.allows(arch) else None

    def allows(self, arch: str) -> bool:
        """Whether an architecture is within the limit."""
        return self.space.cost(arch).macs <= self.limit

    @property
    def limit(self) -> float:
        """Most multiply–adds of a network."""
        return math.inf if self.max_flops is None else self.max_flops


def stratified(repair: Repair, count: int, rng: Random) -> Iterator[Drawn]:
    """Draw random networks near `count` costs, evenly spaced in the logarithm, in random order.

    They reach from the cheapest network of the space to the dearest within the limit. What else
    two of them share is left to chance.
    """
    costs = cost_range(repair.space)
    ratio = min(costs.highest, repair.limit) / costs.lowest
    for place in rng.sample(range(count), count):
        target = costs.lowest * ratio ** (place / max(count - 1, 1))
        low, high = target * (1 - TOLERANCE), min(target * (1 + TOLERANCE), repair.limit)
        params, _ = steer(repair.space, draw(repair.space, rng), low, high, rng)
        if (drawn := repair(params, rng)) is not None:
            yield drawn


def draw(space: Space, rng: Random) -> Drawn:
    """Draw a network, every choice uniform."""
    arch = space.sample(rng)
    return space.encode(arch), arch


def steer(space: Space, start: Drawn, low: float, high: float, rng: Random) -> Drawn:
    """Change random choices until the multiply–adds lie between `low` and `high`.

    A change is kept if it leads nearer or at least not away, since some only open the way for
    others. The network returned is the nearest one found, which may still lie beyond.
    """

    def distance(arch: str) -> float:
        cost = space.cost(arch).macs
        return max(low / cost, cost / high, 1)

    (params, arch), names = start, list(space.choices)
    left = distance(arch)
    for _ in range(MAX_CHANGES_PER_CHOICE * len(names)):
        if left == 1:
            break
        name = rng.choice(names)
        changed = params | {name: rng.choice(space.choices[name].choices)}
        other = decode(space, changed)
        if other is not None and (nearer := distance(other)) <= left:
            params, arch, left = changed, other, nearer
    return params, arch


def decode(space: Space, params: dict[str, Any]) -> str | None:
    """The architecture of `params`; None if they are infeasible."""
    try:
        return space.decode(params)
    except InfeasibleError:
        return None


def _descend(space: Space, params: dict[str, Any], sign: int) -> str:
    """Change one choice after the other while that lowers `sign` × cost."""
    arch = space.decode(params)
    lowest = sign * space.cost(arch).macs
    improved = True
    while improved:
        improved = False
        for name, choice in space.choices.items():
            for value in choice.choices:
                other = decode(space, params | {name: value})
                if other is not None and (cost := sign * space.cost(other).macs) < lowest:
                    params, arch = params | {name: value}, other
                    lowest, improved = cost, True
    return arch
