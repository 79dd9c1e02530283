"""Gradient norm, from "Zero-Cost Proxies for Lightweight NAS" (arXiv 2101.08134)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.scores import register
from app.scores.baselines.networks import gradients, weights
from app.scores.observation import Observation


@register("grad_norm", baseline=True)
def grad_norm(observation: Observation) -> float:
    """Sum of the layers' gradient norms on the anchors."""
    anchors = observation.anchors
    return gradient_norm(observation.fresh_network(), anchors.images, anchors.labels)


def gradient_norm(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Σ over weight tensors W of ‖∂L/∂W‖₂, with L the mean cross-entropy of the batch."""
    loss = F.cross_entropy(network(images), labels)
    norms = [g.norm() for g in gradients(loss, weights(network))]
    return float(torch.stack(norms).sum())
