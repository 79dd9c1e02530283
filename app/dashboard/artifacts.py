"""Files that optuna-dashboard shows with a trial."""

import io
import json
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.storages import BaseStorage
from optuna.study import Study

PREFIX = "dashboard:artifacts:"


def artifact_store(runs: Path) -> FileSystemArtifactStore:
    """The store of all studies of a runs folder, made if it is not there."""
    folder = runs / "artifacts"
    folder.mkdir(parents=True, exist_ok=True)
    return FileSystemArtifactStore(folder)


def discard_artifacts(storage: BaseStorage, name: str, runs: Path) -> None:
    """Delete the files of the study `name`, if it exists; before the study itself is deleted."""
    if name not in optuna.get_all_study_names(storage):
        return
    store = artifact_store(runs)
    study = optuna.load_study(study_name=name, storage=storage)
    for key in storage.get_study_system_attrs(study._study_id):
        if key.startswith(PREFIX):
            with suppress(ArtifactNotFound):
                store.remove(key.rpartition(":")[2])


class Attachments:
    """Files attached to finished trials.

    Optuna keeps the description of a trial's file with the trial, which a finished one refuses.
    optuna-dashboard also reads descriptions from the study, under the key that is used here.
    """

    def __init__(self, study: Study, store: FileSystemArtifactStore) -> None:
        self.study, self.store = study, store
        attributes = study._storage.get_study_system_attrs(study._study_id)
        self._names = {_trial_and_name(key, value) for key, value in attributes.items()}

    def has(self, trial_id: int, name: str) -> bool:
        """Whether a file of this name is attached to the trial."""
        return (str(trial_id), name) in self._names

    def attach(self, trial_id: int, name: str, content: str, mimetype: str) -> None:
        """Store a text file, and describe it in the database."""
        key = str(uuid.uuid4())
        self.store.write(key, io.BytesIO(content.encode()))
        about = {"artifact_id": key, "filename": name, "mimetype": mimetype, "encoding": None}
        self.study._storage.set_study_system_attr(
            self.study._study_id, f"{PREFIX}{trial_id}:{key}", json.dumps(about)
        )
        self._names.add((str(trial_id), name))


def _trial_and_name(key: str, value: Any) -> tuple[str, str]:
    """Whose file an attribute of the study describes, and its name; two empty strings if none."""
    if not key.startswith(PREFIX):
        return "", ""
    about = json.loads(value) or {}  # what was deleted in the dashboard is null
    return key.removeprefix(PREFIX).partition(":")[0], about.get("filename", "")
