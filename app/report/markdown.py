"""A short report of a study in Markdown: what was run, on what, how long, and the front."""

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from app.atomic import write_text
from app.report.front import shown_costs
from app.report.material import Material

PACKAGES = ("torch", "torchvision", "optuna", "sqlalchemy", "optuna-dashboard")


def write_report(path: Path, material: Material) -> None:
    """Write `report.md`."""
    settings, rows, front = material.settings, material.rows, material.front
    costs = shown_costs(settings.search.objectives)
    lines = [
        f"# Study {settings.name}",
        "",
        f"Written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. {len(rows)} completed trials "
        f"(sampler {settings.search.sampler}), {len({row.arch for row in rows})} different "
        f"architectures, {len(front)} of them on the front.",
        "",
        "![Score against cost](front.png)",
        "",
        "## Pareto front",
        "",
        f"| trial | score | {' | '.join(c.name for c in costs)} | params (M) | architecture |",
        f"|--:|--:|{'--:|' * len(costs)}--:|---|",
        *(
            f"| {row.trial} | {row.score:.3f} | {' | '.join(cost.show(row) for cost in costs)} "
            f"| {row.params / 1e6:.3f} | `{_cell(row.arch)}` |"
            for row in front
        ),
        "",
        "All columns, the parts of the score included, are in `front.csv`.",
        "",
        *_retrained(material),
        "## Time per stage",
        "",
        "| stage | seconds |",
        "|---|--:|",
        *(f"| {stage} | {value:.1f} |" for stage, value in material.seconds.items()),
        "",
        "Summed over interruptions; a trial counts from its first question to its answer.",
        "",
        "## What defines the study",
        "",
        "| setting | value |",
        "|---|---|",
        f"| dataset | {_cell(settings.dataset)} |",
        *(f"| {key} | {_cell(value)} |" for key, value in material.definition.items()),
        "",
        "## Machine and versions",
        "",
        f"- {material.hardware}; {platform.processor() or platform.machine()}, "
        f"{platform.platform()}",
        f"- Python {platform.python_version()}, "
        + ", ".join(f"{package} {version(package)}" for package in PACKAGES),
        "",
    ]
    write_text(path, "\n".join(lines))


def _retrained(material: Material) -> list[str]:
    """Networks that were trained from scratch, best first."""
    if not material.results:
        return []
    return [
        "## Trained from scratch",
        "",
        "| network | test % | validation % | best epoch | FLOPs (M) | params (M) |",
        "|---|--:|--:|--:|--:|--:|",
        *(
            f"| {_cell(material.name_of(result))} | {100 * result.test_accuracy:.2f} "
            f"± {100 * result.standard_error:.2f} | {100 * result.validation_accuracy:.2f} "
            f"| {result.best_epoch}/{result.epochs} | {result.flops / 1e6:.2f} "
            f"| {result.params / 1e6:.3f} |"
            for result in sorted(material.results, key=lambda result: -result.test_accuracy)
        ),
        "",
        "The best epoch was chosen by validation images held out of training; only it was tested.",
        "",
    ]


def _cell(value: object) -> str:
    """A value inside a table, whose cells `|` would end."""
    return str(value).replace("|", r"\|")
