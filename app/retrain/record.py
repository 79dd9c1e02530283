"""A trained network's accuracy, put onto the trials that found it."""

import json
from collections.abc import Iterable
from typing import Any

from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._rdb import models
from optuna.study import Study
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.retrain.result import Result


def record(study: Study, storage: BaseStorage, trials: Iterable[int], result: Result) -> None:
    """Set the user attributes `test_accuracy` and `retrained_epochs` of these trial numbers.

    A trial of another architecture, of a study that was started again meanwhile, is left alone.
    """
    numbers = set(trials)
    attributes = {"test_accuracy": result.test_accuracy, "retrained_epochs": result.epochs}
    for trial in study.get_trials(deepcopy=False):
        if trial.number in numbers and trial.user_attrs.get("arch") == result.network:
            _set_attributes(storage, trial._trial_id, attributes)


def _set_attributes(storage: BaseStorage, trial_id: int, attributes: dict[str, Any]) -> None:
    """Write the rows themselves: Optuna refuses to add to a finished trial.

    A process that has the trial in its cache, such as a running dashboard, does not see them.
    """
    backend = getattr(storage, "_backend", storage)
    assert isinstance(backend, RDBStorage)
    row = models.TrialUserAttributeModel
    with Session(backend.engine) as session, session.begin():
        for key, value in attributes.items():
            statement = select(row).where(row.trial_id == trial_id, row.key == key)
            found = session.scalars(statement).first() or row(trial_id=trial_id, key=key)
            found.value_json = json.dumps(value)
            session.add(found)
