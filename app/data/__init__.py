"""Pictures in, normalised batches out: `load` a data set by name or folder, `BatchStream` it."""

from app.data.image_data import ImageData, Split
from app.data.loading import load
from app.data.split import hold_out
from app.data.stream import BatchStream

__all__ = ["BatchStream", "ImageData", "Split", "hold_out", "load"]
