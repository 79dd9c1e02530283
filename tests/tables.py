"""Tables of trained accuracies that some tests compare with."""

import csv
import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("BNNAS_TABLES", Path(__file__).parents[2] / "shared" / "tables"))


def rows(name: str) -> list[dict[str, str]]:
    """Read the rows of the table `name`; skips the calling test if it is missing."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"no table {path}: set BNNAS_TABLES to its folder")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
