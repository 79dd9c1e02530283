"""What the benchmarks share. Nothing to run; importing it makes `app` importable."""

import csv
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # Python puts only the script's folder there

import optuna
import torch

from app.atomic import write_json, write_text
from app.errors import InputError

optuna.logging.set_verbosity(optuna.logging.WARNING)


def environment() -> str:
    """The processor and the versions that figures of speed depend on."""
    processor = platform.processor() or platform.machine()
    return (
        f"{processor}, {os.cpu_count()} cores; Python {platform.python_version()}, "
        f"torch {torch.__version__}, Optuna {optuna.__version__}"
    )


def seconds(call: Callable[[], object], device: torch.device) -> float:
    """Time one call, until the device has finished."""
    begun = time.perf_counter()
    call()
    if device.type != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter() - begun


def print_medians(found: Mapping[str, Sequence[float]]) -> None:
    """Print the median, least and greatest of each figure over the runs."""
    for name, values in found.items():
        print(f"  {name:<34}{median(values):10.4g}  ({min(values):.4g} to {max(values):.4g})")


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_results(
    values: Any, json: Path | None, text: str = "", place: Path | None = None
) -> None:
    """Write `values` to `json` and `text` to `place`, unless None. Raises InputError."""
    try:
        if json is not None:
            write_json(json, values)
        if place is not None:
            write_text(place, text)
    except OSError as error:
        raise InputError(f"cannot write the results: {error}") from None
