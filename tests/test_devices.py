"""Mistakes that only an accelerator would show, found without one.

The `meta` device stands in for an accelerator. It computes shapes only and, like an accelerator,
rejects tensors of the CPU; reading a value, which would wait for an accelerator, is an error. A
copy that would wait is detected as it is dispatched.
"""

from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import spaces
from app.config import SupernetConfig
from app.data import ImageData, Split
from app.retraining.training import NetworkTraining
from app.scores import SCORES
from app.scores.probe import ProbeBatch
from app.scores.trace import Trace
from app.supernet.training import SupernetTraining
from app.trained import Recipe
from spaces import BatchNormMode, Space

CPU, DEVICE = torch.device("cpu"), torch.device("meta")
SIZE = 16
SPACES: dict[str, dict[str, int]] = {
    "nasbench201": {"cells": 1},
    "mnasnet": {},
    "mobilenet": {},
    "darts": {"layers": 3},
    "nasbench101": {"modules": 1},
    "nasbenchmacro": {},
}
"""With the options that make their networks small."""


def data_on(place: torch.device) -> ImageData:
    """Images at `place`, for computing on the device."""
    pixels = torch.zeros(32, 3, SIZE, SIZE, dtype=torch.uint8, device=place)
    labels = torch.arange(32, device=place) % 10
    split, ones = Split(pixels, labels), torch.ones(3, device=DEVICE)
    return ImageData("some", tuple("abcdefghij"), split, split, ones, ones, True, "")


def space_of(name: str) -> Space:
    return spaces.create(name, 10, SIZE, SPACES[name])


class Waits(TorchDispatchMode):
    """Records the copies between CPU and device that make a program wait."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        options = kwargs or {}
        result = func(*args, **options)
        if "copy" in func.name() and isinstance(result, Tensor):
            devices = {result.device, *(arg.device for arg in args if isinstance(arg, Tensor))}
            # `copy_` takes it as its third argument
            overlaps = options.get("non_blocking", False) or args[2:3] == (True,)
            if len(devices) > 1 and not overlaps:
                self.found.append(f"{func.name()} of {args[-1].shape}")
        return result


def test_a_copy_that_waits_is_seen() -> None:
    with Waits() as waits:
        torch.zeros(2).to(DEVICE, non_blocking=True)
        torch.zeros(3).to(DEVICE)
    assert waits.found == ["aten::_to_copy of torch.Size([3])"]
    with pytest.raises(RuntimeError, match="meta"):
        torch.zeros(2) + torch.zeros(2, device=DEVICE)


@pytest.mark.parametrize("place", [DEVICE, CPU], ids=["data on the device", "data on the host"])
@pytest.mark.parametrize("name", SPACES)
def test_steps_of_the_supernet_stay_on_the_device(name: str, place: torch.device) -> None:
    training = SupernetTraining(
        space_of(name),
        BatchNormMode.UNBIASED,
        data_on(place),
        SupernetConfig(batch_size=8, bn_groups=2),
        0,
        DEVICE,
    )
    with Waits() as waits:
        losses = [training.step() for _ in range(2)]
    assert [loss.device for loss in losses] == [DEVICE] * 2
    assert waits.found == []


@pytest.mark.parametrize("place", [DEVICE, CPU], ids=["data on the device", "data on the host"])
@pytest.mark.parametrize("name", ["nasbench201", "mobilenet"])
def test_steps_of_a_retraining_stay_on_the_device(name: str, place: torch.device) -> None:
    space = space_of(name)
    # labels are counted to hold a part out, once, which needs their values
    data = data_on(CPU)
    training = NetworkTraining(
        lambda: space.network(space.sample(Random(0))), data, Recipe(batch_size=4), 0, DEVICE
    )
    training.batches._data = data_on(place)
    with Waits() as waits:
        training.step()
        training.step()
    assert waits.found == []


@pytest.mark.parametrize("name", SPACES)
def test_scores_stay_on_the_device_until_their_value_is_read(name: str) -> None:
    space = space_of(name)
    supernet: nn.Module = space.supernet(BatchNormMode.UNBIASED).to(DEVICE)
    probe = ProbeBatch.draw(data_on(DEVICE), 8, 0, DEVICE)
    reads = "item\\(\\) cannot be called on meta|nonzero"  # a number, or how many are not constant
    for score in SCORES.values():
        trace = Trace(space, supernet, space.sample(Random(1)), probe)  # type: ignore[arg-type]
        with pytest.raises(RuntimeError, match=reads):
            score(trace)
