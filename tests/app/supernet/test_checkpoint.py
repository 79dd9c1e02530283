import pickle
import re
from pathlib import Path

import pytest
import torch

from app.atomic import DamagedError
from app.errors import InputError
from app.supernet.checkpoint import FORMAT, load_checkpoint, save_checkpoint


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    state = {"definition": {}, "weights": torch.arange(3.0), "step": 5, "paths": (3, (1, 2), None)}
    save_checkpoint(tmp_path / "c.pt", state)
    loaded = load_checkpoint(tmp_path / "c.pt")
    assert torch.equal(loaded["weights"], state["weights"])
    assert (loaded["step"], loaded["paths"]) == (5, (3, (1, 2), None))


def test_damaged_and_foreign_files_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, {"weights": torch.zeros(1000)})
    whole = path.read_bytes()
    for content in (b"", b"a", b"J1", b"not a checkpoint", whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(content)
        with pytest.raises(DamagedError):
            load_checkpoint(path)
    torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(InputError, match="another program"):
        load_checkpoint(path)


def test_a_flipped_bit_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    state = {"format": FORMAT, "definition": {}, "weights": torch.randn(50)}
    save_checkpoint(path, state)
    whole = path.read_bytes()
    noticed = 0
    # and the attribute that marks a member of a zip file as a folder
    attributes = [match.start() + 38 for match in re.finditer(b"PK\1\2", whole)]
    for place in [*range(0, len(whole), 5), *attributes]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        try:
            loaded = load_checkpoint(path)
        except DamagedError:
            noticed += 1
        else:
            assert torch.equal(loaded.pop("weights"), state["weights"])
            assert loaded == {"format": FORMAT, "definition": {}}
    assert noticed > len(whole) / 10


def test_a_checkpoint_with_the_trailing_checksum_of_earlier_versions_is_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, {"definition": {}, "weights": torch.ones(50)})
    with path.open("ab") as file:
        file.write(b"sha256:" + bytes(range(32)))
    assert load_checkpoint(path)["weights"].sum() == 50


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("pwned"),)


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": Malicious()}, tmp_path / "torch.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Malicious()))
    for name in ("torch.pt", "plain.pt"):
        with pytest.raises((InputError, DamagedError)):
            load_checkpoint(tmp_path / name)
    assert not (tmp_path / "pwned").exists()
