"""What a score may look at: one architecture, the trained supernet, and a batch of images.

Passes through the network are made when a score first asks for them, and shared by all scores.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from app.data import ImageData
from app.errors import InputError
from app.scores.moments import Moments, moments
from app.scores.recorder import Recorder
from spaces import Space, Supernet

MIN_IMAGES = 8


@dataclass(frozen=True)
class ProbeBatch:
    """The images that every architecture of a study is scored on."""

    images: Tensor
    """N×3×S×S, normalised."""
    labels: Tensor
    """N."""
    seed: int

    @staticmethod
    def draw(data: ImageData, count: int, seed: int, device: torch.device) -> "ProbeBatch":
        """`count` training images (or all, if there are fewer), the same for the same seed.

        Raises InputError for fewer than MIN_IMAGES.
        """
        if len(data.train.labels) < MIN_IMAGES:
            raise InputError(
                f"a score needs at least {MIN_IMAGES} training images, "
                f"and '{data.name}' has {len(data.train.labels)}"
            )
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(data.train.labels), generator=generator)[:count]
        pixels = data.train.pixels[chosen.to(data.train.pixels.device)].to(device)
        labels = data.train.labels[chosen.to(data.train.labels.device)].to(device)
        return ProbeBatch(data.normalise(pixels), labels, seed)


@dataclass(frozen=True)
class Pass:
    """Results of one forward and one backward pass over the probe."""

    features: list[Tensor]
    """Output of each searched layer or cell, N×C×H×W."""
    activations: list[Tensor]
    """Output of each activation function on the path, N×C×H×W, C and H×W its own."""
    gradients: list[Tensor]
    """How each of `features` moves the last one: the gradient of a sum with random signs over
    its values, of the feature's shape."""
    logits: Tensor
    """N×classes."""


class Trace:
    """One architecture of a supernet under trace.

    The supernet must not change while observations of it are in use.
    """

    def __init__(self, space: Space, supernet: Supernet, arch: str, probe: ProbeBatch) -> None:
        self.space = space
        self.supernet = supernet
        self.arch = arch
        self.probe = probe

    @cached_property
    def bn_gammas(self) -> list[Tensor]:
        """γ that ends each chosen operation; needs no pass."""
        return [scale.detach() for scale in self.supernet.bn_gammas(self.arch)]

    @property
    def features(self) -> list[Tensor]:
        """Output of each searched layer or cell, N×C×H×W."""
        return self.passed.features

    @property
    def activations(self) -> list[Tensor]:
        """Output of each activation function, N×C×H×W; of a network without any, the features."""
        return self.passed.activations or self.passed.features

    @cached_property
    def passed(self) -> Pass:
        """One forward and one backward pass. No parameter's `.grad` is touched."""
        recorder = Recorder(self.supernet)
        with recorder:
            logits = self.supernet(self.probe.images, self.arch)
        gradients = recorder.gradients(self.probe.seed)
        features = [feature.detach() for feature in recorder.features]
        return Pass(features, recorder.activations, gradients, logits.detach())

    @cached_property
    def activation_moments(self) -> list[Moments]:
        """The moments of each of `activations`."""
        return [moments(activation) for activation in self.activations]

    @property
    def gradients(self) -> list[Tensor]:
        """How each of `features` moves the last one, of its shape."""
        return self.passed.gradients

    def fresh_network(self) -> nn.Module:
        """The stand-alone network at random initialisation, the same at each call.

        For baselines, which are defined on it; our own scores read the supernet only.
        """
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.probe.seed)
            network = self.space.network(self.arch)
        device = self.probe.images.device
        return network.to(device).to(memory_format=torch.channels_last)
