"""A short run of the kill benchmark: everything that it checks must hold."""

import subprocess
import sys

import pytest

from tests.app.test_run import ROOT


@pytest.mark.slow
def test_kills_at_random_moments_lose_nothing() -> None:
    command = [sys.executable, "benchmarks/chaos.py", "--kills", "8", "--kills-a-study", "8"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "nothing lost, nothing changed" in ended.stdout
