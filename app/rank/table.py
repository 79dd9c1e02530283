"""A table of trained accuracies: any CSV file with a column `arch` and a column of numbers."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import fmean
from typing import NamedTuple

from app.console import notice
from app.errors import InputError
from spaces import ArchitectureError, Space


class Row(NamedTuple):
    """One trained architecture, and its file and line for messages."""

    arch: str
    accuracy: float
    place: str


def read_table(path: Path, column: str) -> list[Row]:
    """Read the architectures and the accuracies in `column` of a UTF-8 CSV file.

    Raises InputError for an unreadable file, a missing column, fewer than two rows, or an accuracy
    that is not a finite number.
    """
    rows = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            for name in ("arch", column):
                if name not in columns:
                    has = f"its columns: {', '.join(columns) or 'none'}"
                    raise InputError(f"the table '{path}' has no column '{name}'; {has}")
            for fields in reader:
                place = f"'{path}', line {reader.line_num}"
                try:
                    accuracy = float(fields[column] or "")
                except ValueError:
                    accuracy = math.nan
                if not math.isfinite(accuracy):
                    raise InputError(
                        f"{place}: {column} is '{fields[column] or ''}', "
                        "which is not a finite number; correct the line or delete it"
                    )
                rows.append(Row(fields["arch"] or "", accuracy, place))
    except (OSError, ValueError, csv.Error) as error:  # also bytes that are not UTF-8
        raise InputError(f"cannot read the table '{path}': {error}") from None
    if len(rows) < 2:
        raise InputError(f"the table '{path}' has {len(rows)} rows: ranking needs at least 2")
    return rows


def sample(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """Draw `count` rows, or all if there are fewer, in their order; a seed draws the same."""
    chosen = Random(f"rank {seed}").sample(range(len(rows)), min(count, len(rows)))
    return [rows[i] for i in sorted(chosen)]


def canonical(rows: Sequence[Row], space: Space) -> list[Row]:
    """Write architectures as `space` does; one in several rows gets their mean accuracy.

    Raises InputError for the first string that is not an architecture of `space`, or if all rows
    are the same one.
    """
    found: dict[str, list[Row]] = {}
    for row in rows:
        try:
            found.setdefault(space.canonical(row.arch), []).append(row)
        except ArchitectureError as error:
            wrong = f"{row.place}: not an architecture of {space.name}"
            raise InputError(f"{wrong}: {error}") from None
    if len(found) < 2:
        raise InputError(f"all rows of the table are the same architecture of {space.name}")
    if len(found) < len(rows):
        counts = f"{len(rows)} rows name {len(found)} different architectures"
        notice(f"{counts}: the accuracies of the same one are averaged.")
    return [Row(a, fmean(row.accuracy for row in same), same[0].place) for a, same in found.items()]
