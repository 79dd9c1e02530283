"""The interface of a search space.

Outside `spaces/` an architecture is just its canonical string, which can be compared, stored,
printed and passed on the command line. Only the space that made it looks inside.

To add a space, put one file into this folder: a subclass of `Space`, or of `layered.LayeredSpace`
if its networks are a chain of layers with one choice each (`nasbenchmacro.py` is the shortest
example). Build its operations with `batchnorm.BatchNormMode`, keep the candidates of each choice in
an `initialisation.Choice`, and put a `FeatureNode` after each searched layer or cell. That is all:
`tests/spaces/test_contract.py` finds and checks it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from random import Random
from typing import Any, ClassVar

import torch
from optuna.distributions import CategoricalDistribution
from torch import Tensor, nn

from spaces.batchnorm import BatchNormMode
from spaces.cost import Cost
from spaces.memory import Piece
from spaces.sketch import Kind, Layer, Sketch, Strip


class ArchitectureError(ValueError):
    """A string does not name an architecture of the space; the message says why."""


class InfeasibleError(ValueError):
    """Choices do not describe a valid architecture; the message says why."""


class FeatureNode(nn.Identity):
    """Marks the output of a layer or cell, so that scores can read and replace it.

    Go on with what the node returns: a forward hook may put images in the place of the output. The
    first searched layer needs a node before it too, one that is not `searched`.

    The supernet and the stand-alone network of an architecture pass the same feature nodes in the
    same order, and all architectures of a space pass the same number of them.
    """

    def __init__(self, searched: bool = True) -> None:
        """`searched` is False for a stem or reduction block, where nothing is chosen."""
        super().__init__()
        self.searched = searched


class Supernet(nn.Module, ABC):
    """One network that holds the weights of every architecture of its space.

    Convolutions are random and frozen; BatchNorm and the classifier learn. BatchNorm always uses
    the statistics of the batch, since paths could not share running statistics.
    """

    @abstractmethod
    def forward(self, images: Tensor, arch: str) -> Tensor:
        """Class scores (N×classes) of N×3×H×W images along the path that `arch` selects."""

    @abstractmethod
    def bn_gammas(self, arch: str) -> list[Tensor]:
        """γ of the last BatchNorm of each chosen operation that has one."""

    @abstractmethod
    def subnet_state_dict(self, arch: str) -> dict[str, Tensor]:
        """The state dict of `Space.network(arch, bn_mode)` in the supernet's mode."""


@dataclass(frozen=True)
class Space(ABC):
    """A set of architectures: its choices, its strings, its networks and their cost.

    A subclass is a frozen dataclass with a `name`, decorated with `spaces.register`. Fields other
    than these two are options that a study sets in `[space_options]`. Its docstring says what its
    strings mean.
    """

    name: ClassVar[str]

    classes: int = 10
    image_size: int = 32

    @abstractmethod
    def distributions(self) -> dict[str, CategoricalDistribution]:
        """The choices, under the names that Optuna and its dashboard show."""

    @cached_property
    def choices(self) -> dict[str, CategoricalDistribution]:
        """`distributions()`, cached: a search decodes thousands of times."""
        return self.distributions()

    @abstractmethod
    def decode(self, params: Mapping[str, Any]) -> str:
        """Turn choices into the canonical string. Raises InfeasibleError."""

    @abstractmethod
    def encode(self, arch: str) -> dict[str, Any]:
        """Return choices that `decode` turns back into `arch`."""

    @abstractmethod
    def canonical(self, text: str) -> str:
        """Return the canonical string of the architecture in `text`. Raises ArchitectureError."""

    @abstractmethod
    def supernet(self, bn_mode: BatchNormMode) -> Supernet:
        """Create a supernet with frozen random convolutions, using torch's global generator."""

    @abstractmethod
    def network(self, arch: str, bn_mode: BatchNormMode = BatchNormMode.USUAL) -> nn.Module:
        """Create the stand-alone network: images in, class scores out.

        In `BatchNormMode.USUAL` it is the network that is counted, retrained and exported; in the
        supernet's mode it computes what the supernet computes along `arch`.
        """

    @property
    def options(self) -> dict[str, Any]:
        """The options that are not defaults, as `spaces.create` takes them."""
        own = [f for f in fields(self) if f.name not in ("classes", "image_size")]
        return {f.name: v for f in own if (v := getattr(self, f.name)) != f.default}

    def build(self, text: str) -> nn.Module:
        """Create the stand-alone network of `text`; its `origin` is this space and its string.

        Raises ArchitectureError.
        """
        arch = self.canonical(text)
        network = self.network(arch)
        vars(network)["origin"] = (self, arch)
        return network

    @abstractmethod
    def cost(self, arch: str) -> Cost:
        """Look up multiply–adds and parameters of `network(arch)`."""

    def peak_activations(self, arch: str) -> int:
        """Most numbers that the activations of `network(arch)` hold at once, for one image.

        `spaces.memory` says what counts. A space is searched faster if it puts the network's tape
        together from recorded pieces instead of recording each network.
        """
        with torch.device("meta"):
            return Piece(self.network(arch), 3, self.image_size, self.image_size).peak

    def sketch(self, arch: str) -> Sketch:
        """Describe what `arch` looks like: by default, its choices in a row."""
        choices = self.encode(arch).values()
        return (Strip("choices", tuple(Layer(str(c), Kind.CONVOLUTION) for c in choices)),)

    def sample(self, rng: Random) -> str:
        """Draw a random architecture: every choice uniform, infeasible draws repeated."""
        while True:
            try:
                return self.decode({k: rng.choice(d.choices) for k, d in self.choices.items()})
            except InfeasibleError:
                continue
