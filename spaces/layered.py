"""Spaces whose networks are a chain: a stem, the searched layers, a head, a classifier.

A subclass gives the shapes of the layers and their candidates; networks, supernet, choices and
costs are the same for all of them.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, ClassVar

import torch
from optuna.distributions import CategoricalDistribution
from torch import Tensor, nn

from spaces.base import FeatureNode, Space, Supernet
from spaces.batchnorm import BatchNormMode, freeze_convolutions, initialise, last_gammas
from spaces.cost import Cost, count
from spaces.initialisation import Choice
from spaces.layer_shapes import LayerShape, scaled
from spaces.memory import Piece
from spaces.sketch import Kind, Layer, Sketch, Strip

MAX_WIDTH = 8


@dataclass(frozen=True)
class LayeredSpace(Space):
    """A space with one choice per layer; every combination of choices is feasible.

    Its strings are one code per layer, joined by `separator`.

    Attributes:
        labels: The name of each candidate in Optuna and its dashboard, by code.
        blocks: Kernel and expansion of each candidate that is an inverted residual block.
        separator: The text between the codes of a string.
    """

    labels: ClassVar[Mapping[str, str]]
    blocks: ClassVar[Mapping[str, tuple[int, int]]]
    separator: ClassVar[str]

    @property
    @abstractmethod
    def features(self) -> int:
        """Channels of the head, which the classifier reads."""

    @property
    @abstractmethod
    def layers(self) -> tuple[LayerShape, ...]:
        """The shapes of the searched layers, first to last."""

    @abstractmethod
    def stem(self, bn_mode: BatchNormMode) -> nn.Module:
        """The layers before the first searched one."""

    @abstractmethod
    def candidate(self, code: str, shape: LayerShape, bn_mode: BatchNormMode) -> nn.Module:
        """The operation `code` for a layer of this shape."""

    @abstractmethod
    def head(self, bn_mode: BatchNormMode) -> nn.Module:
        """The layers after the last searched one, with `features` channels out."""

    @abstractmethod
    def codes(self, text: str) -> Sequence[str]:
        """Split a string into the code of each layer. Raises ArchitectureError."""

    def candidates(self, shape: LayerShape) -> tuple[str, ...]:
        """The codes of the candidates for a layer of this shape."""
        return tuple(self.labels)

    def distributions(self) -> dict[str, CategoricalDistribution]:
        """One choice per layer, `layer 01` and so on, numbered with equally many digits."""
        digits = len(str(len(self.layers)))
        return {
            f"layer {i:0{digits}}": CategoricalDistribution(
                [self.labels[code] for code in self.candidates(shape)]
            )
            for i, shape in enumerate(self.layers, 1)
        }

    def decode(self, params: Mapping[str, Any]) -> str:
        """Turn choices into a string; every combination is feasible."""
        codes = {label: code for code, label in self.labels.items()}
        return self.separator.join(codes[params[name]] for name in self.choices)

    def encode(self, arch: str) -> dict[str, Any]:
        """Turn a string into choices."""
        labels = (self.labels[code] for code in self.codes(arch))
        return dict(zip(self.choices, labels, strict=True))

    def canonical(self, text: str) -> str:
        """Normalise a string. Raises ArchitectureError."""
        return self.separator.join(self.codes(text))

    def supernet(self, bn_mode: BatchNormMode) -> Supernet:
        """All candidates of every layer around one stem, head and classifier."""
        return LayeredSupernet(self, bn_mode)

    def network(self, arch: str, bn_mode: BatchNormMode = BatchNormMode.USUAL) -> nn.Module:
        """The chosen candidates only."""
        chosen = zip(self.codes(arch), self.layers, strict=True)
        return _Network(self, (self.candidate(*layer, bn_mode) for layer in chosen), bn_mode)

    def cost(self, arch: str) -> Cost:
        """Add the fixed part and a look-up per layer."""
        chosen = zip(self.codes(arch), self.layers, strict=True)
        return sum((_layer_cost(self, *layer) for layer in chosen), self._fixed_cost)

    def peak_activations(self, arch: str) -> int:
        """Most numbers live at once: those of the largest layer, as each reads the one before."""
        chosen = zip(self.codes(arch), self.layers, strict=True)
        return max(self._fixed_peak, *(_layer_peak(self, *layer) for layer in chosen))

    def sketch(self, arch: str) -> Sketch:
        """Describe the searched layers, in a row."""
        chosen = zip(self.codes(arch), self.layers, strict=True)
        return (Strip("searched layers", tuple(self._layer(*layer) for layer in chosen)),)

    def _layer(self, code: str, shape: LayerShape) -> Layer:
        label, output = self.labels[code], (shape.stride, shape.outputs, shape.size_out)
        if code in self.blocks:
            return Layer(label, Kind.CONVOLUTION, *self.blocks[code], *output)
        if shape.is_plain:
            return Layer(label, Kind.IDENTITY, 0, 1, *output)
        return Layer(f"{label} (1×1)", Kind.CONVOLUTION, 1, 1, *output)  # a projection

    @cached_property
    def _fixed_cost(self) -> Cost:
        with torch.device("meta"):
            trunk = _Trunk(self, (), BatchNormMode.USUAL)
            last = self.layers[-1]
            return (
                count(trunk.stem, 3, self.image_size, self.image_size)
                + count(trunk.head, last.outputs, last.size_out, last.size_out)
                + count(trunk.classifier, self.features)
            )

    @cached_property
    def _fixed_peak(self) -> int:
        with torch.device("meta"):
            trunk, last = _Trunk(self, (), BatchNormMode.USUAL), self.layers[-1]
            return max(
                Piece(trunk.stem, 3, self.image_size, self.image_size).peak,
                Piece(trunk.head, last.outputs, last.size_out, last.size_out).peak,
            )


@dataclass(frozen=True)
class ScalableSpace(LayeredSpace):
    """A layered space with a `width`, for images of any size.

    Attributes:
        head_channels: Channels of the head at width 1.
    """

    head_channels: ClassVar[int]

    width: float = 1.0

    def __post_init__(self) -> None:
        """Raises ValueError for a width that no network can have."""
        width = self.width
        is_number = isinstance(width, int | float) and not isinstance(width, bool)
        if not is_number or not 0 < width <= MAX_WIDTH:
            raise ValueError(
                f"width must be a number above 0 and at most {MAX_WIDTH}, not {width!r}"
            )

    @property
    def features(self) -> int:
        """Channels of the head, which the classifier reads."""
        return scaled(self.head_channels, self.width)

    @property
    def first_stride(self) -> int:
        """Stride of the stem, and of the first searched layer that has one."""
        return 1 if self.image_size <= 64 else 2

    @property
    def stem_size(self) -> int:
        """Height of the stem's output in pixels."""
        return -(-self.image_size // self.first_stride)


@cache
def _layer_cost(space: LayeredSpace, code: str, shape: LayerShape) -> Cost:
    with torch.device("meta"):
        candidate = space.candidate(code, shape, BatchNormMode.USUAL)
        return count(candidate, shape.inputs, shape.size, shape.size)


@cache
def _layer_peak(space: LayeredSpace, code: str, shape: LayerShape) -> int:
    with torch.device("meta"):
        candidate = space.candidate(code, shape, BatchNormMode.USUAL)
        return Piece(candidate, shape.inputs, shape.size, shape.size).peak


class _Trunk(nn.Module):
    """The parts that all networks of a space share around their searched layers."""

    def __init__(
        self, space: LayeredSpace, layers: Iterable[nn.Module], bn_mode: BatchNormMode
    ) -> None:
        super().__init__()
        self.stem = space.stem(bn_mode)
        self.stem_node = FeatureNode(searched=False)
        self.layers = nn.ModuleList(layers)
        self.feature_nodes = nn.ModuleList(FeatureNode() for _ in space.layers)
        self.head = space.head(bn_mode)
        self.classifier = nn.Linear(space.features, space.classes)
        initialise(self)

    def run(self, images: Tensor, path: Iterable[nn.Module]) -> Tensor:
        """Class scores of `images`, with `path` as the searched layers."""
        x = self.stem_node(self.stem(images))
        for operation, node in zip(path, self.feature_nodes, strict=True):
            x = node(operation(x))
        scores: Tensor = self.classifier(self.head(x).mean((2, 3)))
        return scores


class _Network(_Trunk):
    """The stand-alone network of one architecture."""

    def forward(self, images: Tensor) -> Tensor:
        """N×3×H×W images to N×classes scores."""
        return self.run(images, self.layers)


class LayeredSupernet(_Trunk, Supernet):
    """Every candidate of every layer; a forward pass runs one per layer."""

    def __init__(self, space: LayeredSpace, bn_mode: BatchNormMode) -> None:
        layers = (
            Choice(
                {code: space.candidate(code, shape, bn_mode) for code in space.candidates(shape)}
            )
            for shape in space.layers
        )
        super().__init__(space, layers, bn_mode)
        self.space = space
        freeze_convolutions(self)

    def forward(self, images: Tensor, arch: str) -> Tensor:
        """N×3×H×W images to N×classes scores along `arch`."""
        return self.run(images, self._chosen(arch))

    def bn_gammas(self, arch: str) -> list[Tensor]:
        """γ of the last BatchNorm of each chosen operation that has one."""
        return last_gammas(self._chosen(arch))

    def subnet_state_dict(self, arch: str) -> dict[str, Tensor]:
        """The shared entries, and those of the chosen candidates under the layer's name."""
        state = {k: v for k, v in self.state_dict().items() if not k.startswith("layers.")}
        for layer, operation in enumerate(self._chosen(arch)):
            state |= {f"layers.{layer}.{k}": v for k, v in operation.state_dict().items()}
        return state

    def _chosen(self, arch: str) -> list[nn.Module]:
        """The chosen operation of each layer."""
        codes = enumerate(self.space.codes(arch))
        return [self.layers.get_submodule(f"{layer}.{code}") for layer, code in codes]
