"""Training of the BatchNorm-only supernet by single-path uniform sampling (arXiv 1904.00420).

Each step trains one random architecture of the space on one batch. Only BatchNorm and the
classifier learn (arXiv 2108.07375), so a step needs no gradient of any convolution weight.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.config import SupernetConfig
from app.console import progress_bar
from app.data import BatchStream, ImageData
from app.device import memory_format, mixed_precision
from app.errors import InputError
from app.interrupt import check_or_save
from app.supernet import distributed
from app.supernet.checkpoint import save_checkpoint
from spaces import BatchNormMode, Space, Supernet
from spaces.initialisation import share_weights

SECONDS_BETWEEN_CHECKPOINTS = 30.0
STEPS_BETWEEN_LOSSES = 10  # reading a loss waits for the device


def check_groups(config: SupernetConfig) -> None:
    """Raises InputError unless the groups divide the batch, and the processes the groups."""
    groups, batch_size = config.bn_groups, config.batch_size
    if batch_size % groups or batch_size < 2 * groups:
        raise InputError(
            f"supernet.batch_size = {batch_size} cannot be split into {groups} equal groups of "
            "2 or more images: give --set supernet.bn_groups=1, or another batch size"
        )
    if groups % (count := distributed.world_size()):
        raise InputError(
            f"{count} processes cannot share supernet.bn_groups = {groups}: give torchrun "
            f"a --nproc_per_node that divides it, or --set supernet.bn_groups={count}"
        )


class GhostBatchNorm(nn.Module):
    """A supernet that normalises each of `groups` equal parts of a batch by itself.

    Ghost batch normalisation (arXiv 1705.08741). Processes that share a batch group by group then
    train the supernet that one process trains, without exchanging statistics.
    """

    def __init__(self, supernet: Supernet, groups: int) -> None:
        super().__init__()
        self.supernet = supernet
        self.groups = groups

    def forward(self, images: Tensor, arch: str) -> Tensor:
        """Class scores (N×classes) of N×3×H×W images."""
        return torch.cat([self.supernet(part, arch) for part in images.chunk(self.groups)])


class SupernetTraining:
    """A supernet, its optimiser, and the streams of batches and paths; all of it resumable.

    Several processes draw the same batches and paths, and each computes its part of every batch.
    A state dict does not depend on how many they are.
    """

    def __init__(
        self,
        space: Space,
        bn_mode: BatchNormMode,
        data: ImageData,
        config: SupernetConfig,
        seed: int,
        device: torch.device,
    ) -> None:
        self.space = space
        self.config = config
        self.device = device
        with torch.random.fork_rng(devices=[]):
            # on the CPU, so that every device starts from the same weights
            torch.default_generator.manual_seed(seed)
            supernet = space.supernet(bn_mode)
            supernet = supernet.to(device).to(memory_format=memory_format(device))
            if config.initialisation == "shared":
                share_weights(supernet)
        self.supernet: Supernet = supernet
        self.trainable = [p for p in supernet.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(
            _parameter_groups(self.supernet, config.learning_rate),
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            self.optimizer, max(1, config.steps)
        )
        rank, count = distributed.rank(), distributed.world_size()
        self.model: nn.Module = GhostBatchNorm(self.supernet, config.bn_groups // count)
        part = slice(rank * config.batch_size // count, (rank + 1) * config.batch_size // count)
        self.batches = BatchStream(data, config.batch_size, seed, config.augment, device, part=part)
        self._parts: dict[str, Any] = {
            "supernet": self.supernet,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "batches": self.batches,
        }
        self.arch_rng = Random(seed)
        self.step_count = 0
        self.seconds = 0.0
        self.losses: list[tuple[int, float]] = []

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step_count >= self.config.steps

    def step(self) -> Tensor:
        """Train a random path on one batch; returns this process's loss, a scalar on the device."""
        return self.step_along(self.space.sample(self.arch_rng))

    def step_along(self, arch: str) -> Tensor:
        """Train the path of `arch` on one batch."""
        images, labels = self.batches.next_batch()
        with mixed_precision(self.device):
            loss = F.cross_entropy(
                self.model(images, arch), labels, label_smoothing=self.config.label_smoothing
            )
        # parameters off the path get no gradient, so SGD leaves them and their momentum alone
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.trainable, self.config.gradient_clip)
        self.optimizer.step()
        self.schedule.step()
        self.step_count += 1
        return loss.detach()

    def join(self) -> None:
        """Go on with the other processes, all from the state of rank 0."""
        self.load_state_dict(distributed.broadcast(self.state_dict()))
        self.model = distributed.data_parallel(self.model, self.device)

    def state_dict(self) -> dict[str, Any]:
        """Everything that resuming needs to continue as if nothing had happened."""
        return {
            "step": self.step_count,
            "seconds": self.seconds,
            "losses": self.losses,
            "paths": self.arch_rng.getstate(),
            **{name: part.state_dict() for name, part in self._parts.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a `state_dict`."""
        self.step_count, self.seconds = state["step"], state["seconds"]
        self.losses = state["losses"]
        self.arch_rng.setstate(state["paths"])
        for name, part in self._parts.items():
            part.load_state_dict(state[name])


def _parameter_groups(supernet: Supernet, learning_rate: float) -> list[dict[str, Any]]:
    """BatchNorm at the learning rate as given; the classifier at one that suits its width.

    A gradient step moves the class scores by as much as there are features. Beyond 64 features
    the rate shrinks with their number (arXiv 2203.03466), else the scores of a wide network's
    1,728 features overshoot at every rate at which BatchNorm learns.
    """
    classifiers = [m for m in supernet.modules() if isinstance(m, nn.Linear)]
    groups = [
        {"params": list(m.parameters()), "lr": learning_rate * min(1, 64 / m.in_features)}
        for m in classifiers
    ]
    norms = [m for m in supernet.modules() if isinstance(m, nn.BatchNorm2d)]
    return [{"params": [p for m in norms for p in m.parameters()]}, *groups]


def train_supernet(
    training: SupernetTraining, path: Path, definition: dict[str, Any], check: Callable[[], None]
) -> None:
    """Train to the end, saving a checkpoint to `path` every 30 seconds and at the end.

    `definition` is stored in the checkpoint. `check` is called between steps and may raise
    KeyboardInterrupt; the last step is saved first. Of several processes rank 0 saves, and all
    stop when one of them is interrupted. Raises FloatingPointError when the loss is no longer
    finite.
    """
    if training.finished and path.exists():
        return
    total = training.config.steps

    def save() -> None:
        if distributed.rank() > 0:
            return
        if not torch.stack([p.isfinite().all() for p in training.trainable]).all():
            raise _diverged(training, "weights are no longer finite", path)
        save_checkpoint(path, {"definition": definition, **training.state_dict()})

    saved = clock = time.monotonic()
    with progress_bar("Supernet", total, training.step_count) as advance:
        note = ""
        while not training.finished:
            check_or_save(lambda: distributed.check_all(check), save)
            loss = training.step()
            if training.step_count % STEPS_BETWEEN_LOSSES == 0 or training.finished:
                value = distributed.mean(loss.item())
                if not math.isfinite(value):
                    raise _diverged(training, f"loss is {value}", path)
                training.losses.append((training.step_count, value))
                note = f"loss {value:.3f}"
            now = time.monotonic()
            training.seconds += now - clock
            clock = now
            if now - saved > SECONDS_BETWEEN_CHECKPOINTS:
                save()
                saved = clock = time.monotonic()
            advance(note=note)
    save()


def _diverged(training: SupernetTraining, what: str, path: Path) -> FloatingPointError:
    good = f"the last good checkpoint is kept in '{path}'" if path.exists() else "none was saved"
    return FloatingPointError(
        f"the supernet's {what} at step {training.step_count}, "
        f"learning rate {training.schedule.get_last_lr()[0]:.3g}; "
        f"{good}; try a smaller supernet.learning_rate, with --fresh"
    )
