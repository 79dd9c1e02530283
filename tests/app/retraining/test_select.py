"""`select` on the toy space: rounds, winner, resumption, several processes, bad input."""

import csv
import json
import signal
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from app.cli import main
from app.config import CostName
from app.errors import InputError
from app.pareto import Row
from app.retraining.choice import choose_best
from app.retraining.select import rounds
from tests.app.test_bad_input import refusal
from tests.processes import start

QUICK = ["--batch-size=512", "--epochs=4", "--candidates=4"]


def retrained(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "small" / "retrained"


def trials(tmp_path: Path, name: str = "small select") -> list[FrozenTrial]:
    """Read by plain Optuna."""
    url = f"sqlite:///{tmp_path / 'runs' / 'studies.db'}"
    return optuna.load_study(study_name=name, storage=url).trials


@pytest.mark.slow
def test_a_third_goes_on_and_the_winner_is_what_retrain_makes(
    study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["select", *study, *QUICK]
    assert main(command) == 0
    seen = trials(tmp_path)
    assert sorted(len(t.intermediate_values) for t in seen) == [1, 1, 3, 4]
    (winner,) = [t for t in seen if t.state is TrialState.COMPLETE]
    assert {t.state for t in seen if t != winner} == {TrialState.PRUNED}
    assert winner.value == max(winner.intermediate_values.values())
    (result,) = retrained(tmp_path).glob("*/result.json")
    assert result.parent.name == winner.user_attrs["folder"]
    with (result.parent / "learning_curve.csv").open() as file:
        curve = list(csv.DictReader(file))
    history = json.loads(result.read_text())["history"]
    assert [{key: float(value) for key, value in epoch.items()} for epoch in curve] == history
    page = (tmp_path / "runs" / "small" / "report.html").read_text(encoding="utf-8")
    assert "Learning curves" in page

    # the same command again trains nothing, and shows the same
    files = {path: path.stat().st_mtime_ns for path in retrained(tmp_path).glob("*/*.pt")}
    last = capsys.readouterr().out.splitlines()[-1]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[-1] == last
    assert files == {path: path.stat().st_mtime_ns for path in files}
    assert trials(tmp_path) == seen

    export = ["export", *study, last.split()[-3], f"--out={tmp_path / 'model.pt2'}"]
    assert export[-2].startswith("--trial=") and main(export) == 0
    retrained(tmp_path).rename(tmp_path / "selected")
    assert main(["retrain", *study, export[-2], *QUICK[:2]]) == 0
    assert json.loads(result.read_text())["history"] == history
    (trained,) = trials(tmp_path, "small retrain")
    assert trained.intermediate_values == winner.intermediate_values


@pytest.mark.slow
def test_a_killed_selection_goes_on_where_it_was(study: list[str], tmp_path: Path) -> None:
    command = ["select", *study, *QUICK]
    process = start(command)
    wait_for(retrained(tmp_path), "*/learning_curve.csv")
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    before = trials(tmp_path)
    assert {t.state for t in before} == {TrialState.RUNNING}
    assert main(command) == 0
    after = trials(tmp_path)
    assert len(after) == 4 and all(t.state.is_finished() for t in after)
    for old, new in zip(before, after, strict=True):
        assert old.intermediate_values.items() <= new.intermediate_values.items()
    assert len(list(retrained(tmp_path).glob("*/result.json"))) == 1


@pytest.mark.slow
def test_two_processes_share_the_work_and_agree(study: list[str], tmp_path: Path) -> None:
    command = ["select", *study, *QUICK]
    processes = [start(command), start(command)]
    assert [process.wait(300) for process in processes] == [0, 0]
    seen = trials(tmp_path)
    assert sorted(len(t.intermediate_values) for t in seen) == [1, 1, 3, 4]
    assert [t.state for t in seen].count(TrialState.COMPLETE) == 1
    assert len(list(retrained(tmp_path).glob("*/result.json"))) == 1


def wait_for(folder: Path, pattern: str) -> None:
    deadline = time.monotonic() + 120
    while not list(folder.glob(pattern)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_time_limit_ends_it_in_success_and_it_goes_on(
    study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["select", *study, *QUICK]
    assert main([*command, "--timeout=0.001s"]) == 0
    assert "the same command goes on" in capsys.readouterr().out
    assert {t.state for t in trials(tmp_path)} == {TrialState.RUNNING}
    assert main(command) == 0
    assert len(trials(tmp_path)) == 4


def test_other_terms_are_another_selection(study: list[str], tmp_path: Path) -> None:
    assert main(["select", *study, *QUICK, "--epochs=1"]) == 0
    assert main(["select", *study, *QUICK, "--epochs=1", "--seed=3"]) == 0
    assert len(trials(tmp_path)) == 8
    assert len(list(retrained(tmp_path).glob("*/result.json"))) == 2


def test_networks_that_diverge_are_out(
    study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["select", *study, *QUICK, "--lr=1e30"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: every candidate has diverged: try a smaller --lr"
    )
    assert {t.state for t in trials(tmp_path)} == {TrialState.FAIL}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-latency=1"], "--max-latency: the trials of this study have no latency"),
        (["--set=search.max_flops=1"], "--max-flops: the cheapest network found takes 0.0 M"),
        (["--max-flops=many"], "--max-flops many: write a number such as 80M"),
        (["--max-flops=1"], "--max-flops: the cheapest network found takes 0.0 M multiply–adds"),
        (["--candidates=1"], "--candidates"),
        (["--timeout=soon"], "--timeout soon: write a time such as 3h, 90m or 45s"),
        (["--timeout=0"], "--timeout 0"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_trained(
    options: list[str],
    message: str,
    study: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert message in refusal(["select", *study, *options], capsys)
    assert not retrained(tmp_path).exists()


@pytest.mark.parametrize(
    ("epochs", "ends"),
    [(1, [1]), (3, [1, 3]), (4, [1, 3, 4]), (50, [1, 3, 9, 27, 50])],
)
def test_rounds_end_at_powers_of_three_and_at_the_last_epoch(epochs: int, ends: list[int]) -> None:
    assert rounds(epochs) == ends


def row(trial: int, score: float, flops: int, feasible: bool = True) -> Row:
    return Row(trial, score, flops, flops, 0, 0, None, 0, feasible, f"arch {min(trial, 6)}")


ROWS = [*(row(i, i - 9, 10 * i + 10) for i in range(7)), row(7, -3, 70), row(8, 0, 1, False)]


@pytest.mark.parametrize(
    ("limits", "count", "chosen"),
    [
        ({"flops": 45}, 3, [3, 2, 1]),
        ({"params": 35}, 3, [2, 1, 0]),
        ({"flops": 45, "params": 35}, 1, [2]),
        ({"flops": 99}, 2, [6, 5]),
        ({}, 3, [0, 3, 6]),
        ({}, 20, list(range(7))),
    ],
    ids=["within", "params", "both", "each architecture once", "along the front", "all of it"],
)
def test_the_best_are_chosen(limits: dict[CostName, float], count: int, chosen: list[int]) -> None:
    best = choose_best(ROWS, limits, count, ["flops"])
    assert [one.trials for one in best] == [[trial] for trial in chosen]
    with pytest.raises(InputError, match="the cheapest network found takes"):
        choose_best(ROWS, {"flops": 0.5}, count, ["flops"])
    with pytest.raises(InputError, match="run the study first"):
        choose_best([], limits, count, ["flops"])
    with pytest.raises(InputError, match="meets its limits"):
        choose_best(ROWS[-1:], limits, count, ["flops"])
