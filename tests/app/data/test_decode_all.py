import os
import signal
import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from app.data import decode_all as module
from app.data.decode_all import decode, decode_all
from app.data.split import LazyImage, Source
from app.errors import InputError
from app.interrupt import stop_at_once
from tests.app.data.helpers import assert_one_line, load_at, noise, png, write_folder

RAMP = np.arange(256).reshape(16, 16)


def _read(i: int, size: int, ranges: object, bad: bool = False) -> Any:
    if bad:
        raise InputError("cut off")
    pixels = np.full((size, size, 3), (i % 256, i // 256, 7), dtype=np.uint8)
    pixels[0, 0, 2] = 255
    return pixels


def _images(labels: list[int], bad: set[int] | None = None) -> list[LazyImage]:
    return [
        LazyImage(label, f"no{i}", partial(_read, i, bad=i in (bad or ())))
        for i, label in enumerate(labels)
    ]


def _unset(count: int) -> torch.Tensor:
    return torch.zeros(count, 3, 4, 4, dtype=torch.uint8)


def _decode(train: list[LazyImage], test: list[LazyImage]) -> Any:
    return decode_all(Source(("a", "b"), train, test), _unset(len(train) + len(test)))[0]


@pytest.mark.parametrize("patience", [0.0, 60.0])
def test_every_image_comes_to_its_place_with_or_without_a_bar(
    monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    monkeypatch.setattr(module, "PATIENCE", patience)
    count = 40 * module.CHUNK + 5
    pixels = _unset(count)
    assert decode(_images([0] * count), range(count), pixels, {}) == {}
    number = pixels[:, 0].long() + 256 * pixels[:, 1].long()
    assert torch.equal(number, torch.arange(count).view(-1, 1, 1).expand(-1, 4, 4))


def test_images_that_cannot_be_read_are_named_and_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    train, test = _decode(_images([0, 1] * 20, {3, 20}), _images([0, 1] * 10, {0}))
    kept = [i for i in range(40) if i not in (3, 20)]
    assert train.pixels[:, 0, 0, 0].tolist() == kept
    assert train.labels.tolist() == [i % 2 for i in kept]
    assert test.pixels[:, 0, 0, 0].tolist() == list(range(1, 20))
    assert test.labels.tolist() == [i % 2 for i in range(1, 20)]
    said = capsys.readouterr().err
    assert "2 of 40 train images" in said and "no3 (cut off), no20 (cut off)" in said


def test_a_set_is_refused_that_lacks_too_many_or_a_class() -> None:
    with pytest.raises(InputError) as error:
        _decode(_images([0] + [1] * 39, {0}), _images([0, 1] * 10, {1, 2, 3}))
    parts = ["1 of 40 train images", "all of class 'a'", "no0", "3 of 20 test images", "cut off"]
    assert_one_line(error.value, *parts)


def test_nearly_constant_images_are_counted_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_folder(tmp_path, {"train/a": 4, "train/b": 4, "test/a": 2, "test/b": 2})
    Image.new("RGB", (16, 16), "red").save(folder / "train" / "a" / "red.png")
    Image.fromarray((RAMP // 18).astype(np.uint8)).save(folder / "train" / "b" / "dark.png")
    load_at(folder, tmp_path)
    said = capsys.readouterr().err
    assert "2 of 10 train images are nearly constant" in said
    assert "red.png" in said and "dark.png" in said


def test_a_set_of_constant_images_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, {"train/a": 0, "train/b": 0, "test/a": 1, "test/b": 1})
    for place, colour in (("a", "black"), ("b", "white")):
        Image.new("RGB", (16, 16), colour).save(folder / "train" / place / "0.png")
    with pytest.raises(InputError) as error:
        load_at(folder, tmp_path)
    assert_one_line(error.value, "all 2 training images are of one colour", "0.png")


@pytest.mark.parametrize(
    ("values", "white"),
    [
        (RAMP.astype(np.uint16), 255),
        ((RAMP * 16).astype(np.uint16), 4095),
        ((RAMP * 256).astype(np.uint16), 65535),
        ((RAMP * 256).astype(np.int32), 65535),
        ((RAMP / 255).astype(np.float32), 1),
        ((RAMP - 128).astype(np.float32), 127),
    ],
    ids=["8", "12", "16", "16-in-32", "unit", "signed"],
)
def test_deep_images_are_scaled_by_what_the_data_set_holds(
    tmp_path: Path, values: np.ndarray, white: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """One image spans the range; another is half as bright and must stay so."""
    ending = "png" if values.dtype == np.uint16 else "tif"
    for i, place in enumerate(("train/a", "train/b", "test/a", "test/b")):
        (tmp_path / place).mkdir(parents=True)
        dark = np.minimum(values, values[8, 0])
        Image.fromarray(values if i else dark).save(tmp_path / place / f"0.{ending}")
    data = load_at(tmp_path, tmp_path)
    full = data.train.pixels[1, 0].flatten()
    assert (full.int() - torch.arange(256)).abs().max() <= 1
    assert data.train.pixels[0].max() in (127, 128)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "4 images have over 8 bits" in said and f"{white:g} white" in said


def test_eight_bit_images_beside_deep_ones_stay_as_they_are(tmp_path: Path) -> None:
    for place in ("train/a", "train/b", "test/a", "test/b"):
        (tmp_path / place).mkdir(parents=True)
        Image.fromarray(RAMP.astype(np.uint16)).save(tmp_path / place / "0.png")
        Image.fromarray(noise(place)).save(tmp_path / place / "8.png")
    pixels = load_at(tmp_path, tmp_path).train.pixels
    assert (pixels[0].numpy() == RAMP).all()
    assert (pixels[1].permute(1, 2, 0).numpy() == noise("train/a")).all()


def test_dark_deep_colour_is_refused(tmp_path: Path) -> None:
    """Pillow reads the high bytes of 16-bit colour, which values of 8 bits leave zero."""
    colour = np.stack([RAMP, RAMP.T, 255 - RAMP], -1)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in colour)
    for place in ("train/a", "train/b", "test/a", "test/b"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "0.png").write_bytes(png(16, 16, 16, rows))
    with pytest.raises(InputError, match="of one colour"):
        load_at(tmp_path, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_do_not_wait_for_a_decoder_that_hangs(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    hang = threading.Event()

    def read(size: int, ranges: object) -> Any:
        os.kill(os.getpid(), number)
        hang.wait()
        return _read(0, size, ranges)

    with stop_at_once(), pytest.raises(KeyboardInterrupt):
        decode([LazyImage(0, "a", read)], [0], _unset(1), {})
    others = [one for one in threading.enumerate() if one is not threading.main_thread()]
    assert others and all(one.daemon for one in others)  # the process ends without them
    hang.set()
