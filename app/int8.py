"""An ONNX model in int8: static, per channel, in QDQ form, and what it loses against float32.

onnxruntime.quantization calibrates the range of each activation on training images. BatchNorm is
in the convolutions before, where PyTorch's exporter folds it; one that follows no convolution stays
float32. Activations are unsigned and weights signed, the form that onnxruntime runs fastest: with
signed activations a third of the convolutions stay float32. Processors with AVX2 but without VNNI
saturate 16-bit sums in it, so measure there too.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from app.console import out
from app.data import ImageData
from app.errors import InputError
from app.export_formats import INPUT, OUTPUT
from app.latency import median_milliseconds

CALIBRATION_IMAGES = 512
IMAGES_AT_ONCE = 64
MIN_SECONDS = 0.5
"""The least that the runs of one image take together, to tell the two models apart."""

BATCHNORM = "BatchNormalization"

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Measured:
    """A model on all test images."""

    accuracy: float
    """From 0 to 1."""
    bytes: int
    milliseconds: float
    """Median for one image, on one CPU thread of onnxruntime."""


def to_int8(model: bytes, data: ImageData, max_drop: float) -> tuple[bytes, dict[str, object]]:
    """Convert a float32 model; returns the int8 one, and how both do on the test images.

    Raises InputError with the figures if it loses more than `max_drop` points of accuracy.
    """
    step = max(1, len(data.train) // CALIBRATION_IMAGES)
    images = data.train.pixels[::step][:CALIBRATION_IMAGES].numpy()
    quantised = quantise(model, images)
    found = {"float32": measure(model, data), "int8": measure(quantised, data)}
    for name, one in found.items():
        out.print(
            f"{name:<10}test accuracy {100 * one.accuracy:.2f} %, {one.bytes / 1e6:.3f} MB, "
            f"{one.milliseconds:.2f} ms for one image on one thread"
        )
    drop = 100 * (found["float32"].accuracy - found["int8"].accuracy)
    if drop > max_drop:
        raise InputError(
            f"--int8: the int8 model loses {drop:.2f} points of accuracy, more than --max-drop "
            f"{max_drop:g}: nothing was written; raise --max-drop or leave out --int8"
        )
    return quantised, {name: asdict(one) for name, one in found.items()}


def quantise(model: bytes, images: Pixels) -> bytes:
    """Convert a float32 model to int8, its activations calibrated on these images."""
    loaded = onnx.load_from_string(model)
    add_pre_process_metadata(loaded)  # or it is called for: nothing is left to fold
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            loaded,
            path,
            _Batches(images),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            nodes_to_exclude=[n.name for n in loaded.graph.node if n.op_type == BATCHNORM],
        )
        return path.read_bytes()


class _Batches(CalibrationDataReader):  # type: ignore[misc]
    """Hands out images as onnxruntime asks for them."""

    def __init__(self, images: Pixels) -> None:
        self.batches: Iterator[Pixels] = iter(_batches(images))

    def get_next(self) -> dict[str, Pixels] | None:
        batch = next(self.batches, None)
        return None if batch is None else {INPUT: batch}


def measure(model: bytes, data: ImageData) -> Measured:
    """Classify all test images with onnxruntime, and time one."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    pixels, labels = data.test.pixels.numpy(), data.test.labels.numpy()
    predicted = [session.run([OUTPUT], {INPUT: b})[0].argmax(1) for b in _batches(pixels)]
    accuracy = float((np.concatenate(predicted) == labels).mean())
    milliseconds = median_milliseconds(
        lambda: session.run([OUTPUT], {INPUT: pixels[:1]}), MIN_SECONDS
    )
    return Measured(accuracy, len(model), milliseconds)


def _batches(pixels: Pixels) -> list[Pixels]:
    return [pixels[i : i + IMAGES_AT_ONCE] for i in range(0, len(pixels), IMAGES_AT_ONCE)]
