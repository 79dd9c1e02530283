"""Where a network has BatchNorm, and where it is trainable.

BN-NAS (arXiv 2108.07375) trains only BatchNorm and compares operations by their scale γ. Since
only convolutions have a BatchNorm, operations differ in their number of trainable parameters, and
the search prefers convolutions. BNNAS++ (doi 10.1109/ACCESS.2022.3226692) removes the bias: every
candidate ends in exactly one trainable BatchNorm, and any other only normalises.
"""

from collections.abc import Iterable
from enum import StrEnum

from torch import Tensor, nn


class BatchNormMode(StrEnum):
    """Three ways to combine the same convolutions with BatchNorm.

    ========  ======================  ====================  ========================
    .         inside an operation     at an operation's end  after skip and pooling
    ========  ======================  ====================  ========================
    USUAL     trainable               trainable              none
    BIASED    trainable               trainable              none
    UNBIASED  not trainable           trainable              trainable
    ========  ======================  ====================  ========================

    USUAL is for stand-alone networks and keeps running statistics for inference. BIASED and
    UNBIASED are for supernets and always use the statistics of the batch.
    """

    USUAL = "usual"
    BIASED = "biased"
    UNBIASED = "unbiased"

    def inner(self, channels: int) -> nn.BatchNorm2d:
        """A BatchNorm inside an operation."""
        return self._batchnorm(channels, trainable=self is not BatchNormMode.UNBIASED)

    def last(self, channels: int) -> nn.BatchNorm2d:
        """The last BatchNorm of an operation, or any BatchNorm outside the searched operations."""
        return self._batchnorm(channels, trainable=True)

    def after_parameter_free(self, channels: int) -> nn.Module:
        """The BatchNorm after an operation without weights, such as skip or pooling, if any."""
        return self.last(channels) if self is BatchNormMode.UNBIASED else nn.Identity()

    def _batchnorm(self, channels: int, trainable: bool) -> nn.BatchNorm2d:
        statistics = self is BatchNormMode.USUAL
        return nn.BatchNorm2d(channels, affine=trainable, track_running_stats=statistics)


def initialise(network: nn.Module) -> None:
    """Draw Kaiming-normal convolutions (arXiv 1502.01852, fan out) and a small classifier."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)


def freeze_convolutions(network: nn.Module) -> None:
    """Turn off gradients of convolution weights; autograd then computes input gradients only."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.requires_grad_(False)


def last_gammas(operations: Iterable[nn.Module]) -> list[Tensor]:
    """γ of the last BatchNorm of each operation that has one."""
    norms = (
        [module for module in operation.modules() if isinstance(module, nn.BatchNorm2d)]
        for operation in operations
    )
    return [found[-1].weight for found in norms if found]
