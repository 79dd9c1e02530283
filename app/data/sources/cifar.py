"""CIFAR-10 and CIFAR-100: 50,000 + 10,000 colour pictures, 32×32, 160 MB each to download."""

from pathlib import Path
from typing import Any

from torchvision.datasets import CIFAR10, CIFAR100

from app.data.download import fetch
from app.data.pictures import Source, from_array
from app.data.registry import register


@register("cifar10")
def cifar10(data_dir: Path) -> Source:
    """Ten classes of animals and vehicles."""
    return _read("cifar10", CIFAR10, data_dir)


@register("cifar100")
def cifar100(data_dir: Path) -> Source:
    """A hundred classes, 500 training pictures each."""
    return _read("cifar100", CIFAR100, data_dir)


def _read(name: str, dataset: Any, data_dir: Path) -> Source:
    train = fetch(name, data_dir, dataset, train=True)
    test = fetch(name, data_dir, dataset, train=False)
    return Source(
        tuple(train.classes),
        from_array(train.data, train.targets),
        from_array(test.data, test.targets),
    )
