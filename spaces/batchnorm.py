"""Where BatchNorm stands in a network, and which of it may learn.

BN-NAS (arXiv 2108.07375) trains only BatchNorm and compares operations by their scale γ. As
only convolutions carry a BatchNorm, operations differ in how many parameters they may learn,
and the search prefers convolutions. BNNAS++ (doi 10.1109/ACCESS.2022.3226692) removes the bias:
every candidate ends in exactly one learnable BatchNorm, the others only normalise.
"""

from collections.abc import Iterable
from enum import StrEnum

from torch import Tensor, nn


class BatchNormMode(StrEnum):
    """Three ways to place BatchNorm around the same convolutions.

    ========  ======================  ====================  ========================
    .         inside an operation     at an operation's end  after skip and pooling
    ========  ======================  ====================  ========================
    USUAL     learns                  learns                 none
    BIASED    learns                  learns                 none
    UNBIASED  normalises only         learns                 learns
    ========  ======================  ====================  ========================

    USUAL, for stand-alone networks, keeps running statistics for inference. BIASED and UNBIASED,
    for supernets, always use the statistics of the batch.
    """

    USUAL = "usual"
    BIASED = "biased"
    UNBIASED = "unbiased"

    def inner(self, channels: int) -> nn.BatchNorm2d:
        """A BatchNorm inside an operation."""
        return self._batchnorm(channels, learns=self is not BatchNormMode.UNBIASED)

    def last(self, channels: int) -> nn.BatchNorm2d:
        """The BatchNorm that ends an operation, and any BatchNorm outside the searched choices."""
        return self._batchnorm(channels, learns=True)

    def after_parameter_free(self, channels: int) -> nn.Module:
        """What follows an operation without weights, such as skip or pooling."""
        return self.last(channels) if self is BatchNormMode.UNBIASED else nn.Identity()

    def _batchnorm(self, channels: int, learns: bool) -> nn.BatchNorm2d:
        statistics = self is BatchNormMode.USUAL
        return nn.BatchNorm2d(channels, affine=learns, track_running_stats=statistics)


def initialise(network: nn.Module) -> None:
    """Kaiming-normal convolutions (arXiv 1502.01852, fan out), small random classifier, no bias."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)


def freeze_convolutions(network: nn.Module) -> None:
    """No gradient for convolution weights: autograd then computes input gradients only."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.requires_grad_(False)


def last_scales(operations: Iterable[nn.Module]) -> list[Tensor]:
    """γ of the last BatchNorm of each operation; what has no BatchNorm is left out."""
    norms = (
        [module for module in operation.modules() if isinstance(module, nn.BatchNorm2d)]
        for operation in operations
    )
    return [found[-1].weight for found in norms if found]
