"""A study of small MobileNets, and the recipe that trains them. Nothing to run.

The networks are so small (0.3 to 5.4 M multiply–adds) that their size limits their accuracy and
one trains in some minutes on one thread. Wider ones, trained as briefly, all reach the same.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated

import typer
from common import environment

from app import locks
from app.atomic import csv_text, write_text
from app.config import StudyConfig
from app.retraining.candidate import Candidate, train_candidate
from app.retraining.choice import SelectedArch
from app.retraining.trainer import Trainer
from app.run import run
from app.study_file import load_config
from app.trained import Recipe, Result

OPTIONS = {
    "name": "small",
    "image_size": 16,
    "score.images": 64,
    "search.trials": 300,
}
RECIPE = Recipe(epochs=4, batch_size=64)
DATA = Path(__file__).parent / "data"

Runs = Annotated[Path, typer.Option(help="Folder of the study and its trainings.")]


def searched_study(
    dataset: str, runs: Path, device: str, space: str = "mobilenet", width: float = 0.1
) -> StudyConfig:
    """Search the study, unless that is done."""
    options = {"dataset": dataset, "runs": runs, "device": device, "space_options.width": width}
    config = load_config(space, OPTIONS | options, resume=False)
    run(config)
    return config


class Trainings:
    """Trainings of a study's networks, in the study's folder, where `retrain` finds them."""

    def __init__(self, config: StudyConfig) -> None:
        self.trainer = cache(lambda seed: Trainer(config, RECIPE, seed))
        """By the seed of the trainings."""

    def candidate(self, network: str, seed: int) -> Candidate:
        """The training of an architecture, or of a baseline of torchvision."""
        trainer = self.trainer(seed)
        if network.startswith("mobilenet_"):
            return trainer.candidates([], [network])[0]
        return trainer.candidates([SelectedArch(network, network, [], None)])[0]

    def train(self, candidate: Candidate, check: Callable[[], None]) -> Result | None:
        """Train, resume or read; None if another process is at it."""
        seed = candidate.definition["seed"]
        with locks.claiming(candidate.folder) as ours:
            if not ours:
                return None
            return train_candidate(candidate, *self.trainer(seed).terms, check)


def columns(result: Result, config: StudyConfig) -> dict[str, object]:
    """What the tables say of a training."""
    return {
        "space": config.space,
        "width": config.space_options["width"],
        "arch": result.network,
        "seed": result.seed,
        "test_accuracy": f"{100 * result.test_accuracy:.2f}",
        "validation_accuracy": f"{100 * result.validation_accuracy:.2f}",
        "flops": result.flops,
        "params": result.params,
        "seconds": round(result.seconds),
        "image_size": OPTIONS["image_size"],
        "recipe": " ".join(RECIPE.arguments()),
        "hardware": f"{result.hardware}; {environment()}",
    }


def write_table(name: str, rows: list[dict[str, object]]) -> None:
    """Write a table into `benchmarks/data/`."""
    if rows:
        write_text(DATA / name, csv_text(rows[0], rows))
