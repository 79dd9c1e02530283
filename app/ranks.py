"""The processes that `torchrun` starts to train one supernet, before they are a process group.

Rank 0 is the study's process: it alone reads and writes the study, and speaks. The others wait
until it has found all input good and calls them to the training, or tells them that there is
none; then they end. So a wrong option is said once, and a download is made once on a machine.

They meet at the key-value store that torchrun keeps, and ask it again and again rather than
block in it: a signal then ends a waiting rank at once.
"""

import json
import os
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from app.errors import InputError

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_TO_BE_HEARD = 20.0

CALL, READY, FAILURE, HEARD = "bnnas call", "bnnas ready", "bnnas failure", "bnnas heard"
LEAVE = "{}"


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """Among those of this machine."""
    node: str = "0"
    """The machine's number."""

    @property
    def first(self) -> bool:
        """Whether this process is the study's."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether there are no others."""
        return self.size == 1

    def part(self, count: int) -> slice:
        """This process's part of a batch of `count`; parts differ by one at most."""
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    @cached_property
    def store(self) -> "Store":
        """Where all ranks look for messages; of one start, as torchrun may restart them."""
        from torch.distributed.distributed_c10d import PrefixStore
        from torch.distributed.rendezvous import rendezvous

        store = next(rendezvous("env://"))[0]
        return PrefixStore(f"start {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)

    def call(self, definition: dict[str, Any]) -> None:
        """Rank 0: ask the others to train what `definition` says; returns when all are ready.

        Raises InputError with what keeps one of them from it.
        """
        if self.alone:
            return
        self.store.set(_loaded(self.node), "")
        self.store.set(CALL, json.dumps(definition))
        self._wait(lambda: self._all_ready() or self._failed())
        if self._failed():
            message = self.store.get(FAILURE).decode()
            self.store.set(HEARD, "")
            raise InputError(message)

    def dismiss(self) -> None:
        """Rank 0: tell the others, if there are any, that nothing is to be trained."""
        if not self.alone:
            self.store.set(CALL, LEAVE)

    def wait_for_call(self) -> dict[str, Any]:
        """Another rank: the definition of what is to be trained; empty if nothing is."""
        self._wait(lambda: self.store.check([CALL]))
        definition: dict[str, Any] = json.loads(self.store.get(CALL))
        return definition

    def wait_for_turn(self) -> None:
        """Another rank: let one process of a machine load the data first, and fill the caches."""
        if self.local_rank > 0:
            self._wait(lambda: self.store.check([_loaded(self.node)]))

    def report_loaded(self) -> None:
        """Another rank: the data are there."""
        self.store.set(_loaded(self.node), "")

    def report_ready(self) -> None:
        """Another rank: it comes to the training as soon as all can.

        Until then it does not wait for a connection, which no signal would interrupt.
        """
        self.store.add(READY, 1)
        self._wait(self._all_ready)

    def report_failure(self, message: str) -> None:
        """Another rank: have rank 0 say what is wrong here, before torchrun ends them all."""
        self.store.set(FAILURE, f"rank {self.rank} on {socket.gethostname()}: {message}")
        end = time.monotonic() + SECONDS_TO_BE_HEARD
        self._wait(lambda: self.store.check([HEARD]) or time.monotonic() > end)

    def _all_ready(self) -> bool:
        return self.store.add(READY, 0) == self.size - 1

    def _failed(self) -> bool:
        return self.store.check([FAILURE])

    def _wait(self, until: Callable[[], bool]) -> None:
        try:
            while not until():
                time.sleep(SECONDS_BETWEEN_LOOKS)
        except RuntimeError as error:
            raise lost_rank(error) from None


def _loaded(node: str) -> str:
    return f"bnnas data on machine {node}"


def this_rank() -> Ranks:
    """Who this process is, as torchrun tells it; alone if it was not started by it."""
    try:
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        local_rank = int(os.environ["LOCAL_RANK"])
    except (KeyError, ValueError):
        return Ranks()
    return Ranks(rank, size, local_rank, os.environ.get("GROUP_RANK", "0")) if size > 1 else Ranks()


def lost_rank(error: Exception) -> ConnectionError:
    """What to raise when PyTorch says that a rank does not answer."""
    # without the place in PyTorch's source that it begins with, and the advice after it
    reason = re.sub(r"^\[[^]]*\] ", "", str(error)).split(". ")[0].split("\n")[0]
    return ConnectionError(
        f"another rank has ended or cannot be reached ({reason}); "
        "the same command goes on from the last checkpoint"
    )
