"""The `studies` command: the presets and stored studies, and how far each has come."""

import os
from pathlib import Path

import optuna
from optuna.trial import TrialState
from rich.table import Table

from app.config import database_url
from app.console import out
from app.database import shown
from app.errors import InputError
from app.storage import open_existing
from app.study_file import load_config, presets


def print_studies(runs: Path, storage_url: str | None) -> None:
    """Print one line for each preset and each stored study."""
    counts = dict.fromkeys(presets(), 0)
    url = database_url(runs, storage_url)
    storage = open_existing(url)
    if storage is None and storage_url:
        raise InputError(f"there is no database '{shown(url)}' yet: run a study first")
    if storage is not None:
        for name in optuna.get_all_study_names(storage):
            if name.endswith((" retrain", " select")):  # the trainings of a study
                continue
            study = optuna.load_study(study_name=name, storage=storage)
            counts[name] = len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    table = Table("study", "space", "data", "supernet", "trials", "folder")
    for name, done in counts.items():
        try:
            config = load_config(name, {"runs": runs, "storage": storage_url}, resume=True)
            settings = config.space, config.dataset
            trials = f"{done}/{config.search.trials}"
        except InputError:  # not run here, or its file is damaged
            settings, trials = ("", ""), str(done)
        folder = runs / name
        place = str(folder) if _is_there(folder) else "not here" if done else "not started"
        table.add_row(name, *settings, _supernet(folder), trials, place)
    out.print(table, soft_wrap=False)


def _is_there(path: Path) -> bool:
    """Whether there is something that this user may see."""
    return os.access(path, os.F_OK)


def _supernet(folder: Path) -> str:
    if _is_there(folder / "reference.json"):
        return "trained"
    return "started" if _is_there(folder / "supernet.pt") else "–"
