"""Weights to start from: those of another network whose names and shapes agree."""

import hashlib
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from app.console import first_few
from app.errors import InputError


def _read(path: str) -> tuple[dict[str, Tensor], str]:
    """The tensors of a file, and 16 hex digits of its SHA-256."""
    try:
        content = Path(path).read_bytes()
        return load(content), hashlib.sha256(content).hexdigest()[:16]
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"--init: '{path}' is no .safetensors file ({error})") from None


def start_hash(path: str) -> str:
    """Tells a file of weights from another of the same name. Raises InputError for a bad file."""
    return _read(path)[1]


def take_weights(network: nn.Module, path: str) -> str:
    """Copy all tensors of a .safetensors file that fit; returns a line that counts them.

    Raises InputError for a bad file, and if nothing fits.
    """
    given, _ = _read(path)
    own = network.state_dict()
    taken = {k: v for k, v in given.items() if k in own and own[k].shape == v.shape}
    if not taken:
        raise InputError(f"--init: no tensor of '{path}' has a name and shape of this network")
    network.load_state_dict(taken, strict=False)
    numbers, total = (sum(t.numel() for t in part.values()) / 1e6 for part in (taken, own))
    rest = [name for name in own if name not in taken]
    return (
        f"--init: {len(taken)} of {len(own)} tensors ({numbers:.3g} of {total:.3g} M numbers) are "
        f"from '{path}'; random: {first_few(rest) or 'none'}"
    )
