"""Uncertainty: how much an answer depends on the company an image is normalised in."""

from app.scores import register
from app.scores.observation import Observation


@register("uncertainty")
def uncertainty(observation: Observation) -> float:
    """Minus the predictive variance of Monte-Carlo BatchNorm (arXiv 1802.06455).

    The variance of each class probability over the passes, summed over classes and averaged
    over images; the sign makes a certain network score high.
    """
    return -float(observation.monte_carlo.var(0).sum(1).mean())
