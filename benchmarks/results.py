"""Where the benchmarks leave what they have measured."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # Python puts only this script's folder there

from app.atomic import write_json, write_text
from app.errors import InputError


def write_results(
    values: Any, json: Path | None, text: str = "", place: Path | None = None
) -> None:
    """Write `values` as JSON and `text`, each if it has a place. Raises InputError."""
    try:
        if json is not None:
            write_json(json, values)
        if place is not None:
            write_text(place, text)
    except OSError as error:
        raise InputError(f"cannot write the results: {error}") from None
