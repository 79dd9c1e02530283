"""`main.py worker`: one more process that searches a study, on any machine that reaches it."""

import time
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import optuna
from optuna.study import Study
from sqlalchemy.engine import URL

from app import locks
from app.ask_tell import search
from app.commit import StudyWriter
from app.config import database_url
from app.console import notice
from app.context import is_prepared, open_data, prepare
from app.definition import check_definition, study_definition
from app.device import device_name, pick_device
from app.errors import InputError
from app.latency import machine
from app.paths import StudyPaths
from app.storage import open_existing
from app.study import DEFINITION, Prepared, check_machine, find_study, read_prepared

SECONDS_BETWEEN_LOOKS = 1.0


def work(name: str, own: dict[str, Any], source: Path | None, wait: float) -> None:
    """Search the study `name` until it has its trials; train nothing, report nothing.

    Args:
        name: The study, which the main command prepares.
        own: Settings of this machine: `runs`, `storage`, `device`, …
        source: Folder of the supernet and the reference sample; None for the study's in `runs`.
        wait: Seconds to wait until the study is prepared.

    Raises:
        InputError: The study is not prepared by then, or this machine has other data, another
            version of the scores, or another supernet.
    """
    url = database_url(own["runs"], own.get("storage"))
    study, prepared = _wait_until_prepared(url, name, wait)
    config = prepared.config_here({**own, "name": name})
    device = pick_device(config.device)
    paths = StudyPaths(config.folder)
    paths.check_writable()
    data, space = open_data(config, paths, device)
    hint = "give this worker the --dataset of the main command, and use the same version"
    here = study_definition(config, data)
    check_definition(study.user_attrs[DEFINITION], here, f"study '{name}'", hint)
    if config.search.uses("latency"):
        check_machine(study, machine(device, config.latency.threads))
    files = paths if source is None else StudyPaths(source)
    context = None
    if is_prepared(config, files, data):
        context = prepare(config, files, device, data, space)
    if context is None or context.prepared.fingerprint != prepared.fingerprint:
        raise InputError(
            f"'{files.folder}' does not hold the supernet.pt and reference.json of study "
            f"'{name}': give --supernet FOLDER, where the main command keeps them"
        )
    with locks.searching(url, name), closing(StudyWriter(url, study)) as writer:
        done = writer.count_complete(prepared.fingerprint)
        total = config.search.trials
        notice(f"Worker of study {name}: {done} of {total} trials are done, {device_name(device)}")
        ended = search(context, study, writer)
        done = writer.count_complete(prepared.fingerprint)
    notice(ended or f"Study {name} has its {done} trials.")


def _wait_until_prepared(url: URL, name: str, wait: float) -> tuple[Study, Prepared]:
    until = time.monotonic() + wait
    storage = None
    for look in count():
        storage = storage or open_existing(url, write=True)
        study = find_study(storage, name) if storage else None
        if study is not None and (prepared := read_prepared(study)):
            return study, prepared
        if time.monotonic() >= until:
            break
        if look == 0:
            notice(f"Waiting until the main command has prepared study {name} …")
        time.sleep(SECONDS_BETWEEN_LOOKS)
    names = ", ".join(optuna.get_all_study_names(storage) if storage else []) or "none"
    raise InputError(
        f"study '{name}' is not prepared (studies in the database: {names}): run the main command "
        "with this --storage first, or give --wait SECONDS"
    )
