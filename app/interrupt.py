"""Ctrl-C and --timeout that wait for the end of a step, so that what is saved is whole."""

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from types import FrameType

from app.console import console, notice

_deadline = ContextVar("deadline", default=math.inf)


class TimeIsUpError(KeyboardInterrupt):
    """The time that the user gave has passed: stop as for Ctrl-C, but in success."""


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Let every `check()` raise TimeIsUpError after so many seconds, which ends the block."""
    token = _deadline.set(math.inf if seconds is None else time.monotonic() + seconds)
    try:
        yield
    except TimeIsUpError:
        notice("The --timeout is over; run the same command again to go on.")
    finally:
        _deadline.reset(token)


INTERRUPTED = "Interrupted; run the same command again to resume."
_SIGNALS = {s for s in signal.Signals if s.name in ("SIGINT", "SIGTERM", "SIGHUP")}


@contextmanager
def stop_between_steps() -> Iterator[Callable[[], None]]:
    """Yields `check()`, to be called where stopping is safe.

    The first Ctrl-C (or SIGTERM, SIGHUP) makes the next `check()` raise KeyboardInterrupt; the
    second one raises it at once. After a `time_limit`, `check()` raises TimeIsUpError.
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
        if time.monotonic() > _deadline.get():
            raise TimeIsUpError

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
