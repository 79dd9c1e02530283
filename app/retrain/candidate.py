"""A network to be trained, from the space or from torchvision, and its training to the end."""

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
from app.data import ImageData
from app.device import device_name
from app.interrupt import check_or_save
from app.retrain.recipe import Recipe
from app.retrain.result import Result, read_result
from app.retrain.training import NetworkTraining, accuracy
from app.search.study import check_definition
from app.supernet.checkpoint import load_or_refuse, save_checkpoint
from spaces import Cost

KIND = "bnnas retrained network 1"
HINT = "move its folder away to train this network again"
SECONDS_BETWEEN_CHECKPOINTS = 30.0


@dataclass(frozen=True)
class Candidate:
    """A network: what to call it, how to build it, what it costs, where its training lies."""

    label: str
    network: str
    is_baseline: bool
    build: Callable[[], nn.Module]
    cost: Cost
    definition: dict[str, Any]
    """What decides how its training comes out."""
    folder: Path
    trials: tuple[int, ...] = ()
    score: float | None = None


def training_folder(parent: Path, name: str, definition: dict[str, Any]) -> Path:
    """The same training has the same folder, any other a folder of its own."""
    text = json.dumps(definition, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return parent / f"{re.sub(r'[^A-Za-z0-9_.]+', '-', name)}-{digest}"


def load_best(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of the best epoch."""
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
    """Train, or go on, or read what a finished training left; then test its best epoch once.

    `check` is called between steps and may raise KeyboardInterrupt, before which all is saved.
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
    network.load_state_dict(load_best(candidate.folder))
    best = training.best
    result = Result(
        network=candidate.network,
        is_baseline=candidate.is_baseline,
        test_accuracy=accuracy(network.to(device), data, data.test.pixels, data.test.labels),
        validation_accuracy=best["validation_accuracy"],
        test_images=len(data.test),
        validation_images=len(training.validation),
        best_epoch=int(best["epoch"]),
        epochs=len(training.history),
        flops=candidate.cost.macs,
        params=candidate.cost.params,
        seconds=training.seconds,
        hardware=device_name(device),
        seed=seed,
        recipe=recipe.model_dump(),
        history=training.history,
        definition=candidate.definition,
        folder=candidate.folder,
    )
    result.save()
    return result


def _train(training: NetworkTraining, candidate: Candidate, check: Callable[[], None]) -> None:
    folder, definition = candidate.folder, candidate.definition

    def save() -> None:
        state = {"definition": definition, **training.state_dict()}
        save_checkpoint(folder / "last.pt", state, KIND)

    saved = clock = time.monotonic()
    with progress_bar(candidate.label[:28], training.steps, training.step_count) as advance:
        note = _note(training)
        advance(0, note=note)
        while not training.finished:
            check_or_save(check, save)
            training.step()
            epoch_ended = training.at_epoch_end()
            if epoch_ended and training.end_epoch():
                # before `last.pt`: a kill between them repeats the epoch, with the same outcome
                best = {**training.best, "network": training.average.network.state_dict()}
                save_checkpoint(folder / "best.pt", {"definition": definition, **best}, KIND)
            now = time.monotonic()
            training.seconds += now - clock
            clock = now
            if epoch_ended or now - saved > SECONDS_BETWEEN_CHECKPOINTS:
                note = _note(training)
                save()
                saved = clock = time.monotonic()
            advance(note=note)


def _note(training: NetworkTraining) -> str:
    if not training.history:
        return ""
    now = training.history[-1]
    return (
        f"epoch {now['epoch']:g}: loss {now['loss']:.3f}, "
        f"validation {100 * now['validation_accuracy']:.1f} %"
    )
