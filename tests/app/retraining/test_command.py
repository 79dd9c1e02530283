"""`retrain` on the toy space: trains, compares, reports, resumes."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from PIL import Image

from app.cli import main
from app.latency import cpu_threads
from app.retraining.candidate import train_candidate
from app.supernet.checkpoint import load_checkpoint
from app.trained import FORMAT
from tests.app.data.helpers import write_folder
from tests.app.test_bad_input import refusal
from tests.app.test_run import ROOT

QUICK = ["--epochs=1", "--batch-size=512"]
AB = ("a", "b")

KILLED = """
import os, signal, sys
import tests.toy
from app.cli import main
from app.retraining.training import NetworkTraining

def step(training, as_it_was=NetworkTraining.step):
    if training.step_count == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return as_it_was(training)

NetworkTraining.step = step
main(sys.argv[1:])
"""


def retrained(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "small" / "retrained"


@pytest.mark.slow
def test_networks_are_trained_compared_and_reported(
    study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    networks = ["--pick=best-score", "--baseline=mobilenet_v2:0.1"]
    assert main(["retrain", *study, *networks, *QUICK]) == 0
    table = retrained(tmp_path) / "comparison.csv"
    assert str(table) in capsys.readouterr().out.replace("\n", "")
    before = {path: path.stat().st_mtime_ns for path in table.parent.glob("*/*.pt")}
    # trained networks are only read; a third one joins the table
    assert main(["retrain", *study, *networks, "--arch=skip-conv1-skip", *QUICK]) == 0
    assert before.items() <= {p: p.stat().st_mtime_ns for p in before}.items()
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 and {"skip-conv1-skip", "mobilenet_v2:0.1"} < {r["arch"] for r in rows}
    accuracies = [float(row["test_accuracy"]) for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)
    assert all(float(row["latency_ms"]) > 0 for row in rows)
    for path in table.parent.glob("*/result.json"):
        trained = json.loads(path.read_text())
        assert set(trained["class_accuracy"]) == {str(i) for i in range(10)}
        page = (tmp_path / "runs" / "small" / "report.html").read_text(encoding="utf-8")
        assert f"{100 * trained['test_accuracy']:.2f}" in page and "accuracy by class" in page


@pytest.mark.slow
def test_a_killed_training_goes_on(study: list[str], tmp_path: Path) -> None:
    command = ["retrain", *study, "--trial=0", "--epochs=2", "--batch-size=256"]
    folder = retrained(tmp_path)
    (folder.parent / "supernet.pt").unlink()  # no report, which takes longer than the trainings
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *command],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL
    (last,) = folder.glob("*/last.pt")
    assert load_checkpoint(last, FORMAT)["step"] == 5 and not list(folder.glob("*/result.json"))
    with cpu_threads(1):  # as the killed one had: sums over two threads round otherwise
        assert main(command) == 0
        (resumed,) = folder.glob("*/result.json")
        folder.rename(folder.with_name("killed"))
        assert main(command) == 0
    resumed = folder.with_name("killed") / resumed.relative_to(folder)
    (whole,) = folder.glob("*/result.json")
    assert history(whole) == history(resumed)


def history(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))["history"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "choose the networks"),
        (["--trial=99"], "no such completed trial"),
        (["--arch=conv9"], "--arch: 'conv9'"),
        (["--pick=best"], "give knee, best-score, max-flops=300M"),
        (["--baseline=resnet19"], "unknown baseline"),
        (["--trial=0", "--epochs=0"], "--epochs 0: input should be greater than 0"),
        (["--trial=0", "--lr=-1"], "--lr -1.0"),
        (["--trial=0", "--batch-size=1"], "--batch-size 1: input should be greater"),
        (
            ["--trial=0", "--batch-size=5000"],
            "batch size 5000 does not suit 1295 training images",
        ),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_trained(
    options: list[str],
    message: str,
    study: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert message in refusal(["retrain", *study, *options], capsys)
    assert not list(retrained(tmp_path).glob("*/*.pt"))


def test_one_picture_a_class_is_refused_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part, count in (("train", 1), ("test", 1)):
        for label in "abcdefgh":
            folder = tmp_path / "images" / part / label
            folder.mkdir(parents=True)
            for i in range(count):
                Image.effect_noise((16, 16), 50).save(folder / f"{i}.png")
    command = ["retrain", "--study", "mobilenet", "--runs", str(tmp_path / "runs")]
    options = ["--dataset", str(tmp_path / "images"), "--baseline=resnet18", "--batch-size=2"]
    small = ["--set=supernet.batch_size=4", "--set=score.images=8", "--image-size=32"]
    assert main([*command, *options, *small]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and "held out" in error
    assert not list(tmp_path.glob("runs/mobilenet/retrained/*"))


def test_the_seed_of_a_training_may_differ_from_the_studys(
    study: list[str], tmp_path: Path
) -> None:
    command = ["retrain", *study, "--trial=0", *QUICK]
    assert main(command) == 0 and main([*command, "--seed=3"]) == 0
    results = [json.loads(p.read_text()) for p in retrained(tmp_path).glob("*/result.json")]
    assert sorted(result["seed"] for result in results) == [0, 3]
    page = (tmp_path / "runs" / "small" / "report.html").read_text(encoding="utf-8")
    assert "--batch-size 512 --seed 3" in page.replace("\n", " ")


def test_without_a_supernet_or_a_study_networks_are_still_trained(
    study: list[str], tmp_path: Path
) -> None:
    command = ["retrain", *study, "--arch=conv1-conv1-conv1", *QUICK]
    (tmp_path / "runs" / "small" / "supernet.pt").unlink()
    assert main(command) == 0
    optuna.delete_study(study_name="small", storage=database(tmp_path))
    (retrained(tmp_path) / "comparison.csv").unlink()
    assert main(command) == 0
    assert (retrained(tmp_path) / "comparison.csv").exists()


def test_a_study_deleted_during_the_training_is_none(
    study: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(*arguments: Any) -> Any:
        result = train_candidate(*arguments)
        optuna.delete_study(study_name="small", storage=database(tmp_path))
        return result

    monkeypatch.setattr("app.retraining.job.train_candidate", train)
    assert main(["retrain", *study, "--trial=0", *QUICK]) == 0
    assert (retrained(tmp_path) / "comparison.csv").exists()


def test_a_damaged_sample_costs_the_report_and_not_the_training(
    study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = tmp_path / "runs" / "small" / "reference.json"
    sample.write_text(sample.read_text().replace("1", "2", 1))
    assert main(["retrain", *study, "--trial=0", *QUICK]) == 0
    assert f"The report stays as it was: '{sample}' is damaged" in capsys.readouterr().err
    assert (retrained(tmp_path) / "comparison.csv").exists()


def test_a_network_of_a_changed_space_is_not_taken_for_the_same(
    study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["retrain", *study, "--arch=conv1-conv1-conv1", *QUICK]
    assert main(command) == 0
    (path,) = retrained(tmp_path).glob("*/result.json")
    values = json.loads(path.read_text())
    values["definition"]["space fingerprint"] = "0" * 16
    path.write_text(json.dumps(values))
    assert main(command) == 2
    assert "files of space 'toy' differ from those" in capsys.readouterr().err


def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'runs' / 'studies.db'}"


def test_images_of_val_validate_a_training_of_their_own(
    study_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_folder(tmp_path / "set", {f"{s}/{c}": 10 for s in ("train", "test") for c in AB})
    arguments = ["retrain", "--study", str(study_file), "--runs", str(tmp_path / "runs")]
    arguments += ["--dataset", str(folder), "--arch=skip-conv1-skip", "--epochs=1"]
    assert main([*arguments, "--batch-size=10"]) == 0
    assert "18 images to train on, 2 held out" in capsys.readouterr().out.replace("\n", " ")
    write_folder(folder, {f"val/{name}": 3 for name in AB})
    assert main([*arguments, "--batch-size=10"]) == 0
    assert "20 images to train on, 6 of val/" in capsys.readouterr().out.replace("\n", " ")
    files = retrained(tmp_path).glob("*/result.json")
    assert sorted(json.loads(file.read_text())["validation_images"] for file in files) == [2, 6]
