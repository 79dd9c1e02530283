"""Two real processes, connected by Gloo, in a test.

They are forked, so that they start in no time; what torchrun would set is set here.
"""

import io
import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch

SECONDS = 60
RANKS = 2


def on_two_ranks(function: Callable[[int], Any]) -> list[Any]:
    """What `function(rank)` returns at each rank, None for one that was killed.

    Raises AssertionError with what one raises.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    started = []
    for rank in range(RANKS):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_start, args=(function, rank, port, theirs))
        process.start()
        theirs.close()
        started.append((process, ours))
    results = []
    try:
        for process, connection in started:
            assert connection.poll(SECONDS), "a rank hangs"
            try:
                done, value = torch.load(io.BytesIO(connection.recv_bytes()))
            except EOFError:  # it was killed
                done, value = True, None
            assert done, value
            results.append(value)
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
