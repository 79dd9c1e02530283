"""All scores of an architecture."""

import math

from app.scores import SCORES
from app.scores.observation import Anchors, Observation
from spaces import Space, Supernet

Scores = dict[str, float | None]
"""Each score by name; None where it is not finite."""


class Scorer:
    """Measures architectures on one trained supernet with one set of anchors."""

    def __init__(self, space: Space, supernet: Supernet, anchors: Anchors) -> None:
        self.space = space
        self.supernet = supernet
        self.anchors = anchors

    def __call__(self, arch: str) -> Scores:
        """Every registered score of `arch`.

        A degenerate architecture, whose answer does not depend on the image, has no score at
        all: None in each, which the composite counts as its lowest value.
        """
        observation = Observation(self.space, self.supernet, arch, self.anchors)
        if is_degenerate(observation):
            return dict.fromkeys(SCORES)
        return {name: finite(score(observation)) for name, score in SCORES.items()}


def is_degenerate(observation: Observation) -> bool:
    """Whether all images get the same, or a non-finite, answer."""
    logits = observation.passed.logits
    return not bool(logits.isfinite().all() and (logits != logits[0]).any())


def finite(value: float) -> float | None:
    """The value, or None for one that is infinite or no number."""
    return value if math.isfinite(value) else None
