"""Writes the results of benchmarks. Nothing to run; importing it makes `app` importable."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # only the script's folder is on the path

from app.atomic import write_json, write_text
from app.errors import InputError


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
