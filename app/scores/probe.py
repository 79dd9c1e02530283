"""The probe batch: the images that every architecture of a study is scored on."""

from dataclasses import dataclass

import torch
from torch import Tensor

from app.data import ImageData
from app.errors import InputError

MIN_IMAGES = 8


@dataclass(frozen=True)
class ProbeBatch:
    """Training images on which the architectures of a study are scored."""

    images: Tensor
    """N×3×S×S, normalised."""
    labels: Tensor
    """N."""
    seed: int

    @staticmethod
    def draw(data: ImageData, count: int, seed: int, device: torch.device) -> "ProbeBatch":
        """Draw `count` training images, or take all if there are fewer.

        Raises InputError for fewer than MIN_IMAGES.
        """
        if len(data.train.labels) < MIN_IMAGES:
            raise InputError(
                f"a score needs at least {MIN_IMAGES} training images, "
                f"but '{data.name}' has {len(data.train.labels)}"
            )
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(data.train.labels), generator=generator)[:count]
        pixels = data.train.pixels[chosen.to(data.train.pixels.device)].to(device)
        labels = data.train.labels[chosen.to(data.train.labels.device)].to(device)
        return ProbeBatch(data.normalise(pixels), labels, seed)
