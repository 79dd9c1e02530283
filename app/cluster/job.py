"""`main.py worker`: one more process that searches, on any machine that reaches the database."""

import time
from contextlib import ExitStack
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import Study

from app.cluster.fetch import fetch
from app.cluster.shared import Shared, read_shared
from app.console import console
from app.device import device_name, pick_device
from app.errors import InputError
from app.paths import StudyPaths
from app.run import group_commit, missing_trials, search
from app.search.storage import check_storage, open_engine, open_storage
from app.search.study import DEFINITION, check_definition, own_study
from app.settings import database_url
from app.workbench import open_data, set_up, study_definition
from app.workers import at_work, preparing, study_locks

SECONDS_BETWEEN_LOOKS = 1.0


def work(name: str, own: dict[str, Any], place: str | None, wait: float) -> None:
    """Search the study `name` until it has its trials; train nothing, report nothing.

    `own` are the settings of this machine (`runs`, `storage`, `device`, …), `place` is where to
    fetch supernet and reference sample from, and `wait` the seconds to wait until the main
    command has prepared the study.

    Raises InputError if it is not prepared then, or this machine has other data, another version
    of the scores or another supernet than the study.
    """
    url = own.get("storage") or database_url(own["runs"])
    check_storage(url)
    storage = open_storage(url)
    study, shared = _prepared(storage, name, wait)
    settings = shared.settings_here({**own, "name": name})
    device = pick_device(settings.device)
    paths = StudyPaths(settings.folder)
    paths.check_writable()
    data, space = open_data(settings, paths, device)
    here = study_definition(settings, data)
    hint = "give this worker the --dataset, and use the version of the program, of the main command"
    check_definition(study.user_attrs[DEFINITION], here, f"study '{name}'", hint)
    with ExitStack() as working:
        with preparing(paths.folder, wait=True):
            fetch(place, paths, shared)
            context = set_up(settings, paths, device, data, space)
        engine = open_engine(url)
        working.callback(engine.dispose)
        worker = working.enter_context(at_work(study_locks(engine, paths.folder, name)))
        commit = group_commit(engine, study)
        if commit is None:  # each trial would be running while it is scored, and look left behind
            raise InputError("trials cannot be committed in groups here, so there are no workers")
        console.print(
            f"Worker {worker.number} of study {name}: {missing_trials(settings, study)} of "
            f"{settings.search.trials} trials to go, {device_name(device)}",
            soft_wrap=True,
            markup=False,
        )
        ended = search(settings, storage, study, context, commit, worker)
    missing = missing_trials(settings, study)
    console.print(
        ended or f"Study {name} has its {settings.search.trials - missing} trials.",
        soft_wrap=True,
        markup=False,
    )


def _prepared(storage: BaseStorage, name: str, wait: float) -> tuple[Study, Shared]:
    """The study and what it shares, as soon as the main command has prepared it."""
    until = time.monotonic() + wait
    told = False
    while True:
        study = own_study(storage, name)
        shared = read_shared(study) if study is not None else None
        if study is not None and shared is not None:
            return study, shared
        if time.monotonic() >= until:
            break
        if not told:
            console.print(f"Waiting until the main command has prepared study {name} …")
            told = True
        time.sleep(SECONDS_BETWEEN_LOOKS)
    if study is not None:
        raise InputError(
            f"study '{name}' is not prepared yet: run the main command with this --storage, "
            "or give --wait SECONDS"
        )
    names = ", ".join(optuna.get_all_study_names(storage)) or "none"
    raise InputError(
        f"the database has no study '{name}' (it has: {names}): run the main command with this "
        "--storage first, or give --wait SECONDS"
    )
