"""Training of the BatchNorm-only supernet by single-path uniform sampling (arXiv 1904.00420).

At each step one random architecture of the space is trained on one batch. Only BatchNorm and
the classifier learn (arXiv 2108.07375), so a step needs no gradient of any convolution weight.
"""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.console import progress_bar
from app.data import BatchStream, ImageData
from app.device import mixed_precision
from app.errors import InputError
from app.interrupt import check_or_save
from app.ranks import Ranks
from app.settings import SupernetSettings
from app.supernet.checkpoint import save_checkpoint
from app.supernet.exchange import Exchange
from app.supernet.synchronised import SynchronisedBatchNorm
from spaces import BatchNormMode, Space, Supernet

SECONDS_BETWEEN_CHECKPOINTS = 30.0
STEPS_BETWEEN_LOSSES = 10  # reading a loss waits for the device


def check_parts(settings: SupernetSettings, ranks: Ranks) -> None:
    """Raises InputError if a rank's part of a batch is too small to be normalised."""
    fewest = 1 if settings.sync_batchnorm else 2
    if settings.batch_size < fewest * ranks.size:
        raise InputError(
            f"{ranks.size} ranks with {fewest} images or more each need larger batches than "
            f"{settings.batch_size} images: raise supernet.batch_size, or start fewer ranks"
        )


class SupernetTraining:
    """A supernet, its optimiser, and the streams of batches and paths; all of it resumable.

    One of several `ranks` computes its part of each batch. They take the same steps, as their
    streams are the same; what a resumption needs does not depend on how many they are.
    """

    def __init__(
        self,
        space: Space,
        bn_mode: BatchNormMode,
        data: ImageData,
        settings: SupernetSettings,
        seed: int,
        device: torch.device,
        ranks: Ranks = Ranks(),  # noqa: B008  (frozen)
    ) -> None:
        self.space = space
        self.settings = settings
        self.device = device
        with torch.random.fork_rng(devices=[]):
            # on the CPU, so that every device starts from the same weights
            torch.default_generator.manual_seed(seed)
            supernet = space.supernet(bn_mode)
        # oneDNN and cuDNN convolve channels-last images faster; parameters hold no layout
        self.supernet: Supernet = supernet.to(device).to(memory_format=torch.channels_last)
        self.trainable = [p for p in supernet.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(
            _parameter_groups(self.supernet, settings.learning_rate),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            self.optimizer, max(1, settings.steps)
        )
        part = ranks.part(settings.batch_size)
        self.share = (part.stop - part.start) / settings.batch_size
        self.exchange: Exchange | None = None
        """How to reach the other ranks, while there are any."""
        self.batches = BatchStream(
            data, settings.batch_size, seed, settings.augment, device, part=part
        )
        self.arch_rng = Random(seed)
        self.step_count = 0
        self.seconds = 0.0
        self.losses: list[tuple[int, float]] = []

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step_count >= self.settings.steps

    def step(self) -> Tensor:
        """One batch along one random path; returns its loss, a scalar still on the device."""
        return self.step_along(self.space.sample(self.arch_rng))

    def step_along(self, arch: str) -> Tensor:
        """The same along the path of `arch`."""
        images, labels = self.batches.next_batch()
        alone = self.exchange is None
        synchronised = self.settings.sync_batchnorm and not alone
        statistics = SynchronisedBatchNorm(self.share) if synchronised else nullcontext()
        with mixed_precision(self.device), statistics:
            loss = F.cross_entropy(
                self.supernet(images, arch), labels, label_smoothing=self.settings.label_smoothing
            )
        # parameters off the path keep no gradient, and SGD then leaves them and their momentum be
        self.optimizer.zero_grad(set_to_none=True)
        if self.exchange is None:
            loss.backward()  # type: ignore[no-untyped-call]
        else:
            # the part's mean, weighted: over the ranks these add up to the mean of the batch
            loss = loss * self.share
            loss.backward()
            loss = self.exchange.add_up(self.trainable, loss)
        nn.utils.clip_grad_norm_(self.trainable, self.settings.gradient_clip)
        self.optimizer.step()
        self.schedule.step()
        self.step_count += 1
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        """All that a later process needs to go on as if nothing had happened."""
        return {
            "step": self.step_count,
            "seconds": self.seconds,
            "losses": self.losses,
            "supernet": self.supernet.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "batches": self.batches.state_dict(),
            "paths": self.arch_rng.getstate(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.step_count, self.seconds = state["step"], state["seconds"]
        self.losses = state["losses"]
        self.supernet.load_state_dict(state["supernet"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.batches.load_state_dict(state["batches"])
        self.arch_rng.setstate(state["paths"])


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
    """Train to the end, saving to `path` now and then.

    `definition` is stored in the checkpoint. `check` is called between steps and may raise
    KeyboardInterrupt, before which the last step is saved. Of several ranks the first one alone
    saves, and a request of any of them stops all. Raises FloatingPointError when the loss is no
    longer finite, and ConnectionError when another rank has ended.
    """
    if training.finished and path.exists():
        return
    total = training.settings.steps
    exchange = training.exchange
    steps_between_looks = 1 if training.device.type == "cpu" else STEPS_BETWEEN_LOSSES

    def check_all() -> None:
        if exchange is None:
            check()
        else:
            exchange.check_together(check, training.step_count % steps_between_looks == 0)

    def save() -> None:
        if exchange is not None and not exchange.ranks.first:
            return
        if not torch.stack([p.isfinite().all() for p in training.trainable]).all():
            raise _diverged(training, "weights are no longer finite", path)
        save_checkpoint(path, {"definition": definition, **training.state_dict()})

    saved = clock = time.monotonic()
    with progress_bar("Supernet", total, training.step_count) as advance:
        note = ""
        while not training.finished:
            check_or_save(check_all, save)
            loss = training.step()
            if training.step_count % STEPS_BETWEEN_LOSSES == 0 or training.finished:
                value = loss.item()
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
