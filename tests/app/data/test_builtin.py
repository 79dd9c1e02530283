"""scikit-learn's digits, and torchvision's data sets as tiny files in their real formats."""

import hashlib
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.datasets as tv
from PIL import Image
from scipy.io import savemat
from sklearn.datasets import load_digits

from app.data import builtin
from app.errors import InputError
from tests.app.data.helpers import assert_one_line, load_at, noise

COUNT = 6


def _images(part: str) -> np.ndarray:
    return np.stack([noise(f"{part}{i}", 32) for i in range(COUNT)])


def _expect(pixels: torch.Tensor, part: str) -> None:
    assert torch.equal(pixels, torch.from_numpy(_images(part)).permute(0, 3, 1, 2))


def _pickle(path: Path, value: dict[str, Any]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(value))
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_digits_at_8_pixels_are_those_of_scikit_learn_split_by_class(tmp_path: Path) -> None:
    data = load_at("digits", tmp_path, size=8)
    assert (data.name, data.classes, data.flip) == ("digits", tuple("0123456789"), False)
    bunch = load_digits()
    every = torch.bincount(torch.from_numpy(bunch.target))
    assert torch.equal(data.test.labels.bincount(), (0.2 * every).round().long())
    original = np.column_stack([bunch.images.reshape(-1, 64), bunch.target])
    loaded = []
    for part in (data.train, data.test):
        assert (part.pixels == part.pixels[:, :1]).all()
        grey = (part.pixels[:, 0].double() * 16 / 255).round().flatten(1)
        loaded.append(np.column_stack([grey.numpy(), part.labels.numpy()]))
    assert sorted(np.concatenate(loaded).tolist()) == sorted(original.tolist())
    assert data.fingerprint == "f4545db25469eb99"  # on every machine


@pytest.mark.parametrize(
    ("name", "dataset", "key"),
    [("cifar10", tv.CIFAR10, "labels"), ("cifar100", tv.CIFAR100, "fine_labels")],
)
def test_cifar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, dataset: Any, key: str
) -> None:
    root = tmp_path / "downloads" / dataset.base_folder
    for part in ("train", "test"):
        rows = _images(part).transpose(0, 3, 1, 2).reshape(COUNT, -1)
        md5 = _pickle(root / part, {"data": rows, key: list(range(COUNT))})
        monkeypatch.setattr(dataset, f"{part}_list", [[part, md5]])
    names = [f"thing {i}" for i in range(COUNT)]
    md5 = _pickle(root / dataset.meta["filename"], {dataset.meta["key"]: names})
    monkeypatch.setattr(dataset, "meta", {**dataset.meta, "md5": md5})
    data = load_at(name, tmp_path, size=32)
    assert data.classes == tuple(names)
    assert data.train.labels.tolist() == list(range(COUNT))
    assert data.flip
    _expect(data.train.pixels, "train")
    _expect(data.test.pixels, "test")


def test_fashionmnist(tmp_path: Path) -> None:
    raw = tmp_path / "downloads" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    grey = {part: _images(part)[:, :28, :28, 0].copy() for part in ("train", "t10k")}
    for part, images in grey.items():
        header = struct.pack(">IIII", 2051, COUNT, 28, 28)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        header = struct.pack(">II", 2049, COUNT)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(header + bytes(range(COUNT)))
    data = load_at("fashionmnist", tmp_path, size=28)
    assert data.classes[9] == "Ankle boot"
    assert data.test.labels.tolist() == list(range(COUNT))
    for channel in range(3):
        assert torch.equal(data.train.pixels[:, channel], torch.from_numpy(grey["train"]))
    assert load_at("fashionmnist", tmp_path, size=32).train.pixels.shape == (COUNT, 3, 32, 32)


def test_svhn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "downloads" / "svhn"
    root.mkdir(parents=True)
    table = dict(tv.SVHN.split_list)
    for part in ("train", "test"):
        path = root / f"{part}_32x32.mat"
        labels = np.array([[10], [1], [2], [3], [4], [5]])  # SVHN writes 10 for the digit 0
        savemat(path, {"X": _images(part).transpose(1, 2, 3, 0), "y": labels})
        table[part] = ["", path.name, hashlib.md5(path.read_bytes()).hexdigest()]
    monkeypatch.setattr(tv.SVHN, "split_list", table)
    data = load_at("svhn", tmp_path, size=32)
    assert data.train.labels.tolist() == list(range(COUNT))
    assert not data.flip
    _expect(data.train.pixels, "train")
    _expect(data.test.pixels, "test")


def test_imagenette(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "downloads" / "imagenette2-320"
    for part in ("train", "val"):
        for wnid in tv.Imagenette._WNID_TO_CLASS:
            (root / part / wnid).mkdir(parents=True)
            image = Image.fromarray(noise(wnid + part, 40))
            image.save(root / part / wnid / f"{wnid}_0.JPEG")
    with pytest.raises(InputError) as error:
        load_at("imagenette", tmp_path)
    assert_one_line(error.value, str(root), "delete it")
    monkeypatch.setattr(builtin, "IMAGENETTE_COUNTS", (10, 10))
    data = load_at("imagenette", tmp_path)
    assert data.classes[:2] == ("tench", "English springer")
    assert data.train.labels.tolist() == list(range(10))


@pytest.mark.parametrize("name", ["cifar10", "fashionmnist"])
def test_without_a_network_it_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # A proxy that nobody listens at: the real download fails on a machine with a network too.
    for scheme in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(scheme, "http://127.0.0.1:9")
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(InputError) as error:
        load_at(name, tmp_path)
    assert_one_line(
        error.value,
        f"'{name}' could not be downloaded",
        str(tmp_path / "downloads"),
        "--dataset FOLDER",
        "--dataset digits",
    )
