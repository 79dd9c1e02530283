"""Two ranks against one, by real processes."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from app.data import ImageData
from app.interrupt import stop_between_steps
from app.ranks import Ranks, this_rank
from app.settings import SupernetSettings
from app.supernet.checkpoint import load_checkpoint
from app.supernet.exchange import connected
from app.supernet.training import SupernetTraining, train_supernet
from spaces import BatchNormMode
from tests.toy import Toy
from tests.two_ranks import on_two_ranks

CPU = torch.device("cpu")
STEPS = 12


def make(
    toy: Toy,
    digits: ImageData,
    ranks: Ranks = Ranks(),  # noqa: B008
    bn_mode: BatchNormMode = BatchNormMode.UNBIASED,
    **settings: Any,
) -> SupernetTraining:
    chosen = {"steps": STEPS, "batch_size": 17, "learning_rate": 0.1, **settings}
    return SupernetTraining(toy, bn_mode, digits, SupernetSettings(**chosen), 3, CPU, ranks)


def train_one(training: SupernetTraining, path: Path, stop_at: int = STEPS) -> None:
    def check() -> None:
        if training.step_count == stop_at:
            raise KeyboardInterrupt

    if stop_at == STEPS:
        train_supernet(training, path, {}, check)
    else:
        with pytest.raises(KeyboardInterrupt):
            train_supernet(training, path, {}, check)


def train_two(
    toy: Toy, digits: ImageData, path: Path, stop_at: int = STEPS, **settings: Any
) -> list[dict[str, Tensor]]:
    """Train by two ranks, from the checkpoint at `path` if there is one; what each ends with."""

    def train(rank: int) -> dict[str, Tensor]:
        training = make(toy, digits, this_rank(), **settings)
        if rank == 0 and path.exists():
            training.load_state_dict(load_checkpoint(path))
        with connected(this_rank(), CPU) as training.exchange:
            training.load_state_dict(training.exchange.share_state(training.state_dict()))
            # a stop that is asked for in step N is agreed on with its sum, and holds after it
            train_one(training, path, stop_at - 1 if stop_at < STEPS else STEPS)
        return learnt(training)

    return on_two_ranks(train)


def learnt(training: SupernetTraining) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in training.supernet.state_dict().items()}


def distance(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    """The largest relative difference of a parameter."""
    return max(float((a[k] - b[k]).norm() / b[k].norm().clamp(min=1e-3)) for k in b)


@pytest.mark.parametrize("bn_mode", [BatchNormMode.UNBIASED, BatchNormMode.BIASED])
def test_two_ranks_learn_what_one_learns_from_the_same_batches(
    bn_mode: BatchNormMode, toy: Toy, digits: ImageData, tmp_path: Path
) -> None:
    one = make(toy, digits, bn_mode=bn_mode)
    start = learnt(one)
    train_one(one, tmp_path / "one.pt")
    first, second = train_two(toy, digits, tmp_path / "two.pt", bn_mode=bn_mode)
    assert distance(start, learnt(one)) > 0.1
    assert distance(first, learnt(one)) < 1e-4  # sums in another order, over 12 steps
    assert all(torch.equal(first[k], second[k]) for k in first)
    # rank 0 has seen the loss of the whole batch, and written what one process writes
    losses = [load_checkpoint(tmp_path / f"{name}.pt")["losses"] for name in ("one", "two")]
    assert losses[1][0][1] == pytest.approx(losses[0][0][1], rel=1e-5)


def test_without_shared_statistics_they_learn_from_parts_normalised_by_themselves(
    toy: Toy, digits: ImageData, tmp_path: Path
) -> None:
    one = make(toy, digits)
    parts = [Ranks(rank, 2).part(17) for rank in range(2)]
    for _ in range(STEPS):  # the closed form: the parts one after the other
        images, labels = one.batches.next_batch()
        arch = one.space.sample(one.arch_rng)
        one.optimizer.zero_grad(set_to_none=True)
        for part in parts:
            loss = F.cross_entropy(
                one.supernet(images[part], arch), labels[part], label_smoothing=0.1
            )
            (loss * len(labels[part]) / len(labels)).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(one.trainable, one.settings.gradient_clip)
        one.optimizer.step()
        one.schedule.step()
    two, _ = train_two(toy, digits, tmp_path / "two.pt", sync_batchnorm=False)
    assert distance(two, learnt(one)) < 1e-4
    whole = make(toy, digits)
    train_one(whole, tmp_path / "one.pt")
    assert distance(two, learnt(whole)) > 1e-2  # so the test above tells them apart


def test_two_ranks_one_and_two_again_end_like_one(
    toy: Toy, digits: ImageData, tmp_path: Path
) -> None:
    whole = make(toy, digits)
    train_one(whole, tmp_path / "whole.pt")
    path = tmp_path / "parts.pt"
    train_two(toy, digits, path, stop_at=4)
    assert load_checkpoint(path)["step"] == 4
    one = make(toy, digits)
    one.load_state_dict(load_checkpoint(path))
    train_one(one, path, stop_at=7)
    assert load_checkpoint(path)["step"] == 7
    end, _ = train_two(toy, digits, path)
    assert load_checkpoint(path)["step"] == STEPS
    assert distance(end, learnt(whole)) < 1e-4


def test_only_gradients_of_the_path_travel(
    toy: Toy, digits: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count(rank: int) -> tuple[list[int], list[int]]:
        training = make(toy, digits, this_rank(), sync_batchnorm=False)
        sent: list[int] = []
        original = dist.all_reduce

        def see(tensor: Tensor) -> None:
            sent.append(tensor.numel())
            original(tensor)

        monkeypatch.setattr(dist, "all_reduce", see)
        with connected(this_rank(), CPU) as training.exchange:
            training.step_along("conv1-skip-skip")
            training.step_along("conv3-conv3-skip")
        named = training.supernet.named_parameters()
        return sent, [p.numel() for name, p in named if p.grad is not None and "conv" in name]

    for sent, convolutions in on_two_ranks(count):
        # 4 BatchNorms of 6 channels, a classifier of 6 features and 10 classes, loss and vote
        assert sent == [4 * 2 * 6 + 70 + 2] * 2
        assert sum(convolutions) == 2 * 2 * 6  # the BatchNorms behind them


@pytest.mark.parametrize("who", [0, 1])
def test_a_signal_to_one_rank_stops_both_after_the_same_step(
    who: int, toy: Toy, digits: ImageData, tmp_path: Path
) -> None:
    def train(rank: int) -> tuple[int, bool]:
        training = make(toy, digits, this_rank(), steps=10_000)
        path = tmp_path / f"{rank}.pt"

        def signalled() -> None:
            if rank == who and training.step_count == 5:
                os.kill(os.getpid(), signal.SIGTERM)
            check()

        with (
            connected(this_rank(), CPU) as training.exchange,
            stop_between_steps() as check,
            pytest.raises(KeyboardInterrupt),
        ):
            train_supernet(training, path, {}, signalled)
        return training.step_count, path.exists()

    assert on_two_ranks(train) == [(6, True), (6, False)]
    assert load_checkpoint(tmp_path / "0.pt")["step"] == 6


def test_a_loss_that_is_not_finite_at_one_rank_stops_both(
    toy: Toy, digits: ImageData, tmp_path: Path
) -> None:
    def train(rank: int) -> int:
        training = make(toy, digits, this_rank(), steps=100)
        with connected(this_rank(), CPU) as training.exchange:
            if rank == 1:
                nn.init.constant_(training.supernet.classifier.bias, float("nan"))  # type: ignore[arg-type]
            with pytest.raises(FloatingPointError, match="loss is nan at step 10"):
                train_supernet(training, tmp_path / f"{rank}.pt", {}, lambda: None)
        return training.step_count

    assert on_two_ranks(train) == [10, 10]


def test_a_rank_that_is_killed_is_said_to_be_gone(
    toy: Toy, digits: ImageData, tmp_path: Path
) -> None:
    def train(rank: int) -> str:
        training = make(toy, digits, this_rank(), steps=10_000)
        with connected(this_rank(), CPU) as training.exchange:
            others = torch.tensor([os.getpid() if rank == 1 else 0])
            dist.all_reduce(others)

            def check() -> None:
                if rank == 0 and training.step_count == 5:
                    os.kill(int(others), signal.SIGKILL)

            with pytest.raises(ConnectionError, match="the same command goes on") as error:
                train_supernet(training, tmp_path / "s.pt", {}, check)
        return str(error.value)

    said, killed = on_two_ranks(train)
    assert killed is None
    assert "another rank has ended" in said
