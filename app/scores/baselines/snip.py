"""SNIP (arXiv 1810.02340), summed over the network as in arXiv 2101.08134."""

import torch
from torch import Tensor, nn

from app.scores import BASELINES
from app.scores.baselines.networks import loss_gradients
from app.scores.trace import Trace


@BASELINES.register("snip")
def snip(trace: Trace) -> float:
    """Connection sensitivity on the probe batch."""
    probe = trace.probe
    return connection_sensitivity(trace.fresh_network(), probe.images, probe.labels)


def connection_sensitivity(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Σ over weights w of |w · ∂L/∂w|, to first order the change of the loss L without w."""
    pairs = loss_gradients(network, images, labels)
    return float(torch.stack([(w.detach() * g).abs().sum() for w, g in pairs]).sum())
