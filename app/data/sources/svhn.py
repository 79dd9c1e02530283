"""SVHN: 73,257 + 26,032 colour pictures of house numbers, 32×32, 250 MB to download."""

from pathlib import Path

from torchvision.datasets import SVHN

from app.data.download import fetch
from app.data.pictures import Source, from_array
from app.data.registry import register


@register("svhn")
def svhn(data_dir: Path) -> Source:
    """Ten digits, never mirrored."""
    root = data_dir / "svhn"  # torchvision gives its files no folder of their own
    train = fetch("svhn", root, SVHN, split="train")
    test = fetch("svhn", root, SVHN, split="test")
    return Source(
        tuple(str(digit) for digit in range(10)),
        from_array(train.data.transpose(0, 2, 3, 1), train.labels.tolist()),
        from_array(test.data.transpose(0, 2, 3, 1), test.labels.tolist()),
        flip=False,
    )
