"""TE-NAS (arXiv 2102.11535): condition of the neural tangent kernel, and linear regions."""

from dataclasses import fields, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.scores import BASELINES
from app.scores.baselines.networks import fan_in, gradients, redraw, watch, weights
from app.scores.trace import ACTIVATIONS, Trace
from spaces import Space

MAX_KERNEL_IMAGES = 32
"""The kernel needs a backward pass, and the memory of the whole network, for each image."""

PATCHES, PATCH_PIXELS = 1000, 3
"""Number and side of the patches that linear regions are counted on; the paper's values."""


@BASELINES.register("te_nas_ntk")
def te_nas_ntk(trace: Trace) -> float:
    """Minus the condition number of the kernel on the probe batch."""
    network = redraw(trace.fresh_network(), fan_in, trace.probe.seed)
    return -condition_number(tangent_kernel(network, trace.probe.images[:MAX_KERNEL_IMAGES]))


def tangent_kernel(network: nn.Module, images: Tensor) -> Tensor:
    """N×N: inner products of the weight gradients of the summed class scores, image by image.

    BatchNorm uses the statistics of all images as constants, so that each image has its own
    gradient. Changes `network`.
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


@BASELINES.register("te_nas_regions")
def te_nas_regions(trace: Trace) -> float:
    """Number of linear regions among small patches of the probe images, in a thin network.

    In a wide network or on whole images every sample would be in its own region. So it may be in
    spaces that stay wide: there the score is the same for all architectures, and TE-NAS relies on
    its kernel alone.
    """
    probe = trace.probe
    thin = Trace(thinnest(trace.space), trace.supernet, trace.arch, probe).fresh_network()
    network = redraw(thin, fan_in, probe.seed)
    return float(linear_regions(network, patches(probe.images, probe.seed)))


def linear_regions(network: nn.Module, images: Tensor) -> int:
    """The number of different activation patterns of all units over the images."""
    patterns: list[Tensor] = []
    with (
        torch.no_grad(),
        watch(network, ACTIVATIONS, lambda _, y: patterns.append((y > 0).flatten(1))),
    ):
        network(images)
    return len(torch.unique(torch.cat(patterns, 1), dim=0)) if patterns else 1


def patches(images: Tensor, seed: int) -> Tensor:
    """Random square patches of the images, or all if there are fewer than PATCHES."""
    side = PATCH_PIXELS
    columns = F.unfold(images, side, stride=side).movedim(1, 2).reshape(-1, 3, side, side)
    order = torch.randperm(len(columns), generator=torch.Generator().manual_seed(seed))
    return columns[order[:PATCHES].to(columns.device)]


def thinnest(space: Space, smallest: int = 1) -> Space:
    """The space with the smallest value, from `smallest` up, that each of its options accepts.

    Of options that are fractions, such as a width multiplier, the multiples of 1/16 are tried.
    """
    for field in fields(space):
        if field.name in ("classes", "image_size"):
            continue
        full = getattr(space, field.name)
        values = range(smallest, full) if isinstance(full, int) else np.arange(1, 16 * full) / 16
        for value in values:
            try:
                space = replace(space, **{field.name: type(full)(value)})
                break
            except ValueError:
                continue
    return space
