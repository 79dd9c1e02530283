import io
from collections import Counter

import pytest
import torch

from app.data import BatchStream, ImageData, Split, check_batch_size
from app.errors import InputError
from tests.app.data.helpers import CPU, assert_one_line

COUNT, SIZE, BATCH = 50, 16, 8
PASS = COUNT // BATCH


def _data(flip: bool = True) -> ImageData:
    """Image i: rows 0, 5, 10, ... and columns likewise, plus i, so that each is different."""
    step = 5 * torch.arange(SIZE)
    image = step[:, None] + step[None, :] // 2
    pixels = (image + torch.arange(COUNT)[:, None, None, None]).expand(COUNT, 3, SIZE, SIZE)
    train = Split(pixels.to(torch.uint8).contiguous(), torch.arange(COUNT))
    return ImageData(
        name="numbers",
        classes=tuple(str(i) for i in range(COUNT)),
        train=train,
        test=train,
        mean=torch.zeros(3),
        std=torch.ones(3),
        flip=flip,
        fingerprint="0" * 16,
    )


def _stream(data: ImageData, seed: int = 1, augment: bool = False) -> BatchStream:
    return BatchStream(data, BATCH, seed, augment, CPU)


def _labels(stream: BatchStream, batches: int) -> list[int]:
    return [label for _ in range(batches) for label in stream.next_batch()[1].tolist()]


def test_batch_has_the_promised_form_and_images_belong_to_their_labels() -> None:
    data = _data()
    images, labels = _stream(data).next_batch()
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert images.shape == (BATCH, 3, SIZE, SIZE)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images, data.normalise(data.train.pixels[labels]))


def test_each_pass_shows_images_once_in_a_new_order_and_drops_a_partial_batch() -> None:
    stream = _stream(_data())
    passes = [_labels(stream, PASS) for _ in range(3)]
    for shown in passes:
        assert len(set(shown)) == len(shown) == PASS * BATCH
    assert passes[0] != passes[1] != passes[2]


def test_seed_decides_the_order() -> None:
    data = _data()
    assert _labels(_stream(data, 1), 4) == _labels(_stream(data, 1), 4)
    assert _labels(_stream(data, 1), 4) != _labels(_stream(data, 2), 4)


@pytest.mark.parametrize("steps", [0, PASS - 1, PASS + 3])
def test_restored_stream_continues_bit_for_bit(steps: int) -> None:
    data = _data()
    stream = _stream(data, augment=True)
    _labels(stream, steps)
    file = io.BytesIO()
    torch.save(stream.state_dict(), file)
    file.seek(0)
    expected = [stream.next_batch() for _ in range(2 * PASS)]
    restored = _stream(data, seed=99, augment=True)
    restored.load_state_dict(torch.load(file, weights_only=True))
    for images, labels in expected:
        again, same = restored.next_batch()
        assert torch.equal(again, images)
        assert torch.equal(same, labels)


@pytest.mark.parametrize("size", [0, COUNT + 1])
def test_batch_size_out_of_range_is_one_line_that_names_the_option(size: int) -> None:
    check_batch_size(COUNT, COUNT)
    with pytest.raises(InputError) as error:
        check_batch_size(COUNT, size)
    assert_one_line(error.value, f"batch size {size}", f"1 to {COUNT}", "supernet.batch_size=N")
    with pytest.raises(InputError, match="--batch-size N"):
        check_batch_size(COUNT, size, "--batch-size N")


def test_mirrored_share_is_half_and_nil_without_flip() -> None:
    """A row of an image rises to the right; after mirroring, at the centre, it falls."""
    for flip, low, high in ((True, 0.45, 0.55), (False, 0.0, 0.0)):
        stream = _stream(_data(flip), augment=True)
        images = torch.cat([stream.next_batch()[0] for _ in range(200)])
        falling = images[:, 0, 8, 4] > images[:, 0, 8, 11]
        assert low <= falling.float().mean().item() <= high


def test_offsets_reach_an_eighth_evenly_both_ways() -> None:
    data = _data(flip=False)
    stream = _stream(data, augment=True)
    seen: Counter[int] = Counter()
    for _ in range(250):
        images, labels = stream.next_batch()
        shift = images[:, 0, 8, 8] * 255 - data.train.pixels[labels][:, 0, 8, 8]
        seen.update(shift.round().int().tolist())
    step = 5 * torch.arange(SIZE)
    image = step[:, None] + step[None, :] // 2
    window = image[6:11, 6:11] - image[8, 8]  # 16 // 8 = 2 pixels each way, 25 positions
    expected = Counter(window.flatten().tolist())
    assert set(seen) == set(expected)
    for value, ways in expected.items():
        assert abs(seen[value] / 2000 - ways / 25) < 0.03
