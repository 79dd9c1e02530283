"""The scores measured so far, in a file that only grows.

The first line is the definition, every other line one measurement:

    {"arch": …, "scores": {name: value or null}, "seconds": …, "hardware": …}

Our scores and the baselines have a file each: baselines read the stand-alone network, so they
stay valid when the supernet or our definitions change.

A line is written as soon as it is measured, so that a killed process loses at most the
measurement it was in. A last line that was cut off in the middle is dropped. Behind each line's
JSON stand a tab and its checksum; a file with a line that does not match is set aside.
"""

import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.atomic import set_aside, write_text
from app.scores import BASELINES, SCORES
from app.scores.scorer import Scores
from app.search.study import check_definition


@dataclass(frozen=True)
class Measured:
    """One score of an architecture."""

    value: float | None
    seconds: float
    """Of the measurement, which may have yielded other scores too."""
    hardware: str


class ScoreFile:
    """Measured scores by architecture and name."""

    def __init__(self, path: Path, definition: dict[str, Any]) -> None:
        """Read the file, or begin it.

        A file that is not what `add` writes is set aside. Raises InputError for one that was
        made under another definition.
        """
        self.path = path
        self.measured: dict[str, dict[str, Measured]] = {}
        try:
            head, *lines = self._whole_lines() or [{"definition": definition}]
            stored = head["definition"]
            if not isinstance(stored, dict):
                raise ValueError("it has no definition")
            for line in lines:
                self._learn(**line)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            set_aside(path, "a line is not as it was written")
            self.measured.clear()
            stored, lines = definition, []
        check_definition(stored, definition, f"the file of scores '{path}'")
        if not lines:
            write_text(path, _line({"definition": definition}))

    def has(self, arch: str, name: str) -> bool:
        """Whether this score of `arch` was measured, whatever came out."""
        return name in self.measured.get(arch, {})

    def add(self, arch: str, scores: Scores, seconds: float, hardware: str) -> None:
        """Keep one measurement, in memory and in the file."""
        line = {"arch": arch, "scores": scores, "seconds": seconds, "hardware": hardware}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(line))
        self._learn(**line)  # type: ignore[arg-type]

    def _learn(self, arch: str, scores: Scores, seconds: float, hardware: str) -> None:
        known = self.measured.setdefault(arch, {})
        for name, value in scores.items():
            known[name] = Measured(value, seconds, hardware)

    def _whole_lines(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        lines, _, torn = self.path.read_bytes().rpartition(b"\n")
        if torn:
            os.truncate(self.path, self.path.stat().st_size - len(torn))
        return [_read(line) for line in lines.split(b"\n")] if lines else []


def _line(values: dict[str, Any]) -> str:
    """One line: JSON, a tab, and the checksum of the JSON."""
    text = json.dumps(values, ensure_ascii=False, allow_nan=False)
    return f"{text}\t{zlib.crc32(text.encode()):08x}\n"


def _read(line: bytes) -> Any:
    """What `_line` wrote, or a version that wrote no checksum. Raises ValueError for others."""
    text, tab, checksum = line.partition(b"\t")
    if tab and checksum != b"%08x" % zlib.crc32(text):
        raise ValueError("the checksum does not match")
    return json.loads(text)


class Store:
    """Both files of a study's rank benchmark, `scores.jsonl` and `baselines.jsonl`."""

    def __init__(self, folder: Path, ours: dict[str, Any], baselines: dict[str, Any]) -> None:
        """Read or begin them. `ours` and `baselines` are the definitions.

        Raises InputError if one was made under another definition.
        """
        self.folder = folder
        mine = ScoreFile(folder / "scores.jsonl", ours)
        theirs = ScoreFile(folder / "baselines.jsonl", baselines)
        self._files = dict.fromkeys(SCORES, mine) | dict.fromkeys(BASELINES, theirs)

    def has(self, arch: str, name: str) -> bool:
        """Whether this score of `arch` was measured, whatever came out."""
        return self._files[name].has(arch, name)

    def measured(self, arch: str, name: str) -> Measured:
        """A score that was measured."""
        return self._files[name].measured[arch][name]

    def add(self, arch: str, scores: Scores, seconds: float, hardware: str) -> None:
        """Keep one measurement of scores of one file."""
        self._files[next(iter(scores))].add(arch, scores, seconds, hardware)
