import pytest
import torch
from torch.nn.functional import pad

from app.data.augment import crop_and_mirror, trivial_augment

SIZE = 16
PIXELS = torch.arange(5 * 3 * SIZE * SIZE).view(5, 3, SIZE, SIZE)


@pytest.mark.parametrize("reach", [0, 2, 15])
def test_crop_equals_padding_by_reflection_and_cutting(reach: int) -> None:
    generator = torch.Generator().manual_seed(0)
    offsets = torch.randint(-reach, reach + 1, (2, 5), generator=generator)
    mirrored = torch.tensor([True, False, True, False, True])
    result = crop_and_mirror(PIXELS, offsets, mirrored)
    assert result.is_contiguous(memory_format=torch.channels_last)
    padded = pad(PIXELS.double(), (reach,) * 4, mode="reflect").long()
    for i in range(5):
        top, left = (offsets[:, i] + reach).tolist()
        window = padded[i, :, top : top + SIZE, left : left + SIZE]
        assert torch.equal(result[i], window.flip(-1) if mirrored[i] else window)


def test_trivial_augment_changes_each_image_its_own_way_and_can_be_repeated() -> None:
    image = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
    batch = image.expand(24, -1, -1, -1)
    state = torch.get_rng_state()
    changed = trivial_augment(batch, torch.Generator().manual_seed(4))
    assert torch.equal(torch.get_rng_state(), state)
    assert changed.shape == batch.shape and changed.dtype == torch.uint8
    assert len({tuple(c.flatten().tolist()) for c in changed}) > 10
    assert torch.equal(changed, trivial_augment(batch, torch.Generator().manual_seed(4)))
    assert not torch.equal(changed, trivial_augment(batch, torch.Generator().manual_seed(5)))
