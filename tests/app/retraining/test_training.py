"""Training a network: the schedule, the average, the validation split, exact resumption."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from app.data import ImageData, Split
from app.errors import InputError
from app.retraining.candidate import (
    Candidate,
    load_best,
    train_candidate,
    training_folder,
)
from app.retraining.evaluation import evaluate
from app.retraining.training import NetworkTraining, validation_split, warmup_cosine
from app.trained import Recipe, Result, read_results

CPU = torch.device("cpu")
RECIPE = Recipe(epochs=3, batch_size=50, trivial_augment=True)


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
    definition = {"network": "n", "space": "some"}
    return Candidate("n", build, definition, training_folder(folder, definition))


def go() -> None:
    """Never stop."""


def stop_after(steps: int) -> Callable[[], None]:
    left = iter(range(steps))

    def check() -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    return check


@pytest.mark.parametrize(("steps", "warmup"), [(10, 0.2), (40, 0.05), (3, 0.0), (1, 0.5)])
def test_the_rate_warms_up_linearly_and_falls_along_a_cosine(steps: int, warmup: float) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.4)
    schedule = warmup_cosine(optimizer, warmup, steps)
    warm = max(1, round(warmup * steps))
    for step in range(steps):
        rising = 1 / warm + (1 - 1 / warm) * step / warm
        falling = (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))) / 2
        expected = 0.4 * (rising if step < warm else falling)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected)
        optimizer.step()
        schedule.step()


def test_the_average_is_the_weighted_sum_of_the_steps(few: ImageData) -> None:
    training = NetworkTraining(build, few, Recipe(batch_size=50, ema=0.3), 0, CPU)
    expected = {k: v.double() for k, v in training.network.state_dict().items()}
    for count in range(1, 6):
        training.step()
        decay = min(0.3, (1 + count) / (10 + count))
        for name, value in training.network.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * value
    average = training.average.state_dict()
    for name, value in expected.items():
        if average[name].is_floating_point():
            torch.testing.assert_close(average[name], value.float())


def test_without_an_average_the_network_itself_is_kept(few: ImageData) -> None:
    training = NetworkTraining(build, few, Recipe(batch_size=50, ema=0), 0, CPU)
    for _ in range(3):
        training.step()
    mine = dict(training.network.named_parameters())
    for name, kept in training.average.named_parameters():
        assert torch.equal(mine[name], kept)


def test_validation_images_are_never_trained_on(few: ImageData) -> None:
    trained, split, validated = validation_split(few, RECIPE)
    kept, held_out = set(trained.tolist()), set(validated.tolist())
    assert kept | held_out == set(range(len(few.train))) and not kept & held_out
    assert split is few.train
    drawn = NetworkTraining(build, few, RECIPE, 0, CPU).batches.state_dict()["order"]
    assert set(drawn.tolist()) == kept


def test_a_validation_split_of_its_own_takes_no_training_image(few: ImageData) -> None:
    trained, split, validated = validation_split(replace(few, val=few.test), RECIPE)
    assert trained.tolist() == [*range(len(few.train))]
    assert split is few.test and validated.tolist() == [*range(len(few.test))]


def test_too_few_images_are_refused_before_training(few: ImageData) -> None:
    def with_labels(*labels: int) -> ImageData:
        train = Split(few.train.pixels[: len(labels)], torch.tensor(labels))
        return replace(few, train=train)

    for labels, message in (
        ((0, 1), "can be held out"),
        ((0, 1, 2, 3), "can be held out"),
        ((0, 0, 1, 1, 1), "batch size 50 does not suit 3 training images; give --batch-size N"),
    ):
        with pytest.raises(InputError, match=message):
            validation_split(with_labels(*labels), RECIPE)


def test_balanced_draws_every_class_equally_often(few: ImageData) -> None:
    labels = torch.tensor([0] * 200 + [1] * 20 + [2] * 20)
    uneven = replace(few, train=Split(few.train.pixels, labels))
    stream = NetworkTraining(build, uneven, RECIPE.model_copy(update={"balanced": True}), 0, CPU)
    drawn = torch.cat([stream.batches.next_batch()[1] for _ in range(40)]).bincount(minlength=3)
    assert (drawn / drawn.sum() - 1 / 3).abs().max() < 0.05


@pytest.fixture(scope="module")
def whole(few: ImageData, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    return train_candidate(candidate(folder), few, RECIPE, 1, CPU, go)


@pytest.mark.parametrize("steps", [0, 4, 6, 11])
def test_an_interrupted_training_ends_as_if_it_had_not_been(
    steps: int, few: ImageData, tmp_path: Path, whole: Result
) -> None:
    interrupted = candidate(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train_candidate(interrupted, few, RECIPE, 1, CPU, stop_after(steps))
    resumed = train_candidate(interrupted, few, RECIPE, 1, CPU, go)
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
    assert result.validation_accuracy == epochs[result.best_epoch - 1] == max(epochs)
    network = build()
    network.load_state_dict(load_best(result.folder))
    assert evaluate(network, digits, digits.test).overall == result.test_accuracy
    assert read_results(tmp_path, {"space": "some"}) == [result]
    assert read_results(tmp_path, {"space": "some", "image_size": 64}) == []


def test_a_finished_training_is_read_and_not_repeated(few: ImageData, tmp_path: Path) -> None:
    recipe = Recipe(epochs=1, batch_size=200)
    first = train_candidate(candidate(tmp_path), few, recipe, 0, CPU, go)
    assert train_candidate(candidate(tmp_path), few, recipe, 0, CPU, stop_after(0)) == first


@pytest.mark.parametrize(
    ("balanced", "best"), [(False, 2), (True, 1)], ids=["accuracy", "balanced accuracy"]
)
def test_patience_waits_for_a_better_epoch(balanced: bool, best: int, few: ImageData) -> None:
    recipe = Recipe(epochs=9, batch_size=50, patience=2, balanced=balanced)
    training = NetworkTraining(build, few, recipe, 0, CPU)
    for epoch, (value, mean) in enumerate(((0.5, 0.6), (0.7, 0.5), (0.7, 0.5), (0.6, 0.4)), 1):
        assert training.finished == (bool(training.history) and epoch > best + 2)
        figures = {"validation_accuracy": value, "balanced_accuracy": mean}
        training.history.append({"epoch": epoch, "loss": 0.0, **figures})
    assert training.best["epoch"] == best and training.finished


def test_a_diverged_training_says_so(few: ImageData, tmp_path: Path) -> None:
    recipe = Recipe(epochs=1, batch_size=50, learning_rate=1e30)
    with pytest.raises(FloatingPointError, match="smaller --lr"):
        train_candidate(candidate(tmp_path), few, recipe, 0, CPU, go)
    assert not list(tmp_path.glob("*/last.pt"))
