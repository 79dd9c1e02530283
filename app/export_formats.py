"""A network as ONNX or as a torch.export archive, checked to compute the same class scores."""

import io
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from app.errors import InputError

TOLERANCE = 1e-4
"""The largest difference of logits, absolute or relative to their size."""
INPUT, OUTPUT = "images", "scores"
MIN_OPSET = 18
"""The oldest that PyTorch's exporter writes: onnxruntime 1.14 (2023) and later run it."""


def check_opset(opset: int) -> None:
    """Raises InputError unless the installed packages know this opset."""
    from onnx.defs import onnx_opset_version

    if not MIN_OPSET <= opset <= onnx_opset_version():
        raise InputError(f"--opset {opset}: give {MIN_OPSET} to {onnx_opset_version()}")


def to_onnx(network: nn.Module, images: Tensor, opset: int) -> tuple[bytes, int]:
    """Convert to ONNX with input `images`, N×3×H×W for any N, and output `scores`.

    Returns the file's content and its IR version, the lowest that the opset allows. Raises
    InputError if the network cannot be written in the opset or onnxruntime cannot run it, and
    FloatingPointError if onnxruntime computes other scores of `images`.
    """
    import onnxruntime
    from onnx.helper import find_min_ir_version_for

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter
        program = torch.onnx.export(
            network,
            (images[:2],),
            dynamo=True,
            verbose=False,
            opset_version=opset,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
    assert program is not None
    model = program.model_proto
    if [entry.version for entry in model.opset_import if not entry.domain] != [opset]:
        raise InputError(f"--opset {opset}: PyTorch cannot convert this network; leave it out")
    model.ir_version = find_min_ir_version_for(model.opset_import)
    for entry in (*model.graph.node, *model.graph.value_info):
        entry.ClearField("metadata_props")  # stack traces, which name this machine's folders
    content = model.SerializeToString()
    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes have no public base
        reason = str(error).splitlines()[0]
        raise InputError(f"--opset {opset}: onnxruntime cannot run it ({reason})") from None
    _compare(network, images, lambda x: session.run([OUTPUT], {INPUT: x.numpy()})[0], "onnxruntime")
    return content, model.ir_version


def to_pt2(network: nn.Module, images: Tensor) -> bytes:
    """Convert to an archive for `torch.export.load`, for batches of any size.

    Raises FloatingPointError if the archive, read back, computes other scores of `images`.
    """
    shapes = ({0: torch.export.Dim("batch")},)
    archive = io.BytesIO()
    torch.export.save(torch.export.export(network, (images[:2],), dynamic_shapes=shapes), archive)
    archive.seek(0)
    module = torch.export.load(archive).module()
    _compare(network, images, lambda x: module(x).detach().numpy(), "torch.export")
    return archive.getvalue()


def _compare(
    network: nn.Module, images: Tensor, run: Callable[[Tensor], np.ndarray], program: str
) -> None:
    """Compare the scores of all images at once, and of one alone."""
    for batch in (images, images[:1]):
        with torch.inference_mode():
            expected = network(batch).numpy()
        difference = np.abs(run(batch) - expected)
        if not (difference <= TOLERANCE * np.maximum(1, np.abs(expected))).all():
            raise FloatingPointError(
                f"{program} computes scores that differ by up to {difference.max():.2g} from "
                "PyTorch's: nothing was written"
            )
