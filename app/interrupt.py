"""Ctrl-C that waits for the end of a step, so that what is saved is whole."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from app.progress import console

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@contextmanager
def stop_between_steps() -> Iterator[Callable[[], None]]:
    """Yields `check()`, to be called where stopping is safe.

    The first Ctrl-C (or SIGTERM, SIGHUP) makes the next `check()` raise KeyboardInterrupt; the
    second one raises it at once.
    """
    requested = False

    def request(number: int, frame: FrameType | None) -> None:
        nonlocal requested
        if requested:
            raise KeyboardInterrupt
        requested = True
        console.print("Stopping after this step; press Ctrl-C again to stop at once.")

    def check() -> None:
        if requested:
            raise KeyboardInterrupt

    previous = {number: signal.signal(number, request) for number in _SIGNALS}
    try:
        yield check
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
