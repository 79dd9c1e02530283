"""How a command line ends: its exit status, and one line for whatever the user can mend."""

import atexit
import gc
import os
import sys
import warnings
from contextlib import AbstractContextManager, nullcontext, suppress

import typer

from app.errors import InputError, is_out_of_memory

UNDER_TORCHRUN = "TORCHELASTIC_RUN_ID"
"""A variable that torchrun sets."""

MAX_MESSAGE_CHARACTERS = 800
"""The longest error message: somebody may give a whole file for a name."""


def run_command(
    command: typer.Typer, arguments: list[str] | None = None, name: str | None = None
) -> int:
    """Run a command line; bad input is one line and exit status 2."""
    words = sys.argv[1:] if arguments is None else arguments
    processes: AbstractContextManager[None] = nullcontext()
    try:
        if UNDER_TORCHRUN in os.environ:  # otherwise `--help` is spared PyTorch
            from app.supernet.distributed import process_group

            processes = process_group()
        with processes:
            expanded = [_expand_home(word) for word in words]
            return command(expanded, prog_name=name, standalone_mode=False) or 0
    except typer.TyperException as error:
        return _fail(error.format_message(), 2)
    except InputError as error:
        return _fail(str(error), 2)


def _expand_home(word: str) -> str:
    """Expand the `~` of `--runs=~/x`, which a shell expands in `--runs ~/x` alone."""
    option, equals, path = word.partition("=")
    if option.startswith("--") and path.startswith("~"):
        return option + equals + os.path.expanduser(path)  # noqa: PTH111  (no error for ~nobody)
    return word


def run_program(
    command: typer.Typer, arguments: list[str] | None = None, name: str | None = None
) -> int:
    """Run a command line; returns the exit status.

    0 is done, 1 failed while working, 2 bad input, 130 interrupted. Only a bug has a traceback.
    """
    from app.console import print_anything
    from app.interrupt import INTERRUPTED, stop_at_once

    print_anything()
    if arguments is None:  # the program itself: its process ends with the command
        atexit.register(gc.freeze)  # or Python looks for garbage in all of PyTorch: over a second
    if any(option.startswith("error") for option in sys.warnoptions):
        warnings.simplefilter("default")  # importing the libraries would fail
    try:
        with stop_at_once():
            status = run_command(command, arguments, name)
            if status == 130:  # typer returns this for a KeyboardInterrupt
                raise KeyboardInterrupt
            return status
    except KeyboardInterrupt:
        _say(INTERRUPTED)
        return 130
    except SystemExit:  # Rich, when its output pipe is closed
        return _fail("output pipe closed; rerun to resume", 1)
    except Exception as error:
        explanation = _explain(error)
        if explanation is None:
            raise
        return _fail(explanation, 1)


def _explain(error: Exception) -> str | None:
    """Say in one line what failed while working; None is a bug, to be shown with a traceback."""
    if isinstance(error, FloatingPointError | OSError):  # a diverged supernet, a full disk
        return str(error)
    if is_out_of_memory(error):
        return (
            "out of memory. Rerun to resume when there is more, or give "
            "--set supernet.batch_size=N or --set score.images=N "
            "with --study-name NAME for a study beside this one"
        )
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    from app.ask_tell import SearchFailedError

    line = str(error.__cause__ or error).split("\n", 1)[0]
    if isinstance(error, StorageInternalError | SQLAlchemyError):
        return f"the database failed: {line}"
    return line if isinstance(error, SearchFailedError) else None


def _say(line: str) -> None:
    from app.console import console, printable

    with suppress(OSError):  # the terminal may be closed
        if not console.quiet:
            print(printable(line), file=sys.stderr, flush=True)


def _fail(message: str, status: int) -> int:
    line = " ".join(message.split())
    if len(line) > MAX_MESSAGE_CHARACTERS:
        line = f"{line[: MAX_MESSAGE_CHARACTERS - 200]} … {line[-200:]}"
    _say(f"error: {line}")
    return status
