"""What people read: results on standard output, progress and notices on standard error."""

import io
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

out = Console(highlight=False, emoji=False, soft_wrap=True, markup=False)
console = Console(stderr=True, highlight=False, emoji=False)

SECONDS_BETWEEN_LINES = 30.0

Advance = Callable[..., None]
"""`advance(steps=1, note="")`: move the bar and replace the short text behind it."""


def print_anything() -> None:
    """Escape the characters that terminal or pipe cannot encode, where printing them would fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(OSError):  # some other file has taken the stream's place
                stream.reconfigure(errors="backslashreplace")


def plural(count: int, noun: str) -> str:
    """Such as `1 epoch` and `3 epochs`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def notice(text: str) -> None:
    """Print one line as it is: never wrapped, nothing in it taken for markup or control codes."""
    console.print(printable(text), soft_wrap=True, markup=False)


def printable(text: str) -> str:
    """The text with line breaks, control codes and bytes that are no UTF-8 escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def first_few(texts: Sequence[str], count: int = 5) -> str:
    """The first of many texts, and how many more there are."""
    more = f" and {len(texts) - count} more" if len(texts) > count else ""
    return ", ".join(texts[:count]) + more


@contextmanager
def progress_bar(description: str, total: int, done: int = 0) -> Iterator[Advance]:
    """Show a bar from `done` to `total`; yields `advance(steps=1, note="")`.

    Where standard error is no terminal, a line every 10 % and every 30 seconds takes its place,
    such as `Supernet 340/1000, loss 2.21, 4 min left`.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    is_live = console.file.isatty() and not console.is_dumb_terminal
    bar = Progress(*columns, console=console, disable=not is_live, speed_estimate_period=600)
    bar.add_task(f"{description:<18}", total=total, completed=done, note="")
    task, printed = bar.tasks[0], time.monotonic()
    with bar:

        def advance(steps: int = 1, note: str = "") -> None:
            nonlocal printed
            tenths = 10 * task.completed // total
            bar.update(task.id, advance=steps, note=note)
            is_due = time.monotonic() - printed > SECONDS_BETWEEN_LINES
            if not is_live and (is_due or 10 * task.completed // total > tenths):
                printed = time.monotonic()
                left = "" if task.finished else _time_left(task.time_remaining)
                state = f"{description.strip()} {task.completed:.0f}/{total}"
                notice(", ".join(part for part in (state, note, left) if part))

        yield advance


def _time_left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s left"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min left" if hours else f"{minutes} min left"
