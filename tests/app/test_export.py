"""`export` on the toy space, and the example that uses what it writes."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import spaces
from app.cli import main
from app.data import ImageData
from app.errors import InputError
from app.export import Normalised
from app.export_formats import to_onnx
from app.int8 import to_int8
from tests.app.test_run import ROOT

ARCH = "conv3-conv3-conv3"


@pytest.fixture(scope="module")
def trained(searched_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command and options of a study with one retrained network, which tests only read."""
    runs = tmp_path_factory.mktemp("trained") / "runs"
    shutil.copytree(searched_runs, runs)
    study = ["--study=small", f"--runs={runs}"]
    recipe = ["--epochs=8", "--batch-size=64", "--ema=0.9"]
    assert main(["retrain", *study, f"--arch={ARCH}", *recipe]) == 0
    return ["export", *study]


@pytest.mark.slow
def test_a_retrained_network_is_exported_and_classifies(
    trained: list[str], tmp_path: Path, digits: ImageData
) -> None:
    model = tmp_path / "out" / "model.onnx"
    assert main([*trained, f"--arch={ARCH}", f"--out={model}"]) == 0
    about = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    assert about["architecture"]["string"] == ARCH
    assert about["classes"] == [str(i) for i in range(10)]
    assert about["onnx"] == {"opset": 18, "ir_version": 8}
    stored = onnx.load(model)
    assert (stored.opset_import[0].version, stored.ir_version) == (18, 8)
    space = spaces.create("toy", 10, 16, {})
    cost = space.cost(ARCH)
    assert (about["flops"], about["params"]) == (cost.macs, cost.params)
    network = space.network(ARCH)
    network.load_state_dict(load_file(model.with_suffix(".safetensors")))
    network.eval()
    with torch.no_grad():
        scores = network(digits.normalise(digits.test.pixels))
    hits = scores.argmax(1) == digits.test.labels
    assert about["accuracy"]["test"] == pytest.approx(hits.double().mean().item())
    for label, share in enumerate(about["accuracy"]["by_class"].values()):
        assert share == pytest.approx(hits[digits.test.labels == label].double().mean().item())
    pictures = []
    for i in (0, 7):
        pictures.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(digits.test.pixels[i].permute(1, 2, 0).numpy()).save(pictures[-1])
    done = subprocess.run(
        [sys.executable, "examples/classify.py", str(model), *pictures],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for i, line in zip((0, 7), done.stdout.splitlines()[::3], strict=True):
        share, best = line.split()
        assert best == str(int(scores[i].argmax()))
        expected = 100 * float(scores[i].softmax(0).max())
        assert float(share.rstrip("%")) == pytest.approx(expected, abs=0.1)


@pytest.mark.slow
def test_pt2_and_another_opset(trained: list[str], tmp_path: Path) -> None:
    places = [f"--out={tmp_path / 'model.pt2'}", f"--out={tmp_path / 'model.onnx'}"]
    for _ in range(2):  # what export wrote may be written again
        assert main([*trained, f"--arch={ARCH}", *places, "--opset=20"]) == 0
    scores = torch.export.load(tmp_path / "model.pt2").module()(
        torch.zeros(3, 3, 16, 16, dtype=torch.uint8)
    )
    assert scores.shape == (3, 10)
    about = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    assert about["onnx"] == {"opset": 20, "ir_version": 9}


def test_without_retraining_it_names_the_command(
    trained: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*trained, "--arch=skip-conv1-conv1", f"--out={tmp_path / 'model.pt2'}"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "has not been retrained yet; run: python main.py retrain" in error
    words = shlex.split(error.partition("run: ")[2])
    assert words[2:4] == ["retrain", "--study"] and trained[2].partition("=")[2] in words
    assert not list(tmp_path.glob("model*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trial=0", "--out=model.h5"], "must end in .onnx or .pt2"),
        (["--trial=0", "--out=/dev/full"], "must end in .onnx or .pt2"),
        (["--trial=0", "--out=folder.pt2"], "'folder.pt2' is a folder, device"),
        (["--trial=0", "--out=/proc/nosuch/model.onnx"], "cannot write '/proc/nosuch/model.onnx'"),
        (["--trial=0", "--out=model.onnx", "--opset=17"], "--opset 17: give 18 to"),
        (["--out=model.onnx"], "export writes one network, not 0"),
        (["--arch=conv3-conv3-conv3", "--arch=conv1-conv1-conv3", "--out=m.onnx"], "not 2"),
        (["--arch=conv9", "--out=model.onnx"], "--arch: 'conv9'"),
    ],
)
def test_bad_input_is_one_line(
    options: list[str],
    message: str,
    trained: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "folder.pt2").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main([*trained, *options]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.glob("model*"))


def test_files_of_others_are_not_overwritten(
    trained: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in (("package.json", '{"name": "web"}'), ("weights.safetensors", "theirs")):
        (tmp_path / name).write_text(text)
        model = (tmp_path / name).with_suffix(".pt2")
        assert main([*trained, f"--arch={ARCH}", f"--out={model}"]) == 2
        assert f"{name}' would be overwritten" in capsys.readouterr().err
        assert (tmp_path / name).read_text() == text and not model.exists()


@pytest.mark.slow
def test_int8_is_measured_and_refused_if_it_loses_too_much(
    trained: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "small.onnx"
    command = [*trained, f"--arch={ARCH}", f"--out={model}", "--int8"]
    assert main([*command, "--max-drop=100"]) == 0
    about = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    whole, small = about["int8"]["float32"], about["int8"]["int8"]
    assert whole["accuracy"] == pytest.approx(about["accuracy"]["test"])
    assert small["accuracy"] > whole["accuracy"] - 0.2
    assert small["bytes"] == model.stat().st_size and min(small["milliseconds"], 1) > 0
    nodes = onnx.load(model).graph.node
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in nodes}
    assert not any(node.op_type == "BatchNormalization" for node in nodes)
    assert "int8      test accuracy" in capsys.readouterr().out
    assert main([*trained, f"--arch={ARCH}", f"--out={tmp_path / 'm.pt2'}", "--int8"]) == 2


@pytest.mark.slow
def test_a_loss_above_the_limit_is_refused(digits: ImageData) -> None:
    """The limit is below any loss, as no network of this size loses much."""
    network = Normalised(spaces.create("toy", 10, 16, {}).network(ARCH).eval(), digits)
    model, _ = to_onnx(network, digits.test.pixels[:8], 18)
    with pytest.raises(InputError, match=r"loses -?\d+\.\d+ points .* than --max-drop -100:"):
        to_int8(model, digits, -100)
