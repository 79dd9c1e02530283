"""The reference sample: random architectures, scored once and stored with the supernet."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from app.atomic import DamagedError, write_json
from app.config import SearchConfig
from app.console import progress_bar
from app.errors import InputError
from app.sampling import UNLIMITED, Repair, draw, stratified
from app.scores.composite import Composite
from app.scores.scorer import Scorer, Scores
from spaces import Space

SECONDS_BETWEEN_WRITES = 5.0
MAX_IDLE_DRAWS = 1000
"""After so many draws in a row without a new network, sampling ends."""


@dataclass
class Reference:
    """Random architectures of a space and their scores."""

    definition: dict[str, Any]
    scores: dict[str, Scores]
    """The scores of each architecture, in the order of the sample."""
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        """Write JSON atomically, with a checksum: one changed digit would change every score."""
        values = vars(self)
        write_json(path, values | {"checksum": _checksum(values)})

    def composites(self) -> list[float]:
        """The composite score of each architecture, in the order of the sample.

        Raises ValueError if a measure is finite for none of them, or unknown to an older version.
        """
        scores = list(self.scores.values())
        return list(map(Composite(scores), scores))

    @staticmethod
    def load(path: Path) -> "Reference":
        """Read a saved sample, also of versions that wrote no checksum.

        Raises DamagedError if it is damaged.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            checksum = values.pop("checksum", None)
            reference = Reference(**values)
            complete = isinstance(reference.definition, dict) and all(
                isinstance(scores, dict) for scores in reference.scores.values()
            )
        except (ValueError, TypeError, AttributeError, RecursionError):
            complete = False
        if not complete:
            raise DamagedError("not a reference sample")
        if checksum not in (None, _checksum(values)):
            raise DamagedError("its checksum does not match")
        return reference


def _checksum(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def sample_architectures(
    space: Space, count: int, seed: int, config: SearchConfig = UNLIMITED
) -> list[str]:
    """Draw `count` different architectures, or all that a small space yields.

    Half of them are spaced evenly over the range of costs, half are uniform draws: the score of
    any network is then a quantile among networks of all sizes, most of them of usual size.
    The limits of `config` apply here too. Raises InputError if no network keeps to them.
    """
    rng = Random(f"reference {seed}")
    repair = Repair(space, config)
    found = dict.fromkeys(arch for _, arch in stratified(repair, count // 2, rng))
    idle = 0
    while len(found) < count and idle < MAX_IDLE_DRAWS:
        drawn = repair(draw(space, rng)[0], rng)
        if drawn is None:
            raise InputError(repair.why_nothing())
        idle = idle + 1 if drawn is None or drawn[1] in found else 0
        if drawn is not None:
            found[drawn[1]] = None
    return list(found)


def score_reference(
    reference: Reference,
    scorer: Scorer,
    archs: Sequence[str],
    path: Path,
    check: Callable[[], None],
) -> None:
    """Score the architectures that `reference` lacks, and save it at `path`.

    `check` is called before each one and may raise KeyboardInterrupt; the sample is then saved.
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
