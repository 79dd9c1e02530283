"""Checkpoints: PyTorch's zip files, written atomically and read without unpickling any code."""

import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from app.atomic import DamagedError, write_atomically
from app.errors import InputError

FORMAT = "bnnas supernet 1"
HINT = "move it away or add --fresh to start this study again"


def save_checkpoint(path: Path, state: dict[str, Any], kind: str = FORMAT) -> None:
    """Write `state` (tensors, numbers, strings and containers of them) atomically."""
    content = io.BytesIO()  # PyTorch hides the reason when it cannot write, such as a full disk
    torch.save({"format": kind, **state}, content)
    write_atomically(path, lambda file: file.write(content.getbuffer()))


def load_checkpoint(path: Path, kind: str = FORMAT, hint: str = HINT) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises DamagedError for a file that was cut off or altered, and InputError, which ends in the
    `hint`, for an intact one of another kind, program or version.
    """
    content = io.BytesIO(path.read_bytes())
    try:
        with zipfile.ZipFile(content) as archive:
            # PyTorch's reader compares no checksums, and skips what is marked as a folder
            intact = archive.testzip() is None
            intact &= not any(member.external_attr for member in archive.infolist())
    except Exception:  # damaged bytes make the reader raise anything
        raise DamagedError("it has been cut off or overwritten") from None
    if not intact:
        raise DamagedError("its checksums do not match")
    try:
        content.seek(0)
        state = torch.load(content, map_location="cpu", weights_only=True)
    except Exception:  # as above
        raise DamagedError("it cannot be read") from None
    if not isinstance(state, dict) or state.get("format") != kind or "definition" not in state:
        raise InputError(f"'{path}' is a checkpoint of another program or version: {hint}")
    return state


def load_or_refuse(path: Path, kind: str = FORMAT, hint: str = HINT) -> dict[str, Any]:
    """`load_checkpoint` for what is not made again if damaged: raises InputError then, too."""
    try:
        return load_checkpoint(path, kind, hint)
    except DamagedError as reason:
        raise InputError(f"'{path}' is damaged ({reason}): {hint}") from None
