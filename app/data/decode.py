"""One picture file, or one decoded picture, to a square of RGB bytes.

Pillow resizes with integers, so the pixels, and the fingerprint over them, do not depend on the
processor as those of a floating-point resize would.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from app.errors import InputError

MAX_PIXELS = 100_000_000
"""A larger picture is taken for a decompression bomb (100 megapixels are 300 MB decoded)."""

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM")
"""Only these: a file called .jpg must not start Pillow's EPS reader, which runs Ghostscript."""


def read_file(path: Path, size: int) -> NDArray[np.uint8]:
    """Decode `path` to uint8, size×size×3: upright, RGB, shorter side resized, centre cropped.

    Raises InputError, naming the file, when it cannot be decoded or has over 100 megapixels.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width}×{image.height} is over 100 megapixels")
            # A JPEG can be decoded at 1/2, 1/4 or 1/8; twice the size asked for keeps it sharp.
            image.draft("RGB", (2 * size, 2 * size))
            ImageOps.exif_transpose(image, in_place=True)
            return to_square(_to_rgb(image), size)
    except Exception as error:  # broken bytes make decoders raise anything, SyntaxError included
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"cannot read picture {path} ({reason}); mend or remove it") from error


def to_square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Resize the central square of an RGB image, antialiased, to uint8, size×size×3."""
    if image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    return np.asarray(image)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.has_transparency_data:
        # Pixels that cannot be seen hold arbitrary colours: show them as a page would, white.
        page = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(page, image.convert("RGBA")).convert("RGB")
    if image.mode.startswith("I"):  # 16 bits a pixel; Pillow's own conversion clips at 255
        high_bytes = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255).astype(np.uint8)
        return Image.fromarray(high_bytes).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range; save it with 8 bits")
    return image.convert("RGB")
