"""Trained networks side by side: a CSV of all that fit the study, a table of one recipe."""

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from app.atomic import write_text
from app.pareto import Row
from app.retrain.result import Result

UNEVEN = 1.5
"""Classes are uneven if the largest has this many times the test images of an average one."""

FIGURES = (
    *("test_accuracy", "standard_error", "balanced_accuracy", "majority_share"),
    *("validation_accuracy", "best_epoch", "flops", "params", "latency_ms"),
    *("seconds", "seed"),
)


def comparison_table(results: Sequence[Result], rows: Sequence[Row]) -> Table:
    """The results for a terminal, highest test accuracy first.

    ± is the standard error from the number of test images alone.
    """
    majority = max(result.majority_share or 0 for result in results)
    uneven = any(majority * len(r.class_accuracy or ()) > UNEVEN for r in results)
    table = Table(title="Trained from scratch with the same recipe", title_justify="left")
    table.caption_justify = "left"
    table.box, table.pad_edge, table.collapse_padding = box.SIMPLE_HEAD, False, True
    table.add_column("network", overflow="fold", min_width=14)
    for result in sorted(results, key=lambda result: -result.test_accuracy):
        name, score = _name_and_score(result, rows)
        error = f" ± {100 * result.standard_error:.2f}"
        cells = {
            "test %": _show(result.test_accuracy, 100) + error,
            **({"bal. %": _show(result.balanced_accuracy, 100)} if uneven else {}),
            "val. %": _show(result.validation_accuracy, 100),
            "epoch": f"{result.best_epoch}/{result.epochs}",
            "MFLOPs": f"{result.flops / 1e6:.1f}",
            "M params": _show(result.params, 1e-6),
            "ms": _show(result.latency_ms),
            "score": _show(score),
        }
        if not table.row_count:
            for head in cells:
                table.add_column(head, justify="right", no_wrap=True)
        table.add_row(escape(name), *cells.values())
    table.caption = (
        "epoch: the best by validation, the only one tested, of those trained; "
        "ms: one image, one thread, median."
    )
    if uneven:
        table.caption += (
            f" Always guessing the largest class would reach {100 * majority:.2f} %; "
            "bal. % is the mean accuracy of the classes."
        )
    return table


def write_comparison(path: Path, results: Sequence[Result], rows: Sequence[Row]) -> None:
    """Write the results as CSV, ranked by test accuracy among those of the same recipe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    by_recipe: dict[str, list[Result]] = defaultdict(list)
    for result in sorted(results, key=lambda result: -result.test_accuracy):
        by_recipe[str(result.full_recipe)].append(result)
    for group in by_recipe.values():
        for rank, result in enumerate(group, 1):
            name, score = _name_and_score(result, rows)
            row: dict[str, Any] = {
                "rank": rank,
                "network": name,
                **{figure: getattr(result, figure) for figure in FIGURES},
                "epochs_trained": result.epochs,
                "score": score,
                **result.full_recipe,
                "arch": result.network,
                "folder": result.folder,
            }
            if not text.tell():
                writer.writerow(row)
            writer.writerow(row.values())
    write_text(path, text.getvalue())


def _name_and_score(result: Result, rows: Sequence[Row]) -> tuple[str, float | None]:
    """What to call a network: the trial that found it, its baseline, or its architecture."""
    row = next((row for row in rows if row.arch == result.network), None)
    return (f"trial {row.trial}", row.score) if row else (result.network, None)


def _show(value: float | None, factor: float = 1) -> str:
    return "" if value is None else f"{factor * value:.2f}"
