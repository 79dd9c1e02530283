import time
from typing import Any

import numpy as np
import pytest
import torch

from app.console import progress_bar
from app.data import filling
from app.data.image_data import Split
from app.data.loading import without_broken
from app.data.pictures import Pictures
from app.errors import InputError


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


def test_pictures_that_cannot_be_read_are_told_and_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = {3: "picture 3", 20: "picture 20"}

    def broken(i: int, size: int) -> Any:
        if i in bad:
            raise InputError(bad[i])
        return _read(i, size)

    count = 3 * filling.CHUNK
    pixels = torch.zeros(count, 3, 4, 4, dtype=torch.uint8)
    labels = torch.arange(count) % 2
    found = filling.fill(pixels, Pictures([0] * count, broken), "pictures")
    assert found == bad
    split = without_broken(Split(pixels, labels), found, "pictures")
    kept = [i for i in range(count) if i not in bad]
    assert split.pixels[:, 0, 0, 0].tolist() == kept
    assert split.labels.tolist() == [i % 2 for i in kept]
    said = capsys.readouterr().err
    assert "picture 3" in said and "picture 20" in said and f"2 of {count} pictures" in said


@pytest.mark.parametrize(("count", "broken"), [(20, (1, 2, 3)), (40, (0,))])
def test_a_set_is_refused_that_lacks_too_many_or_a_class(
    count: int, broken: tuple[int, ...]
) -> None:
    labels = (torch.arange(count) > 0).long()  # the first one is a class of its own
    split = Split(torch.zeros(count, 3, 4, 4, dtype=torch.uint8), labels)
    with pytest.raises(InputError, match=rf"{len(broken)} of {count} pictures cannot be read"):
        without_broken(split, dict.fromkeys(broken, "broken"), "pictures")
