"""torchvision's networks at the sizes of this program's images."""

import pytest
import torch
from torch import nn
from torchvision import models

from app.errors import InputError
from app.retraining.baselines import build_baseline, network_cost
from spaces.cost import count


def last_size(name: str, image_size: int) -> int:
    """Height of what the last spatial convolution puts out."""
    network = build_baseline(name, 10, image_size).eval()
    sizes: list[int] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size[0] > 1:
            module.register_forward_hook(lambda m, i, output: sizes.append(output.shape[-1]))
    with torch.no_grad():
        assert network(torch.zeros(1, 3, image_size, image_size)).shape == (1, 10)
    return sizes[-1]


@pytest.mark.parametrize(
    "name",
    ["mobilenet_v2", "mobilenet_v3_small", "resnet18", "regnet_y_400mf"],
)
def test_small_images_are_halved_twice_less(name: str) -> None:
    assert last_size(name, 32) == last_size(name, 128) == 4
    assert last_size(name, 64) == 8
    assert last_size(name, 65) == 3


def test_cost_is_as_for_the_spaces_and_as_published() -> None:
    network = build_baseline("mobilenet_v2", 1000, 224)
    cost = network_cost(network, 224)
    assert cost.params == 3_504_872
    assert cost.macs == pytest.approx(300e6, rel=0.01)
    assert cost == count(network, 3, 224, 224)


def test_a_width_makes_it_smaller() -> None:
    whole, half = (
        network_cost(build_baseline(n, 10, 32), 32) for n in ("mobilenet_v2", "mobilenet_v2:0.5")
    )
    assert half.macs < 0.5 * whole.macs and half.params < 0.5 * whole.params


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mobilenet_v9", "unknown baseline of torchvision 'mobilenet_v9'"),
        ("mobilenet_v2:wide", "with width 'wide'"),
        ("mobilenet_v2:0", "with width '0'"),
        ("resnet18:0.5", "with width '0.5'"),
        ("alexnet", "trained on images of 16 px"),
        ("googlenet", "trained on images of 16 px"),
    ],
)
def test_what_cannot_be_built_is_refused(name: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        build_baseline(name, 10, 16)
    assert message in str(error.value)


def test_trying_it_leaves_no_trace() -> None:
    torch.manual_seed(0)
    network = build_baseline("mobilenet_v2:0.1", 10, 32)
    after = torch.rand(1)
    torch.manual_seed(0)
    plain = models.get_model("mobilenet_v2", weights=None, num_classes=10, width_mult=0.1)
    assert torch.equal(after, torch.rand(1))
    built = network.state_dict()
    assert network.training
    assert all(torch.equal(value, built[key]) for key, value in plain.state_dict().items())
