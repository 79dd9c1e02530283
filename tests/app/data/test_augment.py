import pytest
import torch
from torch.nn.functional import pad

from app.data.augment import crop_and_mirror

SIZE = 16
PIXELS = torch.arange(5 * 3 * SIZE * SIZE).view(5, 3, SIZE, SIZE)
STILL = torch.zeros(2, 5, dtype=torch.int64)
NONE = torch.zeros(5, dtype=torch.bool)


def test_no_offset_and_no_mirror_change_nothing() -> None:
    assert torch.equal(crop_and_mirror(PIXELS, STILL, NONE), PIXELS)


@pytest.mark.parametrize("reach", [2, 15])
def test_crop_equals_padding_by_reflection_and_cutting(reach: int) -> None:
    generator = torch.Generator().manual_seed(0)
    offsets = torch.randint(-reach, reach + 1, (2, 5), generator=generator)
    mirrored = torch.tensor([True, False, True, False, True])
    result = crop_and_mirror(PIXELS, offsets, mirrored)
    padded = pad(PIXELS.double(), (reach,) * 4, mode="reflect").long()
    for i in range(5):
        top, left = (offsets[:, i] + reach).tolist()
        window = padded[i, :, top : top + SIZE, left : left + SIZE]
        assert torch.equal(result[i], window.flip(-1) if mirrored[i] else window)


def test_result_is_stored_channels_last() -> None:
    result = crop_and_mirror(PIXELS.to(torch.uint8), STILL, NONE)
    assert result.dtype == torch.uint8
    assert result.is_contiguous(memory_format=torch.channels_last)
