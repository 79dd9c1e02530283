"""Trained networks side by side."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.table import Table

from app.atomic import write_text
from app.retrain.candidate import Candidate
from app.retrain.result import Result

Compared = Sequence[tuple[Candidate, Result, float]]
"""Networks, what came of them, and milliseconds an image takes."""

COLUMNS = (
    *("network", "test_accuracy", "test_standard_error", "validation_accuracy", "best_epoch"),
    *("epochs", "flops", "params", "latency_ms", "score", "training_seconds", "arch", "folder"),
)


def comparison_table(compared: Compared) -> Table:
    """For a terminal, best first; ± is the standard error from the number of test images."""
    table = Table(title="Trained from scratch on the same terms", title_justify="left")
    table.box, table.pad_edge, table.collapse_padding = box.SIMPLE_HEAD, False, True
    table.add_column("network", overflow="fold", min_width=14)
    scored = any(candidate.score is not None for candidate, _, _ in compared)
    columns = ("test %", "val. %", "epoch", "MFLOPs", "M params", "ms")
    for column in (*columns, "score") if scored else columns:
        table.add_column(column, justify="right", no_wrap=True)
    for candidate, result, milliseconds in _sorted(compared):
        score = [] if candidate.score is None else [f"{candidate.score:.2f}"]
        table.add_row(
            candidate.label,
            f"{100 * result.test_accuracy:.2f} ± {100 * result.standard_error:.2f}",
            f"{100 * result.validation_accuracy:.2f}",
            f"{result.best_epoch}/{result.epochs}",
            f"{result.flops / 1e6:.1f}",
            f"{result.params / 1e6:.2f}",
            f"{milliseconds:.2f}",
            *score,
        )
    return table


def write_comparison(path: Path, compared: Compared) -> None:
    """The same as CSV, with the architectures and the time that training took."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for candidate, result, milliseconds in _sorted(compared):
        writer.writerow(
            [
                candidate.label,
                result.test_accuracy,
                result.standard_error,
                result.validation_accuracy,
                result.best_epoch,
                result.epochs,
                result.flops,
                result.params,
                milliseconds,
                candidate.score,
                result.seconds,
                candidate.network,
                result.folder,
            ]
        )
    write_text(path, text.getvalue())


def _sorted(compared: Compared) -> Compared:
    return sorted(compared, key=lambda row: -row[1].test_accuracy)
