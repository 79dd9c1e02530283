"""Accuracy of a network: overall, of each class, and their mean."""

from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor, nn

from app.data import ImageData, Split

IMAGES_AT_ONCE = 250


class Accuracy(NamedTuple):
    """Shares of correctly classified images, 0 to 1."""

    overall: float
    balanced: float
    """Mean over the classes that have images."""
    by_class: list[float | None]
    """None for a class without images."""


@torch.inference_mode()
def evaluate(
    network: nn.Module, data: ImageData, split: Split, indices: Tensor | None = None
) -> Accuracy:
    """Classify the images of `split` at `indices` (int64, all if None) in evaluation mode."""
    network.eval()
    chosen = torch.arange(len(split)) if indices is None else indices
    chosen = chosen.to(split.labels.device)
    chunks = torch.split(chosen, IMAGES_AT_ONCE)
    predicted = torch.cat([network(data.normalise(split.pixels[c])).argmax(1) for c in chunks])
    labels = split.labels[chosen]
    right = labels[predicted.to(labels.device) == labels]
    hits, counts = (some.bincount(minlength=len(data.classes)).tolist() for some in (right, labels))
    shares = [hit / count if count else None for hit, count in zip(hits, counts, strict=True)]
    known = [share for share in shares if share is not None]
    return Accuracy(len(right) / len(labels), fmean(known), shares)
