"""Synaptic flow (SynFlow, arXiv 2006.05467), summed over the network as in arXiv 2101.08134."""

import torch
from torch import Tensor, nn

from app.scores import BASELINES
from app.scores.baselines.networks import gradients, weights
from app.scores.trace import Trace


@BASELINES.register("synflow")
def synflow(trace: Trace) -> float:
    """Logarithm of the synaptic flow; needs no data."""
    return synaptic_flow(trace.fresh_network(), trace.probe.images)


def synaptic_flow(network: nn.Module, images: Tensor) -> float:
    """ln Σ over weights w of |w| · ∂R/∂|w|, R being the summed output for an image of ones.

    All weights are made positive, and BatchNorm is left out. ReLU then changes nothing, while
    ReLU6 would cap the flow, which the paper does not consider; both are left out as well. The
    logarithm keeps the order, and double precision holds the products of many layers. Changes
    `network`.
    """
    _linearise(network)
    network.double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    ones = torch.ones_like(images[:1], dtype=torch.double)
    chosen = weights(network)
    pairs = zip(chosen, gradients(network(ones).sum(), chosen), strict=True)
    return float(torch.stack([(w.detach() * g).sum() for w, g in pairs]).sum().log())


def _linearise(network: nn.Module) -> None:
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d | nn.ReLU | nn.ReLU6):
                setattr(module, name, nn.Identity())
