"""Fashion-MNIST: 60,000 + 10,000 grey pictures of clothes, 28×28, 30 MB to download."""

from pathlib import Path

from torchvision.datasets import FashionMNIST

from app.data.download import fetch
from app.data.pictures import Source, from_array
from app.data.registry import register


@register("fashionmnist")
def fashionmnist(data_dir: Path) -> Source:
    """Ten classes of clothes."""
    train = fetch("fashionmnist", data_dir, FashionMNIST, train=True)
    test = fetch("fashionmnist", data_dir, FashionMNIST, train=False)
    return Source(
        tuple(FashionMNIST.classes),
        from_array(train.data.numpy(), train.targets.tolist()),
        from_array(test.data.numpy(), test.targets.tolist()),
    )
