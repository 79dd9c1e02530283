"""`export` on the toy space, and the example that uses what it writes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import spaces
from app.cli import main
from app.data import ImageData
from app.supernet.checkpoint import load_checkpoint, save_checkpoint
from tests.app.test_run import ROOT, trials


def test_a_retrained_network_is_exported_and_classifies(
    study: list[str], tmp_path: Path, digits: ImageData, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = ["--epochs=8", "--batch-size=64", "--ema=0.9"]
    assert main(["retrain", *study, "--arch=conv3-conv3-conv3", *recipe]) == 0
    model = tmp_path / "out" / "model.onnx"
    assert main(["export", *study, "--arch=conv3-conv3-conv3", f"--out={model}"]) == 0
    assert "retrained for 8 epochs" in capsys.readouterr().out
    about = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    assert about["weights"]["from"] == "retraining"
    assert about["architecture"]["string"] == "conv3-conv3-conv3"
    assert about["classes"] == [str(i) for i in range(10)]
    space = spaces.create("toy", 10, 16, {})
    cost = space.cost("conv3-conv3-conv3")
    assert (about["flops"], about["params"]) == (cost.macs, cost.params)
    network = space.network("conv3-conv3-conv3")
    network.load_state_dict(load_file(model.with_suffix(".safetensors")))
    network.eval()
    with torch.no_grad():
        scores = network(digits.normalise(digits.test.pixels))
    right = (scores.argmax(1) == digits.test.labels).double().mean().item()
    assert about["accuracy"]["test"] == pytest.approx(right)
    for i in (0, 7):
        picture = tmp_path / f"{i}.png"
        Image.fromarray(digits.test.pixels[i].permute(1, 2, 0).numpy()).save(picture)
        done = subprocess.run(
            [sys.executable, "examples/classify.py", str(model), str(picture)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        share, best = done.stdout.splitlines()[0].split()
        assert best == str(int(scores[i].argmax()))
        assert float(share.rstrip("%")) == pytest.approx(
            100 * float(scores[i].softmax(0).max()), abs=0.1
        )


def test_without_retraining_it_is_the_supernets_and_says_so(
    study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arch = trials(tmp_path)[0].user_attrs["arch"]
    model = tmp_path / "model.pt2"
    assert main(["export", *study, "--trial=0", f"--out={model}"]) == 0
    assert "has not been retrained" in capsys.readouterr().out
    about = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    assert about["weights"]["from"] == "supernet"
    assert about["architecture"]["string"] == arch
    scores = torch.export.load(model).module()(torch.randn(3, 3, 16, 16))
    assert scores.shape == (3, 10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trial=0", "--out=model.h5"], "must end in .onnx or .pt2"),
        (["--out=model.onnx"], "0 networks are given"),
        (["--trial=0", "--arch=conv3-conv3-conv3", "--arch=conv1-conv1-conv3"], "networks"),
        (["--arch=conv9"], "--arch: 'conv9'"),
        (["--trial=0", "--out=/proc/nosuch/model.onnx"], "cannot write to '/proc/nosuch'"),
    ],
)
def test_bad_input_is_one_line(
    options: list[str],
    message: str,
    study: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    if not any(option.startswith("--out") for option in options):
        options = [*options, f"--out={tmp_path / 'model.onnx'}"]
    assert main(["export", *study, *options]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.glob("model*"))


def test_what_was_never_run_has_no_weights(
    study_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--study", str(study_file), "--runs", str(tmp_path / "none")]
    assert main(["export", *options, "--arch=conv3-conv3-conv3", f"--out={tmp_path}/m.onnx"]) == 2
    assert "there are no weights yet" in capsys.readouterr().err


def test_files_of_others_are_not_overwritten(
    study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", *study, "--trial=0"]
    (tmp_path / "folder.pt2").mkdir()
    assert main([*command, f"--out={tmp_path / 'folder.pt2'}"]) == 2
    assert "is a folder" in capsys.readouterr().err
    for name, text in (("package.json", '{"name": "web"}'), ("weights.safetensors", "theirs")):
        (tmp_path / name).write_text(text)
        model = (tmp_path / name).with_suffix(".pt2")
        assert main([*command, f"--out={model}"]) == 2
        assert f"{name}' would be overwritten" in capsys.readouterr().err
        assert (tmp_path / name).read_text() == text and not model.exists()
    for _ in range(2):  # what export wrote may be written again
        assert main([*command, f"--out={tmp_path / 'ours.pt2'}"]) == 0


def test_an_unfinished_supernet_is_mentioned(
    study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "runs" / "small" / "supernet.pt"
    state = load_checkpoint(checkpoint)
    model = tmp_path / "model.pt2"
    for step, said in ((12, False), (5, True)):
        save_checkpoint(checkpoint, state | {"step": step})
        assert main(["export", *study, "--trial=0", f"--out={model}"]) == 0
        assert ("not finished: 5 of 12 steps" in capsys.readouterr().out) is said
