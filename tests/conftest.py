"""What many tests need: a study so small that a whole run takes seconds."""

import os
import shutil
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from sqlalchemy import create_engine, make_url, text

import app  # noqa: F401  (sets how OpenMP threads wait, before PyTorch is imported)
from app.cli import main
from app.config import StudyConfig
from app.data import ImageData, load
from tests.toy import Toy

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # the figures in the tests are the CPU's

# a shell starts what it runs in the background with Ctrl-C ignored, and nohup ignores a closed
# terminal; processes inherit that, and tests send both signals themselves
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

CPU = torch.device("cpu")

SMALL_STUDY = """
space = "toy"
dataset = "digits"
image_size = 16

[supernet]
steps = 12
batch_size = 16

[score]
images = 16
reference = 8

[search]
trials = 10
population = 4
"""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Give each parallel worker, and the processes that it starts, one thread."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> ImageData:
    """scikit-learn's digits at 16 pixels."""
    folder = tmp_path_factory.mktemp("data")
    return load("digits", image_size=16, data_dir=folder, device=CPU, cache_dir=folder)


@pytest.fixture
def toy() -> Toy:
    """The toy space at 16 pixels."""
    return Toy(classes=10, image_size=16)


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    """A study of the toy space that runs in seconds."""
    path = tmp_path / "small.toml"
    path.write_text(SMALL_STUDY)
    return path


@pytest.fixture
def arguments(study_file: Path, tmp_path: Path) -> list[str]:
    """The command line of that study."""
    return ["--study", str(study_file), "--runs", str(tmp_path / "runs")]


@pytest.fixture
def config(tmp_path: Path) -> StudyConfig:
    """The same study as typed settings."""
    values: dict[str, Any] = {
        "name": "small",
        "space": "toy",
        "image_size": 16,
        "runs": tmp_path / "runs",
        "supernet": {"steps": 12, "batch_size": 16},
        "score": {"images": 16, "reference": 8},
        "search": {"trials": 10, "population": 4},
    }
    return StudyConfig.model_validate(values)


@pytest.fixture(scope="session")
def searched_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs folder with the study `small` of ten trials; read only, see `study`."""
    folder = tmp_path_factory.mktemp("searched")
    (folder / "small.toml").write_text(SMALL_STUDY)
    runs = folder / "runs"
    assert main(["--study", str(folder / "small.toml"), "--runs", str(runs)]) == 0
    return runs


@pytest.fixture
def study(searched_runs: Path, study_file: Path, tmp_path: Path) -> list[str]:
    """Options that name a study of ten trials, in a folder of the test's own."""
    shutil.copytree(searched_runs, tmp_path / "runs")
    return ["--study", "small", "--runs", str(tmp_path / "runs")]


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a database on a real PostgreSQL server, which the suite starts and stops."""
    from tests.postgresql import server

    with server() as url:
        yield url


@pytest.fixture
def postgresql(postgresql_server: str) -> Iterator[str]:
    """The URL of an empty database there."""
    name = f"test_{uuid.uuid4().hex}"
    root = create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with root.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    root.dispose()
    yield make_url(postgresql_server).set(database=name).render_as_string(hide_password=False)
