import os
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from app.data import BatchStream, load, memory, resolve
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


def test_mapped_pixels_equal_those_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "set", COUNTS)
    plain = load_at(folder, tmp_path)
    monkeypatch.setattr(memory, "free_memory", lambda device: 2 * 10 * 3 * 16 * 16 - 1)
    allocated: list[bool] = []
    real = memory.allocate

    def watched(count: int, size: int, in_memory: bool, cache_dir: Path) -> torch.Tensor:
        allocated.append(in_memory)
        return real(count, size, in_memory, cache_dir)

    monkeypatch.setattr(memory, "allocate", watched)
    mapped = load_at(folder, tmp_path)
    assert allocated == [False, False]
    assert torch.equal(mapped.train.pixels, plain.train.pixels)
    assert torch.equal(mapped.test.pixels, plain.test.pixels)
    assert torch.equal(mapped.mean, plain.mean)
    assert mapped.fingerprint == plain.fingerprint
    monkeypatch.setattr(memory, "free_memory", lambda device: 2 * 10 * 3 * 16 * 16)
    load_at(folder, tmp_path)
    assert allocated[2:] == [True, True]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_pixels_stay_on_the_host_where_the_device_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "set", COUNTS)
    cuda = torch.device("cuda")
    batches = []
    for free in (1 << 30, 0):
        amount = {"cuda": free, "cpu": 1 << 30}
        monkeypatch.setattr(memory, "free_memory", lambda d, amount=amount: amount[d.type])
        data = load(str(folder), image_size=16, data_dir=tmp_path, device=cuda, cache_dir=tmp_path)
        assert data.train.pixels.is_cuda == (free > 0)
        assert data.mean.is_cuda
        batches.append(BatchStream(data, 4, 0, True, cuda).next_batch()[0])
    assert batches[0].is_cuda
    assert torch.equal(batches[0], batches[1])
    on_cpu = BatchStream(load_at(folder, tmp_path), 4, 0, True, CPU).next_batch()[0]
    assert torch.allclose(batches[0].cpu(), on_cpu, atol=1e-6)


def test_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        load_at("cifar11", tmp_path)
    assert_one_line(error.value, "'cifar11'", "cifar10", "digits", "--dataset FOLDER", "<class>")


def test_a_folder_called_like_a_built_in_data_set_needs_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path / "digits", COUNTS)
    monkeypatch.chdir(tmp_path)
    assert len(load_at("digits", tmp_path).classes) == 10
    assert "./digits" in capsys.readouterr().err
    assert load_at("./digits", tmp_path).classes == ("a", "b")
    assert capsys.readouterr().err == ""


def test_names_are_resolved_to_what_means_the_same_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "digits", COUNTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve("digits") == "digits"
    assert resolve("./digits") == resolve("~/digits") == resolve(str(folder)) == str(folder)
    assert resolve("no-such-set") == "no-such-set"


def test_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(b"PK")
    with pytest.raises(InputError) as error:
        load_at(tmp_path / "set.zip", tmp_path)
    assert_one_line(error.value, "set.zip is a file", "unpack")


@pytest.mark.parametrize("name", ["~no-such-user/set", "x" * 5000, "a\0b"])
def test_impossible_path_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as error:
        load_at(name, tmp_path)
    assert_one_line(error.value, "folder", name)


def test_tiny_image_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        load_at("digits", tmp_path, size=4)
    assert_one_line(error.value, "image size 4", "8 or more")


def test_home_folder_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "set", COUNTS)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_at("~/set", tmp_path).name == "~/set"


@pytest.mark.slow
@pytest.mark.skipif("BNNAS_CIFAR10" not in os.environ, reason="BNNAS_CIFAR10 names no folder")
def test_cifar10_folder(tmp_path: Path) -> None:
    data = load_at(os.environ["BNNAS_CIFAR10"], tmp_path, size=32)
    assert data.train.pixels.shape == (50_000, 3, 32, 32)
    assert data.test.labels.bincount().tolist() == [1000] * 10
    assert torch.allclose(data.mean, torch.tensor([0.4914, 0.4822, 0.4465]), atol=2e-3)
    assert torch.allclose(data.std, torch.tensor([0.247, 0.2435, 0.2616]), atol=4e-3)
