"""A data set so small that networks train in milliseconds."""

from dataclasses import replace

import pytest

from app.data import ImageData, Split


@pytest.fixture(scope="session")
def few(digits: ImageData) -> ImageData:
    """The first 240 training and 100 test images of the digits."""
    train, test = digits.train, digits.test
    return replace(
        digits,
        train=Split(train.pixels[:240], train.labels[:240]),
        test=Split(test.pixels[:100], test.labels[:100]),
    )
