"""A network to train, from the space or from torchvision, and its training to the end."""

import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from app.console import progress_bar
from app.data import ImageData, majority_share
from app.definition import check_definition
from app.device import device_name
from app.interrupt import check_or_save
from app.latency import measure_latency
from app.retrain.baselines import network_cost
from app.retrain.evaluation import evaluate
from app.retrain.recipe import Recipe
from app.retrain.result import Result, read_result
from app.retrain.training import NetworkTraining
from app.supernet.checkpoint import load_or_refuse, save_checkpoint

KIND = "bnnas retrained network 1"
HINT = "move its folder away to train this network again"
SECONDS_BETWEEN_CHECKPOINTS = 30.0
MAX_LABEL_CHARACTERS = 18
"""The whole progress bar must fit into 80 columns."""


@dataclass(frozen=True)
class Candidate:
    """A network to train."""

    label: str
    network: str
    """The architecture's string, or the name of the baseline."""
    is_baseline: bool
    build: Callable[[], nn.Module]
    definition: dict[str, Any]
    """What decides the outcome of its training."""
    folder: Path


def training_folder(parent: Path, name: str, definition: dict[str, Any]) -> Path:
    """The folder of this training alone: its name ends in a hash of the definition."""
    text = json.dumps(definition, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return parent / f"{re.sub(r'[^A-Za-z0-9_.]+', '-', name)}-{digest}"


def load_best(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of the best epoch. Raises InputError if they are damaged."""
    weights: dict[str, torch.Tensor] = load_or_refuse(folder / "best.pt", KIND, HINT)["network"]
    return weights


def train_candidate(
    candidate: Candidate,
    data: ImageData,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    check: Callable[[], None],
) -> Result:
    """Train, resume, or read a finished training; then test its best epoch once.

    `check` is called between steps; when it raises KeyboardInterrupt, everything is saved first.
    """
    done = read_result(candidate.folder)
    if done is not None:
        return done
    training = NetworkTraining(candidate.build, data, recipe, seed, device)
    last = candidate.folder / "last.pt"
    if last.exists():
        state = load_or_refuse(last, KIND, HINT)
        check_definition(state["definition"], candidate.definition, f"the training '{last}'")
        training.load_state_dict(state)
    _train(training, candidate, check)
    network = candidate.build()
    cost = network_cost(network, data.image_size)
    network.load_state_dict(load_best(candidate.folder))
    accuracy = evaluate(network.to(device), data, data.test)
    best = training.best
    result = Result(
        network=candidate.network,
        is_baseline=candidate.is_baseline,
        test_accuracy=accuracy.overall,
        validation_accuracy=best["validation_accuracy"],
        test_images=len(data.test),
        validation_images=len(training.validation),
        best_epoch=int(best["epoch"]),
        epochs=len(training.history),
        flops=cost.macs,
        params=cost.params,
        seconds=training.seconds,
        hardware=device_name(device),
        seed=seed,
        recipe=recipe,
        history=training.history,
        definition=candidate.definition,
        folder=candidate.folder,
        balanced_accuracy=accuracy.balanced,
        class_accuracy=dict(zip(data.classes, accuracy.by_class, strict=True)),
        majority_share=majority_share(data.test.labels),
        latency_ms=measure_latency(network, (1, 3, data.image_size, data.image_size), device),
    )
    result.save()
    return result


def _train(training: NetworkTraining, candidate: Candidate, check: Callable[[], None]) -> None:
    def save(name: str, state: dict[str, Any]) -> None:
        content = {"definition": candidate.definition, **state}
        save_checkpoint(candidate.folder / name, content, KIND)

    def save_all() -> None:
        save("last.pt", training.state_dict())

    saved = clock = time.monotonic()
    label = candidate.label[:MAX_LABEL_CHARACTERS]
    with progress_bar(label, training.steps, training.step_count) as advance:
        while not training.finished:
            check_or_save(check, save_all)
            epoch_ended = training.step()
            if epoch_ended and training.best is training.history[-1]:
                # before `last.pt`: a kill in between repeats the epoch with the same outcome
                save("best.pt", {**training.best, "network": training.average.state_dict()})
            now = time.monotonic()
            training.seconds += now - clock
            clock = now
            if epoch_ended or now - saved > SECONDS_BETWEEN_CHECKPOINTS:
                save_all()
                saved = clock = time.monotonic()
            advance(note=training.progress)
