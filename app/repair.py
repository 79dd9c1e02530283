"""Networks within a limit of multiply–adds: what a cost needs no trial for is not tried."""

from dataclasses import dataclass
from random import Random
from typing import Any

from spaces import InfeasibleError, Space

CHANGES = 20
"""Changes of each choice that are tried to make a network cheap enough."""

Genes = tuple[Any, ...]
"""One option of each choice of a space, in their order."""


@dataclass(frozen=True)
class Limit:
    """Turns any choices of `space` into those of a network that `max_flops` allows."""

    space: Space
    max_flops: float | None

    def within(self, genes: Genes, rng: Random) -> tuple[Genes, str | None]:
        """`genes`, random ones of them changed until the network costs no more than it may.

        With its architecture, or None if there is none, or none cheap enough was found.
        """
        arch = self._decode(genes)
        if arch is None or self.max_flops is None:
            return genes, arch
        macs = self.space.cost(arch).macs
        options = [choice.choices for choice in self.space.choices.values()]
        for _ in range(CHANGES * len(options)):
            if macs <= self.max_flops:
                return genes, arch
            place = rng.randrange(len(options))
            changed = (*genes[:place], rng.choice(options[place]), *genes[place + 1 :])
            other = self._decode(changed)
            if other is not None and (fewer := self.space.cost(other).macs) < macs:
                genes, arch, macs = changed, other, fewer
        return genes, None

    def _decode(self, genes: Genes) -> str | None:
        try:
            return self.space.decode(dict(zip(self.space.choices, genes, strict=True)))
        except InfeasibleError:
            return None
