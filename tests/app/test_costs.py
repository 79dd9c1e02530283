"""Costs as objectives, limits and picks, on whole runs of the toy space."""

import csv
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from app.cli import main
from app.config import SearchConfig
from app.costs import counted
from tests.toy import Toy


def test_costs_are_counted_by_hand() -> None:
    toy = Toy(classes=10, image_size=16)  # 6 channels of 4×4 pixels after the stem
    layer, stem, classifier = 6 * 6 + 12, 3 * 6 * 9 + 12, 6 * 10 + 10
    assert counted(toy, "conv1-skip-skip", SearchConfig()) == {
        "flops": 6 * 6 * 16 + 3 * 6 * 9 * 16 + 60,
        "params": layer + stem + classifier,
        "memory": 4 * (3 * 256 + 6 * 16),  # the stem is the largest layer
    }
    int8 = counted(toy, "conv1-skip-skip", SearchConfig(activations="int8"))
    assert int8["memory"] == 3 * 256 + 6 * 16


@pytest.mark.slow
def test_a_study_of_three_costs_keeps_to_its_limits(
    study_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [f"--study={study_file}", f"--runs={tmp_path / 'runs'}", "--trials=8"]
    objectives = [f"--objective={name}" for name in ("params", "memory", "flops")]
    limits = ["--max-params=600", "--max-memory=4k", "--max-latency=1000"]
    assert main([*command, *objectives, *limits]) == 0
    shown = capsys.readouterr().out
    assert "Pareto front: score up, params and memory and FLOPs down" in shown
    database = f"sqlite:///{tmp_path / 'runs' / 'studies.db'}"
    study = optuna.load_study(study_name="small", storage=database)
    assert study.metric_names == ["score", "params", "memory", "flops"]
    for trial in study.get_trials(states=(TrialState.COMPLETE,)):
        attrs = trial.user_attrs
        assert trial.values[1:] == [attrs["params"], attrs["memory"], attrs["flops"]]
        assert attrs["params"] <= 600 and attrs["memory"] <= 4000
        assert attrs["latency_ms"] > 0
        assert all(value <= 0 for value in trial.constraints.values())
    with (tmp_path / "runs" / "small" / "front.csv").open() as file:
        params = [int(row["params"]) for row in csv.DictReader(file)]
    retrain = ["retrain", "--study=small", f"--runs={tmp_path / 'runs'}", "--epochs=1"]
    assert main([*retrain, f"--pick=max-params={min(params)}"]) == 0
    assert main([*retrain, "--pick=max-memory=1"]) == 2
    assert "takes 3.5 kB of activations" in capsys.readouterr().err
    assert main([*command, *objectives, *limits, "--max-params=500"]) == 2
    assert "was made with search.max_params = 600.0, not 500.0" in capsys.readouterr().err


def test_a_limit_below_every_network_names_the_least(
    study_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [f"--study={study_file}", f"--runs={tmp_path / 'runs'}"]
    assert main([*command, "--max-memory=3k"]) == 2
    error = capsys.readouterr().err
    assert "no network is within 3 kB of activations: the least is 3.46 kB" in error
    assert "raise --max-memory" in error
