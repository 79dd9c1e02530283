"""Two processes as torchrun starts them, forked from the test so that they start in no time."""

import io
import multiprocessing
import os
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch.distributed import TCPStore

SECONDS = 300
"""More than the slowest test needs on a busy machine, whose disk alone may take a minute."""


def in_two_processes(
    function: Callable[[int], Any], failed: Callable[[Any], bool] = lambda result: False
) -> list[Any]:
    """What `function(rank)` returns in each process, None for one that was killed.

    If the result of rank 0 has `failed`, the other process is terminated, as torchrun does. Raises
    AssertionError with the traceback of what one of them raises.
    """
    store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)  # torchrun has one
    context = multiprocessing.get_context("fork")
    started = []
    for rank in range(2):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_start, args=(function, rank, store.port, theirs))
        process.start()
        theirs.close()
        started.append((process, ours))
    results = []
    try:
        for _, connection in started:
            assert connection.poll(SECONDS), "a process hangs"
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
            process.join(SECONDS if len(results) == 2 else 0)
            process.kill()
            process.join()
    return results


def _start(function: Callable[[int], Any], rank: int, port: int, connection: Connection) -> None:
    torch.set_num_threads(1)  # the threads of the parent were not forked
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "test",
        "TORCHELASTIC_RESTART_COUNT": "0",
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }
    try:
        result = True, function(rank)
    except BaseException:
        result = False, traceback.format_exc()
    content = io.BytesIO()  # a tensor pickled by `send` would vanish with the process
    torch.save(result, content)
    connection.send_bytes(content.getvalue())
