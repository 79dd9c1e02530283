"""Training of one stand-alone network, all of it resumable."""

import math
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
from torch.optim.swa_utils import get_ema_multi_avg_fn

from app.data import BatchStream, ImageData, Split, check_batch_size, hold_out
from app.data.augment import trivial_augment
from app.device import mixed_precision
from app.retraining.evaluation import evaluate
from app.retraining.weights import take_weights
from app.trained import Recipe


def validation_split(data: ImageData, recipe: Recipe) -> tuple[Tensor, Split, Tensor]:
    """Indices of the images to train on; a split, and indices of its images to validate on.

    They are the same for every network: the data set's own validation split if it has one, else
    training images held out. Raises InputError if there are too few to hold some out or to fill a
    batch.
    """
    if data.val is None:
        kept, validation = hold_out(data.train.labels.tolist(), recipe.validation)
    else:
        kept, validation = [*range(len(data.train))], [*range(len(data.val))]
    check_batch_size(len(kept), recipe.batch_size, "--batch-size N")
    return torch.tensor(kept), data.val or data.train, torch.tensor(validation)


class NetworkTraining:
    """A network, its moving average, its optimizer and its batches.

    The best epoch is chosen on the validation split; the test split is never looked at here.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        data: ImageData,
        recipe: Recipe,
        seed: int,
        device: torch.device,
    ) -> None:
        self.data, self.recipe, self.seed, self.device = data, recipe, seed, device
        with torch.random.fork_rng(devices=[]):
            # on the CPU, so that every device starts from the same weights
            torch.default_generator.manual_seed(seed)
            network = build()
        self.origin = take_weights(network, recipe.init) if recipe.init else ""
        """What `Recipe.init` gave, in a line."""
        self.network: nn.Module = network.to(device).to(memory_format=torch.channels_last)
        # not AveragedModel, whose counter makes a GPU wait at every step
        self.average = deepcopy(self.network).requires_grad_(False)
        self._averaged, self._current = (
            [t for t in one.state_dict().values() if t.is_floating_point()]
            for one in (self.average, self.network)
        )
        kept, self._validation_split, self.validation = validation_split(data, recipe)
        policy = trivial_augment if recipe.trivial_augment else None
        self.batches = BatchStream(
            data, recipe.batch_size, seed, True, device, kept, policy, balanced=recipe.balanced
        )
        self.steps_per_epoch = len(kept) // recipe.batch_size
        self.steps = recipe.epochs * self.steps_per_epoch
        parameters = list(self.network.parameters())
        groups: list[dict[str, Any]] = [
            {"params": [p for p in parameters if p.dim() > 1]},
            {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.SGD(
            groups,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=recipe.momentum > 0,
            weight_decay=recipe.weight_decay,
        )
        self.schedule = warmup_cosine(self.optimizer, recipe.warmup, self.steps)
        self.step_count = 0
        self.seconds = 0.0
        self.history: list[dict[str, float]] = []
        """See `Result.history`."""
        self._losses: list[Tensor] = []

    @property
    def best(self) -> dict[str, float]:
        """The epoch of the highest validation accuracy, the first of equals."""
        return max(self.history, key=lambda epoch: epoch[self.recipe.criterion])

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or the patience has run out."""
        return self.recipe.ends_after([epoch[self.recipe.criterion] for epoch in self.history])

    def step(self) -> bool:
        """Train on one batch, and validate if an epoch ends with it; returns whether one does.

        Raises FloatingPointError when the loss of an epoch is not finite.
        """
        started = time.monotonic()
        images, labels = self.batches.next_batch()
        self.network.train()
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):  # dropout must draw the same after a resumption
            torch.manual_seed(self.seed * 1_000_003 + self.step_count)
            with mixed_precision(self.device):
                loss = F.cross_entropy(
                    self.network(images), labels, label_smoothing=self.recipe.label_smoothing
                )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.schedule.step()
        self.step_count += 1
        # the decay rises to the recipe's, so that short trainings forget their first weights
        decay = min(self.recipe.ema, (1 + self.step_count) / (10 + self.step_count))
        get_ema_multi_avg_fn(decay)(self._averaged, self._current, None)  # type: ignore[no-untyped-call]
        self._losses.append(loss.detach())
        if epoch_ended := self.step_count % self.steps_per_epoch == 0:
            self._end_epoch()
        self.seconds += time.monotonic() - started
        return epoch_ended

    def _end_epoch(self) -> None:
        loss = torch.stack(self._losses).mean().item()
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss} after {self.step_count} steps: try a smaller --lr"
            )
        self._losses.clear()
        accuracy = evaluate(self.average, self.data, self._validation_split, self.validation)
        epoch = {"epoch": len(self.history) + 1, "loss": loss}
        epoch |= {"validation_accuracy": accuracy.overall, "balanced_accuracy": accuracy.balanced}
        self.history.append(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a later process needs to continue exactly."""
        parts = {name: part.state_dict() for name, part in self._parts.items()}
        progress = {"step": self.step_count, "seconds": self.seconds, "history": self.history}
        return {**progress, "losses": self._losses, **parts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`."""
        self.step_count, self.seconds = state["step"], state["seconds"]
        self.history = state["history"]
        self._losses = [loss.to(self.device) for loss in state["losses"]]
        for name, part in self._parts.items():
            part.load_state_dict(state[name])

    def go_on_from(self, state: dict[str, Any]) -> None:
        """Start from the end of a shorter training, with a schedule of its own for the rest."""
        steps = self.steps - state["step"]
        self.schedule = warmup_cosine(self.optimizer, self.recipe.warmup, steps)
        own = {name: self._parts[name].state_dict() for name in ("optimizer", "schedule")}
        self.load_state_dict(state | own)

    @property
    def _parts(self) -> dict[str, Any]:
        names = ("network", "average", "optimizer", "schedule", "batches")
        return {name: getattr(self, name) for name in names}


def warmup_cosine(optimizer: torch.optim.Optimizer, warmup: float, steps: int) -> SequentialLR:
    """Linear warm-up for a share `warmup` of `steps`, then half a cosine down to 0."""
    warm = max(1, round(warmup * steps))
    linear = LinearLR(optimizer, start_factor=1 / warm, total_iters=warm)
    cosine = CosineAnnealingLR(optimizer, T_max=max(1, steps - warm))
    return SequentialLR(optimizer, [linear, cosine], milestones=[warm])
