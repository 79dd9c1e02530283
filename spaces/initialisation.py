"""Frozen weights on which BatchNorm alone can learn.

With independent Kaiming weights every candidate of a choice computes something else, and the
BatchNorm of the layers after it, which all paths share, suits none of them: the supernet stays at
chance. The recipe here, found by trying, makes the candidates of a choice variations of each other
and every layer close to the identity at the start.
"""

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import nn

from spaces.batchnorm import last_gammas
from spaces.ops import MBConv

NOISE = 0.3
"""Standard deviation of a depthwise kernel around its central one, all taps together."""
LAST_GAMMA = 0.05
"""γ at the end of a residual block, which so begins close to its input (arXiv 1706.02677)."""


class Choice(nn.ModuleDict):
    """The candidates of one choice, by name; their frozen weights may be shared."""


@torch.no_grad()
def share_weights(supernet: nn.Module) -> None:
    """Draw the frozen weights anew, one tensor for each role in a choice, from which all slice.

    A convolution's role is its place from the end of the candidate. Small kernels are the middle
    of large ones, small expansions the first channels, so a choice takes no more memory than its
    largest candidates. 1×1 convolutions are orthogonal (arXiv 1312.6120), depthwise kernels
    mostly pass on their central pixel, and residual blocks start small. So γ does not start equal
    for all candidates: BN-NAS, which compares it, needs a supernet with Kaiming weights.

    Moving the supernet to another device or memory format would copy the slices: do that first.
    Weights are drawn on the CPU from the global generator, so every device gets the same.
    """
    shared: set[nn.Module] = set()
    for choice in supernet.modules():
        if isinstance(choice, Choice):
            roles = defaultdict(list)
            for candidate in choice.children():
                for place, convolution in enumerate(reversed(_convolutions(candidate))):
                    roles[place, _is_depthwise(convolution)].append(convolution)
            for convolutions in roles.values():
                _share(convolutions)
                shared.update(convolutions)
    for convolution in _convolutions(supernet):
        if convolution not in shared and max(convolution.kernel_size) == 1:
            _share([convolution])
    for block in supernet.modules():
        if isinstance(block, MBConv) and block.residual:
            nn.init.constant_(last_gammas([block])[0], LAST_GAMMA)


def _convolutions(module: nn.Module) -> list[nn.Conv2d]:
    """The convolutions without bias; the others belong to squeeze-and-excitation."""
    return [m for m in module.modules() if isinstance(m, nn.Conv2d) and m.bias is None]


def _is_depthwise(convolution: nn.Conv2d) -> bool:
    return convolution.groups > 1


def _share(convolutions: Sequence[nn.Conv2d]) -> None:
    """Make the weights of convolutions of one role slices of one tensor."""
    largest = [max(sizes) for sizes in zip(*(c.weight.shape for c in convolutions), strict=True)]
    weight = torch.empty(largest)
    size = largest[-1]
    if _is_depthwise(convolutions[0]):
        nn.init.normal_(weight, std=NOISE / size)
        weight[:, :, size // 2, size // 2] += 1
    else:
        nn.init.orthogonal_(weight)
    weight = weight.to(convolutions[0].weight)
    for convolution in convolutions:
        outputs, inputs, kernel, _ = convolution.weight.shape
        middle = slice((size - kernel) // 2, (size + kernel) // 2)
        convolution.weight = nn.Parameter(
            weight[:outputs, :inputs, middle, middle], requires_grad=False
        )
