import time
from typing import Any

import numpy as np
import pytest
import torch

from app.data import filling
from app.data.pictures import Pictures
from app.errors import InputError
from app.progress import progress_bar


def _read(i: int, size: int) -> Any:
    return np.full((size, size, 3), (i % 256, i // 256, 7), dtype=np.uint8)


def test_every_picture_comes_to_its_place() -> None:
    count = 3 * filling.CHUNK + 5
    pixels = torch.zeros(count, 3, 4, 4, dtype=torch.uint8)
    filling.fill(pixels, Pictures([0] * count, _read), "pictures")
    number = pixels[:, 0].long() + 256 * pixels[:, 1].long()
    assert torch.equal(number, torch.arange(count).view(-1, 1, 1).expand(-1, 4, 4))
    assert (pixels[:, 2] == 7).all()


@pytest.mark.parametrize(("patience", "bars"), [(0.0, 1), (60.0, 0)])
def test_bar_appears_only_when_it_takes_long(
    monkeypatch: pytest.MonkeyPatch, patience: float, bars: int
) -> None:
    monkeypatch.setattr(filling, "PATIENCE", patience)
    count = 2 * filling.CHUNK
    pixels = torch.zeros(count, 3, 4, 4, dtype=torch.uint8)

    def slow(i: int, size: int) -> Any:
        time.sleep(0.001)
        return _read(i, size)

    totals: list[int] = []

    def watched(description: str, total: int, done: int) -> Any:
        totals.append(total)
        return progress_bar(description, total, done)

    monkeypatch.setattr(filling, "progress_bar", watched)
    filling.fill(pixels, Pictures([0] * count, slow), "pictures")
    assert totals == [count] * bars
    assert (pixels[:, 2] == 7).all()


def test_a_bad_picture_stops_the_pool_early() -> None:
    seen: list[int] = []

    def broken(i: int, size: int) -> Any:
        seen.append(i)
        if i == 3:
            raise InputError("picture 3")
        time.sleep(0.001)
        return _read(i, size)

    count = 100 * filling.CHUNK
    pixels = torch.zeros(count, 3, 4, 4, dtype=torch.uint8)
    with pytest.raises(InputError, match="picture 3"):
        filling.fill(pixels, Pictures([0] * count, broken), "pictures")
    assert len(seen) < count / 2
