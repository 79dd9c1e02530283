from pathlib import Path

import optuna
import pytest

from app.errors import InputError
from app.search.storage import open_storage
from app.search.study import discard_study, find_study, open_study


def test_a_study_is_checked_against_its_definition(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path / 'studies.db'}")
    study = open_study(storage, "a", {"seed": 0, "space": "toy"})
    assert study.metric_names == ["score", "flops"]
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    study.tell(study.ask(), [0.0, 1.0])
    open_study(storage, "a", {"seed": 0, "space": "toy"})
    with pytest.raises(InputError, match=r"seed = 0, not 1: .*--study-name NAME.*--fresh"):
        open_study(storage, "a", {"seed": 1, "space": "toy"})
    discard_study(storage, "a")
    discard_study(storage, "never there")
    open_study(storage, "a", {"seed": 1, "space": "toy"})


def test_a_study_without_trials_may_be_defined_anew(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path / 'studies.db'}")
    open_study(storage, "a", {"batch": 5000})
    assert open_study(storage, "a", {"batch": 16}).user_attrs["definition"] == {"batch": 16}


def test_a_study_of_another_program_is_left_alone(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path / 'studies.db'}")
    optuna.create_study(storage=storage, study_name="theirs")
    with pytest.raises(InputError, match="of another program"):
        open_study(storage, "theirs", {"seed": 0})
    optuna.load_study(study_name="theirs", storage=storage).add_trial(
        optuna.trial.create_trial(value=1.0)
    )
    with pytest.raises(InputError, match="of another program"):
        discard_study(storage, "theirs")
    assert optuna.get_all_study_names(storage) == ["theirs"]


def test_finding_a_study_changes_nothing(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path / 'studies.db'}")
    assert find_study(storage, "a", {"batch": 16}) is None
    assert optuna.get_all_study_names(storage) == []
    study = open_study(storage, "a", {"batch": 5000})
    with pytest.raises(InputError, match="batch = 5000, not 16"):
        find_study(storage, "a", {"batch": 16})
    assert study.user_attrs["definition"] == {"batch": 5000}
    assert find_study(storage, "a", {"batch": 5000}) is not None
