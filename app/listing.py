"""The `studies` command: the presets and stored studies, and how far each has come."""

from pathlib import Path

import optuna
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table

from app.atomic import is_file
from app.config import DATABASE, database_url
from app.errors import InputError
from app.storage import open_storage
from app.study_file import load_last, presets


def print_studies(runs: Path, storage_url: str | None) -> None:
    """Print one line for each preset and each stored study."""
    counts = dict.fromkeys(presets(), 0)
    if storage_url or is_file(runs / DATABASE):
        storage = open_storage(database_url(runs, storage_url))
        for name in optuna.get_all_study_names(storage):
            study = optuna.load_study(study_name=name, storage=storage)
            counts[name] = len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    table = Table("study", "space", "data", "supernet", "trials", "folder")
    for name, done in counts.items():
        try:
            config = load_last(name, {"runs": runs, "storage": storage_url})
            settings = config.space, config.dataset
            trials = f"{done}/{config.search.trials}"
        except InputError:  # not run here, or its file is damaged
            settings, trials = ("", ""), str(done)
        folder = runs / name
        place = str(folder) if folder.exists() else "not here" if done else "not started"
        table.add_row(name, *settings, _supernet(folder), trials, place)
    Console(highlight=False).print(table)


def _supernet(folder: Path) -> str:
    if (folder / "reference.json").exists():
        return "trained"
    return "started" if (folder / "supernet.pt").exists() else "–"
