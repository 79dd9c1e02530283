"""The built-in data sets: scikit-learn's digits, and what torchvision downloads.

To add one, write a function from the folder for downloads to a `Source` and enter it in `BUILT_IN`.
Import what only it needs within it: these libraries take seconds to import.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.data.decode import ValueRanges, to_square
from app.data.folder import read_folder
from app.data.split import LazyImage, Source, train_test_split
from app.errors import InputError

DIGITS = tuple("0123456789")
IMAGENETTE_COUNTS = (9469, 3925)


def _digits(data_dir: Path) -> Source:
    """1,797 handwritten digits, grey, 8×8, which need no download; split 80/20."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)  # stored as 0 ... 16
    everything = _lazy([(Image.fromarray(image), None) for image in images], bunch.target)
    return Source(DIGITS, *train_test_split(everything), flip=False)


def _with_targets(dataset: str, data_dir: Path) -> Source:
    """CIFAR and Fashion-MNIST, which torchvision gives alike."""
    train, test = (_fetch(dataset, data_dir, train=flag) for flag in (True, False))
    return Source(tuple(train.classes), _lazy(train, train.targets), _lazy(test, test.targets))


def _svhn(data_dir: Path) -> Source:
    root = data_dir / "svhn"  # torchvision gives its files no folder of their own
    train, test = (_fetch("SVHN", root, split=name) for name in ("train", "test"))
    return Source(DIGITS, _lazy(train, train.labels), _lazy(test, test.labels), flip=False)


def _imagenette(data_dir: Path) -> Source:
    """Ten classes, named in words and ordered by their WordNet numbers."""
    dataset = _fetch("Imagenette", data_dir, size="320px")
    folder = data_dir / "imagenette2-320"
    source = read_folder(folder)
    if (len(source.train), len(source.test)) != IMAGENETTE_COUNTS:
        # torchvision takes any folder of this name for a whole one, even one partly unpacked
        raise InputError(f"{folder} is incomplete; delete it so that it is unpacked again")
    return replace(source, classes=tuple(names[0] for names in dataset.classes))


BUILT_IN: dict[str, Callable[[Path], Source]] = {
    "cifar10": partial(_with_targets, "CIFAR10"),  # 50,000 + 10,000, 32×32, 160 MB
    "cifar100": partial(_with_targets, "CIFAR100"),  # the same
    "digits": _digits,
    "fashionmnist": partial(_with_targets, "FashionMNIST"),  # 60,000 + 10,000, 28×28, 30 MB
    "imagenette": _imagenette,  # 9,469 + 3,925 photographs, shorter side 320, 340 MB
    "svhn": _svhn,  # 73,257 + 26,032 house numbers, 32×32, 250 MB
}
"""By the name that `--dataset` takes. Each gets the folder for downloads, may raise InputError."""


def _fetch(dataset: str, folder: Path, **options: Any) -> Any:
    """torchvision's data set of that name, downloaded if need be; InputError if that fails."""
    from torchvision import datasets

    try:
        folder.mkdir(parents=True, exist_ok=True)
        return getattr(datasets, dataset)(folder, download=True, **options)
    except Exception as error:  # URLError, RuntimeError, TarError, AssertionError, ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"'{dataset.lower()}' could not be downloaded or read ({reason}); its files "
            f"were looked for in {folder.absolute()}; without a network, use --dataset FOLDER or "
            "--dataset digits"
        ) from error


def _lazy(items: Sequence[tuple[Image.Image, Any]], labels: Sequence[int]) -> list[LazyImage]:
    """The images of a PyTorch data set, whose labels are known without opening them."""

    return [
        LazyImage(int(label), f"image {i}", partial(_read, items, i))
        for i, label in enumerate(labels)
    ]


def _read(items: Any, i: int, size: int, ranges: ValueRanges) -> NDArray[np.uint8]:
    return to_square(items[i][0].convert("RGB"), size)
