"""What a score may look at: one architecture, the trained supernet, and a batch of images.

Passes through the network are made when a score first asks for them, and shared by all scores.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

from app.data import ImageData
from app.errors import InputError
from spaces import Space, Supernet, Tap

MONTE_CARLO_PASSES = 2
FEWEST_IMAGES = 8
COMPANY = 16
"""Images that are normalised together in a Monte-Carlo pass, at most; at least two groups."""


@dataclass(frozen=True)
class Anchors:
    """The images that every architecture of a study is scored on."""

    images: Tensor
    """N×3×S×S, normalised."""
    labels: Tensor
    """N."""
    seed: int
    companies: Tensor
    """Monte-Carlo passes×N: random orders, cut into groups that are normalised together."""

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
        orders = [
            torch.randperm(len(chosen), generator=generator) for _ in range(MONTE_CARLO_PASSES)
        ]
        pixels = data.train.pixels[chosen.to(data.train.pixels.device)].to(device)
        labels = data.train.labels[chosen.to(data.train.labels.device)].to(device)
        return Anchors(data.normalise(pixels), labels, seed, torch.stack(orders).to(device))


@dataclass(frozen=True)
class Backward:
    """Results of one forward and backward pass over the anchors."""

    features: list[Tensor]
    """Output of each searched layer or cell, N×C×H×W."""
    gradients: Tensor
    """N×P: the loss gradient with respect to all learnable BatchNorm parameters, image by image."""
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

    @cached_property
    def backward(self) -> Backward:
        """One forward and backward pass.

        With the gradient g of the summed loss at a BatchNorm output and the normalised input x̂,
        image i's part of the gradient of (γ, β) is [Σ_hw g_i·x̂_i ; Σ_hw g_i].
        """
        features: list[Tensor] = []
        gradients: list[Tensor] = []

        def see_features(module: nn.Module, inputs: Any, output: Tensor) -> None:
            features.append(output.detach())

        def see_batchnorm(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            raw = inputs[0].detach()

            def see_gradient(gradient: Tensor) -> None:
                normal = F.batch_norm(raw, None, None, training=True)
                gradients.append(torch.einsum("nchw,nchw->nc", gradient, normal))
                gradients.append(gradient.sum((2, 3)))

            # a hook set before an in-place activation still sees the gradient from before it
            output.register_hook(see_gradient)  # type: ignore[no-untyped-call]

        # asked for the gradient of the images, autograd passes every BatchNorm on the path but
        # leaves the parameters' own .grad alone
        images = self.anchors.images.detach().requires_grad_()
        with self._hooks(see_features, see_batchnorm):
            logits = self.supernet(images, self.arch)
            loss = F.cross_entropy(logits, self.anchors.labels, reduction="sum")
            torch.autograd.grad(loss, images, allow_unused=True)
        per_image = torch.cat(gradients, 1) if gradients else logits.new_zeros(len(logits), 1)
        return Backward(features, per_image, logits.detach())

    @cached_property
    def monte_carlo(self) -> Tensor:
        """Passes×N×classes probabilities: each pass normalises the anchors in other company.

        Monte-Carlo BatchNorm (arXiv 1802.06455): the statistics of a random small batch make
        the network's answer to an image a random variable. Here the batches are random groups
        of the anchors themselves, so that each pass gives an answer for each of them.
        """
        passes = []
        with torch.no_grad():
            for order in self.anchors.companies:
                groups = order.tensor_split(max(2, -(-len(order) // COMPANY)))
                logits = torch.cat([self._logits(self.anchors.images[group]) for group in groups])
                passes.append(logits.softmax(1)[order.argsort()])
        return torch.stack(passes)

    def fresh_network(self) -> nn.Module:
        """The stand-alone network at random initialisation, the same at each call.

        For baselines, which are defined on it; our own scores read the supernet only.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.anchors.seed)
            network = self.space.network(self.arch)
        device = self.anchors.images.device
        return network.to(device).to(memory_format=torch.channels_last)

    def _logits(self, images: Tensor) -> Tensor:
        logits: Tensor = self.supernet(images, self.arch)
        return logits

    @contextmanager
    def _hooks(self, see_features: Any, see_batchnorm: Any) -> Iterator[None]:
        handles: list[RemovableHandle] = []
        for module in self.supernet.modules():
            if isinstance(module, Tap) and module.searched:
                handles.append(module.register_forward_hook(see_features))
            elif isinstance(module, nn.BatchNorm2d) and module.affine:
                handles.append(module.register_forward_hook(see_batchnorm))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
