"""Accuracy of a network: overall, of each class, and their mean."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from app.data import ImageData, Split

IMAGES_AT_ONCE = 250


@dataclass(frozen=True)
class Accuracy:
    """Shares of correctly classified images, 0 to 1."""

    overall: float
    by_class: tuple[float | None, ...]
    """None for a class without images."""

    @property
    def balanced(self) -> float:
        """Mean over the classes that have images."""
        known = [share for share in self.by_class if share is not None]
        return sum(known) / len(known)


@torch.inference_mode()
def evaluate(
    network: nn.Module, data: ImageData, split: Split, indices: Tensor | None = None
) -> Accuracy:
    """Classify the images of `split` at `indices` (int64, all if None) in evaluation mode."""
    network.eval()
    labels = split.labels
    if indices is None:
        indices = torch.arange(len(labels))
    indices = indices.to(labels.device)
    hits = torch.zeros(len(data.classes), dtype=torch.int64, device=labels.device)
    for chunk in torch.split(indices, IMAGES_AT_ONCE):
        predicted = network(data.normalise(split.pixels[chunk])).argmax(1).to(labels.device)
        hits.index_add_(0, labels[chunk], (predicted == labels[chunk]).long())
    counts = labels[indices].bincount(minlength=len(hits)).tolist()
    shares = [
        hit / count if count else None for hit, count in zip(hits.tolist(), counts, strict=True)
    ]
    return Accuracy(int(hits.sum()) / len(indices), tuple(shares))
