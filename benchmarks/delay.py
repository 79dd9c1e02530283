"""A slower network: a port that passes bytes on to a Unix socket, each after the same delay."""

import asyncio
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def delayed(socket_path: str, round_trip: float) -> Iterator[int]:
    """The port of 127.0.0.1 that leads to `socket_path`; `round_trip` is in seconds."""

    async def later(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Each piece is passed on half a round trip after it came, in order."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def send() -> None:
            while True:
                due, piece = await pieces.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if not piece:
                    break
                target.write(piece)
            target.close()

        sending = asyncio.ensure_future(send())
        with suppress(OSError):
            while piece := await source.read(1 << 16):
                pieces.put_nowait((time.monotonic() + round_trip / 2, piece))
        pieces.put_nowait((time.monotonic(), b""))
        await sending

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_read, to_write = await asyncio.open_unix_connection(socket_path)
        await asyncio.gather(later(reader, to_write), later(to_read, writer))

    ports: queue.SimpleQueue[int] = queue.SimpleQueue()
    end = threading.Event()

    async def listen() -> None:
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        ports.put(server.sockets[0].getsockname()[1])
        while not end.is_set():
            await asyncio.sleep(0.1)
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(listen()), daemon=True)
    thread.start()
    try:
        yield ports.get()
    finally:
        end.set()
        thread.join(5)
