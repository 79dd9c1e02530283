"""Notes and drawings: one of each, a user's own note is kept."""

import shutil
from pathlib import Path

import optuna
import pytest
from optuna.trial import Trial
from optuna_dashboard import get_note, save_note

from app.cli import main
from app.dashboard import ARTIFACTS, MARK
from app.pareto import completed_rows, pareto_front


def stored(runs: Path) -> optuna.Study:
    return optuna.load_study(study_name="small", storage=f"sqlite:///{runs / 'studies.db'}")


@pytest.fixture
def runs(study: list[str], tmp_path: Path) -> Path:
    """The runs folder of a study of ten trials."""
    return tmp_path / "runs"


def command(runs: Path) -> list[str]:
    return ["--study", str(runs.parent / "small.toml"), "--runs", str(runs)]


def test_the_front_has_drawings_and_notes_once(runs: Path) -> None:
    assert main(command(runs)) == 0
    study = stored(runs)
    attributes = study._storage.get_study_system_attrs(study._study_id)
    drawn = [key.split(":")[2] for key in attributes if key.startswith(ARTIFACTS)]
    front = pareto_front(completed_rows(study))
    ids = {row.trial: study.trials[row.trial]._trial_id for row in front}
    assert sorted(drawn) == sorted(map(str, ids.values()))
    assert len(list((runs / "artifacts").iterdir())) == len(front)
    for row in front:
        note = get_note(Trial(study, ids[row.trial]))
        assert f"`{row.arch}`" in note and "% of 8 random networks" in note
    assert sum("it is the knee, the" in get_note(Trial(study, i)) for i in ids.values()) == 1
    assert "`toy`" in get_note(study)


def test_a_note_of_the_users_own_is_kept_and_ours_brought_up_to_date(runs: Path) -> None:
    study = stored(runs)
    best = max(pareto_front(completed_rows(study)), key=lambda row: row.score)
    place = Trial(study, study.trials[best.trial]._trial_id)
    save_note(place, "mine")
    assert "10 completed trials" in get_note(study)
    assert main([*command(runs), "--trials", "12"]) == 0
    study = stored(runs)
    assert get_note(Trial(study, place._trial_id)) == "mine"
    assert "12 completed trials" in get_note(study) and MARK in get_note(study)


def test_a_trial_that_has_left_the_front_does_not_claim_to_be_on_it(runs: Path) -> None:
    assert main([*command(runs), "--trials", "40"]) == 0
    study = stored(runs)
    front = {row.trial for row in pareto_front(completed_rows(study))}
    notes = {t.number: get_note(Trial(study, t._trial_id)) for t in study.trials}
    assert {number for number, note in notes.items() if "On the Pareto front" in note} == front
    assert sum("it is the knee" in note for note in notes.values()) == 1
    assert any(note for number, note in notes.items() if number not in front)


def test_retraining_is_noted_on_the_trial(runs: Path) -> None:
    study = stored(runs)
    first = next(t for t in study.trials if t.values)
    retrain = ["retrain", "--study", "small", "--runs", str(runs), "--trial", str(first.number)]
    assert main([*retrain, "--epochs=1", "--batch-size=64"]) == 0
    note = get_note(Trial(stored(runs), first._trial_id))
    assert "Trained from scratch for 1 epoch:" in note and "359 test images" in note
    assert "Trained from scratch" in get_note(stored(runs))


def test_a_fresh_start_deletes_the_drawings(runs: Path) -> None:
    before = set((runs / "artifacts").iterdir())
    assert main([*command(runs), "--fresh", "--trials=4"]) == 0
    assert before and not before & set((runs / "artifacts").iterdir())


def test_a_lost_store_is_no_error(runs: Path) -> None:
    shutil.rmtree(runs / "artifacts")
    assert main(command(runs)) == 0
