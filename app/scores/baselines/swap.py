"""SWAP, sample-wise activation patterns (arXiv 2403.04161)."""

from collections.abc import Iterable
from contextlib import ExitStack
from statistics import fmean

import torch
from torch import Tensor, nn

from app.scores import BASELINES
from app.scores.baselines.networks import redraw, unit, watch
from app.scores.baselines.te_nas import thinnest
from app.scores.trace import ACTIVATIONS, Trace
from spaces import FeatureNode

SAMPLES = 16
"""Images; the value of the authors' code."""
INITIALISATIONS = 8
"""The authors' code averages over 32."""


@BASELINES.register("swap")
def swap(trace: Trace) -> float:
    """Mean number of patterns over several initialisations of the stand-alone network."""
    network, seed = trace.fresh_network(), trace.probe.seed
    images = trace.probe.images[:SAMPLES]
    networks = (redraw(network, unit, seed + i) for i in range(INITIALISATIONS))
    return fmean(distinct_patterns(activations(network, images)) for network in networks)


@BASELINES.register("swap_cell")
def swap_cell(trace: Trace) -> float:
    """The same for the first cell alone, a few channels wide and fed the raw image.

    So the authors' code ranks DARTS. In a chain of layers the first layer is the cell.
    """
    images, seed = trace.probe.images[:SAMPLES], trace.probe.seed
    thin = thinnest(trace.space, images.shape[1])
    network = Trace(thin, trace.supernet, trace.arch, trace.probe).fresh_network()
    stem = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    counts = []
    for i in range(INITIALISATIONS):
        redraw(network, unit, seed + i)
        pass_on(stem)
        counts.append(distinct_patterns(activations(network, images, first_cell=True)))
    return fmean(counts)


@BASELINES.register("swap_supernet")
def swap_supernet(trace: Trace) -> float:
    """The number of patterns on the path through the supernet, for the same number of images."""
    return float(distinct_patterns(a[:SAMPLES] for a in trace.activations))


def activations(network: nn.Module, images: Tensor, first_cell: bool = False) -> list[Tensor]:
    """The output of each activation function; with `first_cell`, up to the first feature node."""
    nodes = (m for m in network.modules() if isinstance(m, FeatureNode) and m.searched)
    outputs: list[Tensor] = []
    passed: list[bool] = []

    def keep(_: Tensor, output: Tensor) -> None:
        if not passed:
            outputs.append(output)

    with torch.no_grad(), watch(network, ACTIVATIONS, keep), ExitStack() as hooks:
        if first_cell:
            hook = next(nodes).register_forward_hook(lambda *_: passed.append(True))
            hooks.callback(hook.remove)
        network(images)
    return outputs


def distinct_patterns(outputs: Iterable[Tensor]) -> int:
    """The number of different columns of signs: N images × all units of all activation functions.

    NASWOT compares images by their codes over units; this compares units by theirs over images,
    of which there may be no more than 63.
    """
    codes = [pattern_codes(output) for output in outputs]
    return len(torch.unique(torch.cat(codes))) if codes else 0


def pattern_codes(output: Tensor) -> Tensor:
    """For each unit of N×… outputs an integer of N bits: the images that it is on for."""
    on = (output > 0).flatten(1).long()
    return (on << torch.arange(len(on), device=on.device)[:, None]).sum(0)


@torch.no_grad()
def pass_on(convolution: nn.Conv2d) -> None:
    """Make a convolution repeat its input channels, of which it keeps the central pixel."""
    outputs, inputs, height, width = convolution.weight.shape
    convolution.weight.zero_()
    chosen = torch.arange(outputs)
    convolution.weight[chosen, chosen % inputs, height // 2, width // 2] = 1
