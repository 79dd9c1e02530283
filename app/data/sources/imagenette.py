"""Imagenette: ten ImageNet classes, 9,469 + 3,925 photographs, shorter side 320, 340 MB."""

from dataclasses import replace
from pathlib import Path

from torchvision.datasets import Imagenette

from app.data.download import fetch
from app.data.folder import read_folder
from app.data.pictures import Source
from app.data.registry import register
from app.errors import InputError

COUNTS = (9469, 3925)


@register("imagenette")
def imagenette(data_dir: Path) -> Source:
    """Ten classes, named in words and ordered by their WordNet numbers."""
    dataset = fetch("imagenette", data_dir, Imagenette, size="320px")
    folder = data_dir / "imagenette2-320"
    source = read_folder(folder)
    if (len(source.train), len(source.test)) != COUNTS:
        # torchvision takes any folder of this name for a whole one, a broken-off unpacking too
        raise InputError(f"{folder} lacks pictures; delete it so that it is unpacked again")
    return replace(source, classes=tuple(names[0] for names in dataset.classes))
