"""Size and multiply–adds: the baselines that any other score should beat."""

from app.scores import register
from app.scores.observation import Observation


@register("params", baseline=True)
def params(observation: Observation) -> float:
    """Learnable parameters of the stand-alone network."""
    return float(observation.space.cost(observation.arch).params)


@register("flops", baseline=True)
def flops(observation: Observation) -> float:
    """Multiply–adds of the stand-alone network for one image."""
    return float(observation.space.cost(observation.arch).macs)
