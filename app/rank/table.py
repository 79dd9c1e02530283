"""A table of trained accuracies: any CSV file with an `arch` column and a column of numbers."""

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
    """One trained architecture; `place` says where in the file it stands."""

    arch: str
    accuracy: float
    place: str


@dataclass(frozen=True)
class Table:
    """Trained architectures, in the order of the file. One may stand in several rows."""

    path: Path
    column: str
    rows: list[Row]

    @property
    def archs(self) -> list[str]:
        """The different architectures."""
        return list(dict.fromkeys(row.arch for row in self.rows))

    def canonical(self, space: Space) -> "Table":
        """The same table in the canonical strings of `space`.

        Raises InputError with the place of the first string that the space cannot read.
        """

        def read(row: Row) -> Row:
            try:
                return replace(row, arch=space.canonical(row.arch))
            except ArchitectureError as error:
                raise InputError(f"{row.place}: no architecture of {space.name}: {error}") from None

        return replace(self, rows=[read(row) for row in self.rows])

    def sample(self, count: int, seed: int) -> "Table":
        """`count` random rows (all, if there are fewer), the same for the same seed."""
        chosen = Random(f"rank {seed}").sample(range(len(self.rows)), min(count, len(self.rows)))
        return replace(self, rows=[self.rows[i] for i in sorted(chosen)])


def read_table(path: Path, column: str) -> Table:
    """Read the `arch` column and the accuracies in `column` of a UTF-8 CSV file.

    Raises InputError for a file that cannot be read, a column it lacks, fewer than two rows, or
    an accuracy that is no finite number.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(_rows(path, column, csv.DictReader(file)))
    except (OSError, ValueError, csv.Error) as error:  # also bytes that are not UTF-8
        raise InputError(f"cannot read the table '{path}': {error}") from None
    if len(rows) < 2:
        raise InputError(f"the table '{path}' holds {len(rows)} rows: ranking needs at least 2")
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
        raise InputError(f"{place}: {column} is '{text or ''}', which is no finite number")
    return value
