"""A network to train, from the space or from torchvision, and its training, whole or in parts."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from app.atomic import csv_text, write_text
from app.console import notice, plural, progress_bar
from app.data import ImageData, majority_share
from app.data.dataset import fingerprint
from app.definition import FINGERPRINT, Definition, check_definition, digest
from app.device import device_name
from app.interrupt import check_or_save
from app.latency import measure_latency
from app.retraining.baselines import network_cost
from app.retraining.evaluation import evaluate
from app.retraining.training import NetworkTraining
from app.retraining.weights import start_hash
from app.supernet.checkpoint import load_or_refuse, save_checkpoint
from app.trained import CONTINUED, FORMAT, Recipe, Result, read_result, read_results

HINT = "move its folder away to train this network again"
SECONDS_BETWEEN_CHECKPOINTS = 30.0
MAX_LABEL_CHARACTERS = 18
"""The whole progress bar must fit into 80 columns."""
TORCHVISION = "torchvision"
"""What the definition of a baseline names as its space."""
VERSION = 2
"""Raised when the same recipe comes out differently: earlier trainings are then kept apart."""

History = list[dict[str, float]]
Report = Callable[[History], None]
"""Is told the epochs so far, as in `Result.history`."""


@dataclass(frozen=True)
class Candidate:
    """A network to train in a folder of its own, so that it can be interrupted and read again."""

    label: str
    build: Callable[[], nn.Module]
    definition: Definition
    """What decides the outcome of its training: network, space, data, seed, recipe, version."""
    folder: Path
    earlier: Path | None = None
    """The folder of a shorter training to go on from."""


def training_terms(data: ImageData, recipe: Recipe, seed: int) -> Definition:
    """What defines a training beside its network."""
    own = data.val and fingerprint(data.classes, data.val.to(torch.device("cpu")))
    return {
        "dataset fingerprint": data.fingerprint,
        **({"validation fingerprint": own} if own else {}),
        "image_size": data.image_size,
        "seed": seed,
        **recipe.model_dump(exclude_none=True),
        **({} if recipe.init is None else {"init": start_hash(recipe.init)}),
        "version": VERSION,
    }


def training_folder(parent: Path, definition: Definition) -> Path:
    """The folder of this training alone: its name ends in a hash of the definition.

    A space whose files have changed has the same folders, where the earlier networks are found.
    """
    definition = {key: value for key, value in definition.items() if key != FINGERPRINT}
    name = definition["network"] if definition["space"] == TORCHVISION else "network"
    return parent / f"{re.sub(r'[^A-Za-z0-9_.]+', '-', name)}-{digest(definition)}"


def go_on(candidate: Candidate) -> Candidate:
    """Let the candidate go on from its longest finished training of fewer epochs, if it has one.

    It is kept apart from a training that has all epochs in one go. Says so in one line.
    """
    own, parent = candidate.definition, candidate.folder.parent
    if (candidate.folder / "last.pt").exists():
        return candidate

    def rest(definition: Definition) -> Definition:
        return {k: v for k, v in definition.items() if k not in ("epochs", CONTINUED, FINGERPRINT)}

    trained = [r for r in read_results(parent, own) if rest(r.definition) == rest(own)]
    trained = [r for r in trained if r.definition["epochs"] <= own["epochs"]]
    if not trained:
        return candidate
    last = max(trained, key=lambda result: int(result.definition["epochs"]))
    if last.definition["epochs"] == own["epochs"]:
        return replace(candidate, definition=last.definition, folder=last.folder)
    definition = own | {CONTINUED: last.folder.name}
    notice(
        f"{candidate.label} goes on from the last weights of its {plural(last.epochs, 'epoch')}, "
        f"with a new warm-up and cosine; to train {own['epochs']} in one go, "
        f"move '{last.folder}' away."
    )
    folder = training_folder(parent, definition)
    return replace(candidate, definition=definition, folder=folder, earlier=last.folder)


def load_best(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of the best epoch. Raises InputError if they are damaged."""
    weights: dict[str, torch.Tensor] = load_or_refuse(folder / "best.pt", FORMAT, HINT)["network"]
    return weights


def train_candidate(
    candidate: Candidate,
    data: ImageData,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    check: Callable[[], None],
    report: Report = lambda history: None,
) -> Result:
    """Train, resume, or read a finished training; then test its best epoch once.

    The caller holds the lock of the folder. `check` is called between steps; when it raises
    KeyboardInterrupt, everything is saved first. `report` is told the history so far.
    """
    if (done := read_result(candidate.folder)) is not None:
        what = f"the training '{candidate.folder}'"
        check_definition(done.definition, candidate.definition, what, HINT)
        report(done.history)
        return done
    training = NetworkTraining(candidate.build, data, recipe, seed, device)
    train_epochs(training, candidate, check, report, recipe.epochs)
    network = candidate.build()
    cost = network_cost(network, data.image_size)
    network.load_state_dict(load_best(candidate.folder))
    accuracy = evaluate(network.to(device), data, data.test)
    result = Result(
        network=candidate.definition["network"],
        is_baseline=candidate.definition["space"] == TORCHVISION,
        test_accuracy=accuracy.overall,
        validation_accuracy=training.best["validation_accuracy"],
        test_images=len(data.test),
        validation_images=len(training.validation),
        best_epoch=int(training.best["epoch"]),
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


def train_epochs(
    training: NetworkTraining,
    candidate: Candidate,
    check: Callable[[], None],
    report: Report,
    epochs: int,
) -> None:
    """Resume and train until so many epochs are done, or the end; else as `train_candidate`."""
    last = candidate.folder / "last.pt"
    if last.exists():
        state = load_or_refuse(last, FORMAT, HINT)
        check_definition(state["definition"], candidate.definition, f"the training '{last}'")
        training.load_state_dict(state)
    elif training.origin:
        notice(f"{candidate.label} {training.origin}")

    def save(name: str, state: dict[str, Any]) -> None:
        content = {**state, "definition": candidate.definition}
        save_checkpoint(candidate.folder / name, content, FORMAT)

    if candidate.earlier is not None and not last.exists():
        training.go_on_from(load_or_refuse(candidate.earlier / "last.pt", FORMAT, HINT))
        save("best.pt", load_or_refuse(candidate.earlier / "best.pt", FORMAT, HINT))

    def save_all() -> None:
        save("last.pt", training.state_dict())

    report(training.history)
    saved, note = time.monotonic(), ""
    label = candidate.label[:MAX_LABEL_CHARACTERS]
    total = epochs * training.steps_per_epoch
    with progress_bar(label, total, min(total, training.step_count)) as advance:
        while not training.finished and len(training.history) < epochs:
            check_or_save(check, save_all)
            if epoch_ended := training.step():
                last_epoch = training.history[-1]
                accuracy = f"{100 * last_epoch['validation_accuracy']:.1f} %"
                note = f"epoch {last_epoch['epoch']:g}: {accuracy}"
                # before `last.pt`: a kill in between repeats the epoch with the same outcome
                if training.best is last_epoch:
                    save("best.pt", {**last_epoch, "network": training.average.state_dict()})
                curve = csv_text(training.history[0], training.history)
                write_text(candidate.folder / "learning_curve.csv", curve)
            if epoch_ended or time.monotonic() - saved > SECONDS_BETWEEN_CHECKPOINTS:
                save_all()
                saved = time.monotonic()
            if epoch_ended:
                report(training.history)
            advance(note=note)
