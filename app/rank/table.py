"""A table of trained accuracies: any CSV file with a column `arch` and a column of numbers."""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from app.errors import InputError
from spaces import ArchitectureError, Space

ARCH = "arch"


@dataclass(frozen=True)
class Row:
    """One trained architecture, and its place in the file for messages."""

    arch: str
    accuracy: float
    place: str


@dataclass(frozen=True)
class Table:
    """Trained architectures in the order of the file. One may be in several rows."""

    path: Path
    column: str
    rows: list[Row]

    @property
    def archs(self) -> list[str]:
        """The architectures, each once."""
        return list(dict.fromkeys(row.arch for row in self.rows))

    def canonical(self, space: Space) -> "Table":
        """Replace the strings by the canonical ones of `space`.

        Raises InputError with the place of the first string that is not an architecture.
        """

        def read(row: Row) -> Row:
            try:
                return replace(row, arch=space.canonical(row.arch))
            except ArchitectureError as error:
                raise InputError(
                    f"{row.place}: not an architecture of {space.name}: {error}"
                ) from None

        return replace(self, rows=[read(row) for row in self.rows])

    def sample(self, count: int, seed: int) -> "Table":
        """Draw `count` rows, or all if there are fewer; the same seed draws the same."""
        chosen = Random(f"rank {seed}").sample(range(len(self.rows)), min(count, len(self.rows)))
        return replace(self, rows=[self.rows[i] for i in sorted(chosen)])


def read_table(path: Path, column: str) -> Table:
    """Read the architectures and the accuracies in `column` of a UTF-8 CSV file.

    Raises InputError for an unreadable file, a missing column, fewer than two rows, or an accuracy
    that is not a finite number.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(_rows(path, column, csv.DictReader(file)))
    except (OSError, ValueError, csv.Error) as error:  # also bytes that are not UTF-8
        raise InputError(f"cannot read the table '{path}': {error}") from None
    if len(rows) < 2:
        raise InputError(f"the table '{path}' has {len(rows)} rows: ranking needs at least 2")
    return Table(path, column, rows)


def _rows(path: Path, column: str, reader: "csv.DictReader[str]") -> Iterator[Row]:
    columns = reader.fieldnames or []
    for needed in (ARCH, column):
        if needed not in columns:
            have = ", ".join(columns) or "none"
            raise InputError(f"the table '{path}' has no column '{needed}'; its columns: {have}")
    for number, fields in enumerate(reader, 1):
        place = f"'{path}', row {number} (line {reader.line_num})"
        yield Row(fields[ARCH] or "", _number(fields[column], column, place), place)


def _number(text: str | None, column: str, place: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{place}: {column} is '{text or ''}', which is not a finite number")
    return value
