"""Accuracy and loss of paths through a supernet on held-out images. Nothing to run."""

from collections.abc import Iterable, Iterator

import torch
from torch.nn import functional as F

from app.data import ImageData
from spaces import Supernet


@torch.no_grad()
def one_shot(
    supernet: Supernet, data: ImageData, archs: Iterable[str], batch_size: int, images: int
) -> Iterator[tuple[float, float]]:
    """Yield the accuracy and the cross-entropy of each architecture on random test images."""
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randperm(len(data.test.labels), generator=generator)[:images]
    device = next(supernet.parameters()).device
    batches = [
        (data.normalise(data.test.pixels[part].to(device)), data.test.labels[part].to(device))
        for part in torch.split(chosen, batch_size)
    ]
    for arch in archs:
        logits = torch.cat([supernet(pixels, arch) for pixels, _ in batches])
        labels = torch.cat([labels for _, labels in batches])
        correct = (logits.argmax(1) == labels).float().mean()
        yield float(correct), float(F.cross_entropy(logits, labels))
