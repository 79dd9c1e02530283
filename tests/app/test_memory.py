"""Too little memory, for the batch that is scored on or for a single network."""

from pathlib import Path

import pytest
import torch
from optuna.trial import TrialState
from torch import Tensor

from app.cli import main
from app.errors import is_out_of_memory
from app.scores.reference import sample_architectures
from tests.app.test_run import trials
from tests.toy import Toy, ToySupernet


@pytest.fixture
def arguments(study_file: Path, tmp_path: Path) -> list[str]:
    """A study that trains on 8 images at once and scores on 16."""
    few = ["--set=supernet.batch_size=8", "--sampler=random"]
    return ["--study", str(study_file), "--runs", str(tmp_path / "runs"), *few]


class Memory:
    """The memory of a device: it holds this many images, and some architectures are too large."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.images = 1000
        self.too_large: set[str] = set()
        forward = ToySupernet.forward

        def limited(supernet: ToySupernet, images: Tensor, arch: str) -> Tensor:
            if len(images) > self.images or arch in self.too_large:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return forward(supernet, images, arch)

        monkeypatch.setattr(ToySupernet, "forward", limited)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    return Memory(monkeypatch)


def test_memory_that_is_full_is_recognised() -> None:
    with pytest.raises(RuntimeError) as error:
        torch.empty(10**16)
    assert is_out_of_memory(error.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert not is_out_of_memory(RuntimeError("shapes cannot be multiplied"))


@pytest.mark.slow
def test_a_batch_that_is_too_large_to_score_names_the_setting(
    arguments: list[str], tmp_path: Path, memory: Memory, capsys: pytest.CaptureFixture[str]
) -> None:
    memory.images = 8
    assert main(arguments) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "out of memory" in error
    assert "--set score.images=N" in error
    assert main([*arguments, "--set=score.images=8", "--study-name=eight"]) == 0
    memory.images = 1000
    assert main(arguments) == 0
    assert len(trials(tmp_path)) == 10


def test_a_trial_that_is_too_large_fails_with_its_reason(
    arguments: list[str], tmp_path: Path, toy: Toy, memory: Memory
) -> None:
    assert main([*arguments, "--trials", "1"]) == 0  # the supernet and the sample
    sample = sample_architectures(toy, 8, 0)
    memory.too_large = {"conv3-conv3-conv3", "conv3-conv3-conv1", "conv1-conv3-conv3"} - {*sample}
    assert main([*arguments, "--trials", "40"]) == 0
    failed = [t for t in trials(tmp_path) if "failed" in t.user_attrs]
    assert {t.user_attrs["arch"] for t in failed} & memory.too_large
    for trial in failed:
        assert trial.state == TrialState.FAIL
        assert trial.user_attrs["arch"] in memory.too_large
        assert trial.user_attrs["failed"] == ("no score: the memory is too small for this network")
    assert sum(t.state == TrialState.COMPLETE for t in trials(tmp_path)) == 40


@pytest.mark.slow
def test_a_search_that_has_no_memory_at_all_ends(
    arguments: list[str], tmp_path: Path, memory: Memory, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*arguments, "--space", "longtoy"]
    assert main(arguments) == 0
    memory.images = 4
    assert main([*arguments, "--trials", "30"]) == 1
    assert "out of memory" in capsys.readouterr().err.splitlines()[-1]
    memory.images = 1000
    assert main([*arguments, "--trials", "30"]) == 0
    assert sum(t.state == TrialState.COMPLETE for t in trials(tmp_path)) == 30
