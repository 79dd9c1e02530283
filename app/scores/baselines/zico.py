"""ZiCo, the inverse coefficient of variation of gradients (arXiv 2301.11300)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.scores import BASELINES
from app.scores.baselines.networks import gradients, weights
from app.scores.trace import Trace

BATCHES = 2
"""The paper finds that two are enough."""


@BASELINES.register("zico")
def zico(trace: Trace) -> float:
    """ZiCo between the halves of the probe batch."""
    probe = trace.probe
    return inverse_variation(batch_gradients(trace.fresh_network(), probe.images, probe.labels))


def batch_gradients(network: nn.Module, images: Tensor, labels: Tensor) -> list[Tensor]:
    """BATCHES×… for each weight tensor: its loss gradient on each part of the images."""
    parts = zip(images.tensor_split(BATCHES), labels.tensor_split(BATCHES), strict=True)
    chosen = weights(network)
    found = [gradients(F.cross_entropy(network(x), y), chosen) for x, y in parts]
    return [torch.stack(layer) for layer in zip(*found, strict=True)]


def inverse_variation(layers: list[Tensor]) -> float:
    """Σ over layers of ln Σ over weights of mean |g| / deviation of g, over the first dimension.

    A layer with large and steady gradients converges fast. Weights with a constant gradient are
    left out, and so are layers that have no others.
    """
    total = 0.0
    for g in layers:
        deviation = g.std(0, correction=0)
        varies = deviation > 0
        if varies.any():
            total += float((g.abs().mean(0)[varies] / deviation[varies]).sum().log())
    return total
