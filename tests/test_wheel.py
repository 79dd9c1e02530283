"""The wheel holds all that the command needs: it is built, installed by itself and run."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.app.test_run import ROOT

SOURCES = ("app", "spaces", "studies", "README.md", "LICENSE", "pyproject.toml")
QUICK = (
    *("--train-steps=2", "--trials=4", "--image-size=16", "--set=space_options.width=0.25"),
    *("--set=score.images=8", "--set=score.reference=8", "--set=supernet.batch_size=8"),
)


@pytest.mark.slow
def test_an_installed_wheel_runs_a_preset(tmp_path: Path) -> None:
    def run(*words: object) -> str:
        command = [str(word) for word in words]
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    source, fresh = tmp_path / "source", tmp_path / "fresh"
    source.mkdir()
    for path in [*map(ROOT.joinpath, SOURCES), *ROOT.glob("requirements*.txt")]:
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, source / path.name)
    pip = (sys.executable, "-m", "pip")
    offline = ("--no-deps", "--no-build-isolation", "--quiet")
    run(*pip, "wheel", source, *offline, "--wheel-dir", tmp_path)
    (wheel,) = tmp_path.glob("bnnas-*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", fresh)
    run(*pip, f"--python={fresh}", "install", wheel, "--no-deps", "--quiet")
    # what it depends on is taken from where the tests run
    (packages,) = fresh.glob("[Ll]ib/**/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    command = fresh / Path(sysconfig.get_path("scripts")).name / "bnnas"
    assert f"bnnas dashboard --runs {tmp_path}" in run(
        command, "--study=mobilenet", f"--runs={tmp_path / 'runs'}", *QUICK
    )
    assert (tmp_path / "runs" / "mobilenet" / "report.html").exists()
