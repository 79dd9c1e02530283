import pickle
from pathlib import Path

import pytest
import torch

from app.errors import InputError
from app.supernet.checkpoint import load_checkpoint, save_checkpoint


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    state = {"definition": {}, "weights": torch.arange(3.0), "step": 5, "paths": (3, (1, 2), None)}
    save_checkpoint(tmp_path / "c.pt", state)
    loaded = load_checkpoint(tmp_path / "c.pt")
    assert torch.equal(loaded["weights"], state["weights"])
    assert (loaded["step"], loaded["paths"]) == (5, (3, (1, 2), None))


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, {"weights": torch.zeros(1000)})
    whole = path.read_bytes()
    for content in (b"", b"a", b"J1", b"not a checkpoint", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="no readable checkpoint"):
            load_checkpoint(path)
    torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(InputError, match="another program"):
        load_checkpoint(path)


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("pwned"),)


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": Malicious()}, tmp_path / "torch.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Malicious()))
    for name in ("torch.pt", "plain.pt"):
        with pytest.raises(InputError):
            load_checkpoint(tmp_path / name)
    assert not (tmp_path / "pwned").exists()
