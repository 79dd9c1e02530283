import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from app.config import SupernetConfig
from app.data import ImageData
from app.errors import InputError
from app.supernet.checkpoint import load_checkpoint
from app.supernet.training import SupernetTraining, check_groups, train_supernet
from spaces import BatchNormMode
from tests.toy import Toy

CPU = torch.device("cpu")


def make(toy: Toy, digits: ImageData, seed: int = 0, **config: Any) -> SupernetTraining:
    chosen = SupernetConfig(**{"steps": 12, "batch_size": 32, **config})
    return SupernetTraining(toy, BatchNormMode.UNBIASED, digits, chosen, seed, CPU)


def go_on() -> None:
    """A check that never stops."""


def stop_after(steps: int) -> Any:
    left = iter(range(steps))

    def check() -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    return check


def same(a: SupernetTraining, b: SupernetTraining) -> bool:
    states = a.supernet.state_dict(), b.supernet.state_dict()
    return all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_training_learns(toy: Toy, digits: ImageData, tmp_path: Path) -> None:
    wide = replace(toy, channels=24)
    training = make(wide, digits, steps=300, learning_rate=0.5, augment=False)
    train_supernet(training, tmp_path / "s.pt", {}, go_on)
    last = [loss for _, loss in training.losses[-10:]]
    assert sum(last) / len(last) < math.log(10) - 0.1  # chance among ten classes


def test_ghost_batchnorm_normalises_each_group_by_itself(toy: Toy, digits: ImageData) -> None:
    training = make(toy, digits, bn_groups=4)
    images, _ = training.batches.next_batch()
    scores = training.model(images, "conv1-conv3-skip")
    for i in range(0, 32, 8):
        alone = training.supernet(images[i : i + 8], "conv1-conv3-skip")
        assert torch.allclose(scores[i : i + 8], alone, atol=1e-6)
    whole = training.supernet(images, "conv1-conv3-skip")
    assert not torch.allclose(scores, whole, atol=1e-3)


@pytest.mark.parametrize(("batch_size", "groups"), [(30, 4), (4, 4), (16, 3)])
def test_groups_have_to_divide_the_batch(batch_size: int, groups: int) -> None:
    check_groups(SupernetConfig(batch_size=16, bn_groups=8))
    with pytest.raises(
        InputError, match=f"batch_size = {batch_size} cannot be split into {groups}"
    ):
        check_groups(SupernetConfig(batch_size=batch_size, bn_groups=groups))


def test_configs_of_earlier_versions_have_one_group() -> None:
    assert SupernetConfig.model_validate({"sync_batchnorm": True}).bn_groups == 1
    with pytest.raises(ValidationError, match="sync_batchnorm"):
        SupernetConfig.model_validate({"sync_batchnorm": False})


def test_convolutions_stay_and_batchnorm_moves(toy: Toy, digits: ImageData, tmp_path: Path) -> None:
    training = make(toy, digits)
    before = {k: v.clone() for k, v in training.supernet.state_dict().items()}
    train_supernet(training, tmp_path / "s.pt", {}, go_on)
    for name, module in training.supernet.named_modules():
        if isinstance(module, nn.Conv2d):
            assert torch.equal(module.weight, before[f"{name}.weight"])
        elif isinstance(module, nn.BatchNorm2d):
            assert not torch.equal(module.weight, before[f"{name}.weight"])


def test_a_step_touches_only_its_path(toy: Toy, digits: ImageData) -> None:
    training = make(toy, digits)
    before = {k: v.clone() for k, v in training.supernet.state_dict().items()}
    training.step()
    path = training.space.sample(make(toy, digits).arch_rng).split("-")
    changed = {
        k for k, v in training.supernet.state_dict().items() if not torch.equal(v, before[k])
    }
    layers = {tuple(key.split(".")[1:3]) for key in changed if key.startswith("layers.")}
    assert layers == {(str(i), op) for i, op in enumerate(path)}


@pytest.mark.parametrize("stops", [[1], [5], [3, 4], [11]])
def test_interrupted_training_ends_bit_for_bit_the_same(
    toy: Toy, digits: ImageData, tmp_path: Path, stops: list[int]
) -> None:
    whole = make(toy, digits)
    train_supernet(whole, tmp_path / "whole.pt", {}, go_on)
    path = tmp_path / "parts.pt"
    for steps in stops:
        part = make(toy, digits)
        if path.exists():
            part.load_state_dict(load_checkpoint(path))
        with pytest.raises(KeyboardInterrupt):
            train_supernet(part, path, {}, stop_after(steps))
    resumed = make(toy, digits)
    resumed.load_state_dict(load_checkpoint(path))
    assert resumed.step_count == sum(stops)
    train_supernet(resumed, path, {}, go_on)
    assert same(whole, resumed)
    assert (
        resumed.optimizer.state_dict()["param_groups"]
        == (whole.optimizer.state_dict()["param_groups"])
    )


def test_the_seed_decides(toy: Toy, digits: ImageData) -> None:
    first, again, other = (make(toy, digits, seed) for seed in (1, 1, 2))
    for training in (first, again, other):
        training.step()
    assert same(first, again)
    assert not same(first, other)


def test_a_loss_that_is_not_finite_stops_with_step_and_rate(
    toy: Toy, digits: ImageData, tmp_path: Path
) -> None:
    training = make(toy, digits)
    nn.init.constant_(training.supernet.classifier.weight, float("inf"))  # type: ignore[arg-type]
    with pytest.raises(FloatingPointError, match=r"at step 10, learning rate 0\.0"):
        train_supernet(training, tmp_path / "s.pt", {}, go_on)
