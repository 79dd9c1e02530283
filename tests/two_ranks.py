"""Two real processes, connected by Gloo, in a test.

They are forked, so that they start in no time; what torchrun would set is set here.
"""

import io
import multiprocessing
import os
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch.distributed import TCPStore

SECONDS = 60
RANKS = 2


def on_two_ranks(
    function: Callable[[int], Any], failed: Callable[[Any], bool] = lambda result: False
) -> list[Any]:
    """What `function(rank)` returns at each rank, None for one that was killed.

    If that of rank 0 has `failed`, the other one is terminated, as torchrun does. Raises
    AssertionError with what one raises.
    """
    store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)  # as torchrun's
    context = multiprocessing.get_context("fork")
    started = []
    for rank in range(RANKS):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_start, args=(function, rank, store.port, theirs))
        process.start()
        theirs.close()
        started.append((process, ours))
    results = []
    try:
        for _, connection in started:
            assert connection.poll(SECONDS), "a rank hangs"
            try:
                done, value = torch.load(io.BytesIO(connection.recv_bytes()))
            except EOFError:  # it was killed
                done, value = True, None
            assert done, value
            results.append(value)
            if failed(value):
                started[-1][0].terminate()
    finally:
        for process, _ in started:
            process.join(0 if len(results) < RANKS else SECONDS)
            process.kill()
            process.join()
    return results


def _start(function: Callable[[int], Any], rank: int, port: int, connection: Connection) -> None:
    torch.set_num_threads(1)  # the threads of the parent were not forked
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(RANKS),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": str(port),
    }
    try:
        result = True, function(rank)
    except BaseException:
        result = False, traceback.format_exc()
    content = io.BytesIO()  # pickled by `send`, a tensor would vanish with the process
    torch.save(result, content)
    connection.send_bytes(content.getvalue())
