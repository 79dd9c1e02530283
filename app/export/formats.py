"""Writing a network in another program's format, and checking that it still computes the same."""

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from app.atomic import write_atomically

TOLERANCE = 1e-4
"""Of class scores, absolute or relative to their size."""
INPUT, OUTPUT = "images", "scores"


def write_onnx(network: nn.Module, images: Tensor, path: Path) -> None:
    """Write ONNX with one input `images`, N×3×H×W for any N, and one output `scores`.

    Raises FloatingPointError if onnxruntime computes other scores of `images`.
    """
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            network,
            (images[:2],),
            file,
            dynamo=True,
            verbose=False,
            external_data=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
        content = file.read_bytes()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    _compare(network, images, lambda x: session.run([OUTPUT], {INPUT: x.numpy()})[0], "onnxruntime")
    write_atomically(path, lambda out: out.write(content))


def write_pt2(network: nn.Module, images: Tensor, path: Path) -> None:
    """Write an archive for `torch.export.load`, for a batch of any size.

    Raises FloatingPointError if what is read back computes other scores of `images`.
    """
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(network, (images[:2],), dynamic_shapes=shapes)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.pt2"
        torch.export.save(program, file)
        module = torch.export.load(file).module()
        content = file.read_bytes()
    _compare(network, images, lambda x: module(x).detach().numpy(), "torch.export")
    write_atomically(path, lambda out: out.write(content))


WRITERS: dict[str, Callable[[nn.Module, Tensor, Path], None]] = {
    ".onnx": write_onnx,
    ".pt2": write_pt2,
}


def _compare(
    network: nn.Module, images: Tensor, run: Callable[[Tensor], np.ndarray], program: str
) -> None:
    """Scores of all images at once and of one alone."""
    for batch in (images, images[:1]):
        with torch.inference_mode():
            expected = network(batch).numpy()
        difference = np.abs(run(batch) - expected)
        if not (difference <= TOLERANCE * np.maximum(1, np.abs(expected))).all():
            raise FloatingPointError(
                f"{program} computes scores that differ by up to {difference.max():.2g} from "
                "PyTorch's: nothing was written"
            )
