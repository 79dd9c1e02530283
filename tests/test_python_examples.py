"""The notebook runs from top to bottom, and the detector takes its step."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import save

import spaces
from app.exported import FORMAT
from tests.app.test_run import ROOT

pytestmark = pytest.mark.slow


def run(folder: Path, *words: str | Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path) -> None:
    notebook = json.loads((ROOT / "examples" / "search.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] for cell in cells)
    code = "\n".join("".join(cell["source"]) for cell in cells)
    assert "test accuracy " in run(tmp_path, "-c", code)
    assert (tmp_path / "runs" / "notebook" / "digits" / "study.json").exists()


def test_the_detector_takes_a_training_step(tmp_path: Path) -> None:
    options = {"width": 0.25}
    space = spaces.create("mobilenet", 4, 32, options)
    arch = ",".join(["0"] * len(space.choices))
    weights = save(dict(space.network(arch).state_dict()))
    about = {
        "format": FORMAT,
        "architecture": {"space": "mobilenet", "space_options": options, "string": arch},
        "classes": ["a", "b", "c", "d"],
        "input": {"size": 32},
        "weights": {"sha256": hashlib.sha256(weights).hexdigest()},
    }
    (tmp_path / "model.safetensors").write_bytes(weights)
    (tmp_path / "model.json").write_text(json.dumps(about))
    text = run(tmp_path, ROOT / "examples" / "detect.py", "model.json")
    assert "classification" in text and "bbox_regression" in text and "nan" not in text
