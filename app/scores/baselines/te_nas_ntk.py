"""Trainability of TE-NAS (arXiv 2102.11535): the neural tangent kernel."""

import torch
from torch import Tensor, nn

from app.scores import register
from app.scores.baselines.networks import fan_in, gradients, redraw, weights
from app.scores.trace import Trace

IMAGES = 32
"""At most: the kernel needs a backward pass an image, and the network's size in memory."""


@register("te_nas_ntk", baseline=True)
def te_nas_ntk(trace: Trace) -> float:
    """Minus the condition number of the kernel on the probe."""
    network = redraw(trace.fresh_network(), fan_in, trace.probe.seed)
    return -condition_number(tangent_kernel(network, trace.probe.images[:IMAGES]))


def tangent_kernel(network: nn.Module, images: Tensor) -> Tensor:
    """N×N: inner products of the weight gradients of the summed class scores, image by image.

    BatchNorm keeps the statistics of all images, held constant, so that each image has a
    gradient of its own. `network` is changed.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # running statistics become those of the next batch
    with torch.no_grad():
        network.train()(images)
    network.eval()
    chosen = weights(network)
    found = [gradients(network(image[None]).sum(), chosen) for image in images]
    layers = (torch.stack(layer).flatten(1) for layer in zip(*found, strict=True))
    return torch.stack([g @ g.T for g in layers]).sum(0)


def condition_number(kernel: Tensor) -> float:
    """Largest over smallest eigenvalue; infinite for a singular kernel."""
    if not kernel.isfinite().all():
        return float("nan")
    eigenvalues = torch.linalg.eigvalsh(kernel.double()).clamp_min(0)
    return float(eigenvalues[-1] / eigenvalues[0])
