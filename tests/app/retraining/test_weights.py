"""Weights of another network to start from."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from app.cli import main
from app.data import ImageData
from app.errors import InputError
from app.retraining.training import NetworkTraining
from app.retraining.weights import take_weights
from app.trained import Recipe
from tests.toy import Toy


def test_what_fits_is_taken_and_counted(toy: Toy, tmp_path: Path) -> None:
    many = Toy(classes=20, image_size=16)
    given = many.network("conv3-conv1-conv3").state_dict()
    path = str(tmp_path / "given.safetensors")
    save_file(given, path)
    network = toy.network("conv3-conv3-conv3")
    before = {name: t.clone() for name, t in network.state_dict().items()}
    text = take_weights(network, path)
    differ = {"layers.1.0.weight", "classifier.weight", "classifier.bias"}
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name] if name in differ else given[name]), name
    assert f"{len(before) - 3} of {len(before)} tensors" in text
    assert all(name in text for name in differ)


def test_a_training_and_its_average_start_from_them(
    toy: Toy, few: ImageData, tmp_path: Path
) -> None:
    arch, path = "conv3-conv3-conv3", str(tmp_path / "given.safetensors")
    given = toy.network(arch).state_dict()
    save_file(given, path)
    training = NetworkTraining(
        lambda: toy.network(arch), few, Recipe(init=path, batch_size=50), 0, torch.device("cpu")
    )
    for network in (training.network, training.average):
        assert all(torch.equal(t, given[name]) for name, t in network.state_dict().items())


def test_files_that_are_no_weights_are_refused(
    toy: Toy, study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, other = tmp_path / "text.safetensors", str(tmp_path / "other.safetensors")
    text.write_text("no weights")
    save_file({"some": torch.zeros(2)}, other)
    network = toy.network("conv3-conv3-conv3")
    with pytest.raises(InputError, match="is no"):
        take_weights(network, str(text))
    with pytest.raises(InputError, match="no tensor of"):
        take_weights(network, other)
    assert main(["retrain", *study, "--trial=0", f"--init={tmp_path / 'none'}"]) == 2
    assert "is no .safetensors file" in capsys.readouterr().err
