"""Networks trained from scratch: the recipe, and the result that lies beside the weights."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import to_jsonable_python

from app.atomic import write_json
from app.console import notice
from app.errors import InputError

FORMAT = "bnnas retrained network 1"
CONTINUED = "goes on from"
"""Key of a definition: the folder's name of the shorter training that it went on from."""


class Recipe(BaseModel):
    """SGD with Nesterov momentum and a learning rate that warms up, then falls along a cosine.

    All networks of a comparison share one.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    epochs: int = Field(default=50, gt=0)
    """Passes over the training images."""
    batch_size: int = Field(default=128, ge=2)
    """Images per step."""
    learning_rate: float = Field(default=0.1, gt=0)
    """Peak learning rate."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Nesterov momentum."""
    weight_decay: float = Field(default=5e-4, ge=0)
    """Weight decay of convolution and linear weights; BatchNorm and biases have none."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps that warm up."""
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Label smoothing."""
    ema: float = Field(default=0.998, ge=0, lt=1)
    """Decay of the averaged weights, which are kept; 0 is off."""
    trivial_augment: bool = False
    """TrivialAugment on top of random crops and mirroring."""
    balanced: bool = False
    """Draw every class equally often; pick the epoch by balanced accuracy."""
    validation: float = Field(default=0.1, gt=0, lt=0.5)
    """Share of the images held out to pick the epoch."""
    patience: int = Field(default=0, ge=0)
    """Stop after this many epochs without progress; 0 is never."""
    init: str | None = None
    """Start from the weights of this .safetensors file whose names and shapes agree."""

    @property
    def criterion(self) -> str:
        """What is to be highest: a key of `Result.history`."""
        return "balanced_accuracy" if self.balanced else "validation_accuracy"

    def ends_after(self, accuracies: Sequence[float]) -> bool:
        """Whether a training with these accuracies by epoch is over; the patience may run out."""
        done = len(accuracies)
        waited = done - 1 - accuracies.index(max(accuracies)) if done else 0
        return done >= self.epochs or 0 < self.patience <= waited

    @staticmethod
    def from_options(options: Mapping[str, Any]) -> "Recipe":
        """Make the recipe that command-line options give; None means the default.

        Options of other meaning are passed over. Raises InputError that names a bad option.
        """
        given = {field: options.get(field) for field in Recipe.model_fields}
        try:
            return Recipe.model_validate({k: v for k, v in given.items() if v is not None})
        except ValidationError as error:
            first = error.errors()[0]
            reason = first["msg"][0].lower() + first["msg"][1:]
            raise InputError(f"{option_name(first['loc'][0])} {first['input']}: {reason}") from None

    def arguments(self) -> list[str]:
        """Command-line arguments that give this recipe: the epochs, and what is not a default."""
        words = []
        for field, value in self:
            if field == "epochs" or value != Recipe.model_fields[field].default:
                words += [option_name(field)] if value is True else [option_name(field), str(value)]
        return words


def option_name(field: object) -> str:
    """The command-line option of a field of Recipe."""
    return "--lr" if field == "learning_rate" else f"--{field}".replace("_", "-")


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
    """Each epoch's number from 1, mean loss, validation and balanced accuracy."""
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
    """Latency of one image on the hardware of the training, on one thread of a CPU."""

    @property
    def standard_error(self) -> float:
        """Standard error of the test accuracy, from the number of test images alone."""
        return math.sqrt(self.test_accuracy * (1 - self.test_accuracy) / self.test_images)

    @property
    def full_recipe(self) -> dict[str, Any]:
        """What accuracies must share to be compared."""
        return full_recipe(self.recipe, self.definition)

    def fits(self, study: Mapping[str, Any]) -> bool:
        """Whether it was trained on the data, and in the space, that define this study."""
        keys = ["dataset fingerprint", "image_size"]
        keys += [] if self.is_baseline else ["space", "space_options"]
        own, changed = self.definition, "space fingerprint"
        return all(own.get(key) == study.get(key) for key in keys) and (
            changed not in own or own[changed] == study.get(changed, own[changed])
        )

    def save(self) -> None:
        """Write `result.json` into the folder."""
        values = to_jsonable_python(self, exclude={"folder"})
        write_json(self.folder / "result.json", {"format": FORMAT, **values})


def full_recipe(recipe: Recipe, definition: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe, its version and its validation images, of a training's definition."""
    return recipe.model_dump() | {
        "recipe_version": definition.get("version"),
        "validation_fingerprint": definition.get("validation fingerprint"),
    }


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
            notice(f"Left out: {error}")
        else:
            results += [result] if result and result.fits(study) else []
    return sorted(results, key=lambda result: -result.validation_accuracy)


def best_of(results: list[Result], arch: str) -> Result | None:
    """The training of `arch` with the highest validation accuracy, if there is one."""
    return next((r for r in results if r.network == arch and not r.is_baseline), None)
