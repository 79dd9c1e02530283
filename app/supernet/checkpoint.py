"""Checkpoints: written whole, read without unpickling anything but tensors."""

from pathlib import Path
from typing import Any

import torch

from app.errors import InputError
from app.files import write_atomically

FORMAT = "bnnas supernet 1"
HINT = "move it away or add --fresh to start this study again"


def save_checkpoint(path: Path, state: dict[str, Any], kind: str = FORMAT) -> None:
    """Write `state` (tensors, numbers, strings and containers of them) atomically."""
    write_atomically(path, lambda file: torch.save({"format": kind, **state}, file))


def load_checkpoint(path: Path, kind: str = FORMAT, hint: str = HINT) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises InputError, ending in the `hint`, for a damaged file and one of another kind.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # damaged bytes make the reader raise anything
        raise InputError(f"'{path}' is no readable checkpoint: {hint}") from None
    if not isinstance(state, dict) or state.get("format") != kind or "definition" not in state:
        raise InputError(f"'{path}' is a checkpoint of another program or version: {hint}")
    return state
