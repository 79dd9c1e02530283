"""`retrain` on the toy space: trains, compares, records, resumes."""

import csv
import json
import signal
import time
from pathlib import Path
from typing import Any

import optuna
import pytest

from app.cli import main
from app.latency import cpu_threads
from app.retrain.candidate import train_candidate
from tests.app.test_run import start, trials

QUICK = ["--epochs=2", "--batch-size=128"]


def test_networks_are_compared_and_trials_know_their_accuracy(
    study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    networks = ["--pick=best-score", "--arch=skip-conv1-skip", "--baseline=mobilenet_v2:0.1"]
    assert main(["retrain", *study, *networks, *QUICK]) == 0
    printed = capsys.readouterr().out
    table = tmp_path / "runs" / "small" / "retrained" / "comparison.csv"
    assert str(table) in printed.replace("\n", "")
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["arch"] for row in rows} > {"skip-conv1-skip", "mobilenet_v2:0.1"}
    assert all(float(row["latency_ms"]) > 0 for row in rows)
    accuracies = [float(row["test_accuracy"]) for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)
    by_arch = {row["arch"]: float(row["test_accuracy"]) for row in rows}
    retrained = [t for t in trials(tmp_path) if "test_accuracy" in t.user_attrs]
    assert retrained
    for trial in retrained:
        assert trial.user_attrs["test_accuracy"] == by_arch[trial.user_attrs["arch"]]
        assert trial.user_attrs["retrained_epochs"] == 2
    before = {path: path.stat().st_mtime_ns for path in table.parent.glob("*/*.pt")}
    assert main(["retrain", *study, *networks, *QUICK]) == 0
    assert {path: path.stat().st_mtime_ns for path in table.parent.glob("*/*.pt")} == before


def test_killed_and_interrupted_trainings_go_on(study: list[str], tmp_path: Path) -> None:
    command = ["retrain", *study, "--trial=0", "--epochs=24", "--batch-size=64"]
    folder = tmp_path / "runs" / "small" / "retrained"
    for signum, status in ((signal.SIGKILL, -9), (signal.SIGINT, 130)):
        changed = last_change(folder)
        process = start(command)
        for _ in range(1200):
            assert process.poll() is None, "ended before it could be stopped"
            if last_change(folder) > changed:
                break
            time.sleep(0.02)
        process.send_signal(signum)
        assert process.wait(60) == status
    assert not list(folder.glob("*/result.json"))
    with cpu_threads(1):  # as `start` gives the others: sums over two threads round otherwise
        assert main(command) == 0
    (resumed,) = folder.glob("*/result.json")
    other = [*command[:-2], "--epochs=24", "--batch-size=64", "--study-name=other"]
    assert main(["--study", str(tmp_path / "small.toml"), *study[2:], "--study-name=other"]) == 0
    with cpu_threads(1):
        assert main(other) == 0
    (whole,) = (folder.parent.parent / "other" / "retrained").glob("*/result.json")
    assert history(whole) == history(resumed)


def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'runs' / 'studies.db'}"


def last_change(folder: Path) -> int:
    return max((p.stat().st_mtime_ns for p in folder.glob("*/last.pt")), default=0)


def history(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return text[text.index('"history"') :]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "say which networks"),
        (["--trial=99"], "no such completed trial"),
        (["--arch=conv9"], "--arch: 'conv9'"),
        (["--pick=best"], "give knee, best-score, max-flops=300M"),
        (["--baseline=resnet19"], "unknown baseline"),
        (["--trial=0", "--epochs=0"], "--epochs 0: input should be greater than 0"),
        (["--trial=0", "--lr=-1"], "--lr -1.0"),
        (["--trial=0", "--batch-size=5000"], "batch size 5000"),
        (["--trial=0", "--seed=3"], "seed = 0, not 3"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_trained(
    options: list[str],
    message: str,
    study: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["retrain", *study, *options]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and message in error
    assert not list((tmp_path / "runs" / "small" / "retrained").glob("*/*.pt"))


def test_a_trial_keeps_the_accuracy_of_its_best_training(study: list[str], tmp_path: Path) -> None:
    command = ["retrain", *study, "--trial=0", "--epochs=1", "--batch-size=128"]
    for rate in ("0.1", "0.00001"):
        assert main([*command, "--lr", rate]) == 0
    folder = tmp_path / "runs" / "small" / "retrained"
    results = [json.loads(path.read_text()) for path in folder.glob("*/result.json")]
    best = max(results, key=lambda result: result["validation_accuracy"])
    assert best["recipe"]["learning_rate"] == 0.1
    assert trials(tmp_path)[0].user_attrs["test_accuracy"] == best["test_accuracy"]


def test_without_a_supernet_or_a_study_networks_are_still_trained(
    study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["retrain", *study, "--arch=conv1-conv1-conv1", *QUICK]
    (tmp_path / "runs" / "small" / "supernet.pt").unlink()
    assert main(command) == 0
    optuna.delete_study(study_name="small", storage=database(tmp_path))
    assert main(command) == 0
    assert capsys.readouterr().out.count("comparison.csv") == 2


def test_a_study_deleted_during_the_training_is_none(
    study: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(*arguments: Any) -> Any:
        result = train_candidate(*arguments)
        optuna.delete_study(study_name="small", storage=database(tmp_path))
        return result

    monkeypatch.setattr("app.retrain.job.train_candidate", train)
    assert main(["retrain", *study, "--trial=0", *QUICK]) == 0
    assert (tmp_path / "runs" / "small" / "retrained" / "comparison.csv").exists()
