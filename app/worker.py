"""`main.py worker`: one more process that searches a study, on any machine that reaches it."""

import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import optuna
from optuna.study import Study
from sqlalchemy.engine import URL

from app import locks
from app.atomic import DamagedError, write_atomically
from app.commit import StudyWriter
from app.config import database_url
from app.console import console
from app.context import open_data, prepare
from app.database import open_write_engine
from app.definition import check_definition, study_definition
from app.device import device_name, pick_device
from app.errors import InputError
from app.latency import machine
from app.paths import StudyPaths
from app.run import search
from app.scores.reference import Reference
from app.storage import open_existing
from app.study import (
    DEFINITION,
    Prepared,
    check_machine,
    find_study,
    read_prepared,
    reference_hash,
    supernet_hash,
)
from app.supernet.checkpoint import load_checkpoint

SECONDS_BETWEEN_LOOKS = 1.0


def work(name: str, own: dict[str, Any], source: Path | None, wait: float) -> None:
    """Search the study `name` until it has its trials; train nothing, report nothing.

    Args:
        name: The study, which the main command prepares.
        own: Settings of this machine: `runs`, `storage`, `device`, …
        source: Folder to copy supernet and reference sample from; None if they are here.
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
    if "latency" in config.search.objectives:
        check_machine(study, machine(device, config.latency.threads))
    with ExitStack() as stack:
        with locks.writing(paths.folder):
            _copy_prepared(source, paths, prepared)
            context = prepare(config, paths, device, data, space)
        stack.enter_context(locks.searching(url, name))
        writer = StudyWriter(open_write_engine(url), study._study_id)
        stack.callback(writer.engine.dispose)
        console.print(
            f"Worker of study {name}: {writer.count_complete(prepared.fingerprint)} of "
            f"{config.search.trials} trials are done, {device_name(device)}",
            soft_wrap=True,
            markup=False,
        )
        ended = search(context, study, writer, prepared.fingerprint)
        done = writer.count_complete(prepared.fingerprint)
    console.print(ended or f"Study {name} has its {done} trials.", soft_wrap=True, markup=False)


def _wait_until_prepared(url: URL, name: str, wait: float) -> tuple[Study, Prepared]:
    until = time.monotonic() + wait
    told = False
    storage = None
    while True:
        storage = storage or open_existing(url, write=True)
        study = find_study(storage, name) if storage else None
        prepared = read_prepared(study) if study is not None else None
        if study is not None and prepared is not None:
            return study, prepared
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
    names = ", ".join(optuna.get_all_study_names(storage) if storage else []) or "none"
    raise InputError(
        f"the database has no study '{name}' (it has: {names}): run the main command with this "
        "--storage first, or give --wait SECONDS"
    )


def _copy_prepared(source: Path | None, paths: StudyPaths, prepared: Prepared) -> None:
    """Copy supernet and reference sample from `source` unless the study's own are here.

    Raises InputError if neither place has them.
    """
    wanted = {paths.supernet: prepared.supernet, paths.reference: prepared.reference}
    for path, expected in wanted.items():
        if _fingerprint(path) == expected:
            continue
        if source is None or _fingerprint(source / path.name) != expected:
            raise InputError(
                f"the study's {path.name} is not in '{source or path.parent}': give "
                "--supernet FOLDER, where the main command keeps it"
            )
        with (source / path.name).open("rb") as file:
            write_atomically(path, lambda target: shutil.copyfileobj(file, target))


def _fingerprint(path: Path) -> str | None:
    """The hash of a supernet or reference sample; None if the file is missing or is neither."""
    try:
        if path.suffix == ".pt":
            return supernet_hash(load_checkpoint(path)["supernet"])
        return reference_hash(Reference.load(path))
    except (OSError, DamagedError, InputError, KeyError, AttributeError):
        return None
