"""Measured scores in a file that only grows.

The first line is the definition, every other line one measurement:

    {"arch": …, "scores": {name: value or null}, "seconds": …, "hardware": …}

A line is written as soon as it is measured, so a killed process loses one measurement at most: a
last line that was cut off is dropped. Any other damage sets the file aside.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.atomic import set_aside, write_text
from app.definition import check_definition
from app.scores.scorer import Scores


@dataclass(frozen=True)
class Measured:
    """One score of an architecture."""

    value: float | None
    seconds: float
    """The time of the measurement, which may have given other scores too."""
    hardware: str


class ScoreFile:
    """Measured scores by architecture and name."""

    def __init__(self, path: Path, definition: dict[str, Any]) -> None:
        """Read the file, or begin it. A damaged file is set aside.

        Raises InputError if its scores were measured under another definition.
        """
        self.path = path
        self.measured: dict[str, dict[str, Measured]] = {}
        stored = definition
        if lines := _whole_lines(path):
            try:
                stored, *measurements = lines
                stored = dict(stored["definition"])
                for line in measurements:
                    self._keep(**line)
            except (ValueError, TypeError, KeyError, AttributeError):
                set_aside(path, "not a file of scores")
                self.measured.clear()
                stored = definition
        check_definition(stored, definition, f"the file of scores '{path}'")
        if not self.measured:
            write_text(path, _line({"definition": definition}))

    def has(self, arch: str, name: str) -> bool:
        """Whether this score of `arch` has been measured, even if it was not finite."""
        return name in self.measured.get(arch, {})

    def add(self, arch: str, scores: Scores, seconds: float, hardware: str) -> None:
        """Keep one measurement, in memory and in the file."""
        line = {"arch": arch, "scores": scores, "seconds": seconds, "hardware": hardware}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(line))
        self._keep(arch, scores, seconds, hardware)

    def _keep(self, arch: str, scores: Scores, seconds: float, hardware: str) -> None:
        known = self.measured.setdefault(arch, {})
        for name, value in scores.items():
            number = None if value is None else float(value)
            known[name] = Measured(number, float(seconds), str(hardware))


def _whole_lines(path: Path) -> list[Any]:
    """Read all lines, None for a damaged one, and cut off a torn last line."""
    if not path.exists():
        return []
    whole, _, torn = path.read_bytes().rpartition(b"\n")
    if torn:
        os.truncate(path, path.stat().st_size - len(torn))
    return [_read(line) for line in whole.split(b"\n")] if whole else []


def _read(line: bytes) -> Any:
    try:
        return json.loads(line.partition(b"\t")[0])  # earlier versions added a tab and a checksum
    except (ValueError, RecursionError):
        return None


def _line(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n"
