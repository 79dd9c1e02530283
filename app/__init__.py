"""The application: how a study is run."""

import os

# Idle OpenMP threads sleep instead of spinning: no slower on a quiet machine, and many times
# faster on one whose cores are shared. It is read once, when PyTorch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
