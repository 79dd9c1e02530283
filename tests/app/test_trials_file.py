"""The `trials` command against the database it reads."""

import csv
import io
import json
from pathlib import Path

import optuna
import pytest

from app.cli import main


def test_every_trial_is_a_row(
    study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arch = "conv3-conv3-conv3"
    assert main(["retrain", *study, f"--arch={arch}", "--epochs=1", "--batch-size=64"]) == 0
    capsys.readouterr()
    assert main(["trials", *study]) == 0
    printed = capsys.readouterr().out
    assert main(["trials", *study, "--csv", str(tmp_path / "trials.csv")]) == 0
    assert (tmp_path / "trials.csv").read_text() == printed
    rows = list(csv.DictReader(io.StringIO(printed)))
    database = f"sqlite:///{tmp_path / 'runs' / 'studies.db'}"
    trials = optuna.load_study(study_name="small", storage=database).trials
    assert len(rows) == len(trials)
    for row, trial in zip(rows, trials, strict=True):
        assert (int(row["trial"]), row["state"]) == (trial.number, trial.state.name)
        assert row["arch"] == trial.user_attrs.get("arch", "")
        if trial.values:
            assert float(row["score"]) == trial.values[0]
            assert 0 <= float(row["percentile"]) <= 100
            for name in ("flops", "params", "memory", "expressivity"):
                assert float(row[name]) == trial.user_attrs[name]
        else:
            assert row["score"] == "" and row["reason"]
        assert bool(row["test_accuracy"]) == (row["arch"] == arch and row["score"] != "")


def test_json_has_the_same_and_nothing_is_written_for_no_study(
    study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trials.json"
    assert main(["trials", *study, "--csv", str(path)]) == 0
    rows = json.loads(path.read_text())
    assert [row["trial"] for row in rows] == list(range(len(rows)))
    assert (
        main(["trials", "--study=mobilenet", study[2], study[3], "--csv", str(tmp_path / "no.csv")])
        == 2
    )
    assert "there is no study 'mobilenet' yet" in capsys.readouterr().err
    assert not (tmp_path / "no.csv").exists()
