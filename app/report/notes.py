"""Notes on a study and its trials, in Markdown, for the dashboard."""

import re

from app.console import plural
from app.pareto import KNEE, Row
from app.paths import StudyPaths
from app.report.data import ReportData
from app.trained import Result


def study_note(data: ReportData) -> str:
    """Describe the study, and what its values mean."""
    config = data.config
    lines = [
        f"## {config.name}",
        f"Space {_code(config.space)} on {_code(config.dataset)} at {config.image_size} px, "
        f"seed {config.seed}: {len(data.rows)} completed trials, {len(data.front)} on the front.",
        "The score (up) is a sum of log-quantiles, at most 0: how expressivity, trainability and "
        f"uncertainty compare with those of {len(data.reference_scores)} random networks. "
        f"Costs (down): {' and '.join(cost.title for cost in data.costs)}.",
        f"Report: {_code(StudyPaths(config.folder).report)}",
    ]
    lines += [
        f"{_code(data.name_of(result))}, {result.flops / 1e6:.1f} M multiply–adds: "
        f"{_accuracy(result)}"
        for result in data.results
    ]
    return "\n\n".join(lines)


def trial_note(data: ReportData, row: Row) -> str:
    """Describe a trial on the front, or a retrained one."""
    lines = []
    if row in data.front:
        knee = f"; it is the knee, {KNEE}" if row == data.knee else ""
        lines.append(f"On the Pareto front after {len(data.rows)} trials{knee}.")
    costs = ", ".join(f"{cost.show(row)} {cost.unit}" for cost in data.shown_costs)
    lines += [
        f"Score **{row.score:.3f}**, higher than {data.percentile(row):.0f} % of "
        f"{len(data.reference_scores)} random networks; {costs}.",
        _code(row.arch),
    ]
    if result := data.retrained(row):
        lines.append(_accuracy(result))
    return "\n\n".join(lines)


def _accuracy(result: Result) -> str:
    return (
        f"Trained from scratch for {plural(result.epochs, 'epoch')}: "
        f"**{100 * result.test_accuracy:.2f} %** on {result.test_images} test images"
    )


def _code(text: object) -> str:
    """Quote text as code, which no content of it can end: the dashboard renders HTML."""
    plain = re.sub(r"[`\s]+", " ", str(text))
    return f"`{plain}`"
