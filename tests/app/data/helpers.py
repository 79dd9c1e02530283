"""Real images on disk and the shortest way to load them."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from app.data import ImageData, load

CPU = torch.device("cpu")


def noise(key: str, size: int = 16) -> np.ndarray:
    """Pixels that differ from key to key, size×size×3."""
    generator = np.random.default_rng(zlib.crc32(os.fsencode(key)))
    return generator.integers(0, 256, (size, size, 3), dtype=np.uint8)


def write_folder(root: Path, counts: dict[str, int]) -> Path:
    """`counts` images in each folder below `root`; each has its own pixels."""
    for place, count in counts.items():
        (root / place).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.fromarray(noise(f"{place}{i}")).save(root / place / f"{i}.png")
    return root


def load_at(name: str | Path, scratch: Path, size: int = 16) -> ImageData:
    """`load` on the CPU, downloads and cache below `scratch`."""
    return load(
        str(name),
        image_size=size,
        data_dir=scratch / "downloads",
        device=CPU,
        cache_dir=scratch / "cache",
    )


def png(width: int, height: int, bits: int, rows: bytes) -> bytes:
    """A colour PNG of any depth, which Pillow cannot write; `rows` each begin with a zero."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels


def assert_one_line(error: BaseException, *parts: str) -> None:
    """The message is a single line that contains all `parts`."""
    message = str(error)
    assert "\n" not in message
    for part in parts:
        assert part in message, message
