"""Parameters, FLOPs and layers: the baselines that any other score should beat."""

from app.scores import BASELINES
from app.scores.baselines.networks import weights
from app.scores.trace import Trace


@BASELINES.register("params")
def params(trace: Trace) -> float:
    """Trainable parameters of the stand-alone network."""
    return float(trace.space.cost(trace.arch).params)


@BASELINES.register("flops")
def flops(trace: Trace) -> float:
    """Multiply–adds of the stand-alone network for one image."""
    return float(trace.space.cost(trace.arch).macs)


@BASELINES.register("layers")
def layers(trace: Trace) -> float:
    """Convolutions and linear layers of the stand-alone network.

    The honest rival of every score that is summed over layers.
    """
    return float(len(weights(trace.fresh_network())))
