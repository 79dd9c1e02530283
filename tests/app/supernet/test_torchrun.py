"""The main command in two processes: real ones, connected by Gloo."""

import os
import re
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

import app.run  # noqa: F401  (else every forked process would import it anew)
from app.cli import main
from app.supernet.checkpoint import load_checkpoint
from tests.two_processes import in_two_processes

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
SECONDS = 120


def trials(runs: Path, name: str) -> int:
    storage = f"sqlite:///{runs / 'studies.db'}"
    if name not in optuna.get_all_study_names(storage):
        return 0
    return len(optuna.load_study(study_name=name, storage=storage).trials)


def commands(tmp_path: Path, *options: list[str]) -> tuple[list[int | None], list[str]]:
    """Exit statuses and outputs of the command in two processes, each with its own options.

    Each has a runs folder of its own. When rank 0 fails the other one is terminated.
    """
    outputs = [tmp_path / f"output of {rank}" for rank in range(2)]
    for path in outputs:
        path.touch()

    def command(rank: int) -> int:
        with outputs[rank].open("w") as file:
            for stream in (1, 2):
                os.dup2(file.fileno(), stream)
        sys.stdout, sys.stderr = (os.fdopen(n, "w", closefd=False) for n in (1, 2))
        status = main([*options[rank], "--runs", str(tmp_path / f"runs {rank}")])
        sys.stdout.flush()
        return status

    return in_two_processes(command, failed=bool), [path.read_text() for path in outputs]


GROUPS = ["--set", "supernet.bn_groups=2"]


def test_rank_0_alone_makes_the_study(study_file: Path, tmp_path: Path) -> None:
    options = ["--study", str(study_file), *GROUPS]
    statuses, (output, other) = commands(tmp_path, options, options)
    assert (statuses, other) == ([0, 0], "")
    assert "Training in 2 processes" in output
    assert trials(tmp_path / "runs 0", "small") == 10
    # a second time there is nothing to train
    statuses, (output, other) = commands(tmp_path, options, options)
    assert (statuses, other) == ([0, 0], "")
    assert "Training in" not in output
    assert trials(tmp_path / "runs 0", "small") == 10
    assert not (tmp_path / "runs 1").exists()


@pytest.mark.parametrize(
    ("first", "second", "line"),
    [
        (["--nonsense"], ["--nonsense"], "no such option: --nonsense"),
        (["--seed", "-1"], ["--seed", "-1"], "seed = -1: input should be"),
        (
            ["--set", "supernet.bn_groups=1"],
            ["--set", "supernet.bn_groups=1"],
            "2 processes cannot share supernet.bn_groups = 1: .* --set supernet.bn_groups=2",
        ),
        (["--device", "cpu:0"], ["--device", "cpu:0"], "each process .* give --device cpu, not"),
        ([], ["--seed", "-1"], "rank 1 on .*: seed = -1"),
        ([], ["--dataset", "nowhere"], "rank 1 on .*: 'nowhere' is neither a built-in data set"),
        ([], ["--seed", "1"], "rank 1 on .*: the supernet of rank 0 was made with seed = 0, not 1"),
    ],
)
def test_bad_input_is_reported_once(
    first: list[str], second: list[str], line: str, study_file: Path, tmp_path: Path
) -> None:
    study = ["--study", str(study_file), *GROUPS]
    statuses, (output, other) = commands(tmp_path, [*study, *first], [*study, *second])
    assert statuses[0] == 2
    assert other == ""
    errors = [line for line in output.splitlines() if not line.startswith("Study ")]
    assert len(errors) == 1
    assert re.match(f"error: {line}", errors[0], re.IGNORECASE)


def test_commands_that_train_no_supernet_are_refused(tmp_path: Path) -> None:
    options = ["rank", "--study", "digits", "--table", "t.csv", "--column", "accuracy"]
    (status, _), (output, other) = commands(tmp_path, options, options)
    assert (status, other) == (2, "")
    assert "run python main.py rank … without it" in output


STUDY = """
space = "nasbench201"
image_size = 16
space_options = { cells = 1, channels = 4 }
supernet = { steps = 100, batch_size = 16, bn_groups = 2 }
score = { images = 16, reference = 8 }
search = { trials = 4, population = 4 }
"""


def test_a_terminated_torchrun_saves_and_one_process_resumes(tmp_path: Path) -> None:
    study, runs = tmp_path / "small.toml", tmp_path / "runs"
    study.write_text(STUDY)
    options = ["--study", str(study), "--runs", str(runs)]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"]
    command = [*torchrun, str(ROOT / "main.py"), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "Training in" in line:
                break
        process.terminate()
        _, output = process.communicate(timeout=SECONDS)
    assert process.returncode != 0
    assert "Interrupted; run the same command again" in output
    assert load_checkpoint(runs / "small" / "supernet.pt")["step"] < 100
    assert trials(runs, "small") == 0
    assert main(options) == 0
    assert load_checkpoint(runs / "small" / "supernet.pt")["step"] == 100
    assert trials(runs, "small") == 4
