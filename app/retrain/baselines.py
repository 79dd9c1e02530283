"""Published networks of torchvision to compare with: `resnet18`, `mobilenet_v2:0.5` with a width.

On images of at most 64 px, the layers that would halve the image the first and the second time
keep its size (in a ResNet, the stem and its max pooling), as in the spaces' networks: a network
made for 224 px would reduce a 32 px image to a feature map of 1×1.
"""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from app.errors import InputError, one_of
from spaces import Cost

MAX_SMALL_IMAGE_PX = 64
TRACED_PX = 224
_Strided = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d


def build_baseline(text: str, classes: int, image_size: int) -> nn.Module:
    """The untrained network `NAME` or `NAME:WIDTH`; draws from torch's global generator.

    Raises InputError for an unknown name or width, and for a network that cannot be trained on
    images of this size.
    """
    name, colon, width = text.partition(":")
    if name not in (known := models.list_models(module=models)):
        raise one_of(name, "baseline of torchvision", known)
    try:
        options = {"width_mult": float(width)} if colon else {}
        if colon and not 0 < options["width_mult"] < 100:
            raise ValueError
        network: nn.Module = models.get_model(name, weights=None, num_classes=classes, **options)
        if image_size <= MAX_SMALL_IMAGE_PX:
            _keep_small_images_large(network)
        _try_training(network, image_size)
    except (RuntimeError, AssertionError, AttributeError, TypeError, ValueError, ZeroDivisionError):
        of_width = f" with width '{width}'" if colon else ""
        raise InputError(
            f"--baseline {text}: {name} cannot be built{of_width} and trained on images of "
            f"{image_size} px; try resnet18 or mobilenet_v2:0.5"
        ) from None
    return network


def network_cost(network: nn.Module, image_size: int) -> Cost:
    """Multiply–adds of one image, and parameters; leaves the network in evaluation mode."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, 3, image_size, image_size))
    return Cost(counter.get_total_flops() // 2, sum(p.numel() for p in network.parameters()))


def _try_training(network: nn.Module, image_size: int) -> None:
    """Pass a batch of two in training mode, without trace in network and random numbers.

    Raises TypeError if the network returns more than scores then.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        scores = deepcopy(network).train()(torch.zeros(2, 3, image_size, image_size))
    if not isinstance(scores, Tensor):
        raise TypeError


def _keep_small_images_large(network: nn.Module) -> None:
    """Set stride 1 wherever the image would be halved for the first or the second time.

    Every such layer, since a halving block may have a shortcut that halves too.
    """
    heights: dict[_Strided, int] = {}

    def see(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, _Strided)
        heights[module] = inputs[0].shape[-1]

    halving = [m for m in network.modules() if isinstance(m, _Strided) and _stride(m) == 2]
    handles = [module.register_forward_pre_hook(see) for module in halving]
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, TRACED_PX, TRACED_PX))
    network.train()
    for handle in handles:
        handle.remove()
    for module, height in heights.items():
        if height > TRACED_PX // 4:
            module.stride = (1, 1) if isinstance(module, nn.Conv2d) else 1


def _stride(module: _Strided) -> int:
    stride = module.stride
    return int(stride[0] if isinstance(stride, tuple) else stride)
