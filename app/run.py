"""The main job, top to bottom: data → supernet → reference sample → search → report."""

import sqlite3
from contextlib import ExitStack
from typing import Any

import torch
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import TrialState
from rich.console import Console
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from app.atomic import write_json
from app.cluster.shared import share
from app.console import progress_bar
from app.dashboard import publish
from app.dashboard.artifacts import discard_artifacts
from app.data import ImageData
from app.device import device_name, pick_device
from app.halving import as_halved, halve
from app.interrupt import stop_between_steps
from app.latency import machine
from app.paths import StudyPaths
from app.report.front import front_table
from app.report.material import Material
from app.report.writing import write_reports
from app.search.backup import back_up
from app.search.commit import GroupCommit
from app.search.connect import is_sqlite
from app.search.evolution import SpaceExhaustedError
from app.search.loop import Batches, Search
from app.search.outcome import Objective
from app.search.proposals import create_proposals
from app.search.samplers import check_sampler, create_sampler
from app.search.storage import check_storage, open_engine, open_storage
from app.search.study import (
    check_choices,
    check_machine,
    directions,
    discard_study,
    open_study,
    own_study,
    set_machine,
    with_sampler,
)
from app.search.tables import UnknownTablesError, read_tables
from app.settings import StudySettings
from app.storage_url import shown_storage
from app.supernet import distributed
from app.workbench import (
    EvaluationContext,
    ScoringMemoryError,
    check_space,
    open_data,
    set_up,
    study_definition,
    take_part,
)
from app.workers import Worker, at_work, check_idle, preparing, study_locks

out = Console(highlight=False)

SEEDS_APART = 7_919
"""Between two processes on one study, which would else propose the same architectures."""


def run(settings: StudySettings, fresh: bool = False) -> int:
    """Run a study, or resume it; every stage that is finished is left as it is.

    Of the processes that torchrun starts, all but rank 0 only take part in the training. Returns
    the exit status.
    """
    check_sampler(settings.search.sampler)
    check_space(settings.space)
    device = pick_device(settings.device, distributed.local_rank())
    if distributed.rank() > 0:
        take_part(settings, device)
        return 0
    paths = StudyPaths(settings.folder)
    paths.check_writable()
    if settings.storage:
        check_storage(settings.storage)
    data, space = open_data(settings, paths, device)  # nothing is written before all input is read
    with ExitStack() as working_on, ExitStack() as preparation:
        preparation.enter_context(preparing(paths.folder, wait=True))
        storage = open_storage(settings.storage_url)
        engine = open_engine(settings.storage_url)
        working_on.callback(engine.dispose)
        locks = study_locks(engine, paths.folder, settings.name)
        if fresh:  # not before the input is known to be good
            check_idle(locks)
            engine.dispose()  # a server would close a connection that waits for the training
            own_study(storage, settings.name)  # refuses another program's, its files as well
            discard_artifacts(storage, settings.name, settings.runs)
            discard_study(storage, settings.name)
            paths.discard()
        settings = as_halved(settings, own_study(storage, settings.name))
        study = begin(settings, paths, storage, data, device)
        out.print(
            f"Study {settings.name}: space {settings.space}, data {settings.dataset} "
            f"({len(data.train.labels)} training images, {len(data.classes)} classes, "
            f"{data.image_size} px), {device_name(device)}, seed {settings.seed}",
            soft_wrap=True,
            markup=False,
        )
        context = None
        while context is None:  # the second time outside of `except`, where the first holds memory
            try:
                context = set_up(settings, paths, device, data, space)
            except ScoringMemoryError as error:
                settings = halve(settings, paths, study, error)
                study = begin(settings, paths, storage, data, device)
        share(study, context)
        worker = working_on.enter_context(at_work(locks))
        commit = group_commit(engine, study)
        if commit is not None:  # else others wait, as trials are then told to Optuna one by one
            preparation.close()

        missing = missing_trials(settings, study)
        if missing and worker.number == 0:
            keep_backup(settings.storage_url)
        ended = search(settings, storage, study, context, commit, worker)
        if missing and worker.number == 0:
            keep_backup(settings.storage_url)
        report(context, study, study_definition(settings, data))
        if ended:
            out.print(ended, soft_wrap=True, markup=False)
    return 0


def begin(
    settings: StudySettings,
    paths: StudyPaths,
    storage: BaseStorage,
    data: ImageData,
    device: torch.device,
) -> Study:
    """The study, made or checked, and its settings kept. Raises InputError as `open_study`."""
    definition = study_definition(settings, data)
    study = open_study(storage, settings.name, definition, settings.search.objectives)
    if "latency" in settings.search.objectives:
        set_machine(study, machine(device, settings.latency.threads))
    write_json(paths.settings, settings.to_save())
    return study


def search(
    settings: StudySettings,
    storage: BaseStorage,
    study: Study,
    context: EvaluationContext,
    commit: GroupCommit | None,
    worker: Worker,
) -> str | None:
    """Search until there are enough trials; returns why it has ended earlier, if it has.

    Raises InputError if the study's trials are of other choices or another machine's latencies.
    """
    aims = directions(settings.search.objectives)
    if context.latency is not None:
        check_machine(study, machine(context.device, settings.latency.threads))
    trials = study.get_trials(deepcopy=False)
    check_choices(trials, context.space)
    sampler: BaseSampler = RandomSampler(seed=settings.seed)  # of what an unfinished trial lacks
    batches = None
    if commit is None:
        sampler = create_sampler(settings.search, settings.seed, len(trials))
    else:
        seed = settings.seed + worker.number * SEEDS_APART
        proposals = create_proposals(settings.search, context.space, aims, seed, len(trials))
        batches = Batches(proposals, commit, settings.search.population)
    study = with_sampler(study, storage, sampler)
    assess = Objective(context, trials)
    loop = Search(study, storage, context.space, assess, batches, worker.leads, assess.learn)
    total = settings.search.trials
    with (
        progress_bar("Search", total, min(loop.completed, total)) as advance,
        stop_between_steps() as check,
    ):
        try:
            loop.run_to(total, check, advance)
        except SpaceExhaustedError as reason:
            return f"The search has ended after {loop.completed} of {total} trials: {reason}."
    return None


def missing_trials(settings: StudySettings, study: Study) -> int:
    """How many trials the search has to add."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return max(0, settings.search.trials - len(complete))


def keep_backup(storage_url: str) -> None:
    """Back up the database; a failure, such as a full disk, is said and ends nothing."""
    try:
        back_up(storage_url)
    except (OSError, sqlite3.Error) as error:
        out.print(
            f"No backup of the database could be made: {error}.", soft_wrap=True, markup=False
        )


def group_commit(engine: Engine, study: Study) -> GroupCommit | None:
    """What commits trials in groups; None, with a notice, where Optuna's tables are unknown."""
    try:
        return GroupCommit(engine, read_tables(engine), study._study_id)
    except UnknownTablesError as reason:
        out.print(
            f"Trials are stored one by one, which is slow: {reason}.",
            soft_wrap=True,
            markup=False,
        )
        return None


def report(context: EvaluationContext, study: Study, definition: dict[str, Any]) -> None:
    """Write the report files, print the front and say where everything lies."""
    settings, paths = context.settings, context.paths
    hardware = device_name(context.device)
    material = Material.gather(settings, paths, study, definition, context.space, hardware)
    write_reports(paths, material)
    publish(study, material)
    out.print(front_table(material.front, settings.search.objectives))
    if material.rows and not material.front:
        cheapest = min(row.flops for row in material.rows) / 1e6
        out.print(
            f"No trial keeps to --max-flops; the cheapest takes {cheapest:.1f} M multiply–adds."
        )
    shown = shown_storage(settings.storage_url)
    server = not is_sqlite(make_url(settings.storage_url))
    at = f"--storage '{shown}'" if server else f"--runs {settings.runs}"
    for what, place in {
        "front": paths.front,
        "picture": paths.picture,
        "report": paths.page,
        "as text": paths.report,
        "supernet": paths.supernet,
        "trials": shown,
        "dashboard": f"python main.py dashboard {at}",
        "workers": f"python main.py worker --study {settings.name} {at}" if server else "",
    }.items():
        if not place:
            continue
        out.print(f"{what:<10}{place}", soft_wrap=True, markup=False)
