"""Commands in processes of their own, forked from a server that has imported PyTorch already."""

import multiprocessing
import os
import sys
from multiprocessing.context import ForkServerProcess
from multiprocessing.reduction import DupFd
from typing import Any

import tests.toy  # noqa: F401  (registers the space in each process)
from app.cli import main

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["app.run", "app.worker", "app.retraining.job", "tests.processes"])


class Command(ForkServerProcess):
    """A process that runs the command and prints nothing."""

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.pid is not None
        os.kill(self.pid, number)

    def poll(self) -> int | None:
        """Its exit status, minus the signal that ended it, or None while it runs."""
        return self.exitcode

    def wait(self, timeout: float) -> int | None:
        """Wait for its end; returns the exit status, or None if it goes on."""
        self.join(timeout)
        return self.exitcode


def _run(arguments: list[str], output: Any) -> None:
    descriptor = os.open(os.devnull, os.O_WRONLY) if output is None else output.detach()
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    sys.exit(main(arguments))


def start(arguments: list[str], output: int | None = None) -> Command:
    """Start the command; what it prints goes to a file descriptor, or nowhere."""
    process = Command(target=_run, args=(arguments, output and DupFd(output)))
    process.start()
    return process
