"""scikit-learn's 1,797 handwritten digits: real pictures, 8×8, grey, that need no download."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from app.data.pictures import Source, from_array
from app.data.registry import register
from app.data.split import split


@register("digits")
def digits(data_dir: Path) -> Source:
    """Ten classes, about 180 pictures each, split 80/20."""
    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)  # stored as 0 ... 16
    train, test = split(from_array(images, bunch.target.tolist()))
    return Source(tuple(str(digit) for digit in range(10)), train, test, flip=False)
