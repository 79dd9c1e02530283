from pathlib import Path

import pytest

from app.data import sources
from app.data.registry import readers, register

ALL = ["cifar10", "cifar100", "digits", "fashionmnist", "imagenette", "svhn"]


def test_all_data_sets_are_found() -> None:
    assert list(readers()) == ALL


def test_one_file_adds_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shapes.py").write_text(
        "from app.data.registry import register\n"
        "@register('shapes')\n"
        "def shapes(data_dir):\n"
        "    raise NotImplementedError\n"
    )
    monkeypatch.setattr("app.data.registry._readers", dict(readers()))
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(tmp_path)])
    assert list(readers()) == sorted([*ALL, "shapes"])


def test_a_name_is_taken_once() -> None:
    readers()
    with pytest.raises(ValueError, match="digits"):
        register("digits")(lambda data_dir: None)  # type: ignore[arg-type, return-value]
