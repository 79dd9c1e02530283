"""Classify pictures with an exported network: python classify.py model.onnx picture.jpg ...

Needs onnxruntime, NumPy and Pillow.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps


def prepare(picture: Path, about: dict[str, Any]) -> NDArray[np.uint8]:
    """Decode a picture exactly as the training did: bytes, 1×3×S×S. The model normalises them.

    `about` is what `model.json` holds. The picture is turned upright, deep pixels are scaled to
    bytes, transparency is laid over white, the central square is resized with antialiasing.
    """
    given = about["input"]
    with Image.open(picture) as file:
        file.draft("RGB", (2 * given["size"], 2 * given["size"]))  # shrinks large JPEGs early
        image = ImageOps.exif_transpose(file)
        if image.mode == "F" or image.mode.startswith("I"):
            image = Image.fromarray(to_bytes(np.asarray(image), given.get("value_ranges", {})))
        if image.has_transparency_data:
            page = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(page, image.convert("RGBA"))
        image = image.convert("RGB")
    square = ImageOps.fit(image, (given["size"], given["size"]), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1)[None])


def to_bytes(values: NDArray[Any], ranges: dict[str, tuple[float, float]]) -> NDArray[np.uint8]:
    """Scale integers (kind "i") or floats ("f") of a deep picture to 0 … 255.

    `ranges` holds the values of black and white by kind; 16-bit integers without one keep their
    high byte.
    """
    kind = values.dtype.kind.replace("u", "i")
    black, white = ranges.get(kind, (0, 65535) if kind == "i" else (0, 1))
    span = white - black
    scale = 256 / (span + 1 if span > 1 else span or 1)
    return ((values.astype(np.float64) - black) * scale).clip(0, 255).astype(np.uint8)


def main() -> None:
    """Print the three most likely classes of each picture."""
    if len(sys.argv) < 3:
        sys.exit("usage: python classify.py MODEL.onnx PICTURE ...")
    import onnxruntime

    model, *pictures = map(Path, sys.argv[1:])
    about = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    if about["input"].get("dtype") != "uint8":
        sys.exit(f"{model} is from an earlier version: export it again")
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for picture in pictures:
        (logits,) = session.run(["scores"], {"images": prepare(picture, about)})[0]
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        for i in shares.argsort()[::-1][:3]:
            print(f"{shares[i]:6.1%}  {about['classes'][i]}")


if __name__ == "__main__":
    main()
