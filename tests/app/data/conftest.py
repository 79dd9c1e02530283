from pathlib import Path

import pytest

from app.data import ImageData
from tests.app.data.helpers import load_at


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> ImageData:
    scratch: Path = tmp_path_factory.mktemp("digits")
    return load_at("digits", scratch)
