"""The rank benchmark, top to bottom: table → supernet → scores → statistics → files."""

import math
from pathlib import Path

from app import locks
from app.atomic import check_output
from app.config import StudyConfig
from app.console import progress_bar
from app.context import check_names, is_prepared, open_data, prepare
from app.definition import baseline_definition, score_definition
from app.device import pick_device
from app.interrupt import stop_between_steps
from app.paths import StudyPaths
from app.rank.output import Result, write_result
from app.rank.scores import Measurements, choose_scores
from app.rank.statistics import Ranker
from app.rank.store import ScoreFile
from app.rank.table import read_table


def rank(
    config: StudyConfig,
    table_path: Path,
    column: str,
    sample: int | None = None,
    scores: str | None = None,
    baselines: bool = True,
    json_file: Path | None = None,
) -> None:
    """Rank the architectures of a table by every score and compare with their accuracies.

    Args:
        settings: The study; its supernet is trained first, or its training resumed.
        table_path: CSV file with a column `arch`.
        column: The column of the accuracies.
        sample: Number of random rows to take, drawn with the seed of the study; None is all.
        scores: Comma-separated names; None is all.
        baselines: Whether to include the baselines.
        json_file: Where to write the results, besides the study's folder.

    Raises:
        InputError: Bad input, found before any training.
    """
    chosen = choose_scores(scores, baselines)
    check_names(config)
    table = read_table(table_path, column)
    device = pick_device(config.device)
    paths = StudyPaths(config.folder)
    paths.check_writable()
    if json_file is not None:
        check_output(json_file)
    data, space = open_data(config, paths, device)
    table = table.canonical(space)
    if sample is not None:
        table = table.sample(sample, config.seed)
    with locks.writing(paths.rank, wait=False):
        definition = score_definition(config, data)
        measurements = Measurements(
            ScoreFile(paths.rank / "scores.jsonl", definition),
            ScoreFile(paths.rank / "baselines.jsonl", baseline_definition(config, data)),
        )
        # a study's supernet is only read; where it is missing or differs, rank keeps its own
        own = StudyPaths(paths.rank)
        where = paths if is_prepared(config, paths, data) else own
        context = prepare(config, where, device, data, space)
        with stop_between_steps() as check:
            measurements.measure(context.scorer, table.archs, chosen, check)

        archs = [row.arch for row in table.rows]
        costs = [space.cost(arch) for arch in archs]
        columns = measurements.columns(archs, chosen, context.composite)
        ranker = Ranker(
            [row.accuracy for row in table.rows], [cost.macs for cost in costs], config.seed
        )
        rankings = {}
        with progress_bar("Statistics", len(columns)) as advance:
            for name, values in columns.items():
                rankings[name] = ranker(values)
                advance()
        best_first = sorted(
            rankings, key=lambda name: (math.isnan(tau := rankings[name].tau), -tau)
        )
        result = Result(
            study=config.name,
            seed=config.seed,
            definition={"dataset": config.dataset, **definition},
            table=table,
            costs=costs,
            columns=columns,
            rankings={name: rankings[name] for name in best_first},
            seconds=measurements.seconds(table.archs, chosen),
            hardware=measurements.hardware(table.archs, chosen),
            resamples=len(ranker.counts),
        )
        write_result(result, paths.rank, json_file)
