"""Training a network on its own: the schedule, the average, the split, and exact resumption."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from app.data import ImageData
from app.retrain.candidate import Candidate, load_best, train_candidate, training_folder
from app.retrain.recipe import Recipe
from app.retrain.result import Result, read_results
from app.retrain.training import Average, NetworkTraining, accuracy, learning_rate
from spaces import Cost

CPU = torch.device("cpu")
RECIPE = Recipe(epochs=3, batch_size=200, trivial_augment=True)


def build() -> nn.Module:
    """A network with what is hard to resume: BatchNorm statistics and dropout."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


def candidate(folder: Path) -> Candidate:
    definition = {"network": "n"}
    place = training_folder(folder, "n", definition)
    return Candidate("n", "n", False, build, Cost(1, 2), definition, place)


def go() -> None:
    """Never stop."""


def stop_after(steps: int) -> Callable[[], None]:
    left = iter(range(steps))

    def check() -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    return check


def test_the_rate_warms_up_and_falls_along_a_cosine() -> None:
    recipe = Recipe(learning_rate=0.4, warmup=0.2)
    rates = [learning_rate(recipe, step, 10) for step in range(10)]
    assert rates[:3] == pytest.approx([0.2, 0.4, 0.4])
    assert rates[6] == pytest.approx(0.2)
    assert rates[9] == pytest.approx(0.2 * (1 + math.cos(math.pi * 7 / 8)))
    assert learning_rate(Recipe(warmup=0), 0, 10) == pytest.approx(0.1)


def test_the_average_is_the_weighted_sum_of_what_was() -> None:
    network = nn.BatchNorm2d(1)
    average = Average(network, 0.5)
    values = [3.0, 5.0, -2.0]
    for count, value in enumerate(values, 1):
        with torch.no_grad():
            network.weight.fill_(value)
            assert network.num_batches_tracked is not None
            network.num_batches_tracked.fill_(count)
        average.update(count)
    expected = 1.0
    for count, value in enumerate(values, 1):
        decay = min(0.5, (1 + count) / (10 + count))
        expected = decay * expected + (1 - decay) * value
    assert isinstance(average.network, nn.BatchNorm2d)
    assert average.network.weight.item() == pytest.approx(expected, rel=1e-5)
    assert average.network.num_batches_tracked is not None
    assert average.network.num_batches_tracked.item() == 3


def test_without_an_average_the_network_itself_is_kept(digits: ImageData) -> None:
    training = NetworkTraining(build, digits, Recipe(batch_size=64, ema=0), 0, CPU)
    for _ in range(3):
        training.step()
    for mine, kept in zip(
        training.network.state_dict().values(),
        training.average.network.state_dict().values(),
        strict=True,
    ):
        assert torch.equal(mine, kept)


def test_validation_images_are_never_trained_on(digits: ImageData) -> None:
    training = NetworkTraining(build, digits, RECIPE, 0, CPU)
    held_out = set(training.validation.tolist())
    labels = digits.train.labels[training.validation]
    assert len(held_out) == pytest.approx(0.1 * len(digits.train), abs=10)
    assert labels.bincount(minlength=10).min() >= 10
    drawn = set(training.batches._order.tolist())
    assert drawn | held_out == set(range(len(digits.train))) and not drawn & held_out
    assert training.steps_an_epoch == len(drawn) // 200


@pytest.mark.parametrize("steps", [0, 4, 6, 11])
def test_an_interrupted_training_ends_as_if_it_had_not_been(
    steps: int, digits: ImageData, tmp_path: Path
) -> None:
    whole = train_candidate(candidate(tmp_path / "a"), digits, RECIPE, 1, CPU, go)
    halved = candidate(tmp_path / "b")
    with pytest.raises(KeyboardInterrupt):
        train_candidate(halved, digits, RECIPE, 1, CPU, stop_after(steps))
    resumed = train_candidate(halved, digits, RECIPE, 1, CPU, go)
    assert resumed.history == whole.history
    assert resumed.test_accuracy == whole.test_accuracy
    one, other = load_best(whole.folder), load_best(resumed.folder)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_small_network_learns_and_its_best_epoch_is_tested(
    digits: ImageData, tmp_path: Path
) -> None:
    recipe = Recipe(epochs=6, batch_size=64, ema=0.9)
    result = train_candidate(candidate(tmp_path), digits, recipe, 0, CPU, go)
    assert result.test_accuracy > 0.4
    epochs = [epoch["validation_accuracy"] for epoch in result.history]
    assert result.validation_accuracy == max(epochs)
    assert epochs[result.best_epoch - 1] == max(epochs)
    network = build()
    network.load_state_dict(load_best(result.folder))
    right = accuracy(network, digits, digits.test.pixels, digits.test.labels)
    assert right == result.test_accuracy
    with torch.no_grad():
        scores = network(digits.normalise(digits.test.pixels))
    by_hand = (scores.argmax(1) == digits.test.labels).double().mean().item()
    assert right == pytest.approx(by_hand)
    assert read_results(tmp_path, {}) == [result]
    assert read_results(tmp_path, {"image_size": 64}) == []


def test_a_finished_training_is_read_and_not_repeated(digits: ImageData, tmp_path: Path) -> None:
    recipe = Recipe(epochs=1, batch_size=200)
    first = train_candidate(candidate(tmp_path), digits, recipe, 0, CPU, go)
    assert train_candidate(candidate(tmp_path), digits, recipe, 0, CPU, stop_after(0)) == first


def test_early_stop_waits_for_a_better_epoch(digits: ImageData) -> None:
    training = NetworkTraining(build, digits, Recipe(epochs=9, patience=2), 0, CPU)
    for epoch, value in enumerate((0.5, 0.7, 0.7), 1):
        training.history.append({"epoch": epoch, "loss": 0.0, "validation_accuracy": value})
    assert training.best["epoch"] == 2 and not training.finished
    training.history.append({"epoch": 4, "loss": 0.0, "validation_accuracy": 0.6})
    assert training.finished


def test_a_diverged_training_says_so(digits: ImageData, tmp_path: Path) -> None:
    recipe = Recipe(epochs=1, batch_size=64, learning_rate=1e30)
    with pytest.raises(FloatingPointError, match="smaller --lr"):
        train_candidate(candidate(tmp_path), digits, recipe, 0, CPU, go)
    assert not list(tmp_path.glob("*/last.pt"))


def test_the_standard_error_is_the_binomials() -> None:
    result = Result("n", False, 0.9, 0.9, 100, 9, 1, 1, 1, 1, 1.0, "cpu", 0, {}, [], {}, Path("x"))
    assert result.standard_error == pytest.approx(0.03)
