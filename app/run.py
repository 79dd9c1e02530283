"""The main job, top to bottom: data → supernet → reference sample → search → report."""

import shlex
import sqlite3
from contextlib import ExitStack, closing
from typing import NamedTuple

import torch
from optuna.storages import BaseStorage
from optuna.study import Study

from app import PROGRAM, locks
from app.ask_tell import search
from app.atomic import remove_leftovers, write_json
from app.backup import back_up
from app.commit import StudyWriter
from app.config import StudyConfig
from app.console import out, printable
from app.context import EvaluationContext, check_names, open_data, prepare, take_part
from app.dashboard import discard_artifacts, publish
from app.data import ImageData
from app.database import is_sqlite, shown
from app.definition import study_definition
from app.device import device_name, pick_device
from app.latency import machine
from app.paths import StudyPaths
from app.report.data import ReportData
from app.report.files import write_reports
from app.report.terminal import print_front
from app.rescore import rescore
from app.sampling import cost_range
from app.storage import check_database, delete_study, open_storage
from app.study import (
    bind,
    check_machine,
    check_not_searched,
    find_study,
    has_trials,
    open_study,
    read_prepared,
)
from app.study_file import runs_option
from app.supernet import distributed
from spaces import Space


def run(config: StudyConfig, fresh: bool = False, anew: bool = False) -> None:
    """Run a study, or resume it; every finished stage is left as it is.

    `fresh` deletes it first, `anew` scores its networks anew if their scores are outdated. Of the
    processes that torchrun starts, all but rank 0 only take part in the training.
    """
    check_names(config)
    device = pick_device(config.device, distributed.local_rank())
    if distributed.rank() > 0:
        take_part(config, device)
        return
    paths = StudyPaths(config.folder)
    paths.check_writable()
    url = config.storage_url
    if config.storage or config.runs.is_dir():  # the default one's folder may not exist yet
        check_database(url)
    data, space = open_data(config, paths, device)  # nothing is written before input is read
    searched = search_study(config, paths, data, space, device, fresh, anew)
    report(searched.context, searched.study)
    if searched.ended:
        out.print(searched.ended)


class Searched(NamedTuple):
    """A study that was searched, and why that ended early, if it did."""

    context: EvaluationContext
    study: Study
    ended: str | None


def search_study(
    config: StudyConfig,
    paths: StudyPaths,
    data: ImageData,
    space: Space,
    device: torch.device,
    fresh: bool = False,
    anew: bool = False,
) -> Searched:
    """Make or open the study, prepare it, and search until it has its trials; see `run`."""
    url = config.storage_url
    with ExitStack() as stack:
        with locks.writing(paths.folder), locks.preparing(url, config.name):
            remove_leftovers(paths.folder)
            storage = open_storage(url)
            searched = locks.is_searched(url, config.name)
            if fresh:
                check_not_searched(config.name, searched)
                discard(storage, config, paths)
            elif anew:
                config = rescore(config, paths, storage, data, space, searched)
            study = begin(config, paths, storage, data, space, device)
            bound = read_prepared(study) if has_trials(study) else None
            context = prepare(config, paths, device, data, space, bound)
            writer = stack.enter_context(closing(StudyWriter(url, study)))
            bind(study, context.prepared, searched)
            stack.enter_context(locks.searching(url, config.name))
        ended = None
        if writer.count_complete(context.prepared.fingerprint) < config.search.trials:
            keep_backup(config)
            ended = search(context, study, writer)
            keep_backup(config)
    return Searched(context, study, ended)


def begin(
    config: StudyConfig,
    paths: StudyPaths,
    storage: BaseStorage,
    data: ImageData,
    space: Space,
    device: torch.device,
) -> Study:
    """Make the study or check it, keep its settings, and say what is run."""
    definition = study_definition(config, data)
    study = open_study(storage, config.name, definition, config.search.objectives)
    if config.search.uses("latency"):
        check_machine(study, machine(device, config.latency.threads))
    write_json(paths.study_file, config.to_save() | {"dataset": data.name})
    costs = cost_range(space)
    out.print(
        f"Study {config.name}: space {config.space} "
        f"({costs.lowest / 1e6:.3g} M to {costs.highest / 1e6:.3g} M multiply–adds), "
        f"data {printable(config.dataset)} "
        f"({len(data.train.labels)} training images, {len(data.classes)} classes, "
        f"{data.image_size} px), {device_name(device)}, seed {config.seed}"
    )
    return study


def discard(storage: BaseStorage, config: StudyConfig, paths: StudyPaths) -> None:
    """Delete the study, its trials and what a run made; retrained networks stay."""
    if find_study(storage, config.name) is not None:  # refuses another program's
        discard_artifacts(storage, config.name, config.runs)
        delete_study(storage, config.storage_url, config.name)
    paths.discard()


def keep_backup(config: StudyConfig) -> None:
    """Back up the database; a failure, such as a full disk, is printed and ends nothing."""
    try:
        back_up(config.storage_url)
    except (OSError, sqlite3.Error) as error:
        out.print(f"The database could not be backed up: {error}.")


def report(context: EvaluationContext, study: Study) -> None:
    """Write the report files, print the front and say where everything is."""
    config, paths = context.config, context.paths
    definition, hardware = study_definition(config, context.data), device_name(context.device)
    data = ReportData.gather(config, paths, study, definition, context.space, hardware)
    write_reports(paths, data)
    publish(study, data)
    print_front(data, out)
    url = config.storage_url
    server = not is_sqlite(url)
    storage = ["--storage", shown(url)] if config.storage else []
    at = shlex.join([*storage, *runs_option(config)])
    for what, place in {
        "front": paths.front,
        "picture": paths.picture,
        "report": paths.report,
        "supernet": paths.supernet,
        "trials": shown(url),
        "dashboard": f"{PROGRAM} dashboard {at}".rstrip(),
        "workers": f"{PROGRAM} worker --study {config.name} {at}" if server else "",
    }.items():
        if place:
            out.print(f"{what:<10}{place}")
