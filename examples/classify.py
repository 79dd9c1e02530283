"""Classify pictures with an exported network: python classify.py model.onnx picture.jpg ...

Needs onnxruntime, NumPy and Pillow.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps


def prepare(picture: Path, about: dict) -> np.ndarray:
    """Decode a picture exactly as the training did: float32, 1×3×S×S, normalised.

    `about` is the model's `model.json`. The picture is turned upright, transparency is laid over
    white, the central square is scaled down with antialiasing, and bytes are normalised.
    """
    size, mean, std = (about["input"][key] for key in ("size", "mean", "std"))
    with Image.open(picture) as image:
        image.draft("RGB", (2 * size, 2 * size))  # decodes large JPEGs at 1/2, 1/4 or 1/8
        image = to_rgb(ImageOps.exif_transpose(image))
    square = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    pixels = np.asarray(square, np.float32) / 255
    normalised = (pixels - np.float32(mean)) / np.float32(std)
    return normalised.transpose(2, 0, 1)[None]


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a picture of any mode to RGB."""
    if image.has_transparency_data:
        page = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(page, image.convert("RGBA")).convert("RGB")
    if image.mode.startswith("I"):  # 16 bits: keep the high byte, where Pillow would clip at 255
        high = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255)
        return Image.fromarray(high.astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def main() -> None:
    """Print the three most likely classes of each picture."""
    if len(sys.argv) < 3:
        sys.exit("usage: python classify.py MODEL.onnx PICTURE ...")
    import onnxruntime

    model, *pictures = map(Path, sys.argv[1:])
    about = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for picture in pictures:
        (logits,) = session.run(["scores"], {"images": prepare(picture, about)})[0]
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        for i in shares.argsort()[::-1][:3]:
            print(f"{shares[i]:6.1%}  {about['classes'][i]}")


if __name__ == "__main__":
    main()
