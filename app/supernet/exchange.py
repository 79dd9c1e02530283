"""What the ranks of a training send each other: the gradients of what learns, and little more.

All ranks draw the same paths and the same batches, and each computes its part of every batch. So
they need the sum of the gradients along the path, and nothing of the paths not taken. That is one
`all_reduce` of one buffer. `DistributedDataParallel` would be more code here, and send more: it
has to be told of parameters without gradient (`find_unused_parameters` walks the graph at each
step), and sends the whole supernet's learning parameters, zeros for all that is off the path.

Every rank gets the same bits of the sum, and so takes the same step: weights do not drift apart.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from app.ranks import Ranks, lost_rank


class Exchange:
    """The ranks of a training, connected."""

    def __init__(self, ranks: Ranks, device: torch.device) -> None:
        self.ranks = ranks
        self.device = device
        self.stopping = False
        """Whether this rank asks all to stop."""
        self._votes = torch.zeros((), device=device)

    def share_state(self, state: dict[str, Any]) -> dict[str, Any]:
        """Rank 0's state, at every rank; tensors on the CPU. What the others give is ignored."""
        content = io.BytesIO()
        if self.ranks.first:
            torch.save(state, content)
        # NCCL sends what lies on the device only
        size = torch.tensor(content.tell(), device=self.device)
        collective(dist.broadcast, size, 0)
        sent = torch.empty(int(size), dtype=torch.uint8)
        if self.ranks.first:
            sent = torch.frombuffer(content.getbuffer(), dtype=torch.uint8)
        sent = sent.to(self.device)
        collective(dist.broadcast, sent, 0)
        if self.ranks.first:
            return state
        received = io.BytesIO(sent.cpu().numpy().tobytes())
        shared: dict[str, Any] = torch.load(received, map_location="cpu", weights_only=True)
        return shared

    def add_up(self, parameters: Sequence[nn.Parameter], loss: Tensor) -> Tensor:
        """Replace each gradient there is by its sum over the ranks; returns the sum of `loss`."""
        learning = [p for p in parameters if p.grad is not None]
        gradients = [p.grad.flatten() for p in learning if p.grad is not None]
        # filled on the device: a tensor made of a number would be copied there, and waited for
        vote = torch.full((1,), float(self.stopping), device=self.device)
        flat = torch.cat([*gradients, loss.detach().view(1), vote])
        collective(dist.all_reduce, flat)
        *parts, total, self._votes = torch.split(flat, [*(p.numel() for p in learning), 1, 1])
        for parameter, part in zip(learning, parts, strict=True):
            parameter.grad = part.view_as(parameter)
        return total.squeeze()

    def check_together(self, check: Callable[[], None], readable: bool) -> None:
        """Call `check`, whose KeyboardInterrupt is raised by all ranks between the same steps.

        It travels with the gradients. `readable` says, alike on all ranks, whether the last sum
        may be looked at, for which an accelerator has to be waited for.
        """
        try:
            check()
        except KeyboardInterrupt:
            self.stopping = True
        if readable and bool(self._votes > 0):
            raise KeyboardInterrupt


@contextmanager
def connected(ranks: Ranks, device: torch.device) -> Iterator[Exchange]:
    """The process group of all ranks, for as long as the block lasts.

    Raises ConnectionError when a rank does not come.
    """
    backend = dist.get_default_backend_for_device(device)
    collective(
        dist.init_process_group,
        backend,
        store=ranks.store,
        rank=ranks.rank,
        world_size=ranks.size,
        device_id=None if device.type == "cpu" else device,
    )
    try:
        yield Exchange(ranks, device)
    finally:
        dist.destroy_process_group()


def collective(call: Callable[..., object], *arguments: Any, **options: Any) -> None:
    """Call a function of `torch.distributed`; raises ConnectionError if a rank is gone."""
    try:
        call(*arguments, **options)
    except RuntimeError as error:  # Gloo has no class of its own for a peer that is gone
        raise lost_rank(error) from None
