"""What came of a training: one file beside its checkpoints, read again by reports and export."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.atomic import write_json
from app.errors import InputError

FORMAT = "bnnas retrained network 1"


@dataclass(frozen=True)
class Result:
    """A trained network: accuracies between 0 and 1, multiply–adds, parameters, seconds."""

    network: str
    """The architecture's string, or the baseline as it was given."""
    is_baseline: bool
    test_accuracy: float
    validation_accuracy: float
    test_images: int
    validation_images: int
    best_epoch: int
    epochs: int
    """That were trained: less than the recipe's after an early stop."""
    flops: int
    params: int
    seconds: float
    hardware: str
    seed: int
    recipe: dict[str, Any]
    history: list[dict[str, float]]
    definition: dict[str, Any]
    """What decided how it came out: network, space, data, seed, recipe."""
    folder: Path
    """Where `best.pt` and `last.pt` lie."""

    @property
    def standard_error(self) -> float:
        """Of the test accuracy, from the number of test images alone."""
        return math.sqrt(self.test_accuracy * (1 - self.test_accuracy) / self.test_images)

    def fits(self, study: Mapping[str, Any]) -> bool:
        """Whether it was trained on the data, and in the space, that define this study."""
        keys = ["dataset fingerprint", "image_size"]
        keys += [] if self.is_baseline else ["space", "space_options"]
        return all(self.definition.get(key) == study.get(key) for key in keys)

    def save(self) -> None:
        """Write `result.json` into the folder."""
        values = asdict(self)
        del values["folder"]
        write_json(self.folder / "result.json", {"format": FORMAT, **values})


def read_result(folder: Path) -> Result | None:
    """What a training left in `folder`; None if unfinished. Raises InputError if damaged."""
    path = folder / "result.json"
    if not path.exists():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("format") != FORMAT:
            raise ValueError
        return Result(**values, folder=folder)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InputError(f"'{path}' is damaged or of another version: move it away") from None


def read_results(folder: Path, study: Mapping[str, Any]) -> list[Result]:
    """The finished trainings below `folder` that fit what defines the study.

    Those of the highest validation accuracy come first.
    """
    results = [read_result(path.parent) for path in sorted(folder.glob("*/result.json"))]
    found = [result for result in results if result is not None and result.fits(study)]
    return sorted(found, key=lambda result: -result.validation_accuracy)


def best_of(results: list[Result], arch: str) -> Result | None:
    """The training of `arch` with the highest validation accuracy, if there is one."""
    return next((r for r in results if r.network == arch and not r.is_baseline), None)
