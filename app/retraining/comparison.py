"""Trained networks side by side: a CSV of all that fit the study, a table of one recipe."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from app.atomic import csv_text, write_text
from app.pareto import Row
from app.trained import CONTINUED, Result

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
    table = Table(
        title="Trained with the same recipe",
        title_justify="left",
        caption="Only the best epoch by validation is tested. bal. %: mean accuracy of the "
        "classes; MACs: multiply–adds; ms: one image, one thread, median. "
        f"Always guessing the largest class would reach {100 * majority:.2f} %.",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("network", overflow="fold", min_width=14)
    for result in sorted(results, key=lambda result: -result.test_accuracy):
        name, score = _name_and_score(result, rows)
        cells = {
            "test %": f"{100 * result.test_accuracy:.2f} ± {100 * result.standard_error:.2f}",
            "bal. %": _show(result.balanced_accuracy, 100),
            "val. %": _show(result.validation_accuracy, 100),
            "M MACs": f"{result.flops / 1e6:.1f}",
            "M params": _show(result.params, 1e-6),
            "ms": _show(result.latency_ms),
            "score": _show(score),
        }
        if not table.row_count:
            for head in cells:
                table.add_column(head, justify="right", no_wrap=True)
        table.add_row(Text(name), *cells.values())
    return table


def write_comparison(path: Path, results: Sequence[Result], rows: Sequence[Row]) -> None:
    """Write the results as CSV, ranked by test accuracy among those of the same recipe."""
    table: list[dict[str, Any]] = []
    ranks: Counter[str] = Counter()
    for result in sorted(results, key=lambda r: (str(r.full_recipe), -r.test_accuracy)):
        ranks[recipe := str(result.full_recipe)] += 1
        name, score = _name_and_score(result, rows)
        row = {
            "rank": ranks[recipe],
            "network": name,
            **{figure: getattr(result, figure) for figure in FIGURES},
            "epochs_trained": result.epochs,
            "score": score,
            **result.full_recipe,
            "arch": result.network,
            "folder": result.folder,
        }
        table.append(row)
    write_text(path, csv_text(table[0], table))


def _name_and_score(result: Result, rows: Sequence[Row]) -> tuple[str, float | None]:
    """What to call a network: the trial that found it, its baseline, or its architecture."""
    row = next((row for row in rows if row.arch == result.network), None)
    name = f"trial {row.trial}" if row else result.network
    if CONTINUED in result.definition:
        name += " (went on)"
    return name, row.score if row else None


def _show(value: float | None, factor: float = 1) -> str:
    return "" if value is None else f"{factor * value:.2f}"
