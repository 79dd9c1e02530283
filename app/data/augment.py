"""Random augmentation: crop and mirror a whole batch in one gather, TrivialAugment."""

import torch
from torch import Tensor


def crop_and_mirror(pixels: Tensor, offsets: Tensor, mirrored: Tensor) -> Tensor:
    """Shift each image by its own offset, reflecting at the borders, and mirror some.

    `pixels`: B×3×S×S, any type. `offsets`: int64, 2×B, down and right, each within ±(S - 1), of the
    window, so the image moves the other way. `mirrored`: bool, B, left to right after the crop.
    Returns a batch like `pixels`, channels last, on the same device.
    """
    size = pixels.shape[-1]
    line = torch.arange(size, device=pixels.device)
    down, right = offsets.to(pixels.device, non_blocking=True)[:, :, None]
    mirrored = mirrored.to(pixels.device, non_blocking=True)
    across = torch.where(mirrored[:, None], size - 1 - line, line)
    rows = _reflect(down + line, size)[:, :, None]
    columns = _reflect(right + across, size)[:, None, :]
    batch = torch.arange(len(pixels), device=pixels.device)[:, None, None]
    # Indices around a slice put the slice last: B×S×S×3, which is what channels last stores.
    return pixels[batch, :, rows, columns].permute(0, 3, 1, 2)


def _reflect(position: Tensor, size: int) -> Tensor:
    """Fold positions beyond 0 ... size - 1 back inside, the border itself not repeated."""
    return (size - 1) - ((size - 1) - position.abs()).abs()


def trivial_augment(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Apply one random operation of random strength to each image (arXiv 2103.10158).

    `pixels`: uint8, B×3×S×S; returns the same. torchvision draws from PyTorch's global generator,
    which is seeded from `generator` meanwhile, so that training can be resumed.
    """
    from torchvision.transforms import v2  # slow to import, and seldom needed

    transform = v2.TrivialAugmentWide()
    seed = int(torch.randint(1 << 62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return torch.stack([transform(image) for image in pixels])
