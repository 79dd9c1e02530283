"""One image file to a square of RGB bytes.

Pillow resizes with integers, so the pixels, and the fingerprint over them, do not depend on the
processor as those of a floating-point resize would.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from app.errors import InputError

MAX_PIXELS = 100_000_000
"""A larger image is taken for a decompression bomb (100 megapixels are 300 MB decoded)."""
Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit, which warns first

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM")
"""Only these: a file called .jpg must not start Pillow's EPS reader, which runs Ghostscript."""

ValueRanges = dict[str, tuple[float, float]]
"""The values of black and white in a data set's deep images, by NumPy's kind of number."""


class DeepImageError(Exception):
    """An image of over 8 bits a channel, before the data set's range of such values is known."""

    def __init__(self, kind: str, low: float, high: float) -> None:
        super().__init__(kind, low, high)
        self.kind, self.low, self.high = kind, low, high


def is_image(path: Path) -> bool:
    """Whether a file's first bytes are those of an image, or cannot be read."""
    try:
        with Image.open(path, formats=FORMATS):
            return True
    except Exception as error:  # broken bytes make decoders raise anything
        return isinstance(error, PermissionError)


def read_file(path: Path, size: int, ranges: ValueRanges) -> NDArray[np.uint8]:
    """Decode `path` to uint8, size×size×3: upright, RGB, shorter side resized, centre cropped.

    Raises DeepImageError for values whose range is not in `ranges`, and InputError with the reason
    when the file cannot be decoded or has over 100 megapixels.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width}×{image.height} is over 100 megapixels")
            # A JPEG can be decoded at 1/2, 1/4 or 1/8; twice the size asked for keeps it sharp.
            image.draft("RGB", (2 * size, 2 * size))
            ImageOps.exif_transpose(image, in_place=True)
            return to_square(_to_rgb(image, ranges), size)
    except DeepImageError:
        raise
    except Exception as error:  # broken bytes make decoders raise anything, SyntaxError included
        raise InputError(str(error) or type(error).__name__) from error


def to_square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Resize the central square of an RGB image, antialiased, to uint8, size×size×3."""
    if image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    return np.asarray(image)


def value_range(low: float, high: float) -> tuple[float, float]:
    """The values of black and white, given the extremes of all deep images of a data set.

    They are 0 and 1, or those of 8, 12 or 16 bits, the first that hold all; else the extremes.
    """
    for limit in (1, 255, 4095, 65535):
        if low >= 0 and high <= limit:
            return 0, limit
    return low, high


def _to_bytes(values: NDArray[Any], ranges: ValueRanges) -> NDArray[np.uint8]:
    kind = values.dtype.kind.replace("u", "i")  # signed or not says little about what is stored
    if not np.isfinite(values).all():
        raise ValueError("some pixels are not finite")
    if kind not in ranges:
        raise DeepImageError(kind, float(values.min()), float(values.max()))
    black, white = ranges[kind]
    span = white - black
    # each of 256 steps takes as many values, so 16 bits keep their high byte and 8 bits all
    scale = 256 / (span + 1 if span > 1 else span or 1)
    return ((values.astype(np.float64) - black) * scale).clip(0, 255).astype(np.uint8)


def _to_rgb(image: Image.Image, ranges: ValueRanges) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):
        image = Image.fromarray(_to_bytes(np.asarray(image), ranges))
    if image.has_transparency_data:
        # Pixels that cannot be seen hold arbitrary colours: show them as a page would, white.
        page = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(page, image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")
