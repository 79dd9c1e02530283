"""Training of one stand-alone network, all of it resumable."""

import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.data import BatchStream, ImageData, hold_out
from app.data.augment import trivial_augment
from app.device import mixed_precision
from app.retrain.recipe import Recipe

EVALUATED_AT_ONCE = 250


class NetworkTraining:
    """A network, its average, its optimiser and its batches.

    A validation split is held out of the training pictures, the same one for every network; the
    best epoch is chosen on it, and the test split is never looked at here.
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
            # on the CPU: every device starts from the same weights
            torch.default_generator.manual_seed(seed)
            network = build()
        self.network: nn.Module = network.to(device).to(memory_format=torch.channels_last)
        self.average = Average(self.network, recipe.ema)
        self.optimizer = torch.optim.SGD(
            _parameter_groups(self.network, recipe.weight_decay),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=recipe.momentum > 0,
        )
        kept, held_out = hold_out(data.train.labels.tolist(), recipe.validation)
        self.validation = torch.tensor(held_out)
        self.batches = BatchStream(
            data,
            recipe.batch_size,
            seed,
            True,
            device,
            torch.tensor(kept),
            trivial_augment if recipe.trivial_augment else None,
        )
        self.steps_an_epoch = len(kept) // recipe.batch_size
        self.step_count = 0
        self.seconds = 0.0
        self.history: list[dict[str, float]] = []
        """Of each epoch: its number from 1, the mean loss of its batches, validation accuracy."""
        self._losses: list[Tensor] = []

    @property
    def steps(self) -> int:
        """Steps of all epochs."""
        return self.recipe.epochs * self.steps_an_epoch

    @property
    def best(self) -> dict[str, float]:
        """The epoch of the highest validation accuracy, the first of equals."""
        return max(self.history, key=lambda epoch: epoch["validation_accuracy"])

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or no better one came for as long as the recipe waits."""
        if self.step_count >= self.steps:
            return True
        if not self.recipe.patience or not self.history:
            return False
        return self.history[-1]["epoch"] - self.best["epoch"] >= self.recipe.patience

    def step(self) -> None:
        """One batch."""
        rate = learning_rate(self.recipe, self.step_count, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        images, labels = self.batches.next_batch()
        self.network.train()
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):  # dropout draws the same after a resumption
            torch.manual_seed(self.seed * 1_000_003 + self.step_count)
            with mixed_precision(self.device):
                loss = F.cross_entropy(
                    self.network(images), labels, label_smoothing=self.recipe.label_smoothing
                )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.step_count += 1
        self.average.update(self.step_count)
        self._losses.append(loss.detach())

    def at_epoch_end(self) -> bool:
        """Whether an epoch has just ended and is not in the history yet."""
        return self.step_count == (len(self.history) + 1) * self.steps_an_epoch

    def end_epoch(self) -> bool:
        """Validate; returns whether this epoch is the best so far.

        Raises FloatingPointError when the loss is no longer finite.
        """
        loss = torch.stack(self._losses).mean().item()
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss} after {self.step_count} steps: try a smaller --lr"
            )
        self._losses.clear()
        train = self.data.train
        members = self.validation.to(train.pixels.device)
        self.history.append(
            {
                "epoch": len(self.history) + 1,
                "loss": loss,
                "validation_accuracy": accuracy(
                    self.average.network, self.data, train.pixels, train.labels, members
                ),
            }
        )
        return self.best is self.history[-1]

    def state_dict(self) -> dict[str, Any]:
        """All that a later process needs to go on as if nothing had happened."""
        return {
            "step": self.step_count,
            "seconds": self.seconds,
            "history": self.history,
            "losses": self._losses,
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "batches": self.batches.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.step_count, self.seconds = state["step"], state["seconds"]
        self.history = state["history"]
        self._losses = [loss.to(self.device) for loss in state["losses"]]
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.batches.load_state_dict(state["batches"])


class Average:
    """An exponential moving average of a network's weights and statistics.

    It starts with little memory and lengthens to `decay` a step, so that the first weights are
    soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = deepcopy(network).requires_grad_(False)
        self.decay = decay
        self._pairs = list(
            zip(self.network.state_dict().values(), network.state_dict().values(), strict=True)
        )

    @torch.no_grad()
    def update(self, count: int) -> None:
        """Take in the network after its step number `count`."""
        weight = 1 - min(self.decay, (1 + count) / (10 + count))
        numbers = [pair for pair in self._pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([mine for mine, _ in numbers], [new for _, new in numbers], weight)
        for mine, new in self._pairs:
            if not mine.is_floating_point():
                mine.copy_(new)


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine that would reach 0 at step `steps`."""
    warm = round(recipe.warmup * steps)
    if step < warm:
        return recipe.learning_rate * (step + 1) / warm
    return recipe.learning_rate * (1 + math.cos(math.pi * (step - warm) / (steps - warm))) / 2


@torch.inference_mode()
def accuracy(
    network: nn.Module,
    data: ImageData,
    pixels: Tensor,
    labels: Tensor,
    members: Tensor | None = None,
) -> float:
    """Share of pictures (of `members`, if given) whose class has the highest score."""
    network.eval()
    if members is None:
        members = torch.arange(len(labels), device=labels.device)
    right = torch.zeros((), dtype=torch.int64, device=labels.device)  # read once, at the end
    for start in range(0, len(members), EVALUATED_AT_ONCE):
        chunk = members[start : start + EVALUATED_AT_ONCE]
        scores = network(data.normalise(pixels[chunk]))
        right += (scores.argmax(1).to(labels.device) == labels[chunk]).sum()
    return int(right) / len(members)


def _parameter_groups(network: nn.Module, weight_decay: float) -> Iterable[dict[str, Any]]:
    """Weights of convolutions and linear layers decay; bn_gammas and shifts do not."""
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
