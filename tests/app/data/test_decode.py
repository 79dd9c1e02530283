import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.data.decode import DeepImageError, read_file, value_range
from app.errors import InputError
from tests.app.data.helpers import assert_one_line, noise, png


def test_lossless_formats_give_the_same_pixels(tmp_path: Path) -> None:
    for ending in ("bmp", "webp", "tif", "ppm", "PNG"):
        path = tmp_path / f"a.{ending}"
        Image.fromarray(noise("a")).save(path, lossless=True)
        assert np.array_equal(read_file(path, 16, {}), noise("a")), ending


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        *((0, 0, (0, 1)), (0, 1, (0, 1)), (0, 200, (0, 255)), (3, 256, (0, 4095))),
        *((0, 4096, (0, 65535)), (0, 70000, (0, 70000)), (-5, 200, (-5, 200))),
    ],
)
def test_range_of_deep_values_is_the_first_usual_one_that_holds_them(
    low: float, high: float, expected: tuple[float, float]
) -> None:
    assert value_range(low, high) == expected


def test_deep_image_waits_for_the_range(tmp_path: Path) -> None:
    wide = np.arange(256, dtype=np.uint16).reshape(16, 16) * 256
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(wide).save(tmp_path / "a.png", exif=exif)
    with pytest.raises(DeepImageError) as error:
        read_file(tmp_path / "a.png", 16, {})
    assert (error.value.kind, error.value.low, error.value.high) == ("i", 0, 255 * 256)
    decoded = read_file(tmp_path / "a.png", 16, {"i": (0, 65535)})
    assert np.array_equal(decoded[..., 0], np.rot90(wide >> 8, -1))


def test_transparent_pixels_turn_white(tmp_path: Path) -> None:
    pixels = np.zeros((16, 16, 4), dtype=np.uint8)
    pixels[:8, :, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    decoded = read_file(tmp_path / "a.png", 16, {})
    assert (decoded[:8] == 0).all()
    assert (decoded[8:] == 255).all()


def test_palette_gives_its_colours_and_its_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (16, 16), 0)
    image.putpalette([200, 10, 20, 0, 0, 255])
    image.paste(1, (0, 0, 16, 8))
    image.save(tmp_path / "opaque.png")
    image.save(tmp_path / "clear.gif", transparency=1)
    opaque, clear = (read_file(tmp_path / name, 16, {}) for name in ("opaque.png", "clear.gif"))
    assert opaque[12, 0].tolist() == clear[12, 0].tolist() == [200, 10, 20]
    assert opaque[0, 0].tolist() == [0, 0, 255]
    assert clear[0, 0].tolist() == [255, 255, 255]


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by 90° clockwise
    Image.fromarray(noise("a")).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_file(tmp_path / "a.png", 16, {}), np.rot90(noise("a"), -1))


@pytest.mark.parametrize(("height", "width"), [(16, 48), (48, 16)])
def test_centre_of_the_longer_side_is_kept(tmp_path: Path, height: int, width: int) -> None:
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[height // 2 - 8 : height // 2 + 8, width // 2 - 8 : width // 2 + 8] = noise("a")
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(read_file(tmp_path / "a.png", 16, {}), noise("a"))


def test_large_jpeg_keeps_its_colours(tmp_path: Path) -> None:
    """800×640 is decoded at a reduced scale; the halves must stay where they are."""
    image = Image.new("RGB", (800, 640), (250, 0, 0))
    image.paste((0, 0, 250), (0, 320, 800, 640))
    image.save(tmp_path / "a.jpg", quality=95)
    decoded = read_file(tmp_path / "a.jpg", 16, {}).astype(int)
    assert decoded.shape == (16, 16, 3)
    assert abs(decoded[:7] - (250, 0, 0)).max() < 8
    assert abs(decoded[9:] - (0, 0, 250)).max() < 8


def test_files_that_cannot_be_decoded_have_a_reason(tmp_path: Path) -> None:
    Image.fromarray(noise("a", 64)).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:400])
    (tmp_path / "text.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    Image.fromarray(np.full((16, 16), np.nan, dtype=np.float32)).save(tmp_path / "nan.tif")
    reasons = {
        "cut.png": "truncated",
        "text.jpg": "cannot identify",  # Pillow's EPS reader would have taken it
        "nan.tif": "not finite",
        "absent.png": "No such file",
    }
    for name, reason in reasons.items():
        with pytest.raises(InputError) as error:
            read_file(tmp_path / name, 16, {})
        assert_one_line(error.value, reason)


def test_pixel_bomb_is_refused_before_it_is_decoded_and_a_large_image_is_not(
    tmp_path: Path,
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for width, reason in ((10_001, "over 100 megapixels"), (9_500, "truncated")):
            (tmp_path / "large.png").write_bytes(png(width, 10_000, 8, b""))
            with pytest.raises(InputError, match=reason):
                read_file(tmp_path / "large.png", 16, {})
