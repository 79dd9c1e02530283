"""Measured scores in files that only grow, so a killed process loses one measurement at most.

The first line is the definition, every other line a measurement, which may give several scores:

    {"arch": …, "scores": {name: value or null}, "seconds": …, "hardware": …}
"""

import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from app.atomic import set_aside, write_text
from app.definition import Definition, check_definition
from app.scores.scorer import Scores


class Measured(NamedTuple):
    """One score of an architecture, and the time and device of its measurement."""

    value: float | None
    seconds: float
    hardware: str


class ScoreFile(dict[tuple[str, str], Measured]):
    """Measured scores by architecture and name."""

    def __init__(self, path: Path, definition: Definition, hardware: str) -> None:
        """Read the file, or begin it; a damaged one is set aside, but for a torn last line.

        Raises InputError if its scores were measured under another definition.
        """
        super().__init__()
        self.path, self.hardware = path, hardware
        try:
            check_definition(self._read(), definition, f"the file of scores '{path}'")
        except FileNotFoundError:
            write_text(path, _line(definition=definition))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            set_aside(path, "not a file of scores")
            self.clear()
            write_text(path, _line(definition=definition))

    def fill(self, arch: str, names: Iterable[str], measure: Callable[[str], Scores]) -> None:
        """Measure the scores `names` of `arch` and keep them, unless they are there."""
        if all((arch, name) in self for name in names):
            return
        start = time.perf_counter()
        scores = measure(arch)
        seconds = time.perf_counter() - start
        line = _line(arch=arch, scores=scores, seconds=seconds, hardware=self.hardware)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line)
        self._keep(**json.loads(line))

    def _keep(self, arch: str, scores: dict[str, Any], seconds: float, hardware: str) -> None:
        for name, value in scores.items():
            number = None if value is None else float(value)
            self[arch, name] = Measured(number, float(seconds), str(hardware))

    def _read(self) -> Definition:
        whole, end, torn = self.path.read_bytes().rpartition(b"\n")
        # earlier versions added a tab and a checksum to each line
        first, *lines = (json.loads(line.partition(b"\t")[0]) for line in whole.split(b"\n"))
        for line in lines:
            self._keep(**line)
        if torn:
            os.truncate(self.path, len(whole + end))
        return dict(first["definition"])


def _line(**values: Any) -> str:
    return json.dumps(values, allow_nan=False) + "\n"
