"""Ctrl-C that waits for the end of a step, so that what is saved is whole."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import FrameType

from app.console import console

INTERRUPTED = "Interrupted; run the same command again to resume."
_SIGNALS = {s for s in signal.Signals if s.name in ("SIGINT", "SIGTERM", "SIGHUP")}


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
        with suppress(OSError):  # the terminal may be closed
            console.print("Stopping after this step; press Ctrl-C again to stop at once.")

    def check() -> None:
        if requested:
            raise KeyboardInterrupt

    with _handling(request):
        yield check


def check_or_save(check: Callable[[], None], save: Callable[[], None]) -> None:
    """Call `check`, and `save` before it raises KeyboardInterrupt.

    Between steps only: a second Ctrl-C inside a step leaves a half-done one.
    """
    try:
        check()
    except KeyboardInterrupt:
        save()
        raise


def stop_at_once() -> AbstractContextManager[None]:
    """Ctrl-C, SIGTERM and SIGHUP raise KeyboardInterrupt, and during an import end the process.

    PyTorch and NumPy cannot be imported in part: they would abort, or raise something else.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                with suppress(OSError):
                    os.write(2, f"{INTERRUPTED}\n".encode())
                os._exit(130)
            frame = frame.f_back
        raise KeyboardInterrupt

    return _handling(stop)


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle the signals so in the block; not one that is ignored, as SIGHUP under `nohup`."""
    previous = {}
    if threading.current_thread() is threading.main_thread():  # no other may handle signals
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in previous.items():
            signal.signal(number, old)
