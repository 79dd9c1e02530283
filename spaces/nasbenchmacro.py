"""The macro space of NAS-Bench-Macro (arXiv 2103.11922): eight layers of three candidates."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from optuna.distributions import CategoricalDistribution
from torch import Tensor, nn

from spaces import register
from spaces.base import ArchitectureError, Space, Supernet, Tap
from spaces.batchnorm import Placement, freeze_convolutions, initialise
from spaces.cost import Cost, count
from spaces.ops import MBConv, Skip, conv

LABELS = {"0": "identity", "1": "k3 e3", "2": "k5 e6"}
CODES = {label: code for code, label in LABELS.items()}
STAGES = ((64, 2), (128, 3), (256, 3))  # channels and layers; the first layer halves the size
STEM, HEAD = 32, 1280


@dataclass(frozen=True)
class LayerShape:
    """A searched layer: channels in and out, stride, and the height of its input in pixels."""

    inputs: int
    outputs: int
    stride: int
    size: int

    def build(self, code: str, placement: Placement) -> nn.Module:
        """The candidate `code`. Where the shape changes, identity is a strided 1×1 convolution."""
        if code != "0":
            kernel, expansion = {"1": (3, 3), "2": (5, 6)}[code]
            return MBConv(self.inputs, self.outputs, kernel, expansion, self.stride, placement)
        if self.stride == 1:
            return Skip(self.inputs, placement)
        projection = conv(self.inputs, self.outputs, 1, self.stride)
        return nn.Sequential(projection, placement.last(self.outputs))


@register
@dataclass(frozen=True)
class NASBenchMacro(Space):
    """Stem 3×3 to 32, eight searched layers in three stages, 1×1 to 1280, classifier.

    An architecture is eight digits: 0 identity, 1 an MBConv block of kernel 3 and expansion 3,
    2 one of kernel 5 and expansion 6. The benchmark's blocks have ReLU where `ops.MBConv` has
    ReLU6; behind a BatchNorm hardly a value exceeds 6.
    """

    name: ClassVar[str] = "nasbenchmacro"

    @cached_property
    def layers(self) -> tuple[LayerShape, ...]:
        """The shapes of the searched layers, first to last."""
        inputs, size, shapes = STEM, self.image_size, []
        for outputs, repeats in STAGES:
            for layer in range(repeats):
                stride = 1 if layer else 2
                shapes.append(LayerShape(inputs, outputs, stride, size))
                inputs, size = outputs, -(-size // stride)
        return tuple(shapes)

    def distributions(self) -> dict[str, CategoricalDistribution]:
        """One choice a layer, `layer 1` to `layer 8`."""
        choices = tuple(LABELS.values())
        return {f"layer {i}": CategoricalDistribution(choices) for i in range(1, 9)}

    def decode(self, params: Mapping[str, Any]) -> str:
        """Choices to string; every combination is feasible."""
        return "".join(CODES[params[name]] for name in self.distributions())

    def encode(self, arch: str) -> dict[str, Any]:
        """String to choices."""
        codes = self.canonical(arch)
        return {name: LABELS[c] for name, c in zip(self.distributions(), codes, strict=True)}

    def canonical(self, text: str) -> str:
        """The string itself. Raises ArchitectureError."""
        if len(text) != len(self.layers) or not set(text) <= set(LABELS):
            raise ArchitectureError(f"{text!r} is not {len(self.layers)} digits of 0, 1 and 2")
        return text

    def supernet(self, placement: Placement) -> Supernet:
        """All candidates of every layer around one stem, head and classifier."""
        return NASBenchMacroSupernet(self, placement)

    def network(self, arch: str, placement: Placement = Placement.USUAL) -> nn.Module:
        """The chosen candidates only."""
        chosen = zip(self.layers, self.canonical(arch), strict=True)
        return _Network(self, (shape.build(code, placement) for shape, code in chosen), placement)

    def cost(self, arch: str) -> Cost:
        """The fixed part plus a look-up per layer."""
        chosen = zip(self.layers, self.canonical(arch), strict=True)
        return sum((self._table[shape, code] for shape, code in chosen), self._fixed_cost)

    @cached_property
    def _table(self) -> dict[tuple[LayerShape, str], Cost]:
        with torch.device("meta"):
            return {
                (shape, code): count(
                    shape.build(code, Placement.USUAL), shape.inputs, shape.size, shape.size
                )
                for shape in set(self.layers)
                for code in LABELS
            }

    @cached_property
    def _fixed_cost(self) -> Cost:
        with torch.device("meta"):
            trunk = _Trunk(self, (), Placement.USUAL)
            last = self.layers[-1]
            return (
                count(trunk.stem, 3, self.image_size, self.image_size)
                + count(trunk.head, last.outputs, last.size, last.size)
                + count(trunk.classifier, HEAD)
            )


class _Trunk(nn.Module):
    """What every network of the space shares around its searched layers."""

    def __init__(
        self, space: NASBenchMacro, layers: Iterable[nn.Module], placement: Placement
    ) -> None:
        super().__init__()
        outputs = space.layers[-1].outputs
        self.stem = nn.Sequential(conv(3, STEM, 3), placement.last(STEM), nn.ReLU(inplace=True))
        self.layers = nn.ModuleList(layers)
        self.taps = nn.ModuleList(Tap() for _ in space.layers)
        self.head = nn.Sequential(
            conv(outputs, HEAD, 1), placement.last(HEAD), nn.ReLU(inplace=True)
        )
        self.classifier = nn.Linear(HEAD, space.classes)
        initialise(self)

    def run(self, images: Tensor, path: Iterable[nn.Module]) -> Tensor:
        """Class scores of `images`, the searched layers being `path`."""
        x = self.stem(images)
        for operation, tap in zip(path, self.taps, strict=True):
            x = tap(operation(x))
        scores: Tensor = self.classifier(self.head(x).mean((2, 3)))
        return scores


class _Network(_Trunk):
    """The stand-alone network of one architecture."""

    def forward(self, images: Tensor) -> Tensor:
        """N×3×H×W images to N×classes scores."""
        return self.run(images, self.layers)


class NASBenchMacroSupernet(_Trunk, Supernet):
    """Every candidate of every layer; a forward pass runs one of them a layer."""

    def __init__(self, space: NASBenchMacro, placement: Placement) -> None:
        candidates = (
            nn.ModuleDict({code: shape.build(code, placement) for code in LABELS})
            for shape in space.layers
        )
        super().__init__(space, candidates, placement)
        self.space = space
        freeze_convolutions(self)

    def forward(self, images: Tensor, arch: str) -> Tensor:
        """N×3×H×W images to N×classes scores along `arch`."""
        return self.run(images, self._chosen(arch))

    def scales(self, arch: str) -> list[Tensor]:
        """γ of the last BatchNorm of each chosen operation; a biased plain identity has none."""
        norms = (
            [m for m in operation.modules() if isinstance(m, nn.BatchNorm2d)][-1:]
            for operation in self._chosen(arch)
        )
        return [norm.weight for found in norms for norm in found]

    def state_of(self, arch: str) -> dict[str, Tensor]:
        """The trunk's entries, and those of the chosen candidates under the layer's name."""
        state = {k: v for k, v in self.state_dict().items() if not k.startswith("layers.")}
        for layer, operation in enumerate(self._chosen(arch)):
            state |= {f"layers.{layer}.{k}": v for k, v in operation.state_dict().items()}
        return state

    def _chosen(self, arch: str) -> list[nn.Module]:
        """The operation of each layer."""
        codes = self.space.canonical(arch)
        return [self.layers.get_submodule(f"{i}.{code}") for i, code in enumerate(codes)]
