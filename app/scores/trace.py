"""A trace records passes of an architecture through the supernet: two forward, one backward.

The passes are made when a score first needs them, and all scores share them.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.device import memory_format
from app.scores.features import Moments, channel_correlation, eigenvalues, moments, sample
from app.scores.probe import ProbeBatch
from spaces import FeatureNode, Space, Supernet

POSITIONS = 4
"""Random positions per image at which layers are compared."""
RESPONSE_IMAGES, RESPONSE_POSITIONS = 16, 16
"""The same for the pass in which all layers read the images; more images rank no better there."""

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish)


@dataclass(frozen=True)
class Passes:
    """The results of a forward and a backward pass over the probe batch."""

    features: list[Tensor]
    """Output of each searched layer or cell, N×C×H×W."""
    activations: list[Tensor]
    """Output of each activation function on the path, N×C×H×W; each has its own C, H and W."""
    gradients: list[Tensor]
    """Gradient of a sum of the last feature's values with random signs at each activation."""
    logits: Tensor
    """N×classes."""


class Trace:
    """Records what the scores of one architecture need.

    The supernet must not change while its traces are in use.
    """

    def __init__(self, space: Space, supernet: Supernet, arch: str, probe: ProbeBatch) -> None:
        self.space = space
        self.supernet = supernet
        self.arch = arch
        self.probe = probe

    @cached_property
    def bn_gammas(self) -> list[Tensor]:
        """γ of the last BatchNorm of each chosen operation that has one; needs no pass."""
        return [gamma.detach() for gamma in self.supernet.bn_gammas(self.arch)]

    @property
    def features(self) -> list[Tensor]:
        """Output of each searched layer or cell, N×C×H×W."""
        return self.passes.features

    @property
    def activations(self) -> list[Tensor]:
        """Output of each activation function, N×C×H×W, or the features if there is none."""
        return self.passes.activations

    @cached_property
    def activation_moments(self) -> list[Moments]:
        """The moments of each of `activations`."""
        return [moments(activation) for activation in self.activations]

    @property
    def gradients(self) -> list[Tensor]:
        """How much each of `activations` moves the last feature, in the activations' shapes."""
        return self.passes.gradients

    @cached_property
    def kernels(self) -> list[Tensor]:
        """For each activation, products of its standardised responses at two positions: n×n each.

        They are summed over the channels; n counts POSITIONS positions of each image.
        """
        layers = zip(self.activations, self.activation_moments, strict=True)
        samples = [m.standardise(sample(layer, self._positions)) for layer, m in layers]
        return [one @ one.T for one in samples]

    @cached_property
    def channel_spectra(self) -> list[Tensor]:
        """Eigenvalues of the correlation of the channels of each of `features`, C each."""
        return [eigenvalues(channel_correlation(feature)) for feature in self.features]

    @cached_property
    def gradient_samples(self) -> list[Tensor]:
        """The gradient at each activation, at the positions of the kernels: n×C each."""
        return [sample(gradient, self._positions) for gradient in self.gradients]

    @cached_property
    def _positions(self) -> Tensor:
        return random_positions(len(self.probe.images), POSITIONS, self.probe.seed)

    @cached_property
    def passes(self) -> Passes:
        """Run a forward and a backward pass. They touch no parameter's `.grad`."""
        images = self.probe.images
        features, activations, logits = self._forward(images, lambda feature: feature)
        gradients = _gradients(features[-1], activations or features, self.probe.seed)
        return Passes(
            [feature.detach() for feature in features],
            [activation.detach() for activation in activations or features],
            gradients,
            logits.detach(),
        )

    @cached_property
    @torch.no_grad()
    def image_responses(self) -> list[Tensor]:
        """Outputs of all activation functions and searched layers, each of which reads the images.

        The layer after a feature node gets the first RESPONSE_IMAGES images themselves, averaged
        down to its resolution, with random mixtures of their colours as channels. Behind random
        layers it would read little but noise; behind trained ones it reads what images show.
        """
        images = self.probe.images[:RESPONSE_IMAGES]
        generator = torch.Generator().manual_seed(self.probe.seed)

        def by_images(feature: Tensor) -> Tensor:
            return _colour_mixtures(images, feature, generator)

        features, activations, _ = self._forward(images, by_images)
        return activations + [feature.detach() for feature in features]

    def _forward(
        self, images: Tensor, replace: Callable[[Tensor], Tensor]
    ) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Run the path on `images`; the layer after each feature node reads `replace(output)`.

        Returns what the nodes of searched layers put out, the output of each activation function,
        and the logits.
        """
        features: list[Tensor] = []
        activations: list[Tensor] = []

        def at_node(node: FeatureNode, inputs: tuple[Tensor], output: Tensor) -> Tensor:
            if not node.searched:
                return replace(output)
            # without trainable parameters on the path no output would require a gradient
            feature = output if output.requires_grad else output.detach().requires_grad_()
            features.append(feature)
            return replace(feature)

        def keep_activation(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            if output.dim() == 4:
                activations.append(output)

        with ExitStack() as hooks:
            for module in self.supernet.modules():
                if isinstance(module, FeatureNode):
                    hooks.callback(module.register_forward_hook(at_node).remove)
                elif isinstance(module, ACTIVATIONS):
                    hooks.callback(module.register_forward_hook(keep_activation).remove)
            logits = self.supernet(images, self.arch)
        return features, activations, logits

    def fresh_network(self) -> nn.Module:
        """Build the stand-alone network at random initialisation, the same at each call.

        Baselines are defined on it; our own scores read the supernet only.
        """
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.probe.seed)
            network = self.space.network(self.arch)
        device = self.probe.images.device
        return network.to(device).to(memory_format=memory_format(device))


def random_positions(images: int, count: int, seed: int) -> Tensor:
    """Places in each of N images at which to `sample` its layers: N×`count`×2 fractions."""
    return torch.rand(images, count, 2, generator=torch.Generator().manual_seed(seed))


def _colour_mixtures(images: Tensor, like: Tensor, generator: torch.Generator) -> Tensor:
    """The images at the size of N×C×H×W `like`, with C random mixtures of their colours.

    Each channel has mean 0 and variance 1, as after BatchNorm.
    """
    mixtures = torch.randn(like.shape[1], images.shape[1], 1, 1, generator=generator)
    small = F.adaptive_avg_pool2d(images, (like.shape[2], like.shape[3]))
    return F.batch_norm(F.conv2d(small, mixtures.to(images)), None, None, training=True)


def _gradients(target: Tensor, layers: list[Tensor], seed: int) -> list[Tensor]:
    """Backpropagate a sum with random signs over the values of `target` to each of `layers`.

    So neither the labels nor the state of the classifier matter. Layers that do not influence the
    target, and those before the first trainable parameter, get zeros.
    """
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, target.shape, generator=generator) * 2 - 1
    layout = memory_format(target.device)  # another one slows the backward pass
    signs = signs.to(target, memory_format=layout)
    reached = [layer for layer in layers if layer.requires_grad]
    if not reached:
        return [torch.zeros_like(layer) for layer in layers]
    found = iter(
        torch.autograd.grad(target, reached, signs, allow_unused=True, materialize_grads=True)
    )
    return [next(found) if layer.requires_grad else torch.zeros_like(layer) for layer in layers]
