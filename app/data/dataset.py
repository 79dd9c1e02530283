"""A decoded data set, its normalisation and its fingerprint."""

import hashlib
import json
from dataclasses import dataclass, field

import torch
from torch import Tensor

from app.data.decode import ValueRanges
from app.device import memory_format


@dataclass(frozen=True, eq=False)
class Split:
    """Decoded images and their classes, on the same device."""

    pixels: Tensor
    """uint8, N×3×S×S."""
    labels: Tensor
    """int64, N: index into `ImageData.classes`."""

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> "Split":
        """The split on `device`; itself if it is there."""
        return Split(self.pixels.to(device), self.labels.to(device))


@dataclass(frozen=True, eq=False)
class ImageData:
    """A data set, ready to train on."""

    name: str
    """The built-in name, or the folder's absolute path."""
    classes: tuple[str, ...]
    train: Split
    test: Split
    """Never looked at before a training has ended."""
    mean: Tensor
    """The mean of each channel over the training pixels in [0, 1]: 3 float32, on the device."""
    std: Tensor
    flip: bool
    """Whether images may be mirrored."""
    fingerprint: str
    """16 hex digits; the same images have the same fingerprint, wherever they lie."""
    value_ranges: ValueRanges = field(default_factory=dict)
    """What deep images were scaled from."""
    val: Split | None = None
    """Validates trainings, if the data set has such a split; no part of the fingerprint."""

    @property
    def device(self) -> torch.device:
        """The device that computes."""
        return self.mean.device

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.classes)

    @property
    def test_images(self) -> "Images":
        """The test images, normalised when they are indexed."""
        return Images(self, self.test.pixels)

    @property
    def image_size(self) -> int:
        """Height and width in pixels."""
        return self.train.pixels.shape[-1]

    def normalise(self, pixels: Tensor) -> Tensor:
        """Bytes, B×3×S×S, to float32 of mean 0 and deviation 1, on the device in its layout."""
        images = pixels.to(self.device, non_blocking=True).to(
            torch.float32, memory_format=memory_format(self.device)
        )
        shape = (1, 3, 1, 1)
        return images.div_(255).sub_(self.mean.view(shape)).div_(self.std.view(shape))


@dataclass(frozen=True, eq=False)
class Images:
    """Images of a data set, normalised when they are indexed: `data.test_images[:8]`."""

    data: ImageData
    pixels: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int | slice | Tensor) -> Tensor:
        """A batch, of one image for an integer: float32, B×3×S×S."""
        chosen = self.pixels[index]
        return self.data.normalise(chosen.view(-1, *self.pixels.shape[1:]))


def channel_statistics(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per channel of uint8 N×3×S×S in [0, 1]; two float32 vectors.

    Bytes are counted rather than floats added, so the result is exact and in any order the same.
    """
    counts = torch.zeros(3, 256, dtype=torch.float64)
    for chunk in torch.split(pixels, 4096):  # which bounds what is copied
        for channel in range(3):
            counts[channel] += torch.bincount(chunk[:, channel].flatten(), minlength=256)
    share = counts / counts.sum(1, keepdim=True)
    brightness = torch.arange(256, dtype=torch.float64) / 255
    mean = share @ brightness
    variance = (share * (brightness - mean[:, None]) ** 2).sum(1)
    # One grey level is the least that a byte can vary; a constant channel would divide by zero.
    return mean.float(), variance.sqrt().clamp(min=1 / 255).float()


def fingerprint(classes: tuple[str, ...], *splits: Split) -> str:
    """16 hex digits of SHA-256 over image size, classes, pixels and labels (host tensors)."""
    shapes = [list(part.pixels.shape) for part in splits]
    digest = hashlib.sha256(json.dumps([shapes, classes]).encode())
    for part in splits:
        digest.update(part.pixels.numpy().data)
        digest.update(part.labels.numpy().data)
    return digest.hexdigest()[:16]


def majority_share(labels: Tensor) -> float:
    """Share of the largest class: the accuracy of always guessing it."""
    return int(labels.bincount().max()) / len(labels)
