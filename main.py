"""Neural architecture search from the command line: `python main.py --study mobilenet`."""

import os
import sys

# Idle OpenMP threads sleep instead of spinning: no slower on a quiet machine, and many times
# faster on one that runs something else. Must be set before PyTorch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from app.cli import main

if __name__ == "__main__":
    sys.exit(main())
