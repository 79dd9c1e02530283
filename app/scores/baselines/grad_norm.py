"""Gradient norm, from "Zero-Cost Proxies for Lightweight NAS" (arXiv 2101.08134)."""

import torch
from torch import Tensor, nn

from app.scores import BASELINES
from app.scores.baselines.networks import loss_gradients
from app.scores.trace import Trace


@BASELINES.register("grad_norm")
def grad_norm(trace: Trace) -> float:
    """Sum of the layers' gradient norms on the probe batch."""
    probe = trace.probe
    return gradient_norm(trace.fresh_network(), probe.images, probe.labels)


def gradient_norm(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Σ over weight tensors W of ‖∂L/∂W‖₂, with L the mean cross-entropy of the batch."""
    norms = [g.norm() for _, g in loss_gradients(network, images, labels)]
    return float(torch.stack(norms).sum())
