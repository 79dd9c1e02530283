"""Exported networks compute what PyTorch computes, on real images, in batches of any size."""

import io
from random import Random

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

import spaces
from app.data import ImageData
from app.export_formats import MIN_OPSET, to_onnx, to_pt2
from tests.spaces.test_contract import SMALL

FEW_LAYERS = {
    "mobilenet": "0,-1,-1,-1,1,-1,-1,-1,2,-1,-1,-1,3,-1,-1,-1,4,-1,-1,-1,5",
    "nasbenchmacro": "12000000",
}
"""All operations of the space: exporting takes a second per layer."""
SPACES = [name for name in spaces.names() if "toy" not in name]


def trained_a_little(network: nn.Module, images: Tensor) -> nn.Module:
    """Give BatchNorm statistics and weights of its own, so that leaving it out would show."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.weight is not None:
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
    network.train()
    with torch.no_grad():
        for _ in range(20):
            network(images)
    return network.eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_onnxruntime_computes_the_same(name: str, digits: ImageData) -> None:
    torch.manual_seed(0)
    space = spaces.create(name, 10, digits.image_size, SMALL.get(name, {}))
    images = digits.normalise(digits.test.pixels[:16]).contiguous()
    arch = FEW_LAYERS.get(name) or space.sample(Random(2))
    network = trained_a_little(space.network(arch), images)
    content, ir_version = to_onnx(network, images, MIN_OPSET)
    assert ir_version == 8
    session = onnxruntime.InferenceSession(content)
    for count in (1, 3, 16):
        with torch.no_grad():
            expected = network(images[:count]).numpy()
        (scores,) = session.run(["scores"], {"images": images[:count].numpy()})
        assert scores.shape == (count, 10)
        np.testing.assert_allclose(scores, expected, atol=1e-4, rtol=1e-4)
        assert np.ptp(expected) > 0.01


def test_pt2_reads_back_for_any_batch(digits: ImageData) -> None:
    torch.manual_seed(0)
    space = spaces.create("nasbench201", 10, digits.image_size, SMALL["nasbench201"])
    images = digits.normalise(digits.test.pixels[:16]).contiguous()
    network = trained_a_little(space.network(space.sample(Random(1))), images)
    module = torch.export.load(io.BytesIO(to_pt2(network, images))).module()
    for count in (1, 5):
        torch.testing.assert_close(module(images[:count]), network(images[:count]))


def test_other_scores_are_refused() -> None:
    class Uncertain(nn.Module):
        """Scores that an export cannot repeat."""

        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        def forward(self, images: Tensor) -> Tensor:
            self.calls += 1
            return images.mean((2, 3)) * self.calls

    images = torch.randn(4, 3, 8, 8)
    with pytest.raises(FloatingPointError, match="nothing was written"):
        to_onnx(Uncertain(), images, MIN_OPSET)
    with pytest.raises(FloatingPointError, match="nothing was written"):
        to_pt2(Uncertain(), images)
