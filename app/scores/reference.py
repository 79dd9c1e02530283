"""The reference sample: random architectures, scored once and stored with the supernet."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from app.atomic import DamagedError, read_checked, write_checked
from app.console import progress_bar
from app.errors import InputError
from app.repair import Repair
from app.scores import MEASURES
from app.scores.scorer import Scorer, Scores
from spaces import Space

SECONDS_BETWEEN_WRITES = 5.0
DRAWS = 100
"""In a row without a new network within the limit, after which there is none."""


@dataclass
class Reference:
    """Random architectures of a space and their scores."""

    definition: dict[str, Any]
    scores: dict[str, Scores]
    """By architecture, in the order of the sample."""
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        """Write JSON atomically."""
        write_checked(path, dict(self.__dict__))

    @staticmethod
    def load(path: Path) -> "Reference":
        """Read what `save` wrote. Raises DamagedError for anything else."""
        try:
            reference = Reference(**read_checked(path))
            if not isinstance(reference.definition, dict) or not all(
                scores.keys() >= set(MEASURES) for scores in reference.scores.values()
            ):
                raise ValueError("keys are missing")
        except (ValueError, TypeError, AttributeError):
            raise DamagedError("it is no reference sample") from None
        return reference


def sample_architectures(
    space: Space, count: int, seed: int, max_flops: float | None = None
) -> list[str]:
    """`count` different random architectures, or as many as a small space yields.

    With `max_flops`, of networks within it: a quantile tells nothing of networks that all lie
    beyond one end of the sample. Raises InputError if not one is found.
    """
    rng = Random(f"reference {seed}")
    repair = Repair(space, max_flops)
    found: dict[str, None] = {}
    last = 0
    for draw in range(100 * count):
        repaired = repair(space.encode(space.sample(rng)), rng)
        if repaired is not None and repaired[1] not in found:
            found[repaired[1]] = None
            last = draw
        if len(found) == count or (max_flops is not None and draw - last == DRAWS - 1):
            break
    if not found and max_flops is not None:
        cheapest = min(space.cost(space.sample(rng)).macs for _ in range(100))
        raise InputError(
            f"no network within {max_flops / 1e6:g} M multiply–adds was found (the cheapest of "
            f"100 random ones takes {cheapest / 1e6:.3g} M): raise --max-flops"
        )
    return list(found)


def score_reference(
    reference: Reference,
    scorer: Scorer,
    archs: Sequence[str],
    path: Path,
    check: Callable[[], None],
) -> None:
    """Score what `reference` lacks of `archs`, and keep it at `path`.

    `check` is called between architectures and may raise KeyboardInterrupt; what was scored is
    saved first.
    """
    if all(arch in reference.scores for arch in archs):
        return
    saved = clock = time.monotonic()
    with progress_bar("Reference sample", len(archs), len(reference.scores)) as advance:
        try:
            for arch in archs:
                if arch in reference.scores:
                    continue
                check()
                reference.scores[arch] = scorer.or_none(arch)
                now = time.monotonic()
                reference.seconds += now - clock
                clock = now
                if now - saved > SECONDS_BETWEEN_WRITES:
                    reference.save(path)
                    saved = now
                advance()
        finally:
            reference.save(path)
