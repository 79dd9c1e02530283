"""optuna-dashboard on the database of trials, with notes and drawings of the best networks."""

import io
import json
import uuid
from contextlib import suppress
from pathlib import Path

import optuna_dashboard
from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import Trial

from app.config import database_url
from app.database import shown
from app.diagram import svg
from app.errors import InputError
from app.report.data import ReportData
from app.report.notes import study_note, trial_note
from app.storage import open_existing

DRAWING, ARTIFACTS = "architecture.svg", "dashboard:artifacts:"
MARK = "*This note is written by the search; remove this line to keep your edits.*"
MAX_NOTES = 40
LOCAL = ("127.0.0.1", "localhost", "::1")


def artifact_store(runs: Path) -> FileSystemArtifactStore:
    """Return the store of all studies of a runs folder, which it makes if necessary."""
    folder = runs / "artifacts"
    with suppress(OSError):  # without write access, what is there is used
        folder.mkdir(parents=True, exist_ok=True)
    return FileSystemArtifactStore(folder)


def discard_artifacts(storage: BaseStorage, name: str, runs: Path) -> None:
    """Delete the drawings of the study `name`; call this before deleting the study."""
    for key in storage.get_study_system_attrs(storage.get_study_id_from_name(name)):
        with suppress(ArtifactNotFound):
            if key.startswith(ARTIFACTS):
                artifact_store(runs).remove(key.rpartition(":")[2])


def publish(study: Study, data: ReportData) -> None:
    """Write notes, and attach drawings, for the best of the front and every retrained network.

    Nothing is drawn twice, and a note without MARK is the user's and stays.
    """
    storage, study_id = study._storage, study._study_id
    _write_note(study, study_note(data))
    drawn = {
        key.split(":")[2]
        for key, about in storage.get_study_system_attrs(study_id).items()
        if key.startswith(ARTIFACTS) and DRAWING in about  # "null" once deleted in the dashboard
    }
    retrained = (row for row in data.first_rows() if data.retrained(row))
    numbers = {storage.get_trial_number_from_id(int(trial_id)) for trial_id in drawn}
    earlier = (row for row in data.rows if row.trial in numbers)  # may have left the front
    for row in dict.fromkeys([*data.best(MAX_NOTES), *retrained, *earlier]):
        trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, row.trial)
        _write_note(Trial(study, trial_id), trial_note(data, row))
        if str(trial_id) not in drawn:
            key, drawing = str(uuid.uuid4()), svg(data.space.sketch(row.arch))
            artifact_store(data.config.runs).write(key, io.BytesIO(drawing.encode()))
            about = {"artifact_id": key, "filename": DRAWING, "mimetype": "image/svg+xml"}
            value = json.dumps({**about, "encoding": None})
            # upload_artifact refuses finished trials; the dashboard reads this attribute as well
            storage.set_study_system_attr(study_id, f"{ARTIFACTS}{trial_id}:{key}", value)


def _write_note(place: Study | Trial, text: str) -> None:
    old, new = optuna_dashboard.get_note(place), f"{text}\n\n{MARK}"
    if new != old and (not old or MARK in old):
        optuna_dashboard.save_note(place, new)


def serve(runs: Path, storage_url: str | None, port: int, host: str = LOCAL[0]) -> None:
    """Serve until interrupted. Raises InputError without a database, and for a taken port."""
    url = database_url(runs, storage_url)
    storage = open_existing(url)
    if storage is None:
        raise InputError(f"there is no database '{shown(url)}' yet: run a study first")
    if host not in LOCAL:
        print("The dashboard has no login: whoever reaches this address can change the studies.")
    print(f"Dashboard on http://{host}:{port}/ (Ctrl-C ends it)", flush=True)
    try:
        optuna_dashboard.run_server(storage, host, port, artifact_store=artifact_store(runs))
    except OSError as error:
        reason = f"cannot listen on port {port} of {host[:100]} ({error.strerror})"
        raise InputError(f"{reason}: give --port") from None
