"""The `studies` command: the presets and stored studies, and how far each has come."""

from pathlib import Path

import optuna
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table

from app.atomic import is_file
from app.config import DATABASE, database_url
from app.storage import open_storage
from app.study_file import load_config, presets


def print_studies(runs: Path, storage_url: str | None) -> None:
    """Print one line for each preset and each stored study."""
    counts: dict[str, int] = {}
    if storage_url or is_file(runs / DATABASE):
        storage = open_storage(database_url(runs, storage_url))
        for name in optuna.get_all_study_names(storage):
            study = optuna.load_study(study_name=name, storage=storage)
            counts[name] = len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    table = Table("study", "space", "data", "supernet", "trials", "folder")
    for name in presets():
        preset = load_config(name, resume=False)
        done = counts.pop(name, 0)
        table.add_row(
            name,
            preset.space,
            preset.dataset,
            _supernet(runs / name),
            f"{done}/{preset.search.trials}",
            str(runs / name) if (runs / name).exists() else "not started",
        )
    for name, done in counts.items():
        table.add_row(name, "", "", _supernet(runs / name), str(done), str(runs / name))
    Console(highlight=False).print(table)


def _supernet(folder: Path) -> str:
    if (folder / "reference.json").exists():
        return "trained"
    return "started" if (folder / "supernet.pt").exists() else "–"
