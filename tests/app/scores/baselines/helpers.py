"""Networks and images to calculate by hand, and traces of small networks."""

from functools import cache
from random import Random
from typing import cast

import torch
from torch import Tensor, nn

import spaces
from app.scores.probe import ProbeBatch
from app.scores.trace import Trace
from spaces import BatchNormMode, Space, Supernet
from tests.spaces.test_contract import SMALL

DISCONNECTED = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"


def linear(rows: list[list[float]]) -> nn.Linear:
    """A linear layer with these weights and no bias."""
    layer = nn.Linear(len(rows[0]), len(rows), bias=False)
    layer.weight.data = torch.tensor(rows)
    return layer


def pixels(rows: list[list[float]]) -> Tensor:
    """One image a row, N×C×1×1."""
    return torch.tensor(rows)[:, :, None, None]


@cache  # so that cost tables are counted once
def small_space(name: str) -> Space:
    return spaces.create(name, classes=3, image_size=16, options=SMALL.get(name, {}))


@cache
def small_supernet(name: str) -> Supernet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return small_space(name).supernet(BatchNormMode.UNBIASED)


def trace_of(name: str, arch: str | None = None, on_supernet: bool = False) -> Trace:
    """A random architecture, or `arch`, and six random images; a supernet only if it is read."""
    space = small_space(name)
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(6, 3, 16, 16, generator=generator)
    labels = torch.randint(3, (6,), generator=generator)
    probe = ProbeBatch(images, labels, seed=5)
    supernet = small_supernet(name) if on_supernet else cast(Supernet, None)
    return Trace(space, supernet, arch or space.sample(Random(1)), probe)
