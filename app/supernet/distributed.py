"""The processes that `torchrun` starts, which train one supernet together.

All run the same command: each loads its settings and data, and trains on its part of every batch.
Rank 0 alone works on the study, writes and prints; the others end after the training. Gloo connects
them; gradients take the device's own backend. Without torchrun there is nothing to connect.
"""

import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from datetime import timedelta
from io import StringIO
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from app.console import console
from app.errors import InputError

SECONDS_BETWEEN_LOOKS = 0.05
MAX_WAIT = timedelta(days=1)  # for a process that downloads the data or waits for a lock
MAX_STEP = timedelta(minutes=5)  # for a step, or a lost connection would be waited for all day

_steps: Any = None
"""The processes again, for what they exchange in every step."""


@contextmanager
def process_group() -> Iterator[None]:
    """Connect the processes, and silence all but rank 0, which reports bad input of any of them.

    Raises ConnectionError if another process has ended.
    """
    global _steps
    try:
        dist.init_process_group("gloo", timeout=MAX_WAIT)
        _steps = dist.new_group(backend="gloo", timeout=MAX_STEP)
        console.quiet = dist.get_rank() > 0
        with redirect_stdout(StringIO()) if console.quiet else nullcontext():
            yield
    except InputError as error:
        if console.quiet:
            with suppress(RuntimeError):  # rank 0 has found it too and ended
                where = f"rank {dist.get_rank()} on {socket.gethostname()}"
                all_gather(InputError(f"{where}: {error}"))
        raise
    except RuntimeError as error:
        # Gloo raises a plain RuntimeError that begins with the place in its source
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        reason = re.sub(r"^\[[^]]*\] ", "", str(error)).split(". ")[0].split("\n")[0]
        raise ConnectionError(
            f"another process has ended or cannot be reached ({reason}); "
            "run the same command again to resume from the last checkpoint"
        ) from None
    finally:
        leave()


def leave() -> None:
    """Disconnect this process from the others, if there are any, and take the cores they had.

    torchrun gives each of several processes of a machine one thread.
    """
    if dist.is_initialized():
        dist.destroy_process_group()
        if int(os.environ.get("LOCAL_WORLD_SIZE", 1)) > 1:
            torch.set_num_threads(os.cpu_count() or 1)


def rank() -> int:
    """The number of this process."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """The number of connected processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def local_rank() -> int | None:
    """The number of this process among those of its machine; None if it is the only process."""
    return int(os.environ["LOCAL_RANK"]) if dist.is_initialized() else None


def all_gather(value: object) -> list[Any]:
    """Wait for all processes; returns the value of each.

    Raises InputError on all of them if a value is one.
    """
    if not dist.is_initialized():
        return [value]
    arrived = dist.barrier(async_op=True)
    while not arrived.is_completed():  # `wait` would not let Python handle a signal
        time.sleep(SECONDS_BETWEEN_LOOKS)
    arrived.wait()
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    for error in values:
        if isinstance(error, InputError):
            raise error
    return values


@contextmanager
def local_main_process_first() -> Iterator[None]:
    """Let one process of each machine go first: it downloads, and the others find the files."""
    if local_rank():
        all_gather(None)
    yield
    if not local_rank():
        all_gather(None)


def broadcast(state: dict[str, Any]) -> dict[str, Any]:
    """Rank 0's state, on every process."""
    objects = [state]
    dist.broadcast_object_list(objects, device=torch.device("cpu"))
    return objects[0]


def data_parallel(model: nn.Module, device: torch.device) -> nn.Module:
    """The model, whose gradients become the mean over all processes.

    Parameters that none of them has used keep no gradient, so optimisers leave them alone.
    """
    backend = dist.get_default_backend_for_device(device)
    group = dist.new_group(backend=backend, timeout=MAX_STEP)
    return DistributedDataParallel(model, process_group=group, find_unused_parameters=True)


def mean(value: float) -> float:
    """The mean over all processes."""
    total = torch.tensor(value, dtype=torch.float64)
    if dist.is_initialized():
        dist.all_reduce(total, group=_steps)
    return total.item() / world_size()


def check_all(check: Callable[[], None]) -> None:
    """Call `check`; its KeyboardInterrupt is raised by all processes, between the same steps."""
    stop: KeyboardInterrupt | None = None
    try:
        check()
    except KeyboardInterrupt as reason:
        stop = reason
    if mean(stop is not None):
        stop = next(reason for reason in all_gather(stop) if reason is not None)
        if rank() > 0:  # torchrun ends all when one ends: let rank 0 save and leave first
            with suppress(RuntimeError):
                all_gather(None)
        raise stop
