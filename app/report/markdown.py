"""A short report of a study in Markdown: what was run, on what, how long, and the front."""

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from app.files import write_text
from app.report.front import Row

PACKAGES = ("torch", "torchvision", "optuna", "sqlalchemy", "optuna-dashboard", "ultralytics-thop")


def write_report(
    path: Path,
    name: str,
    definition: dict[str, Any],
    hardware: str,
    seconds: dict[str, float],
    rows: list[Row],
    front: list[Row],
    sampler: str,
) -> None:
    """Write `report.md`."""
    lines = [
        f"# Study {name}",
        "",
        f"Written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. {len(rows)} completed trials "
        f"(sampler {sampler}), {len({row.arch for row in rows})} different architectures, "
        f"{len(front)} of them on the front.",
        "",
        "![Score against FLOPs](front.png)",
        "",
        "## Pareto front",
        "",
        "| trial | score | FLOPs (M) | params (M) | architecture |",
        "|--:|--:|--:|--:|---|",
        *(
            f"| {row.trial} | {row.score:.3f} | {row.flops / 1e6:.2f} | {row.params / 1e6:.3f} "
            f"| `{row.arch}` |"
            for row in front
        ),
        "",
        "All columns, the parts of the score included, are in `front.csv`.",
        "",
        "## Time per stage",
        "",
        "| stage | seconds |",
        "|---|--:|",
        *(f"| {stage} | {value:.1f} |" for stage, value in seconds.items()),
        "",
        "Summed over interruptions; a trial counts from its first question to its answer.",
        "",
        "## What defines the study",
        "",
        "| setting | value |",
        "|---|---|",
        *(f"| {key} | {value} |" for key, value in definition.items()),
        "",
        "## Machine and versions",
        "",
        f"- {hardware}; {platform.processor() or platform.machine()}, {platform.platform()}",
        f"- Python {platform.python_version()}, "
        + ", ".join(f"{package} {version(package)}" for package in PACKAGES),
        "",
    ]
    write_text(path, "\n".join(lines))
