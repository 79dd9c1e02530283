"""The outcome of a training: `result.json` beside its checkpoints, read by reports and export."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from app.atomic import write_json
from app.console import console
from app.errors import InputError
from app.retrain.recipe import Recipe

FORMAT = "bnnas retrained network 1"


@dataclass(frozen=True)
class Result:
    """A trained network: accuracies from 0 to 1, multiply–adds, parameters, seconds."""

    network: str
    """The architecture's string, or the name of the baseline."""
    is_baseline: bool
    test_accuracy: float
    validation_accuracy: float
    test_images: int
    validation_images: int
    best_epoch: int
    epochs: int
    """Epochs trained: fewer than the recipe's after an early stop."""
    flops: int
    params: int
    seconds: float
    hardware: str
    seed: int
    recipe: Recipe
    history: list[dict[str, float]]
    definition: dict[str, Any]
    """What decided the outcome: network, space, data, seed, recipe, version."""
    folder: Path
    """Holds `best.pt` and `last.pt`."""
    balanced_accuracy: float | None = None
    """Mean test accuracy of the classes. Results of earlier versions lack this and what follows."""
    class_accuracy: dict[str, float | None] | None = None
    """Test accuracy of each class; None for a class without test images."""
    majority_share: float | None = None
    """The test accuracy of always guessing the largest class."""
    latency_ms: float | None = None
    """Of one image, on the hardware of the training, on one thread if that is a CPU."""

    @property
    def standard_error(self) -> float:
        """Standard error of the test accuracy, from the number of test images alone."""
        return math.sqrt(self.test_accuracy * (1 - self.test_accuracy) / self.test_images)

    @property
    def full_recipe(self) -> dict[str, Any]:
        """The recipe and its version: what must be equal for accuracies to compare."""
        version = {"recipe_version": self.definition.get("version")}
        return self.recipe.model_dump() | version

    def fits(self, study: Mapping[str, Any]) -> bool:
        """Whether it was trained on the data, and in the space, that define this study."""
        keys = ["dataset fingerprint", "image_size"]
        keys += [] if self.is_baseline else ["space", "space_options"]
        return all(self.definition.get(key) == study.get(key) for key in keys)

    def save(self) -> None:
        """Write `result.json` into the folder."""
        values = asdict(self)
        del values["folder"]
        values["recipe"] = self.recipe.model_dump()
        write_json(self.folder / "result.json", {"format": FORMAT, **values})


def read_result(folder: Path) -> Result | None:
    """Read what a training left in `folder`; None if it has not finished.

    Raises InputError if the file is damaged.
    """
    path = folder / "result.json"
    if not path.exists():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise ValueError
        return Result(**values, folder=folder)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        raise InputError(f"'{path}' is damaged or of another version: move it away") from None


def read_results(folder: Path, study: Mapping[str, Any]) -> list[Result]:
    """Read the finished trainings below `folder` that fit what defines the study.

    Sorted by validation accuracy, highest first. A damaged result is reported and left out.
    """
    results = []
    for path in sorted(folder.glob("*/result.json")):
        try:
            result = read_result(path.parent)
        except InputError as error:
            console.print(f"Left out: {error}", soft_wrap=True, markup=False)
        else:
            results += [result] if result and result.fits(study) else []
    return sorted(results, key=lambda result: -result.validation_accuracy)


def best_of(results: list[Result], arch: str) -> Result | None:
    """The training of `arch` with the highest validation accuracy, if there is one."""
    return next((r for r in results if r.network == arch and not r.is_baseline), None)
