"""Notes and drawings: one of each, a user's own note is kept."""

import shutil
from pathlib import Path

import optuna
import pytest
from optuna_dashboard import get_note, save_note

from app.cli import main
from app.dashboard.artifacts import Attachments, artifact_store
from app.dashboard.publish import DRAWING, MARK, Notes
from app.report.front import completed_rows, pareto_front


def stored(runs: Path) -> optuna.Study:
    return optuna.load_study(study_name="small", storage=f"sqlite:///{runs / 'studies.db'}")


@pytest.fixture
def command(study_file: Path, tmp_path: Path) -> list[str]:
    command = ["--study", str(study_file), "--runs", str(tmp_path / "runs")]
    assert main(command) == 0
    return command


def test_the_front_has_drawings_and_notes_once(command: list[str], tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert main(command) == 0
    study = stored(runs)
    front = pareto_front(completed_rows(study))
    ids = {trial.number: trial._trial_id for trial in study.trials}
    attachments = Attachments(study, artifact_store(runs))
    attributes = study._storage.get_study_system_attrs(study._study_id)
    notes = Notes(study)
    for row in front:
        assert attachments.has(ids[row.trial], DRAWING)
        assert f"`{row.arch}`" in notes.read(ids[row.trial])
    pictures = [key for key in attributes if key.startswith("dashboard:artifacts:")]
    assert len(pictures) == len(list((runs / "artifacts").iterdir())) == len(front)
    assert "`toy`" in get_note(study)


def test_a_note_of_the_users_own_is_kept(command: list[str], tmp_path: Path) -> None:
    save_note(stored(tmp_path / "runs"), "mine")
    assert main([*command, "--trials", "12"]) == 0
    assert get_note(stored(tmp_path / "runs")) == "mine"


def test_our_note_is_brought_up_to_date(command: list[str], tmp_path: Path) -> None:
    assert "10 completed trials" in get_note(stored(tmp_path / "runs"))
    assert main([*command, "--trials", "12"]) == 0
    note = get_note(stored(tmp_path / "runs"))
    assert "12 completed trials" in note and MARK in note


def test_retraining_is_noted_on_the_trial(command: list[str], tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    study = stored(runs)
    trained = next(t for t in study.trials if t.values)
    arch = trained.user_attrs["arch"]
    retrain = ["retrain", "--study", "small", "--runs", str(runs), f"--arch={arch}"]
    assert main([*retrain, "--epochs=1", "--batch-size=64"]) == 0
    first = next(t for t in study.trials if t.user_attrs.get("arch") == arch)
    note = Notes(stored(runs)).read(first._trial_id)
    assert "Trained from scratch for 1 epochs" in note and "359 test images" in note
    assert "Trained from scratch" in get_note(stored(runs))


def test_a_fresh_start_deletes_the_drawings(command: list[str], tmp_path: Path) -> None:
    store = tmp_path / "runs" / "artifacts"
    before = set(store.iterdir())
    assert main([*command, "--fresh"]) == 0
    assert before and not before & set(store.iterdir())


def test_a_lost_store_is_no_error(command: list[str], tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "runs" / "artifacts")
    assert main(command) == 0
