"""Expressivity of TE-NAS (arXiv 2102.11535): the number of linear regions."""

from dataclasses import fields, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.scores import register
from app.scores.baselines.networks import fan_in, redraw, watch
from app.scores.trace import Trace
from spaces import Space

PATCHES, PATCH = 1000, 3
"""Images, and pixels a side, of the sample; as in the paper."""


@register("te_nas_regions", baseline=True)
def te_nas_regions(trace: Trace) -> float:
    """Linear regions among small patches of the probe, in the thinnest such network.

    In a wide network or on whole images every sample would have a region of its own. It does
    so in a space without an option that makes it thin, as MobileNet: there the score is the
    same for all, and TE-NAS is left with its kernel.
    """
    probe = trace.probe
    thin = Trace(thinnest(trace.space), trace.supernet, trace.arch, probe).fresh_network()
    network = redraw(thin, fan_in, probe.seed)
    return float(linear_regions(network, patches(probe.images, probe.seed)))


def linear_regions(network: nn.Module, images: Tensor) -> int:
    """How many different activation patterns of all ReLU units the images have."""
    patterns: list[Tensor] = []
    with (
        torch.no_grad(),
        watch(network, (nn.ReLU, nn.ReLU6), lambda _, y: patterns.append((y > 0).flatten(1))),
    ):
        network(images)
    return len(torch.unique(torch.cat(patterns, 1), dim=0)) if patterns else 1


def patches(images: Tensor, seed: int) -> Tensor:
    """PATCHES random cuttings of PATCH×PATCH pixels, or all if there are fewer."""
    columns = F.unfold(images, PATCH, stride=PATCH).movedim(1, 2).reshape(-1, 3, PATCH, PATCH)
    order = torch.randperm(len(columns), generator=torch.Generator().manual_seed(seed))
    return columns[order[:PATCHES].to(columns.device)]


def thinnest(space: Space) -> Space:
    """The space with the least value that each of its whole-number options accepts."""
    for field in fields(space):
        if field.name in ("classes", "image_size"):
            continue
        for value in range(1, getattr(space, field.name)):
            try:
                space = replace(space, **{field.name: value})
                break
            except ValueError:
                continue
    return space
