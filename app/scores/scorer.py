"""All scores of an architecture."""

import math

from torch.linalg import LinAlgError  # type: ignore[attr-defined]

from app.scores import SCORES
from app.scores.trace import ProbeBatch, Trace
from spaces import Space, Supernet

Scores = dict[str, float | None]
"""Each score by name; None where it is not finite."""


class NoScoreError(Exception):
    """An architecture has no score, for the reason given in one line."""


class Scorer:
    """Measures architectures on one trained supernet with one set of probe."""

    def __init__(self, space: Space, supernet: Supernet, probe: ProbeBatch) -> None:
        self.space = space
        self.supernet = supernet
        self.probe = probe

    def __call__(self, arch: str) -> Scores:
        """Every registered score of `arch`.

        A degenerate architecture, whose answer does not depend on the image, has None in each,
        which the composite counts as its lowest value.

        Raises NoScoreError where the network or a decomposition does not yield numbers.
        """
        trace = Trace(self.space, self.supernet, arch, self.probe)
        logits = trace.passed.logits
        if not logits.isfinite().all():
            raise NoScoreError("the network's answers are infinite or no numbers")
        if not (logits != logits[0]).any():
            return dict.fromkeys(SCORES)
        try:
            return {name: finite(score(trace)) for name, score in SCORES.items()}
        except LinAlgError as reason:  # a decomposition that does not converge
            raise NoScoreError(str(reason).splitlines()[0]) from None

    def or_none(self, arch: str) -> Scores:
        """Every score of `arch`; None in each where it has none."""
        try:
            return self(arch)
        except NoScoreError:
            return dict.fromkeys(SCORES)


def finite(value: float) -> float | None:
    """The value, or None for one that is infinite or no number."""
    return value if math.isfinite(value) else None
