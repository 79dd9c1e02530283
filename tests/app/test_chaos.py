"""A short run of the kill benchmark."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_kills_at_random_moments_lose_nothing() -> None:
    command = [sys.executable, "benchmarks/chaos.py", "--kills", "3", "--kills-per-study", "3"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "nothing lost, nothing changed" in ended.stdout
