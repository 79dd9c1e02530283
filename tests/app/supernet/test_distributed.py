"""Two processes against one: real ones, connected by Gloo."""

import os
import re
import signal
import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import app.run  # noqa: F401  (else every forked process would import it anew)
from app.config import SupernetConfig
from app.data import ImageData
from app.interrupt import TimeIsUpError, stop_at_once, stop_between_steps
from app.supernet import distributed
from app.supernet.checkpoint import load_checkpoint
from app.supernet.training import SupernetTraining, train_supernet
from spaces import BatchNormMode
from tests.toy import Toy
from tests.two_processes import in_two_processes

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
CPU = torch.device("cpu")
STEPS = 12
SECONDS = 120


def make(
    toy: Toy,
    digits: ImageData,
    bn_mode: BatchNormMode = BatchNormMode.UNBIASED,
    steps: int = STEPS,
    bn_groups: int = 2,
) -> SupernetTraining:
    config = SupernetConfig(
        steps=steps, batch_size=16, bn_groups=bn_groups, learning_rate=0.1, weight_decay=0.01
    )
    return SupernetTraining(toy, bn_mode, digits, config, 3, CPU)


def train(training: SupernetTraining, path: Path, stop_at: int = STEPS) -> None:
    """Train from the checkpoint at `path`, if there is one, until `stop_at` steps are done."""

    def check() -> None:
        if training.step_count == stop_at:
            raise KeyboardInterrupt

    if path.exists() and distributed.rank() == 0:
        training.load_state_dict(load_checkpoint(path))
    if distributed.world_size() > 1:
        training.join()
    try:
        train_supernet(training, path, {}, check)
    except KeyboardInterrupt:
        assert stop_at < STEPS


def train_two(
    toy: Toy, digits: ImageData, path: Path, stop_at: int = STEPS, **options: Any
) -> list[dict[str, Any]]:
    """Train in two processes; the final state of each."""

    def process(rank: int) -> dict[str, Any]:
        with distributed.process_group():
            training = make(toy, digits, **options)
            train(training, path, stop_at)
            return training.state_dict()

    return in_two_processes(process)


def distance(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    """The largest relative difference of a parameter."""
    return max(float((a[k] - b[k]).norm() / b[k].norm().clamp(min=1e-3)) for k in b)


@pytest.mark.parametrize("bn_mode", [BatchNormMode.UNBIASED, BatchNormMode.BIASED])
def test_two_processes_train_the_supernet_of_one(
    bn_mode: BatchNormMode, toy: Toy, digits: ImageData, tmp_path: Path
) -> None:
    training, other = (make(toy, digits, bn_mode, bn_groups=groups) for groups in (2, 1))
    start = {key: value.clone() for key, value in training.supernet.state_dict().items()}
    train(training, tmp_path / "one.pt")
    train(other, tmp_path / "other.pt")
    one = training.state_dict()
    two, second = train_two(toy, digits, tmp_path / "two.pt", bn_mode=bn_mode)
    assert distance(two["supernet"], one["supernet"]) < 1e-4  # sums in another order, 12 times
    assert distance(start, one["supernet"]) > 0.1
    assert distance(other.state_dict()["supernet"], one["supernet"]) > 1e-2
    assert all(torch.equal(two["supernet"][k], second["supernet"][k]) for k in start)
    # the loss is that of the whole batch
    assert two["losses"] == second["losses"]
    assert two["losses"][0][1] == pytest.approx(one["losses"][0][1], rel=1e-5)


def test_parameters_off_the_path_are_left_alone(toy: Toy, digits: ImageData) -> None:
    """With gradients of 0 their momentum, and weight decay, would move them on."""

    def process(rank: int) -> list[str]:
        with distributed.process_group():
            training = make(toy, digits)
            training.join()
            training.step_along("conv3-conv3-conv3")
            before = {k: v.clone() for k, v in training.supernet.state_dict().items()}
            training.step_along("conv1-conv1-skip")
            after = training.supernet.state_dict()
            return [key for key, value in after.items() if not torch.equal(value, before[key])]

    for changed in in_two_processes(process):
        layers = {tuple(key.split(".")[1:3]) for key in changed if key.startswith("layers")}
        assert layers == {("0", "conv1"), ("1", "conv1"), ("2", "skip")}


def test_two_processes_one_and_two_again_end_like_one(
    toy: Toy, digits: ImageData, tmp_path: Path
) -> None:
    whole = make(toy, digits)
    train(whole, tmp_path / "whole.pt")
    path = tmp_path / "parts.pt"
    train_two(toy, digits, path, stop_at=4)
    assert load_checkpoint(path)["step"] == 4
    train(make(toy, digits), path, stop_at=7)
    assert load_checkpoint(path)["step"] == 7
    end, _ = train_two(toy, digits, path)
    assert distance(end["supernet"], whole.supernet.state_dict()) < 1e-4


@pytest.mark.parametrize(
    ("who", "reason"),
    [(0, KeyboardInterrupt), (1, KeyboardInterrupt), (1, TimeIsUpError)],
)
def test_what_stops_one_process_stops_both_after_the_same_step(
    who: int,
    reason: type[KeyboardInterrupt],
    toy: Toy,
    digits: ImageData,
    tmp_path: Path,
) -> None:
    def process(rank: int) -> tuple[int, bool]:
        path = tmp_path / f"{rank}.pt"
        with distributed.process_group(), stop_between_steps() as check:
            training = make(toy, digits, steps=10_000)
            training.join()

            def check_signalled() -> None:
                if rank == who and training.step_count == 5:
                    if reason is TimeIsUpError:
                        raise TimeIsUpError
                    os.kill(os.getpid(), signal.SIGINT)
                check()

            with pytest.raises(reason):
                train_supernet(training, path, {}, check_signalled)
        return training.step_count, path.exists()

    assert in_two_processes(process) == [(5, True), (5, False)]
    assert load_checkpoint(tmp_path / "0.pt")["step"] == 5


def test_a_signal_interrupts_the_wait_for_others(tmp_path: Path) -> None:
    interrupted = tmp_path / "interrupted"

    def process(rank: int) -> bool:
        with distributed.process_group(), stop_at_once():
            if rank == 1:
                threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
                with pytest.raises(KeyboardInterrupt):
                    distributed.all_gather(None)
                interrupted.touch()
            while not interrupted.exists():
                time.sleep(0.01)
        return True

    assert in_two_processes(process) == [True, True]


def test_a_loss_that_is_not_finite_in_one_process_stops_both(
    toy: Toy, digits: ImageData, tmp_path: Path
) -> None:
    def process(rank: int) -> int:
        with distributed.process_group():
            training = make(toy, digits, steps=100)
            training.join()
            if rank == 1:
                nn.init.constant_(training.supernet.classifier.bias, float("nan"))  # type: ignore[arg-type]
            with pytest.raises(FloatingPointError, match="loss is nan at step 10"):
                train_supernet(training, tmp_path / f"{rank}.pt", {}, lambda: None)
        return training.step_count

    assert in_two_processes(process) == [10, 10]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_is_killed_or_out_of_reach_is_reported(
    number: int, toy: Toy, digits: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "MAX_STEP", timedelta(seconds=10))

    def process(rank: int) -> str:
        with pytest.raises(ConnectionError) as error, distributed.process_group():
            training = make(toy, digits, steps=10_000)
            training.join()
            other = distributed.all_gather(os.getpid())[1]

            def check() -> None:
                if rank == 0 and training.step_count == 5:
                    os.kill(other, number)

            train_supernet(training, tmp_path / "s.pt", {}, check)
        with suppress(ProcessLookupError):
            os.kill(other, signal.SIGKILL)
        return str(error.value)

    line, killed = in_two_processes(process)
    assert killed is None
    assert re.fullmatch("another process has ended .*run the same command again.*", line)


def test_who_goes_on_takes_all_cores() -> None:
    def process(rank: int) -> int:
        os.environ["LOCAL_WORLD_SIZE"] = "2"
        with distributed.process_group():
            distributed.leave()
            return torch.get_num_threads()

    assert in_two_processes(process) == [os.cpu_count()] * 2
