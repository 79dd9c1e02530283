"""Published networks of torchvision to compare with: `resnet18`, `mobilenet_v2:0.5` with a width.

On images of at most 64 px every layer of the first two sizes keeps the size instead of halving it
(in a ResNet the stem and its max pooling), as the spaces' networks do: a network made for 224 px
would look at a 32 px image through a 1×1 pixel feature map.
"""

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from app.errors import InputError, one_of
from spaces import Cost

SMALL = 64
TRACED = 224
_Strided = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d


def build_baseline(text: str, classes: int, image_size: int) -> nn.Module:
    """The untrained network `NAME` or `NAME:WIDTH`; draws from torch's global RNG.

    Raises InputError for an unknown name, a width that the network has not, and a network that
    cannot take images of this size.
    """
    name, colon, width = text.partition(":")
    if name not in (known := models.list_models(module=models)):
        raise one_of(name, "baseline of torchvision", known)
    options: dict[str, float] = {}
    if colon:
        try:
            options = {"width_mult": float(width)}
            if not 0 < options["width_mult"] < 100:
                raise ValueError
        except ValueError:
            raise InputError(
                f"--baseline {text}: '{width}' is no width such as {name}:0.5"
            ) from None
    try:
        network: nn.Module = models.get_model(name, weights=None, num_classes=classes, **options)
    except (TypeError, ValueError, ZeroDivisionError):
        raise InputError(
            f"--baseline {text}: {name} does not come in such a width; leave it out, "
            "or take mobilenet_v2"
        ) from None
    try:
        if image_size <= SMALL:
            _keep_small_images_large(network)
        baseline_cost(network, image_size)
        _try_training(network, image_size)
    except (RuntimeError, AssertionError, AttributeError, TypeError, ValueError):
        raise InputError(
            f"--baseline {name} cannot be trained on images of {image_size} px here; "
            "take another one, such as mobilenet_v2 or resnet18"
        ) from None
    return network


def baseline_cost(network: nn.Module, image_size: int) -> Cost:
    """Multiply–adds of one image, and parameters."""
    training = network.training
    device = next(network.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, 3, image_size, image_size, device=device))
    network.train(training)
    return Cost(counter.get_total_flops() // 2, sum(p.numel() for p in network.parameters()))


def _try_training(network: nn.Module, image_size: int) -> None:
    """A batch of two in training mode, which leaves the network and the random numbers unchanged.

    Raises TypeError if scores are not all that the network puts out then.
    """
    buffers = [(buffer, buffer.clone()) for buffer in network.buffers()]
    training = network.training
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        scores = network.train()(torch.zeros(2, 3, image_size, image_size))
        for buffer, before in buffers:
            buffer.copy_(before)
    network.train(training)
    if not isinstance(scores, Tensor):
        raise TypeError


def _keep_small_images_large(network: nn.Module) -> None:
    """Stride 1 for what would halve the size the first or the second time.

    All of it, as a halving block may have a shortcut that halves too.
    """
    heights: dict[_Strided, int] = {}

    def see(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, _Strided)
        heights[module] = inputs[0].shape[-1]

    halving = [m for m in network.modules() if isinstance(m, _Strided) and _stride(m) == 2]
    handles = [module.register_forward_pre_hook(see) for module in halving]
    training = network.training
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, TRACED, TRACED))
    network.train(training)
    for handle in handles:
        handle.remove()
    for module, height in heights.items():
        if height > TRACED // 4:
            module.stride = (1, 1) if isinstance(module, nn.Conv2d) else 1


def _stride(module: _Strided) -> int:
    stride = module.stride
    return int(stride[0] if isinstance(stride, tuple) else stride)
