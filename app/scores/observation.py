"""What a score may look at: one architecture, the trained supernet, and a batch of images.

Passes through the network are made when a score first asks for them, and shared by all scores.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.data import ImageData
from app.errors import InputError
from app.scores.spectrum import correlation, eigenvalues
from spaces import Space, Supernet, Tap

FEWEST_IMAGES = 8


@dataclass(frozen=True)
class Anchors:
    """The images that every architecture of a study is scored on."""

    images: Tensor
    """N×3×S×S, normalised."""
    labels: Tensor
    """N."""
    seed: int

    @staticmethod
    def draw(data: ImageData, count: int, seed: int, device: torch.device) -> "Anchors":
        """`count` training images (or all, if there are fewer), the same for the same seed.

        Raises InputError for fewer than FEWEST_IMAGES.
        """
        if len(data.train.labels) < FEWEST_IMAGES:
            raise InputError(
                f"a score needs at least {FEWEST_IMAGES} training images, "
                f"and '{data.name}' has {len(data.train.labels)}"
            )
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(data.train.labels), generator=generator)[:count]
        pixels = data.train.pixels[chosen.to(data.train.pixels.device)].to(device)
        labels = data.train.labels[chosen.to(data.train.labels.device)].to(device)
        return Anchors(data.normalise(pixels), labels, seed)


@dataclass(frozen=True)
class Pass:
    """Results of one forward and backward pass over the anchors."""

    features: list[Tensor]
    """Output of each searched layer or cell, N×C×H×W."""
    gradients: list[Tensor]
    """The gradient of the summed cross-entropy with respect to each of them, of their shapes."""
    logits: Tensor
    """N×classes."""


class Observation:
    """One architecture of a supernet under observation.

    The supernet must not change while observations of it are in use.
    """

    def __init__(self, space: Space, supernet: Supernet, arch: str, anchors: Anchors) -> None:
        self.space = space
        self.supernet = supernet
        self.arch = arch
        self.anchors = anchors

    @cached_property
    def scales(self) -> list[Tensor]:
        """γ that ends each chosen operation; needs no pass."""
        return [scale.detach() for scale in self.supernet.scales(self.arch)]

    @property
    def features(self) -> list[Tensor]:
        """Output of each searched layer or cell, N×C×H×W."""
        return self.passed.features

    @property
    def gradients(self) -> list[Tensor]:
        """The gradient of the summed cross-entropy with respect to each of `features`."""
        return self.passed.gradients

    @cached_property
    def passed(self) -> Pass:
        """One forward and backward pass.

        It is asked for the gradients of the features alone: no parameter's `.grad` is touched,
        and nothing before the first of them is passed backward.
        """
        features: list[Tensor] = []

        def see(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
            # none of an architecture without learning parameters would require a gradient
            feature = output if output.requires_grad else output.detach().requires_grad_()
            features.append(feature)
            return feature

        taps = [m for m in self.supernet.modules() if isinstance(m, Tap) and m.searched]
        handles = [tap.register_forward_hook(see) for tap in taps]
        try:
            logits = self.supernet(self.anchors.images, self.arch)
        finally:
            for handle in handles:
                handle.remove()
        loss = F.cross_entropy(logits, self.anchors.labels, reduction="sum")
        gradients = torch.autograd.grad(loss, features, allow_unused=True, materialize_grads=True)
        return Pass([f.detach() for f in features], list(gradients), logits.detach())

    @cached_property
    def channel_spectra(self) -> list[Tensor]:
        """Eigenvalues of the channels' correlation over images and positions: C for each tap."""
        return [eigenvalues(correlation(f.movedim(1, 0).flatten(1))) for f in self.features]

    def fresh_network(self) -> nn.Module:
        """The stand-alone network at random initialisation, the same at each call.

        For baselines, which are defined on it; our own scores read the supernet only.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.anchors.seed)
            network = self.space.network(self.arch)
        device = self.anchors.images.device
        return network.to(device).to(memory_format=torch.channels_last)
