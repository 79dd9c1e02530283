"""The Python API: from a data set to logits, what a folder keeps, what the command line finds."""

import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import torch
from torch import nn

import app as bnnas
from app.cli import main
from app.data import ImageData
from app.errors import InputError
from app.scores.composite import LOWEST
from app.trained import read_results
from spaces import ArchitectureError
from tests.app.test_run import ROOT

SUPERNET = {"steps": 8, "batch_size": 16}
RECIPE = {"batch_size": 512, "ema": 0.0}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ImageData:
    return bnnas.load_dataset("digits", image_size=16, device="cpu")


def test_from_a_data_set_to_the_logits_of_a_found_network(data: ImageData, tmp_path: Path) -> None:
    space = bnnas.create_space("toy", num_classes=data.num_classes, image_size=16, channels=4)
    supernet = bnnas.train_supernet(space, data, folder=tmp_path, **SUPERNET)
    scorer = bnnas.Scorer(supernet, data, images=16, reference=8)
    storage = f"sqlite:///{tmp_path / 'trials.db'}"
    named = {"storage": storage, "study_name": "mine", "population": 4}
    study = bnnas.search(scorer, n_trials=6, max_flops=40e3, **named)
    assert isinstance(study, optuna.Study) and len(study.trials) == 6
    arch = bnnas.pick(study, "best-score")
    assert space.cost(arch).macs <= 40e3
    assert LOWEST <= scorer(arch) <= 0
    # a limit does not touch what the scorer has kept, and more trials are added
    assert len(bnnas.search(scorer, n_trials=9, max_flops=40e3, **named).trials) == 9
    free = bnnas.search(scorer, n_trials=2, population=4)
    assert len(free.trials) == 2
    # without a limit, the sample that the scorer has scored serves the study
    (scored,) = tmp_path.glob("reference-*.json")
    assert (tmp_path / free.study_name / "reference.json").read_bytes() == scored.read_bytes()
    model = bnnas.retrain(space.build(arch), data, epochs=1, folder=tmp_path, **RECIPE)
    (result,) = read_results(tmp_path, {"space": "toy", **study.user_attrs["definition"]})
    assert result.network == arch
    with torch.no_grad():
        logits = model(data.test_images[:])
    hits = (logits.argmax(1) == data.test.labels).double().mean().item()
    assert hits == pytest.approx(result.test_accuracy, abs=1e-9)


def test_what_a_folder_holds_is_not_made_again(data: ImageData, tmp_path: Path) -> None:
    space = bnnas.create_space("toy", num_classes=10, image_size=16)
    first = bnnas.train_supernet(space, data, folder=tmp_path, **SUPERNET)
    arch = "conv1-conv3-skip"
    score = bnnas.Scorer(first, data, images=16, reference=8)(arch)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.name != "lock"}
    again = bnnas.train_supernet(space, data, folder=tmp_path, **SUPERNET)
    assert bnnas.Scorer(again, data, images=16, reference=8)(arch) == score
    assert made == {path: path.stat().st_mtime_ns for path in made}
    other = bnnas.train_supernet(space, data, folder=tmp_path, **SUPERNET | {"steps": 9})
    assert other.paths.supernet != first.paths.supernet


def test_the_command_line_exports_what_python_has_found_and_trained(
    data: ImageData, tmp_path: Path
) -> None:
    space = bnnas.create_space("toy", num_classes=10, image_size=16)
    supernet = bnnas.train_supernet(space, data, folder=tmp_path, **SUPERNET)
    scorer = bnnas.Scorer(supernet, data, images=16, reference=8)
    study = bnnas.search(scorer, n_trials=4, study_name="mine", population=4)
    network, folder = space.build(bnnas.pick(study)), tmp_path / "mine" / "retrained"
    trained = bnnas.retrain(network, data, epochs=1, folder=folder, **RECIPE)
    model = tmp_path / "model.pt2"
    found = ["--study=mine", f"--runs={tmp_path}"]
    assert main(["export", *found, "--pick=knee", f"--out={model}"]) == 0
    read = bnnas.load_network(tmp_path / "model.json")
    with torch.no_grad():
        assert torch.equal(read(data.test_images[:8]), trained(data.test_images[:8]))
    weights = model.with_suffix(".safetensors")
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match="does not belong to"):
        bnnas.load_network(tmp_path / "model.json")
    model.with_suffix(".json").write_text("{}")
    with pytest.raises(InputError, match="is not what this version's export writes"):
        bnnas.load_network(tmp_path / "model.json")
    with pytest.raises(InputError, match="cannot read"):
        bnnas.load_network(tmp_path / "none.json")


def test_any_network_is_trained_from_the_weights_it_has(data: ImageData) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(768, 10))
    before = [p.clone() for p in network.parameters()]
    still = {"warmup": 0.0, "learning_rate": 1e-12, "epochs": 1}
    trained = bnnas.retrain(network, data, **still, **RECIPE)
    assert all(map(torch.equal, before, network.parameters()))
    assert not trained.training
    for old, new in zip(before, trained.parameters(), strict=True):
        torch.testing.assert_close(old, new, rtol=0, atol=1e-6)


def test_images_are_normalised_when_indexed(data: ImageData) -> None:
    images = data.test_images
    assert len(images) == len(data.test)
    assert torch.equal(images[2:5], data.normalise(data.test.pixels[2:5]))
    assert torch.equal(images[3], images[3:4])


def test_bad_input_is_refused(data: ImageData) -> None:
    space = bnnas.create_space("toy", num_classes=10, image_size=16)
    with pytest.raises(InputError, match="neither a built-in data set"):
        bnnas.load_dataset("/no/such/folder")
    with pytest.raises(ValueError, match="has no option 'wide'"):
        bnnas.create_space("toy", num_classes=10, wide=2)
    with pytest.raises(ValueError, match="stepz"):
        bnnas.train_supernet(space, data, stepz=3)
    with pytest.raises(ValueError, match="epoch"):
        bnnas.retrain(space.build("conv1-skip-skip"), data, epoch=3)
    with pytest.raises(ArchitectureError):
        space.build("nonsense")


@pytest.mark.slow
def test_importing_the_package_imports_no_pytorch() -> None:
    code = "import app, os, sys; print('torch' in sys.modules, os.environ['OMP_WAIT_POLICY'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False PASSIVE\n"
