"""Checkpoints: written whole, read without unpickling anything but tensors.

PyTorch's container is a zip file, whose checksums its reader does not look at: a flipped bit
would be a changed weight. So SHA-256 of all bytes stands behind them, where no reader of zip
files minds it.
"""

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from app.atomic import DamagedError, write_atomically
from app.errors import InputError

FORMAT = "bnnas supernet 1"
HINT = "move it away or add --fresh to start this study again"
MARK = b"sha256:"
END, END_SIZE = b"PK\5\6", 22
"""The record at the end of a zip file without comment."""

SIZE = len(MARK) + hashlib.sha256().digest_size


def save_checkpoint(path: Path, state: dict[str, Any], kind: str = FORMAT) -> None:
    """Write `state` (tensors, numbers, strings and containers of them) atomically."""
    content = io.BytesIO()
    torch.save({"format": kind, **state}, content)
    whole = content.getvalue()
    checksum = MARK + hashlib.sha256(whole).digest()
    write_atomically(path, lambda file: file.writelines((whole, checksum)))


def load_checkpoint(path: Path, kind: str = FORMAT, hint: str = HINT) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises DamagedError for a file that is not as it was written, and InputError for one that is
    whole and of another kind, program or version, ending in the `hint`. One of a version that
    wrote no checksum is read if its zip file is in order.
    """
    content = path.read_bytes()
    body, trailer = content[:-SIZE], content[-SIZE:]
    if not trailer.startswith(MARK):
        _check_zip(content)  # of a version that wrote no checksum
        body = content
    elif hashlib.sha256(body).digest() != trailer[len(MARK) :]:
        raise DamagedError("its checksum does not match")
    try:
        state = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except Exception:  # whatever is in it, it is not what we write
        raise InputError(f"'{path}' is no readable checkpoint: {hint}") from None
    if not isinstance(state, dict) or state.get("format") != kind or "definition" not in state:
        raise InputError(f"'{path}' is a checkpoint of another program or version: {hint}")
    return state


def load_or_refuse(path: Path, kind: str = FORMAT, hint: str = HINT) -> dict[str, Any]:
    """`load_checkpoint` for what cannot be made again by the way: InputError if it is damaged."""
    try:
        return load_checkpoint(path, kind, hint)
    except DamagedError as reason:
        raise InputError(f"'{path}' is damaged ({reason}): {hint}") from None


def _check_zip(content: bytes) -> None:
    if content[-END_SIZE:][: len(END)] != END:  # such as a checksum that was hit itself
        raise DamagedError("it has been cut off or overwritten")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            broken = archive.testzip()
    except Exception:  # damaged bytes make the reader raise anything
        raise DamagedError("it has been cut off or overwritten") from None
    if broken:
        raise DamagedError(f"'{broken}' in it does not match its checksum")
