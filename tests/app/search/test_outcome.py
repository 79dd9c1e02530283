"""What is told of a trial: values that are numbers, or a reason for none."""

import math
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from app.search.outcome import Objective
from app.workbench import EvaluationContext, open_data, set_up
from optuna.trial import TrialState

from app.cli import main
from app.paths import StudyPaths
from app.scores import MEASURES
from app.scores.composite import LOWEST
from app.scores.reference import sample_architectures
from app.settings import StudySettings
from app.supernet.checkpoint import load_checkpoint, save_checkpoint
from tests.app.test_run import trials
from tests.conftest import CPU
from tests.toy import Toy


@pytest.fixture
def context(settings: StudySettings) -> EvaluationContext:
    paths = StudyPaths(settings.folder)
    data, space = open_data(settings, paths, CPU)
    return set_up(settings, paths, CPU, data, space)


@pytest.fixture
def arch(toy: Toy) -> str:
    """One that is not in the reference sample."""
    known = sample_architectures(toy, 8, 0)
    return next(
        a for a in ("conv3-conv3-conv3", "conv1-conv1-conv1", "skip-skip-conv3") if a not in known
    )


@dataclass(frozen=True)
class Unbounded:
    """A composite that gives what it is told."""

    value: float

    def __call__(self, scores: object) -> float:
        return self.value

    def parts(self, scores: object) -> dict[str, float]:
        return {}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_composite_that_is_no_number_fails_the_trial(
    context: EvaluationContext, toy: Toy, arch: str, value: float
) -> None:
    assess = Objective(context, [])
    assess.composite = Unbounded(value)  # type: ignore[assignment]
    outcome = assess(toy.encode(arch))
    assert (outcome.state, outcome.values) == (TrialState.FAIL, None)
    assert outcome.user_attrs["arch"] == arch
    assert outcome.user_attrs["failed"].startswith(f"no score: the values are [{value}, ")


def test_a_measure_that_is_no_number_counts_least(
    context: EvaluationContext, toy: Toy, arch: str
) -> None:
    """In every combination the composite is a number, so that the trial has a place."""
    assess = Objective(context, [])
    whole = assess.scorer(arch)
    for name in MEASURES:
        assess.known[arch] = {**whole, name: None}
        outcome = assess(toy.encode(arch))
        assert outcome.state is TrialState.COMPLETE
        assert outcome.values is not None and LOWEST <= outcome.values[0] < context.composite(whole)


def test_a_network_that_computes_no_numbers_fails_its_trial_and_the_search_goes_on(
    study_file: Path, tmp_path: Path
) -> None:
    """One operation of a real supernet is broken; architectures without it are scored as ever."""
    command = ["--study", str(study_file), "--runs", str(tmp_path / "runs"), "--sampler=random"]
    command += ["--space=longtoy", "--trials"]
    assert main([*command, "1"]) == 0
    checkpoint = tmp_path / "runs" / "small" / "supernet.pt"
    state = load_checkpoint(checkpoint)
    weights = [k for k in state["supernet"] if k.startswith("layers.0.conv3.")]
    for key in weights:
        state["supernet"][key] = torch.full_like(state["supernet"][key], math.nan)
    save_checkpoint(checkpoint, state)
    assert main([*command, "20"]) == 0
    failed = [t for t in trials(tmp_path) if "failed" in t.user_attrs]
    assert len(failed) > 0
    for trial in failed:
        assert trial.state is TrialState.FAIL
        assert trial.user_attrs["arch"].startswith("conv3-")
        assert trial.user_attrs["failed"] == "no score: the output of the network is not finite"
    complete = [t for t in trials(tmp_path) if t.state is TrialState.COMPLETE]
    assert len(complete) == 20
    assert all(math.isfinite(t.values[0]) for t in complete)
