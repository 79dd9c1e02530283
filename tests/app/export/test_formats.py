"""Exported networks compute what PyTorch computes, on real images, in batches of any size."""

from pathlib import Path
from random import Random

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

import spaces
from app.data import ImageData
from app.export.formats import write_onnx, write_pt2
from app.export.weights import set_statistics
from spaces import BatchNormMode
from tests.spaces.test_contract import SMALL


def trained_a_little(network: nn.Module, images: Tensor) -> nn.Module:
    """With statistics and bn_gammas of its own, so that leaving BatchNorm out would show."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.weight is not None:
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
    network.train()
    with torch.no_grad():
        for _ in range(20):
            network(images)
    return network.eval()


@pytest.mark.parametrize("name", spaces.names())
def test_onnxruntime_computes_the_same(name: str, digits: ImageData, tmp_path: Path) -> None:
    torch.manual_seed(0)
    space = spaces.create(name, 10, digits.image_size, SMALL.get(name, {}))
    images = digits.normalise(digits.test.pixels[:16]).contiguous()
    network = trained_a_little(space.network(space.sample(Random(2))), images)
    write_onnx(network, images, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for count in (1, 3, 16):
        with torch.no_grad():
            expected = network(images[:count]).numpy()
        (scores,) = session.run(["scores"], {"images": images[:count].numpy()})
        assert scores.shape == (count, 10)
        np.testing.assert_allclose(scores, expected, atol=1e-4, rtol=1e-4)
        assert np.ptp(expected) > 0.01


def test_pt2_reads_back_for_any_batch(digits: ImageData, tmp_path: Path) -> None:
    torch.manual_seed(0)
    space = spaces.create("nasbench201", 10, digits.image_size, SMALL["nasbench201"])
    images = digits.normalise(digits.test.pixels[:16]).contiguous()
    network = trained_a_little(space.network(space.sample(Random(1))), images)
    write_pt2(network, images, tmp_path / "model.pt2")
    module = torch.export.load(tmp_path / "model.pt2").module()
    for count in (1, 5):
        torch.testing.assert_close(module(images[:count]), network(images[:count]))


def test_another_result_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    class Uncertain(nn.Module):
        """Scores that an export cannot repeat."""

        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        def forward(self, images: Tensor) -> Tensor:
            self.calls += 1
            return images.mean((2, 3)) * self.calls

    images = torch.randn(4, 3, 8, 8)
    for write, name in ((write_onnx, "m.onnx"), (write_pt2, "m.pt2")):
        with pytest.raises(FloatingPointError, match="nothing was written"):
            write(Uncertain(), images, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_statistics_of_a_supernets_network_are_those_of_its_batches(digits: ImageData) -> None:
    space = spaces.create("toy", 10, 16, {})
    network = space.network("conv3-conv1-skip", BatchNormMode.UNBIASED)
    images = digits.normalise(digits.train.pixels[:64])
    with torch.no_grad():
        expected = network(images)
        set_statistics(network, [images])
        network.eval()
        # running variances are of the population, batch variances of the sample: nearly the same
        torch.testing.assert_close(network(images), expected, rtol=1e-2, atol=1e-3)
        torch.testing.assert_close(network(images[:1]), expected[:1], rtol=1e-2, atol=1e-3)
