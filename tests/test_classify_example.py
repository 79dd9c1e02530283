"""The example prepares pictures of every kind exactly as the training did."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.data.decode import ValueRanges, read_file

EXAMPLE = Path(__file__).parent.parent / "examples" / "classify.py"
SIZE = 32


def noise(mode: str) -> Image.Image:
    """A smooth random picture of 90×70 in this mode."""
    rng = np.random.default_rng(0)
    bands = len(Image.new(mode, (1, 1)).getbands())
    small = rng.integers(0, 256, (7, 9, bands), dtype=np.uint8).squeeze()
    return Image.fromarray(small, mode).resize((90, 70), Image.Resampling.BICUBIC)


def pictures(folder: Path) -> dict[str, Path]:
    """A file of each kind."""
    paths = {}
    for mode in ("RGB", "RGBA", "LA", "L", "CMYK"):
        paths[mode] = folder / f"{mode}.{'tiff' if mode == 'CMYK' else 'png'}"
        noise(mode).save(paths[mode])
    paths["palette"] = folder / "palette.png"
    noise("RGB").quantize(16).save(paths["palette"], transparency=3)
    paths["16 bits"] = folder / "deep.png"
    deep = np.linspace(0, 65535, 90 * 70).astype(np.uint16).reshape(70, 90)
    Image.fromarray(deep).save(paths["16 bits"])
    paths["float"] = folder / "float.tiff"
    Image.fromarray(np.linspace(0, 1, 90 * 70, dtype=np.float32).reshape(70, 90)).save(
        paths["float"]
    )
    paths["rotated"] = folder / "rotated.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turned by 90 degrees
    noise("RGB").resize((900, 700)).save(paths["rotated"], exif=exif)
    return paths


@pytest.mark.parametrize("white", [65535, 4095])
def test_pictures_are_prepared_as_in_training(white: int, tmp_path: Path) -> None:
    prepare = runpy.run_path(str(EXAMPLE))["prepare"]
    ranges: ValueRanges = {"i": (0, white), "f": (0, 1)}
    about = {"input": {"size": SIZE, "value_ranges": ranges}}
    for kind, path in pictures(tmp_path).items():
        prepared = prepare(path, about)
        assert prepared.dtype == np.uint8 and prepared.shape == (1, 3, SIZE, SIZE)
        expected = read_file(path, SIZE, ranges).transpose(2, 0, 1)[None]
        np.testing.assert_array_equal(prepared, expected, err_msg=kind)
        assert np.ptp(prepared) > 50, kind


@pytest.mark.slow
def test_without_arguments_it_says_how_it_is_used() -> None:
    done = subprocess.run([sys.executable, str(EXAMPLE)], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "usage: python classify.py MODEL.onnx PICTURE ...\n"
