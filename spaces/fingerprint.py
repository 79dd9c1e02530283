"""A fingerprint of a space: scores of before and after a change of its file do not compare."""

import hashlib
import json
from dataclasses import asdict
from functools import lru_cache
from random import Random

import torch
from torch import nn

from spaces.base import Space

ARCHITECTURES = 3
IMAGE_SIZE = 32
DIGITS = 4
"""Significant digits of an output. In float64, machines differ far beyond them."""


@lru_cache(maxsize=16)
def fingerprint(space: Space) -> str:
    """16 hex digits of SHA-256 over what the space makes of an architecture.

    That is the space's options with their defaults, and of three architectures the string,
    multiply–adds, parameters and output.
    """
    rng = Random(0)
    content = []
    for arch in (space.sample(rng) for _ in range(ARCHITECTURES)):
        cost = space.cost(arch)
        content.append([arch, cost.macs, cost.params, output_digits(space.network(arch))])
    text = json.dumps([space.name, asdict(space), content])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@torch.no_grad()
def output_digits(network: nn.Module) -> list[str]:
    """Class scores of one image, rounded; weights and image are sines, the same everywhere."""
    network = network.double().eval()
    for tensor in network.parameters():
        values = torch.arange(tensor.numel(), dtype=torch.float64).add_(1).sin_()
        fan_in = tensor[0].numel() if tensor.dim() > 1 else 1
        tensor.copy_(values.view_as(tensor) * (2 / fan_in) ** 0.5)
    shape = (1, 3, IMAGE_SIZE, IMAGE_SIZE)
    image = torch.arange(3 * IMAGE_SIZE**2, dtype=torch.float64).sin_().view(shape)
    return [f"{value:.{DIGITS - 1}e}" for value in network(image)[0].tolist()]
