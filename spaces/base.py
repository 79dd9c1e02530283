"""What a search space is, and what the rest of the program may ask of it.

Outside `spaces/` an architecture is nothing but its canonical string: it can be compared,
stored, printed and put on a command line. Only the space that made it looks inside.

To add a space, put one file into this folder: a subclass of `Space`, or of `layered.LayeredSpace`
if its networks are a chain of layers with one choice each (`nasbenchmacro.py` is the shortest
example). Build its operations with `batchnorm.BatchNormMode` and put a `FeatureNode` behind each
searched layer or cell. Nothing else has to know of it: `tests/spaces/test_contract.py` finds and
checks it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any, ClassVar

from optuna.distributions import CategoricalDistribution
from torch import Tensor, nn

from spaces.batchnorm import BatchNormMode
from spaces.cost import Cost
from spaces.sketch import Kind, Layer, Sketch, Strip


class ArchitectureError(ValueError):
    """A string that is no architecture of the space; the message says what is wrong with it."""


class InfeasibleError(ValueError):
    """Parameters that describe no valid architecture; the message is the reason."""


class FeatureNode(nn.Identity):
    """Marks the output of a layer or cell, where scores may look with a forward hook.

    The supernet and the stand-alone network of an architecture pass the same taps in the same
    order, and every architecture of a space passes the same number of them.
    """

    def __init__(self, searched: bool = True) -> None:
        """`searched`: whether a choice was made here, and not in a stem or reduction block."""
        super().__init__()
        self.searched = searched


class Supernet(nn.Module, ABC):
    """One network that holds the weights of every architecture of its space.

    Convolutions are random and frozen; BatchNorm and the classifier learn. Batch statistics are
    always used, so there are no running statistics that one path would spoil for another.
    """

    @abstractmethod
    def forward(self, images: Tensor, arch: str) -> Tensor:
        """Class scores (N×classes) of N×3×H×W images along the path that `arch` selects."""

    @abstractmethod
    def bn_gammas(self, arch: str) -> list[Tensor]:
        """The learnable scale γ that ends each chosen operation, for those that have one."""

    @abstractmethod
    def subnet_state_dict(self, arch: str) -> dict[str, Tensor]:
        """The state dict that `Space.network(arch, bn_mode)` in the same mode loads."""


@dataclass(frozen=True)
class Space(ABC):
    """A set of architectures: its choices, its strings, its networks and their cost.

    A frozen dataclass with a `name`, decorated with `spaces.register`. Fields beyond these two are
    options that a study sets in `[space_options]`; what else a user must know of a space, such as
    what its strings mean, stands in its docstring.
    """

    name: ClassVar[str]

    classes: int = 10
    image_size: int = 32

    @abstractmethod
    def distributions(self) -> dict[str, CategoricalDistribution]:
        """The choices, by the names that Optuna and its dashboard show."""

    @cached_property
    def choices(self) -> dict[str, CategoricalDistribution]:
        """`distributions()`, made once: a search decodes thousands of times."""
        return self.distributions()

    @abstractmethod
    def decode(self, params: Mapping[str, Any]) -> str:
        """The canonical string of these choices. Raises InfeasibleError with the reason."""

    @abstractmethod
    def encode(self, arch: str) -> dict[str, Any]:
        """Choices that `decode` turns into `arch` again."""

    @abstractmethod
    def canonical(self, text: str) -> str:
        """The one string of the architecture that `text` names. Raises ArchitectureError."""

    @abstractmethod
    def supernet(self, bn_mode: BatchNormMode) -> Supernet:
        """A fresh supernet with frozen random convolutions; draws from torch's global RNG."""

    @abstractmethod
    def network(self, arch: str, bn_mode: BatchNormMode = BatchNormMode.USUAL) -> nn.Module:
        """The stand-alone network: images in, class scores out.

        With `BatchNormMode.USUAL` it is the network that is costed, retrained and exported; with
        the supernet's mode it computes what the supernet computes along `arch`.
        """

    @abstractmethod
    def cost(self, arch: str) -> Cost:
        """Multiply–adds and parameters of `network(arch)`, from tables."""

    def sketch(self, arch: str) -> Sketch:
        """Describe what `arch` looks like: by default, its choices in a row."""
        choices = self.encode(arch).values()
        return (Strip("choices", tuple(Layer(str(c), Kind.CONVOLUTION) for c in choices)),)

    def sample(self, rng: Random) -> str:
        """A random architecture: every choice uniform, infeasible draws drawn again."""
        while True:
            try:
                return self.decode({k: rng.choice(d.choices) for k, d in self.choices.items()})
            except InfeasibleError:
                continue
