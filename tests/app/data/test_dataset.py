import torch

from app.data import ImageData, majority_share
from app.data.dataset import Split, channel_statistics, fingerprint


def test_statistics_agree_with_floating_point() -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 200, (5000, 3, 4, 4), dtype=torch.uint8, generator=generator)
    pixels[:, 1] //= 3
    mean, std = channel_statistics(pixels)
    real = pixels.double() / 255
    assert torch.allclose(mean.double(), real.mean((0, 2, 3)), atol=1e-6)
    assert torch.allclose(std.double(), real.std((0, 2, 3), correction=0), atol=1e-6)


def test_constant_channel_does_not_divide_by_zero() -> None:
    mean, std = channel_statistics(torch.full((2, 3, 4, 4), 51, dtype=torch.uint8))
    assert torch.allclose(mean, torch.tensor(0.2))
    assert torch.allclose(std, torch.tensor(1 / 255))


def test_normalised_training_split_has_mean_0_and_deviation_1(digits: ImageData) -> None:
    images = digits.normalise(digits.train.pixels)
    assert images.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(images.mean((0, 2, 3)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(images.std((0, 2, 3)), torch.ones(3), atol=1e-4)
    assert digits.train.pixels.dtype == torch.uint8


def test_fingerprint_covers_size_classes_pixels_and_labels() -> None:
    pixels = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).view(2, 3, 4, 4)
    part = Split(pixels, torch.tensor([0, 1]))
    changed = pixels.clone()
    changed[1, 2, 3, 3] += 1
    prints = {
        fingerprint(("a", "b"), part, part),
        fingerprint(("a", "c"), part, part),
        fingerprint(("a", "b"), part, Split(changed, part.labels)),
        fingerprint(("a", "b"), Split(changed, part.labels), part),
        fingerprint(("a", "b"), part, Split(pixels, torch.tensor([1, 1]))),
        fingerprint(("a", "b"), part, Split(pixels.view(2, 3, 2, 8), part.labels)),
    }
    assert len(prints) == 6
    assert all(len(value) == 16 and int(value, 16) >= 0 for value in prints)
    assert fingerprint(("a", "b"), Split(pixels.clone(), part.labels), part) in prints


def test_share_of_the_largest_class() -> None:
    assert majority_share(torch.tensor([0, 2, 2, 2])) == 0.75
