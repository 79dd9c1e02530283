from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

from app.data import ImageData
from tests.app.data.helpers import load_at


def test_all_real_digits_are_there_split_by_class(digits: ImageData) -> None:
    assert digits.name == "digits"
    assert digits.classes == tuple("0123456789")
    assert not digits.flip
    assert len(digits.train) + len(digits.test) == 1797
    every = torch.bincount(torch.from_numpy(load_digits().target))
    assert torch.equal(digits.test.labels.bincount(), (0.2 * every).round().long())


def test_at_8_pixels_they_are_those_of_scikit_learn(tmp_path: Path) -> None:
    data = load_at("digits", tmp_path, size=8)
    bunch = load_digits()
    original = np.column_stack([bunch.images.reshape(-1, 64), bunch.target])
    loaded = []
    for part in (data.train, data.test):
        assert (part.pixels == part.pixels[:, :1]).all()
        grey = (part.pixels[:, 0].double() * 16 / 255).round().flatten(1)
        loaded.append(np.column_stack([grey.numpy(), part.labels.numpy()]))
    assert sorted(np.concatenate(loaded).tolist()) == sorted(original.tolist())


def test_fingerprint_is_the_same_on_every_machine(tmp_path: Path) -> None:
    assert load_at("digits", tmp_path, size=8).fingerprint == "f4545db25469eb99"
