"""What ranks do around a training: the first one alone works on the study, and speaks."""

import os
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

import app.run  # noqa: F401  (which every forked rank would import anew)
from app.cli import main
from app.ranks import Ranks, this_rank
from app.search.storage import open_storage
from app.search.study import own_study
from app.settings import database_url
from app.supernet.checkpoint import load_checkpoint
from tests.two_ranks import on_two_ranks

ROOT = Path(__file__).parents[2]
SECONDS = 120

STUDY = """
space = "nasbench201"
image_size = 16
space_options = { cells = 1, channels = 4 }

[supernet]
steps = 60
batch_size = 16

[score]
images = 16
reference = 8

[search]
trials = 6
population = 4
"""


def trials(runs: Path, name: str) -> int:
    study = own_study(open_storage(database_url(runs)), name)
    return len(study.trials) if study else 0


def commands(tmp_path: Path, *options: list[str]) -> tuple[list[int | None], list[str]]:
    """Exit status and output of `main` at two ranks, each with a runs folder of its own.

    When the first one fails the other one is terminated.
    """

    said = [tmp_path / f"said by {rank}" for rank in range(2)]
    for path in said:
        path.touch()

    def command(rank: int) -> int:
        with said[rank].open("w") as file:
            for stream in (1, 2):
                os.dup2(file.fileno(), stream)
        sys.stdout, sys.stderr = (os.fdopen(n, "w", closefd=False) for n in (1, 2))
        status = main([*options[rank], "--runs", str(tmp_path / f"runs {rank}")])
        sys.stdout.flush()
        return status

    return on_two_ranks(command, failed=bool), [path.read_text() for path in said]


def test_the_first_rank_alone_makes_the_study(study_file: Path, tmp_path: Path) -> None:
    options = ["--study", str(study_file)]
    statuses, (said, other) = commands(tmp_path, options, options)
    assert (statuses, other) == ([0, 0], "")
    assert "2 ranks train" in said
    assert trials(tmp_path / "runs 0", "small") == 10
    # a second time there is nothing to train
    statuses, (said, other) = commands(tmp_path, options, options)
    assert (statuses, other) == ([0, 0], "")
    assert "ranks train" not in said
    assert trials(tmp_path / "runs 0", "small") == 10
    assert not (tmp_path / "runs 1").exists()


SMALL = ["--set", "supernet.batch_size=3", "--set", "supernet.sync_batchnorm=false"]


@pytest.mark.parametrize(
    ("first", "second", "line"),
    [
        (["--seed", "-1"], ["--seed", "-1"], "seed = -1: input should be"),
        (["--nonsense"], ["--nonsense"], "no such option: --nonsense"),
        (SMALL, SMALL, "2 ranks with 2 images or more each need larger batches than 3"),
        (["--device", "cpu:0"], ["--device", "cpu:0"], ".* each rank takes one: give --device cpu"),
        ([], ["--seed", "1"], "rank 1 on .*: it has seed = 1, and rank 0 0"),
        ([], ["--dataset", "nowhere"], "rank 1 on .*: 'nowhere' is neither a known data set"),
        ([], ["--seed", "-1"], "rank 1 on .*: seed = -1"),
    ],
)
def test_bad_input_is_said_once(
    first: list[str], second: list[str], line: str, study_file: Path, tmp_path: Path
) -> None:
    study = ["--study", str(study_file)]
    statuses, (said, other) = commands(tmp_path, [*study, *first], [*study, *second])
    assert statuses[0] == 2
    assert other == ""
    errors = [line for line in said.splitlines() if not line.startswith("Study ")]
    assert len(errors) == 1
    assert re.match(f"error: {line}", errors[0], re.IGNORECASE)


def test_commands_that_train_no_supernet_are_refused(study_file: Path, tmp_path: Path) -> None:
    options = ["rank", "--study", str(study_file), "--table", "t.csv", "--column", "accuracy"]
    (status, _), (said, other) = commands(tmp_path, options, options)
    assert (status, other) == (2, "")
    assert "start python main.py rank … without it" in said


def test_who_this_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "5")
    assert this_rank() == Ranks()  # not of torchrun: some schedulers set a part of these
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("GROUP_RANK", "1")
    assert this_rank() == Ranks(rank=5, size=8, local_rank=1, node="1")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert this_rank().alone


@pytest.mark.parametrize("count", [1, 7, 64])
def test_parts_make_up_the_batch(count: int) -> None:
    batch = list(range(count))
    parts = [batch[Ranks(rank, 5).part(count)] for rank in range(5)]
    assert list(chain(*parts)) == batch
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_terminated_torchrun_saves_and_one_process_goes_on(tmp_path: Path) -> None:
    study, runs = tmp_path / "small.toml", tmp_path / "runs"
    study.write_text(STUDY)
    options = ["--study", str(study), "--runs", str(runs)]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"]
    command = [*torchrun, str(ROOT / "main.py"), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "ranks train" in line:
                break
        process.terminate()
        process.communicate(timeout=SECONDS)
    assert process.returncode != 0
    checkpoint = load_checkpoint(runs / "small" / "supernet.pt")
    assert checkpoint["step"] < 60
    assert trials(runs, "small") == 0
    assert main(options) == 0  # with another number of ranks
    assert load_checkpoint(runs / "small" / "supernet.pt")["step"] == 60
    assert trials(runs, "small") == 6
