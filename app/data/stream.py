"""Endless shuffled batches that continue after an interruption exactly where they stopped."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from app.data.augment import crop_and_mirror
from app.data.dataset import ImageData
from app.errors import InputError

Policy = Callable[[Tensor, torch.Generator], Tensor]
"""Further augmentation of a uint8 batch, B×3×S×S, drawing from the generator."""


def check_batch_size(
    count: int, batch_size: int, option: str = "--set supernet.batch_size=N"
) -> None:
    """Raises InputError, which names `option`, unless 1 ≤ batch_size ≤ `count` training images."""
    if not 1 <= batch_size <= count:
        raise InputError(
            f"batch size {batch_size} does not suit {count} training images; "
            f"give {option}, 1 to {count}"
        )


class BatchStream:
    """Batches of the training split, each pass in a new order, a last partial batch dropped.

    `members` are the images to draw from, int64 indices on the CPU; None is all of them. All of
    each batch is drawn, but only its `part` is made: the parts of several processes with the same
    seed make up the batch of one. With `augment`, images are cropped and mirrored at random, and
    then changed by `policy` if given; `balanced` draws every class equally often. The generator
    lives on the CPU whatever the device, so all devices draw the same batches.
    """

    def __init__(
        self,
        data: ImageData,
        batch_size: int,
        seed: int,
        augment: bool,
        device: torch.device,
        members: Tensor | None = None,
        policy: Policy | None = None,
        part: slice = slice(None),
        balanced: bool = False,
    ) -> None:
        self._data, self._batch_size, self._part = data, batch_size, part
        self._augment, self._policy, self._device = augment, policy, device
        self._members = torch.arange(len(data.train)) if members is None else members
        self._weights: Tensor | None = None
        if balanced:
            labels = data.train.labels.cpu()[self._members]
            self._weights = 1 / labels.bincount().double()[labels]
        self._generator = torch.Generator().manual_seed(seed)
        self._order = self._shuffle()
        self._position = 0

    def next_batch(self) -> tuple[Tensor, Tensor]:
        """Images, float32 B×3×S×S, normalised, and labels, int64 B; on device."""
        if self._position + self._batch_size > len(self._order):
            self._order = self._shuffle()
            self._position = 0
        chosen = self._order[self._position : self._position + self._batch_size][self._part]
        self._position += self._batch_size
        train = self._data.train
        # a copy that may not overlap waits for all that the device has yet to do
        chosen = chosen.to(train.pixels.device, non_blocking=True)
        pixels = train.pixels[chosen].to(self._device, non_blocking=True)
        labels = train.labels[chosen].to(self._device, non_blocking=True)
        if self._augment:
            pixels = self._augmented(pixels)
        return self._data.normalise(pixels), labels

    def state_dict(self) -> dict[str, Any]:
        """Tensors and an int; `torch.load(weights_only=True)` reads them back."""
        return {
            "generator": self._generator.get_state(),
            "order": self._order.clone(),
            "position": self._position,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where the stream of `state`, over the same images, stopped."""
        self._generator.set_state(state["generator"].cpu())
        self._order = state["order"].cpu().clone()
        self._position = int(state["position"])

    def _shuffle(self) -> Tensor:
        count = len(self._members)
        if self._weights is None:
            return self._members[torch.randperm(count, generator=self._generator)]
        return self._members[self._weights.multinomial(count, True, generator=self._generator)]

    def _augmented(self, pixels: Tensor) -> Tensor:
        count, reach = self._batch_size, self._data.image_size // 8
        offsets = torch.randint(-reach, reach + 1, (2, count), generator=self._generator)
        mirrored = torch.rand(count, generator=self._generator) < 0.5
        mirrored &= self._data.flip
        pixels = crop_and_mirror(pixels, offsets[:, self._part], mirrored[self._part])
        return self._policy(pixels, self._generator) if self._policy else pixels
