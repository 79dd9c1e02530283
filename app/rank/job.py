"""The rank benchmark, top to bottom: table → supernet → scores → statistics → files."""

import re
from pathlib import Path
from statistics import fmean
from typing import Any

from app import locks
from app.atomic import check_output, write_atomically, write_json, write_text
from app.config import StudyConfig
from app.console import progress_bar
from app.context import check_names, create_space, is_prepared, open_data, prepare
from app.definition import baseline_definition, score_definition
from app.device import device_name, pick_device
from app.paths import StudyPaths
from app.rank.output import csv_text, draw, print_scores
from app.rank.scores import choose_scores, measure, parts_of, score_columns
from app.rank.statistics import Ranker
from app.rank.store import ScoreFile
from app.rank.table import canonical, read_table, sample


def rank(
    config: StudyConfig,
    table: Path,
    column: str,
    count: int | None = None,
    scores: str | None = None,
    baselines: bool = True,
    json_file: Path | None = None,
) -> dict[str, Any]:
    """Rank the architectures of a table by every score and compare with their accuracies.

    `count` random rows are taken, drawn with the study's seed, or all. `scores` are names with
    commas between, or all. Results go to the study's folder and to `json_file`.

    Returns the results as written to JSON. Raises InputError before any training.
    """
    chosen = choose_scores(scores, baselines)
    check_names(config)
    device = pick_device(config.device)
    paths = StudyPaths(config.folder)
    paths.check_writable()
    if json_file is not None:
        check_output(json_file)
    rows = read_table(table, column)
    if count is not None:
        rows = sample(rows, count, config.seed)
    rows = canonical(rows, create_space(config, None, config.space_options))
    archs = [row.arch for row in rows]
    data, space = open_data(config, paths, device)
    costs = [space.cost(arch) for arch in archs]

    ours, others = score_definition(config, data), baseline_definition(config, data)
    with locks.writing(paths.rank):
        hardware = device_name(device)
        our_file = ScoreFile(paths.rank / "scores.jsonl", ours, hardware)
        baseline_file = ScoreFile(paths.rank / "baselines.jsonl", others, hardware)
        # a study's supernet is only read; where it is missing or differs, rank keeps its own
        where = paths if is_prepared(config, paths, data) else StudyPaths(paths.rank)
        context = prepare(config, where, device, data, space)
        measured = measure(context.scorer, archs, chosen, our_file, baseline_file)
        columns = score_columns(measured, archs, chosen, context.composite)

        accuracies, macs = [row.accuracy for row in rows], [cost.macs for cost in costs]
        ranker = Ranker(accuracies, macs, config.seed)
        found: dict[str, dict[str, Any]] = {}
        with progress_bar("Statistics", len(columns)) as advance:
            for name, values in columns.items():
                seconds = [[measured[a, part].seconds for a in archs] for part in parts_of(name)]
                found[name] = ranker(values)
                found[name]["seconds_per_architecture"] = sum(map(fmean, seconds))
                advance()
        best_first = sorted(found.items(), key=lambda f: (f[1]["tau"] is None, -(f[1]["tau"] or 0)))
        used = {measured[a, part] for a in archs for name in chosen for part in parts_of(name)}
        results: dict[str, Any] = {
            "scores": dict(best_first),
            "n": len(archs),
            "table": str(table),
            "column": column,
            "study": config.name,
            "seed": config.seed,
            "resamples": len(ranker.counts),
            "hardware": " and ".join(sorted({score.hardware for score in used})),
            "definition": {"dataset": config.dataset, **ours},
        }
        stem = re.sub(r"[^\w.-]+", "_", f"{table.stem}-{column}")
        csv_file, picture = (paths.rank / f"{stem}.{suffix}" for suffix in ("csv", "png"))
        json_files = [paths.rank / f"{stem}.json", *([json_file] if json_file else [])]
        write_text(csv_file, csv_text(rows, costs, columns))
        figure = draw(results, rows, costs, columns)
        write_atomically(picture, lambda file: figure.savefig(file, format="png"))
        for path in json_files:
            write_json(path, results)
        print_scores(results, columns)
        for path in (csv_file, picture, *json_files, our_file.path, baseline_file.path):
            print(path)
        return results
