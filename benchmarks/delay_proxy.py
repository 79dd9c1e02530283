"""Pass TCP connections on to another port, every byte so much later, in both directions.

    python benchmarks/delay_proxy.py PORT TARGET_PORT MILLISECONDS

Stands for the distance to another host where the kernel has no `tc netem`. Bytes keep their order,
and any number of them are under way at a time, so only waiting for an answer takes longer.
"""

import asyncio
import sys


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Write each chunk `delay` seconds after it was read, to its end."""
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def write() -> None:
        while True:
            due, chunk = await chunks.get()
            await asyncio.sleep(due - loop.time())
            if not chunk:
                writer.close()
                return
            writer.write(chunk)

    writing = asyncio.create_task(write())
    chunk = b"-"
    while chunk:
        try:
            chunk = await reader.read(1 << 16)
        except OSError:  # a reset connection ends like one that was closed
            chunk = b""
        chunks.put_nowait((loop.time() + delay, chunk))
    await writing


async def serve(port: int, target: int, delay: float) -> None:
    """Accept connections until the process is ended."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            to_target, from_client = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pass_on(reader, from_client, delay), pass_on(to_target, writer, delay))

    async with await asyncio.start_server(connected, "0.0.0.0", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1e3))
