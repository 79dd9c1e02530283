"""The rank benchmark, top to bottom: table → supernet → scores → statistics → files."""

from pathlib import Path

from app.atomic import check_output
from app.console import progress_bar
from app.device import pick_device
from app.interrupt import stop_between_steps
from app.paths import StudyPaths
from app.rank.choice import choose_scores
from app.rank.columns import hardware, score_columns, seconds_per_architecture
from app.rank.measure import measure
from app.rank.output import Result, write_result
from app.rank.ranking import Judge
from app.rank.store import Store
from app.rank.table import read_table
from app.settings import StudySettings
from app.workbench import baseline_definition, check_space, open_data, score_definition, set_up
from app.workers import preparing


def rank(
    settings: StudySettings,
    table_path: Path,
    column: str,
    sample: int | None = None,
    scores: str | None = None,
    baselines: bool = True,
    json_file: Path | None = None,
) -> None:
    """Rank the architectures of a table by every score and compare with their accuracies.

    Args:
        settings: The study whose supernet is trained, or resumed.
        table_path: CSV file with a column `arch`.
        column: The column of the accuracies.
        sample: Take so many random rows only, drawn with the seed of the study.
        scores: Names with commas between; None is all.
        baselines: Whether baselines are among the scores.
        json_file: Where to write the results once more.

    Raises:
        InputError: Anything given is wrong; the table is checked before any training.
    """
    chosen = choose_scores(scores, baselines)
    check_space(settings.space)
    table = read_table(table_path, column)
    device = pick_device(settings.device)
    paths = StudyPaths(settings.folder)
    paths.check_writable()
    if json_file is not None:
        check_output(json_file)
    data, space = open_data(settings, paths, device)
    table = table.canonical(space)
    if sample is not None:
        table = table.sample(sample, settings.seed)
    with preparing(paths.folder, wait=False):
        definition = score_definition(settings, data)
        store = Store(paths.rank, definition, baseline_definition(settings, data))
        context = set_up(settings, paths, device, data, space)
        with stop_between_steps() as check:
            measure(context, table.archs, chosen, store, check)

        archs = [row.arch for row in table.rows]
        costs = [space.cost(arch) for arch in archs]
        columns = score_columns(archs, chosen, store, context.composite)
        judge = Judge(
            [row.accuracy for row in table.rows], [cost.macs for cost in costs], settings.seed
        )
        rankings = {}
        with progress_bar("Statistics", len(columns)) as advance:
            for name, values in columns.items():
                rankings[name] = judge(values)
                advance()
        result = Result(
            study=settings.name,
            seed=settings.seed,
            definition={"dataset": settings.dataset, **definition},
            table=table,
            costs=costs,
            columns=columns,
            rankings=rankings,
            seconds=seconds_per_architecture(table.archs, chosen, store),
            hardware=hardware(table.archs, chosen, store),
            resamples=len(judge.counts),
        )
        write_result(result, store.folder, json_file)
