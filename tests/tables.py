"""Tables of trained architectures, which some tests compare with."""

import csv
import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("BNNAS_TABLES", Path(__file__).parents[2] / "shared" / "tables"))


def rows(name: str) -> list[dict[str, str]]:
    """The rows of the table `name`; skips the test that asks where there is none."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"no table {path}; set BNNAS_TABLES to the folder that has it")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
