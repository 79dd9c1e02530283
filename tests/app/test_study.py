from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage
from optuna.trial import create_trial

from app.database import sqlite_url
from app.errors import InputError
from app.storage import open_storage
from app.study import find_study, open_study
from tests.app.study_of_toys import some_trial
from tests.toy import Toy


@pytest.fixture
def storage(tmp_path: Path) -> BaseStorage:
    return open_storage(sqlite_url(tmp_path / "studies.db"))


def test_a_study_is_checked_against_its_definition(storage: BaseStorage, toy: Toy) -> None:
    study = open_study(storage, "a", {"seed": 0, "space": "toy"}, ("flops",))
    assert study.metric_names == ["score", "flops"]
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    study.add_trial(some_trial(toy))
    open_study(storage, "a", {"seed": 0, "space": "toy"}, ("flops",))
    with pytest.raises(InputError, match=r"seed = 0, not 1: .*--study-name NAME.*--fresh"):
        open_study(storage, "a", {"seed": 1, "space": "toy"}, ("flops",))


def test_a_study_without_trials_may_be_defined_anew(storage: BaseStorage) -> None:
    open_study(storage, "a", {"batch": 5000}, ("flops",))
    again = open_study(storage, "a", {"batch": 16}, ("flops", "latency"))
    assert again.user_attrs["definition"] == {"batch": 16}
    assert len(again.directions) == 3


def test_a_study_of_another_program_is_left_alone(storage: BaseStorage) -> None:
    theirs = optuna.create_study(storage=storage, study_name="theirs")
    theirs.add_trial(create_trial(value=1.0))
    for look in (find_study, lambda s, n: open_study(s, n, {"seed": 0}, ("flops",))):
        with pytest.raises(InputError, match="of another program"):
            look(storage, "theirs")
    assert theirs.user_attrs == {}


def test_finding_a_study_changes_nothing(storage: BaseStorage) -> None:
    assert find_study(storage, "a", {"batch": 16}) is None
    assert optuna.get_all_study_names(storage) == []
    open_study(storage, "a", {"batch": 5000}, ("flops",))
    with pytest.raises(InputError, match="batch = 5000, not 16"):
        find_study(storage, "a", {"batch": 16})
    assert find_study(storage, "a", {"batch": 5000}) is not None
