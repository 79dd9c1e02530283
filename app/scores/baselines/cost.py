"""Size and multiply–adds: the baselines that any other score should beat."""

from app.scores import register
from app.scores.trace import Trace


@register("params", baseline=True)
def params(trace: Trace) -> float:
    """Learnable parameters of the stand-alone network."""
    return float(trace.space.cost(trace.arch).params)


@register("flops", baseline=True)
def flops(trace: Trace) -> float:
    """Multiply–adds of the stand-alone network for one image."""
    return float(trace.space.cost(trace.arch).macs)
