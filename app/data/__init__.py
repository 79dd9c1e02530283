"""Images in, normalised batches out: `load` a data set by name or folder, draw from `BatchStream`.

`load` opens a source (`builtin` or `folder`: class names, labels, undecoded images), decodes it
once into uint8 tensors (`decode`, `decode_all`) and checks what came out.
"""

from app.data.dataset import ImageData, Split, majority_share
from app.data.loading import load
from app.data.split import describe_split, hold_out
from app.data.stream import BatchStream, check_batch_size

__all__ = [
    "BatchStream",
    "ImageData",
    "Split",
    "check_batch_size",
    "describe_split",
    "hold_out",
    "load",
    "majority_share",
]
