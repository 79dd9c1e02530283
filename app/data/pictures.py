"""What a data set is before it is decoded: labels at once, pixels one picture at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.data.decode import to_square

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Pictures:
    """Labelled pictures, decoded only when asked for."""

    labels: Sequence[int]
    read: Callable[[int, int], Pixels]
    """`read(index, size)`: picture `index` as uint8, size×size×3; called from many threads."""

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Sequence[int]) -> "Pictures":
        """The pictures at `indices`, in that order."""
        labels = [self.labels[i] for i in indices]
        return Pictures(labels, lambda i, size: self.read(indices[i], size))


@dataclass(frozen=True)
class Source:
    """A whole data set: what a function in `app.data.sources` and a folder both yield."""

    classes: tuple[str, ...]
    train: Pictures
    test: Pictures
    flip: bool = True
    """Whether a mirrored picture still belongs to its class (false for digits)."""


def from_array(images: Pixels, labels: Sequence[int]) -> Pictures:
    """Pictures that are in memory already: uint8, N×H×W (grey) or N×H×W×3."""
    return Pictures(
        [int(label) for label in labels],
        lambda i, size: to_square(Image.fromarray(images[i]).convert("RGB"), size),
    )
