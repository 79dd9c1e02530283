"""What goes to pipes: progress in plain lines, and characters that the pipe cannot encode."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.atomic import write_text
from app.config import StudyConfig
from app.console import _time_left
from tests.app.test_run import ROOT

PROGRAM = """
import sys, tests.toy
from app.cli import main

*study, folder, name = sys.argv[1:]
options = ["--study=small", *study[1:]]
commands = [
    ["--help"],
    study,
    ["studies", study[1]],
    ["rank", *options, f"--table={folder}/table.csv", "--column=accuracy", "--no-baselines"],
    ["retrain", *options, "--pick=knee", "--epochs=1", "--batch-size=512"],
    ["export", *options, "--pick=knee", f"--out={folder}/{name}.pt2"],
    [f"--study={name}"],
]
print("statuses", [main(command) for command in commands])
"""
TABLE = "arch,accuracy\n" + "".join(
    f"{op}-{op}-conv3,{accuracy}\n" for op, accuracy in (("conv1", 80), ("conv3", 90), ("skip", 70))
)


@pytest.mark.slow
def test_every_command_prints_to_an_ascii_pipe(study_file: Path, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(TABLE)
    runs = tmp_path / "größe"
    study = [f"--study={study_file}", f"--runs={runs}"]
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *study, str(tmp_path), "größe"],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
        capture_output=True,
        encoding="utf-8",  # in which typer prints its help even to an ASCII pipe
        check=False,
    )
    assert "statuses [0, 0, 0, 0, 0, 0, 2]" in ended.stdout, ended.stderr
    assert r"name = 'gr\xf6\xdfe': string should match" in ended.stderr
    assert "\N{ESC}" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr and (tmp_path / "größe.pt2").exists()
    for stage, total in (("Supernet", 12), ("Reference sample", 8), ("Search", 10)):
        lines = re.findall(rf"^{stage} (\d+)/{total}\b(.*)$", ended.stderr, re.M)
        counts = [int(done) for done, _ in lines]
        assert counts == sorted(set(counts)) and counts[-1] == total and len(counts) <= 10
    assert re.search(r"^Supernet 10/12, loss \d\.\d{3}, \d+ s left$", ended.stderr, re.M)
    assert re.search(r"^Supernet 12/12, loss \d\.\d{3}$", ended.stderr, re.M)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (59, "59 s left"), (240, "4 min left"), (7_500, "2 h 5 min left")],
)
def test_time_left_is_short(seconds: float | None, text: str) -> None:
    assert _time_left(seconds) == text


def test_a_folder_whose_name_is_not_utf8_is_shown_escaped(
    config: StudyConfig, tmp_path: Path
) -> None:
    odd = config.model_copy(update={"dataset": os.fsdecode(b"images/im\xf6")})
    assert odd.dataset_name == r"im\udcf6"
    write_text(tmp_path / "page", odd.dataset)
    assert (tmp_path / "page").read_text(encoding="utf-8") == r"images/im\udcf6"
