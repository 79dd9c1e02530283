"""Latency as an objective, through the whole job on the toy space."""

import csv
import json
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from app.cli import main

BOTH = ["--objective", "flops", "--objective", "latency"]


def stored(tmp_path: Path) -> optuna.Study:
    url = f"sqlite:///{tmp_path / 'runs' / 'studies.db'}"
    return optuna.load_study(study_name="small", storage=url)


@pytest.mark.slow
def test_a_third_objective_runs_resumes_and_is_picked_by(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, *BOTH]) == 0
    folder = tmp_path / "runs" / "small"
    study = stored(tmp_path)
    assert study.metric_names == ["score", "flops", "latency_ms"]
    for trial in study.get_trials(states=(TrialState.COMPLETE,)):
        assert trial.values[1:] == [trial.user_attrs["flops"], trial.user_attrs["latency_ms"]]
        assert trial.values[2] > 0
    with (folder / "front.csv").open() as file:
        front = {int(row["trial"]): float(row["latency_ms"]) for row in csv.DictReader(file)}
    assert front.keys() <= {trial.number for trial in study.best_trials}
    assert "latency" in capsys.readouterr().out
    page = (folder / "report.html").read_text()
    assert "<th>latency (ms)</th>" in page
    assert "--objective flops --objective latency" in page

    before = [(t.number, t.values) for t in study.trials]
    assert main([*arguments, *BOTH, "--trials", "14"]) == 0
    after = stored(tmp_path).trials
    assert [(t.number, t.values) for t in after][: len(before)] == before
    assert sum(t.state is TrialState.COMPLETE for t in after) == 14
    known = {(t.user_attrs["arch"], t.values[2]) for t in after if t.values}
    assert len(known) == len({arch for arch, _ in known})  # none was timed twice

    command = [
        "retrain",
        *arguments,
        "--epochs",
        "1",
        "--pick",
        f"max-latency={max(front.values())}",
    ]
    assert main(command) == 0
    trained = json.loads(next(folder.glob("retrained/*/result.json")).read_text())
    best = max(stored(tmp_path).best_trials, key=lambda trial: trial.values[0])
    assert trained["network"] == best.user_attrs["arch"]


@pytest.mark.slow
def test_what_does_not_compare_is_refused(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--trials", "2"]
    assert main([*arguments, *few, "--objective", "latency"]) == 0
    for other, was in (
        ([], "latency.batch = 1, not None"),
        (BOTH, "search.objectives = ['latency'], not ['flops', 'latency']"),
        (["--objective", "latency", "--set", "latency.batch=2"], "latency.batch = 1, not 2"),
    ):
        assert main([*arguments, *few, *other]) == 2
        assert f" was made with {was}" in capsys.readouterr().err
    stored(tmp_path).set_user_attr("latency machine", "a mainframe, 1 thread")
    assert main([*arguments, *few, "--objective", "latency"]) == 2
    assert "measured on 'a mainframe, 1 thread', this is" in capsys.readouterr().err
    # networks found there can be trained here
    assert main(["retrain", *arguments, "--pick", "knee", "--epochs", "1"]) == 0


@pytest.mark.slow
def test_earlier_studies_go_on_if_their_latencies_were_measured(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    latency = ["--objective", "latency"]
    assert main([*arguments, *latency, "--trials", "2"]) == 0
    assert stored(tmp_path).metric_names == ["score", "latency_ms"]
    saved = tmp_path / "runs" / "small" / "study.json"
    definition = stored(tmp_path).user_attrs["definition"]
    retrain = ["retrain", "--study", "small", *arguments[2:], "--pick", "knee", "--epochs", "1"]
    for source, status in (("measured", 0), ("table", 2)):
        config = json.loads(saved.read_text())
        config["latency"]["source"] = source
        saved.write_text(json.dumps(config))
        stored(tmp_path).set_user_attr("definition", definition | {"latency.source": source})
        assert main(retrain) == status
        assert main([*arguments, *latency, "--trials", "3"]) == status
    error = capsys.readouterr().err.splitlines()[-1]
    assert "adds up latencies from a table" in error and "--study-name" in error


@pytest.mark.parametrize(
    "options",
    [
        ["--objective", "speed"],
        ["--objective", "flops", "--objective", "flops"],
        ["--set", "search.objectives=[]"],
        ["--set", "latency.source=table"],
        ["--set", "latency.batch=0"],
    ],
)
def test_bad_objectives(
    arguments: list[str], options: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([*arguments, *options]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not (tmp_path / "runs").exists()
