"""A space of few small networks, written as a user would write one: a single file, nothing else.

Importing this module registers it. It trains and scores in milliseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, ClassVar

import torch
from optuna.distributions import CategoricalDistribution
from torch import Tensor, nn

from spaces import (
    ArchitectureError,
    BatchNormMode,
    Choice,
    Cost,
    FeatureNode,
    InfeasibleError,
    Space,
    Supernet,
    register,
)
from spaces.batchnorm import freeze_convolutions, initialise
from spaces.cost import count

OPS = ("conv1", "conv3", "skip")


def _operation(op: str, channels: int, bn_mode: BatchNormMode) -> nn.Module:
    if op == "skip":
        return bn_mode.after_parameter_free(channels)
    kernel = int(op[-1])
    convolution = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, bn_mode.last(channels), nn.ReLU())


@register
@dataclass(frozen=True)
class Toy(Space):
    """Layers of equal shape; an architecture is their operations joined by `-`.

    Nothing but skips is called infeasible, so that there is something infeasible to draw.
    """

    name: ClassVar[str] = "toy"
    length: ClassVar[int] = 3

    channels: int = 6

    def __post_init__(self) -> None:
        if type(self.channels) is not int or self.channels < 1:
            raise ValueError(f"channels must be a positive integer, not {self.channels!r}")

    def distributions(self) -> dict[str, CategoricalDistribution]:
        return {f"layer {i}": CategoricalDistribution(OPS) for i in range(self.length)}

    def decode(self, params: Mapping[str, Any]) -> str:
        ops = [params[f"layer {i}"] for i in range(self.length)]
        if set(ops) == {"skip"}:
            raise InfeasibleError("nothing but skips")
        return "-".join(ops)

    def encode(self, arch: str) -> dict[str, Any]:
        return {f"layer {i}": op for i, op in enumerate(self._ops(arch))}

    def canonical(self, text: str) -> str:
        return "-".join(self._ops(text))

    def _ops(self, text: str) -> list[str]:
        ops = text.split("-")
        if len(ops) != self.length or not set(ops) <= set(OPS) or set(ops) == {"skip"}:
            raise ArchitectureError(
                f"{text!r} is not {self.length} of {', '.join(OPS)} joined by '-'"
            )
        return ops

    def supernet(self, bn_mode: BatchNormMode) -> Supernet:
        return ToySupernet(self, bn_mode)

    def network(self, arch: str, bn_mode: BatchNormMode = BatchNormMode.USUAL) -> "ToyNetwork":
        layers = [_operation(op, self.channels, bn_mode) for op in self._ops(arch)]
        return ToyNetwork(self, layers, bn_mode)

    def cost(self, arch: str) -> Cost:
        return sum((self._layer_cost(op) for op in self._ops(arch)), self._other_cost)

    @cache  # noqa: B019  (few operations, for as long as the tests run)
    def _layer_cost(self, op: str) -> Cost:
        size = (self.image_size + 3) // 4  # after the stem
        with torch.device("meta"):
            layer = _operation(op, self.channels, BatchNormMode.USUAL)
            return count(layer, self.channels, size, size)

    @cached_property
    def _other_cost(self) -> Cost:
        stem, classifier = (3, self.image_size, self.image_size), (self.channels,)
        with torch.device("meta"):
            network = self.network("-".join(["conv1"] * self.length))
            return count(network.stem, *stem) + count(network.classifier, *classifier)


@register
@dataclass(frozen=True)
class LongToy(Toy):
    """More layers, and so more networks than a test can try."""

    name: ClassVar[str] = "longtoy"
    length: ClassVar[int] = 12


class ToyNetwork(nn.Module):
    def __init__(self, space: Toy, layers: list[nn.Module], bn_mode: BatchNormMode) -> None:
        super().__init__()
        self.space = space
        self.stem = nn.Sequential(
            nn.Conv2d(3, space.channels, 3, stride=4, padding=1, bias=False),
            bn_mode.last(space.channels),
            nn.ReLU(),
            FeatureNode(searched=False),
        )
        self.layers = nn.ModuleList(layers)
        self.feature_nodes = nn.ModuleList(FeatureNode() for _ in range(space.length))
        self.classifier = nn.Linear(space.channels, space.classes)
        initialise(self)

    def run(self, images: Tensor, path: list[nn.Module]) -> Tensor:
        x = self.stem(images)
        for layer, node in zip(path, self.feature_nodes, strict=True):
            x = node(layer(x))
        return self.classifier(x.mean((2, 3)))

    def forward(self, images: Tensor) -> Tensor:
        return self.run(images, list(self.layers))


class ToySupernet(ToyNetwork, Supernet):
    def __init__(self, space: Toy, bn_mode: BatchNormMode) -> None:
        layers = [
            Choice({op: _operation(op, space.channels, bn_mode) for op in OPS})
            for _ in range(space.length)
        ]
        super().__init__(space, layers, bn_mode)
        freeze_convolutions(self)

    def forward(self, images: Tensor, arch: str) -> Tensor:
        return self.run(images, self._path(arch))

    def _path(self, arch: str) -> list[nn.Module]:
        return [layer[op] for layer, op in zip(self.layers, self.space._ops(arch), strict=True)]

    def bn_gammas(self, arch: str) -> list[Tensor]:
        return [
            module.weight
            for operation in self._path(arch)
            for module in operation.modules()
            if isinstance(module, nn.BatchNorm2d)
        ]

    def subnet_state_dict(self, arch: str) -> dict[str, Tensor]:
        state = {k: v for k, v in self.state_dict().items() if not k.startswith("layers.")}
        for i, operation in enumerate(self._path(arch)):
            state |= {f"layers.{i}.{k}": v for k, v in operation.state_dict().items()}
        return state
