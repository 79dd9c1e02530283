"""Random architectures: within limits, near a given cost, or evenly over all costs of a space.

Most costs need no network built, so choices are changed until the network costs what it should.
Costs are compared by their logarithm: 50 M to 55 M multiply–adds is as far as 300 M to 330 M.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from random import Random
from typing import Any

from app.config import CostName, SearchConfig
from app.costs import COSTS, show_limits
from spaces import InfeasibleError, Space

MAX_CHANGES_PER_CHOICE = 40

TOLERANCE = 0.02
"""How far from a target a cost may be, as a share of it."""

UNLIMITED = SearchConfig()

STARTS = 3
"""Random starts of the search for the cheapest and the dearest network."""

Drawn = tuple[dict[str, Any], str]
"""Choices, and the architecture that they decode to."""


@dataclass(frozen=True)
class Repair:
    """Changes random choices until the network is feasible and keeps to the limits of `config`.

    Latency, which only a built network has, is left to the sampler.
    """

    space: Space
    config: SearchConfig = UNLIMITED

    def __call__(self, params: dict[str, Any], rng: Random) -> Drawn | None:
        """Return choices within the limits and their architecture; None if there are none."""
        arch = decode(self.space, params)
        if arch is None:
            return None
        drawn = steer(self, (params, arch), rng)
        if not self.allows(drawn[1]):  # nearly nothing is within the limits
            drawn = self._shrink(drawn[0], rng)
        return drawn if self.allows(drawn[1]) else self._least

    @cached_property
    def limits(self) -> dict[CostName, float]:
        """The limits that need no network built."""
        return {name: v for name, v in self.config.limits.items() if COSTS[name].count}

    def cost(self, name: CostName, arch: str) -> float:
        """A cost of an architecture that needs no network built."""
        count = COSTS[name].count
        assert count is not None
        return count(self.space, arch, self.config)

    def allows(self, arch: str) -> bool:
        """Whether an architecture keeps to the limits."""
        return self.distance(arch) == 1

    def distance(self, arch: str, low: float = 0, high: float = math.inf) -> float:
        """By what factor an architecture misses the limits, and multiply–adds of `low` to `high`.

        1 if it misses none, and the product of the factors if several.
        """
        limits = self.limits | {"flops": min(high, self.limits.get("flops", math.inf))}
        over = math.prod(max(self.cost(name, arch) / v, 1) for name, v in limits.items())
        return over * (max(low / self.space.cost(arch).macs, 1) if low else 1)

    def why_nothing(self) -> str:
        """Say which limit no network keeps to, what the cheapest one costs, and what helps."""
        narrower = ""
        for option in ("width", "channels"):
            if half := getattr(self.space, option, 0) / 2:
                narrower = f", or narrow all networks: --set space_options.{option}={half:g}"
        for name, limit in self.limits.items():
            lowest, cost = cost_range(self.space, name, self.config).lowest, COSTS[name]
            if lowest > limit:
                return (
                    f"no network is within {show_limits(self.config)}: the least "
                    f"is {_round_up(lowest / cost.scale):g} {cost.unit}; raise --max-{name}"
                    f"{narrower}"
                )
        options = ", ".join(f"--max-{name}" for name in self.limits)
        return f"no network was found within {show_limits(self.config)}: raise one of {options}"

    def _shrink(self, params: dict[str, Any], rng: Random) -> Drawn:
        """Make a network cheaper until it is within the limits, then undo what was not needed."""

        def missed(arch: str) -> tuple[float, ...]:
            distance = self.distance(arch)
            return (1,) if distance == 1 else (distance, self.space.cost(arch).macs)

        changed, arch = _descend(self.space, params, missed, rng)
        for name in rng.sample(list(params), len(params)):
            restored = changed | {name: params[name]}
            other = decode(self.space, restored)
            if other is not None and self.allows(other):
                changed, arch = restored, other
        return changed, arch

    @cached_property
    def _least(self) -> Drawn | None:
        """The cheapest network by one of the limited costs, if it keeps to all limits."""
        for name in self.limits:
            arch = cost_range(self.space, name, self.config).cheapest
            if self.allows(arch):
                return self.space.encode(arch), arch
        return None


@dataclass(frozen=True)
class CostRange:
    """The cheapest and the dearest architecture of a space, and what they cost."""

    cheapest: str
    dearest: str
    lowest: float
    highest: float


@lru_cache(maxsize=64)
def cost_range(
    space: Space, name: CostName = "flops", config: SearchConfig = UNLIMITED
) -> CostRange:
    """Find the cheapest and the dearest architecture by coordinate descent over the choices.

    Exact where the costs of the choices add up; elsewhere the best of a few random starts. Only
    what `config` counts memory in matters, not its limits.
    """
    rng, free = Random(0), Repair(space, SearchConfig(activations=config.activations))

    def extreme(target: float, sign: int) -> str:
        def key(arch: str) -> tuple[float, ...]:
            # a peak is that of several layers, of which each can be made smaller by itself
            return sign * free.cost(name, arch), sign * space.cost(arch).macs

        walks = (steer(free, draw(space, rng), rng, target, target) for _ in range(STARTS))
        ends = (_descend(space, params, key, rng)[1] for params, _ in walks)
        return min(ends, key=key)

    cheapest, dearest = extreme(1, 1), extreme(1e18, -1)
    return CostRange(cheapest, dearest, free.cost(name, cheapest), free.cost(name, dearest))


def stratified(repair: Repair, count: int, rng: Random) -> Iterator[Drawn]:
    """Draw random networks near `count` costs, evenly spaced in the logarithm, in random order.

    They reach from the cheapest network of the space to the dearest within the limit. What else
    two of them share is left to chance.
    """
    costs = cost_range(repair.space)
    highest = min(costs.highest, repair.limits.get("flops", math.inf))
    if repair.limits.keys() - {"flops"}:  # they bind multiply–adds too
        largest = repair(repair.space.encode(costs.dearest), rng)
        highest = repair.cost("flops", largest[1]) if largest else highest
    ratio = highest / costs.lowest
    for place in rng.sample(range(count), count):
        target = costs.lowest * ratio ** (place / max(count - 1, 1))
        low, high = target * (1 - TOLERANCE), target * (1 + TOLERANCE)
        params, _ = steer(repair, draw(repair.space, rng), rng, low, high)
        if (drawn := repair(params, rng)) is not None:
            yield drawn


def draw(space: Space, rng: Random) -> Drawn:
    """Draw a network, every choice uniform."""
    arch = space.sample(rng)
    return space.encode(arch), arch


def steer(
    repair: Repair, start: Drawn, rng: Random, low: float = 0, high: float = math.inf
) -> Drawn:
    """Change random choices until the limits hold, and multiply–adds lie in `low` to `high`.

    A change is kept if it leads nearer or at least not away, since some only open the way for
    others. The network returned is the nearest one found, which may still lie beyond.
    """
    (params, arch), space = start, repair.space
    names, left = list(space.choices), repair.distance(arch, low, high)
    for _ in range(MAX_CHANGES_PER_CHOICE * len(names)):
        if left == 1:
            break
        name = rng.choice(names)
        changed = params | {name: rng.choice(space.choices[name].choices)}
        other = decode(space, changed)
        if other is not None and (nearer := repair.distance(other, low, high)) <= left:
            params, arch, left = changed, other, nearer
    return params, arch


def _round_up(value: float) -> float:
    """Round to three digits, so that a limit which is typed in as shown suffices."""
    scale = 10.0 ** (2 - math.floor(math.log10(value)))
    return math.ceil(value * scale) / scale


def decode(space: Space, params: dict[str, Any]) -> str | None:
    """The architecture of `params`; None if they are infeasible."""
    try:
        return space.decode(params)
    except InfeasibleError:
        return None


def _descend(
    space: Space, params: dict[str, Any], key: Callable[[str], tuple[float, ...]], rng: Random
) -> Drawn:
    """Change one choice after the other, in random order, while that lowers the key."""
    arch = space.decode(params)
    lowest, improved = key(arch), True
    while improved:
        improved = False
        for name in rng.sample(list(space.choices), len(space.choices)):
            for value in space.choices[name].choices:
                changed = params | {name: value}
                other = decode(space, changed)
                if other is not None and (cost := key(other)) < lowest:
                    params, arch, lowest, improved = changed, other, cost, True
    return params, arch
