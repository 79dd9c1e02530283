"""A search on each space, run, resumed and reported, at a small size of its preset."""

import csv
from html import unescape
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

import spaces
from app.cli import main
from app.study_file import load_config, presets

TINY = {
    "darts": "{ layers = 3, channels = 4 }",
    "mnasnet": "{}",
    "mobilenet": "{}",
    "nasbench101": "{ modules = 1, channels = 8 }",
    "nasbench201": "{ cells = 1, channels = 4 }",
    "nasbenchmacro": "{}",
}
"""Supernets that train and score in a moment; the networks keep their full size."""


def test_every_space_has_a_preset_of_its_name() -> None:
    assert {name: load_config(name, resume=False).space for name in presets()} == {
        name: name for name in spaces.names() if not name.endswith("toy")
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(presets()))
def test_a_search_runs_resumes_and_reports(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = TINY[name]
    arguments = [
        *("--study", name, "--runs", str(tmp_path), "--train-steps", "2", "--device", "cpu"),
        *("--set", "supernet.batch_size=8", "--set", "score.images=8"),
        *("--set", "score.reference=8", "--set", f"supernet.space_options={options}"),
    ]
    assert main([*arguments, "--trials", "3"]) == 0
    first = completed(name, tmp_path)
    assert len(first) == 3
    supernet = (tmp_path / name / "supernet.pt").read_bytes()

    assert main([*arguments, "--trials", "6"]) == 0
    trials = completed(name, tmp_path)
    assert trials[:3] == first
    assert len(trials) == 6
    assert (tmp_path / name / "supernet.pt").read_bytes() == supernet

    config = load_config(name, resume=False)
    space = spaces.create(name, 10, 32, config.space_options)
    for trial in trials:
        cost = space.cost(trial.user_attrs["arch"])
        assert space.canonical(trial.user_attrs["arch"]) == trial.user_attrs["arch"]
        assert trial.values[1] == trial.user_attrs["flops"] == cost.macs
        assert trial.user_attrs["params"] == cost.params
    with (tmp_path / name / "front.csv").open(encoding="utf-8") as file:
        front = list(csv.DictReader(file))
    assert {row["arch"] for row in front} <= {trial.user_attrs["arch"] for trial in trials}
    report = (tmp_path / name / "report.html").read_text(encoding="utf-8")
    assert all(row["arch"] in unescape(report) for row in front)
    assert "report.html" in capsys.readouterr().out


def completed(name: str, runs: Path) -> list[optuna.trial.FrozenTrial]:
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{runs / 'studies.db'}")
    return study.get_trials(states=(TrialState.COMPLETE,))
