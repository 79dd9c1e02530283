"""Measures all scores of an architecture."""

import math

from torch.linalg import LinAlgError  # type: ignore[attr-defined]

from app.scores import SCORES
from app.scores.probe import ProbeBatch
from app.scores.trace import Trace
from spaces import Space, Supernet

Scores = dict[str, float | None]
"""Scores by name; None for one that is not finite."""


class NoScoreError(Exception):
    """An architecture has no score; the message gives the reason in one line."""


class Scorer:
    """Measures architectures on one trained supernet with one probe batch."""

    def __init__(self, space: Space, supernet: Supernet, probe: ProbeBatch) -> None:
        self.space = space
        self.supernet = supernet
        self.probe = probe

    def __call__(self, arch: str) -> Scores:
        """Measure every registered score of `arch`.

        A degenerate architecture, whose output does not depend on the image, has None for each;
        the composite is then at its lowest.

        Raises NoScoreError if the network's output is not finite or a decomposition fails.
        """
        trace = Trace(self.space, self.supernet, arch, self.probe)
        logits = trace.passes.logits
        if not logits.isfinite().all():
            raise NoScoreError("the output of the network is not finite")
        if not (logits != logits[0]).any():
            return dict.fromkeys(SCORES)
        try:
            return {name: finite(score(trace)) for name, score in SCORES.items()}
        except LinAlgError as reason:  # a decomposition that does not converge
            raise NoScoreError(str(reason).splitlines()[0]) from None

    def or_none(self, arch: str) -> Scores:
        """Measure every score of `arch`; None for each if it has no score."""
        try:
            return self(arch)
        except NoScoreError:
            return dict.fromkeys(SCORES)


def finite(value: float) -> float | None:
    """Replace a value that is infinite or NaN by None."""
    return value if math.isfinite(value) else None
