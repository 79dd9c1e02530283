import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from app.data import BatchStream, load, loading
from app.errors import InputError
from tests.app.data.helpers import CPU, assert_one_line, load_at, noise, write_folder

COUNTS = {"train/a": 3, "train/b": 4, "test/a": 2, "test/b": 1}


def test_folder_is_loaded(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", COUNTS)
    data = load_at(folder, tmp_path)
    assert data.name == str(folder)
    assert data.classes == ("a", "b")
    assert data.image_size == 16
    assert data.train.pixels.shape == (7, 3, 16, 16)
    assert data.test.labels.tolist() == [0, 0, 1]
    expected = torch.from_numpy(noise("train/b2")).permute(2, 0, 1)
    assert torch.equal(data.train.pixels[5], expected)


def test_fingerprint_follows_the_images_not_the_place(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", COUNTS)
    first = load_at(folder, tmp_path).fingerprint
    moved = shutil.move(folder, tmp_path / "moved")
    assert load_at(moved, tmp_path).fingerprint == first
    assert load_at(moved, tmp_path, size=8).fingerprint != first
    Image.fromarray(noise("another")).save(Path(moved) / "test/a/0.png")
    assert load_at(moved, tmp_path).fingerprint != first


def test_a_validation_split_changes_neither_fingerprint_nor_pixels(tmp_path: Path) -> None:
    folder = tmp_path / "set"

    def write(split: str, brightest: int) -> None:
        ramp = np.linspace(0, brightest, 256, dtype=np.uint16).reshape(16, 16)
        for name in ("a", "b"):
            (folder / split / name).mkdir(parents=True)
            Image.fromarray(ramp).save(folder / split / name / "0.png")

    write("train", 4095)
    write("test", 4095)
    before = load_at(folder, tmp_path)
    write("val", 65535)
    after = load_at(folder, tmp_path)
    assert before.val is None and after.val is not None
    assert after.val.labels.tolist() == [0, 1]
    assert after.fingerprint == before.fingerprint
    assert torch.equal(after.train.pixels, before.train.pixels)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_pixels_that_exceed_the_memory_are_mapped_from_a_file_that_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "set", COUNTS)
    plain = load_at(folder, tmp_path)
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr(loading, "MAX_BYTES_IN_MEMORY", 10 * 3 * 16 * 16 - 1)
    mapped = load_at(folder, tmp_path)
    cache = str(tmp_path / "cache")
    assert cache in Path("/proc/self/maps").read_text()
    assert list(Path(cache).iterdir()) == []
    assert torch.equal(mapped.train.pixels, plain.train.pixels)
    assert torch.equal(mapped.test.pixels, plain.test.pixels)
    assert (mapped.fingerprint, mapped.mean.tolist()) == (plain.fingerprint, plain.mean.tolist())
    del mapped
    assert cache not in Path("/proc/self/maps").read_text()


def test_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MAX_BYTES_IN_MEMORY", 0)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1))
    with pytest.raises(InputError) as error:
        load_at("digits", tmp_path)
    assert_one_line(error.value, str(tmp_path), "not enough disk space", "smaller image size")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_pixels_stay_on_the_host_where_the_device_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "set", COUNTS)
    cuda = torch.device("cuda")
    batches = []
    for free in (1 << 30, 0):
        info = (free, 1 << 30)
        monkeypatch.setattr("torch.accelerator.get_memory_info", lambda d, info=info: info)
        data = load(str(folder), image_size=16, data_dir=tmp_path, device=cuda, cache_dir=tmp_path)
        assert data.train.pixels.is_cuda == (free > 0)
        assert data.mean.is_cuda
        batches.append(BatchStream(data, 4, 0, True, cuda).next_batch()[0])
    assert batches[0].is_cuda
    assert torch.equal(batches[0], batches[1])
    on_cpu = BatchStream(load_at(folder, tmp_path), 4, 0, True, CPU).next_batch()[0]
    assert torch.allclose(batches[0].cpu(), on_cpu, atol=1e-6)


@pytest.mark.parametrize("name", ["cifar11", "set.zip", "~no-such-user/set", "x" * 5000, "a\0b"])
def test_unknown_name_lists_the_known_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "set.zip").write_bytes(b"PK")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        load_at(name, tmp_path)
    assert_one_line(error.value, name, "cifar10", "digits", "--dataset FOLDER", "<class>")


def test_a_folder_called_like_a_built_in_data_set_needs_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path / "digits", COUNTS)
    monkeypatch.chdir(tmp_path)
    assert len(load_at("digits", tmp_path, size=8).classes) == 10
    assert "./digits" in capsys.readouterr().err
    assert load_at("./digits", tmp_path).classes == ("a", "b")
    assert capsys.readouterr().err == ""


def test_name_is_what_means_the_same_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "set", COUNTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert {load_at(name, tmp_path).name for name in ("set", "./set", "~/set")} == {str(folder)}
    assert load_at("digits", tmp_path, size=8).name == "digits"
