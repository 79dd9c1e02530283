"""Architecture search on a BatchNorm-only supernet, from Python: `import app as bnnas`.

The functions named in `__all__` are described in `app/api.py`.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Idle OpenMP threads sleep instead of spinning: no slower on a quiet machine, and many times
# faster on one whose cores are shared. It is read once, when PyTorch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from app.api import Scorer, create_space, load_dataset, pick, retrain, search, train_supernet
    from app.exported import load_network

__all__ = [
    "Scorer",
    "create_space",
    "load_dataset",
    "load_network",
    "pick",
    "retrain",
    "search",
    "train_supernet",
]

PROGRAM = "bnnas" if Path(sys.argv[0]).stem == "bnnas" else "python main.py"
"""What starts the command line, as printed commands repeat it."""


def __getattr__(name: str) -> Any:
    """Import the API when it is first used: it takes seconds, which `--help` should not."""
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from app import api

    return getattr(api, name)
