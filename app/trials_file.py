"""The `trials` command: every trial of a study as CSV or JSON."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.atomic import DamagedError, check_output, csv_text, write_text
from app.config import StudyConfig
from app.errors import InputError
from app.pareto import Row
from app.paths import StudyPaths
from app.scores.composite import percentile
from app.scores.reference import Reference
from app.storage import open_existing
from app.study import DEFINITION, find_study
from app.trained import best_of, read_results
from app.trials import completed_trials, failure_reason

COLUMNS = [*Row.__dataclass_fields__, "percentile", "test_accuracy", "state", "reason"]


def write_trials(config: StudyConfig, path: Path | None) -> None:
    """Write all trials to `path`, as JSON if it ends in .json, else as CSV; to stdout if None.

    Raises InputError if there is no such study, or `path` cannot be written.
    """
    storage = open_existing(config.storage_url)
    study = find_study(storage, config.name) if storage else None
    if study is None:
        raise InputError(f"there is no study '{config.name}' yet: run it first")
    paths = StudyPaths(config.folder)
    results = read_results(paths.retrained, study.user_attrs.get(DEFINITION, {}))
    complete = {trial.number for trial in completed_trials(study)}
    reference = _reference_scores(paths)
    rows = []
    for trial in study.get_trials(deepcopy=False):
        values: dict[str, Any] = dict.fromkeys(COLUMNS)
        values |= {"trial": trial.number, "state": trial.state.name}
        values["reason"] = failure_reason(trial)
        values["arch"] = trial.user_attrs.get("arch")
        if trial.number in complete:
            row = Row.of(trial)
            best = best_of(results, row.arch)
            values |= asdict(row)
            values["percentile"] = percentile(row.score, reference) if reference else None
            values["test_accuracy"] = best.test_accuracy if best else None
        rows.append(values)
    as_json = path is not None and path.suffix == ".json"
    text = (
        json.dumps(rows, indent=1, allow_nan=False) + "\n" if as_json else csv_text(COLUMNS, rows)
    )
    if path is None:
        sys.stdout.write(text)
    else:
        check_output(path)
        write_text(path, text)


def _reference_scores(paths: StudyPaths) -> list[float]:
    """The scores of the reference sample; none where the study was searched elsewhere."""
    try:
        return Reference.load(paths.reference).composites()
    except (OSError, DamagedError, ValueError):
        return []
