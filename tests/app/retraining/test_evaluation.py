"""Accuracy overall, by class, and balanced."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from app.data import ImageData, Split
from app.retraining.evaluation import evaluate


class Constant(nn.Module):
    """Always predicts class 1."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.tensor([0.0, 1.0, 0.5]).expand(len(images), 3)


def test_uneven_classes_weigh_alike_in_balanced_accuracy(few: ImageData) -> None:
    data = replace(few, classes=("a", "b", "c", "d"))
    split = Split(few.test.pixels[:10], torch.tensor([1, 1, 1, 1, 1, 1, 1, 0, 2, 2]))
    accuracy = evaluate(Constant(), data, split)
    assert accuracy.overall == 0.7
    assert accuracy.by_class == [0, 1, 0, None]
    assert accuracy.balanced == pytest.approx(1 / 3)
    some = evaluate(Constant(), data, split, torch.tensor([6, 7]))
    assert (some.overall, some.by_class) == (0.5, [0, 1, None, None])


def test_it_equals_the_argmax_by_hand(few: ImageData) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3 * 16 * 16, 10))
    accuracy = evaluate(network, few, few.test)
    with torch.no_grad():
        right = network.eval()(few.normalise(few.test.pixels)).argmax(1) == few.test.labels
    assert accuracy.overall == pytest.approx(right.double().mean().item())
