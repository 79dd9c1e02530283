"""Memory that does not suffice: the batch that is scored on is halved once, a trial fails alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from optuna.trial import TrialState
from torch import Tensor

from app.cli import main
from app.errors import is_out_of_memory
from app.scores.reference import Reference, sample_architectures
from tests.app.test_run import ROOT, trials
from tests.toy import Toy, ToySupernet

LIMITED = """
import resource, sys
import tests.toy
from app.cli import main
small, large, megabytes = sys.argv[1].split(), sys.argv[2].split(), int(sys.argv[3])
assert main(small) == 0  # what is loaded late is not to count
with open("/proc/self/statm") as file:
    limit = int(file.read().split()[0]) * resource.getpagesize() + megabytes * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.exit(main(large))
"""


@pytest.fixture
def arguments(study_file: Path, tmp_path: Path) -> list[str]:
    """A study that trains on 8 images at once and scores on 16."""
    few = ["--set=supernet.batch_size=8", "--sampler=random"]
    return ["--study", str(study_file), "--runs", str(tmp_path / "runs"), *few]


class Memory:
    """Of a device that holds so many images at once, and is too small for some architectures."""

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


def test_the_batch_is_halved_once_for_the_whole_study(
    arguments: list[str], tmp_path: Path, memory: Memory, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "Scores are measured on 8 images and not 16, for which the memory was too small."
    memory.images = 8
    assert main(arguments) == 0
    assert capsys.readouterr().err.count(line) == 1
    folder = tmp_path / "runs" / "small"
    halved = trials(tmp_path)
    assert Reference.load(folder / "reference.json").definition["score.images"] == 8
    assert json.loads((folder / "study.json").read_text())["score"]["images"] == 8
    assert "score.images=8" in (folder / "report.html").read_text()
    memory.images = 1000  # where there is room again, the study stays as it was begun
    assert main([*arguments, "--trials", "12"]) == 0
    assert capsys.readouterr().err.count(line) == 1
    assert trials(tmp_path)[:10] == halved
    asked_for = [*arguments, "--set=score.images=8", "--study-name=eight"]
    assert main([*asked_for, "--trials", "12"]) == 0
    eight = Reference.load(tmp_path / "runs" / "eight" / "reference.json")
    assert eight.scores == Reference.load(folder / "reference.json").scores
    assert main([*arguments, "--fresh"]) == 0
    assert Reference.load(folder / "reference.json").definition["score.images"] == 16


def test_too_large_in_the_middle_of_the_sample_halves_all_of_it(
    arguments: list[str], tmp_path: Path, toy: Toy, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of the sample keeps a score of the whole batch."""
    last = sample_architectures(toy, 8, 0)[-1]
    forward = ToySupernet.forward

    def limited(supernet: ToySupernet, images: Tensor, arch: str) -> Tensor:
        if arch == last and len(images) > 8:
            raise MemoryError
        return forward(supernet, images, arch)

    monkeypatch.setattr(ToySupernet, "forward", limited)
    assert main(arguments) == 0
    halved = Reference.load(tmp_path / "runs" / "small" / "reference.json")
    assert main([*arguments, "--set=score.images=8", "--study-name=eight"]) == 0
    eight = Reference.load(tmp_path / "runs" / "eight" / "reference.json")
    assert (halved.definition, halved.scores) == (eight.definition, eight.scores)


def test_half_is_still_too_much(
    arguments: list[str], tmp_path: Path, memory: Memory, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*arguments, "--set=score.images=64"]
    memory.images = 16
    for _ in range(2):
        assert main(arguments) == 1
        errors = capsys.readouterr().err
        assert "measured on 32 images and not 64" in errors
        assert "the memory is full" in errors.splitlines()[-1]
    memory.images = 32
    assert main(arguments) == 0
    assert len(trials(tmp_path)) >= 10


def test_a_study_with_trials_is_not_halved(
    arguments: list[str], tmp_path: Path, memory: Memory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    (tmp_path / "runs" / "small" / "reference.json").unlink()
    memory.images = 8
    assert main([*arguments, "--trials", "12"]) == 1
    assert "the memory is full" in capsys.readouterr().err.splitlines()[-1]
    memory.images = 1000
    assert main([*arguments, "--trials", "12"]) == 0


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


def test_a_search_that_has_no_memory_at_all_ends(
    arguments: list[str], tmp_path: Path, memory: Memory, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*arguments, "--space", "longtoy"]
    assert main(arguments) == 0
    memory.images = 4
    assert main([*arguments, "--trials", "30"]) == 1
    assert "the memory is full" in capsys.readouterr().err.splitlines()[-1]
    memory.images = 1000
    assert main([*arguments, "--trials", "30"]) == 0
    assert sum(t.state == TrialState.COMPLETE for t in trials(tmp_path)) == 30


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_process_that_may_not_have_more_memory_halves_its_batch(
    arguments: list[str], tmp_path: Path
) -> None:
    """For real: PyTorch's allocator on the CPU is refused what 1400 images take."""
    more = ["--image-size=32", "--trials=2", "--set=space_options.channels=32"]
    small = [*arguments, *more, "--study-name=warm"]
    large = [*arguments, *more, "--set=score.images=1400"]
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, " ".join(small), " ".join(large), "700"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Scores are measured on 700 images and not 1400" in ended.stderr
    assert sum(t.state == TrialState.COMPLETE for t in trials(tmp_path)) == 2
