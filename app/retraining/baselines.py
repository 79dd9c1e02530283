"""Published networks of torchvision to compare with: `resnet18`, `mobilenet_v2:0.5` with a width.

On images of at most 64 px, the layers that would halve the image the first and the second time
keep its size (in a ResNet, the stem and its max pooling), as in the spaces' networks: a network
made for 224 px would reduce a 32 px image to a feature map of 1×1.
"""

from copy import deepcopy
from functools import partial

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
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            scores = deepcopy(network).train()(torch.zeros(2, 3, image_size, image_size))
        if not isinstance(scores, Tensor):
            raise TypeError("it returns more than scores in training")
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


def _keep_small_images_large(network: nn.Module) -> None:
    """Set stride 1 wherever the image would be halved for the first or the second time.

    Every such layer, since a halving block may have a shortcut that halves too.
    """
    twin = deepcopy(network).eval()  # shows the sizes at the strides as they were
    for module, same in zip(network.modules(), twin.modules(), strict=True):
        if isinstance(module, _Strided):
            same.register_forward_pre_hook(partial(_set_stride, module))
    with torch.no_grad():
        twin(torch.zeros(1, 3, TRACED_PX, TRACED_PX))


def _set_stride(module: _Strided, twin: _Strided, inputs: tuple[Tensor, ...]) -> None:
    if twin.stride in (2, (2, 2)) and inputs[0].shape[-1] > TRACED_PX // 4:
        module.stride = (1, 1)
