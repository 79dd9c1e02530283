"""A storage that shows part of a large study, so that optuna-dashboard stays quick.

The dashboard sends every trial to the browser, some 11 kB each with 21 choices: 20,000 of them are
230 MB, and a page takes a quarter of a minute. So the first trials of a study are all shown, and of
later ones those that were on the front when they came, which includes all that still are, and a
fixed share of the rest. What is shown stays, as an open page only asks for what has been added.
"""

import copy
import json
import threading
from collections.abc import Container, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.storages import BaseStorage, RDBStorage, _CachedStorage
from optuna.storages._rdb.models import TrialModel, TrialSystemAttributeModel, TrialValueModel
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import select
from sqlalchemy.orm import Session

SHOWN_FIRST = 500
"""This many trials of a study are all shown."""
ONE_IN = 25
"""Of later trials off the front, one in this many is shown."""


class OverviewStorage(_CachedStorage):
    """Optuna's storage; `get_all_trials` reads, and returns, few trials of a large study."""

    def __init__(self, storage: BaseStorage) -> None:
        """Show what an opened `storage` holds."""
        backend = getattr(storage, "_backend", storage)
        assert isinstance(backend, RDBStorage)
        super().__init__(backend)
        self._overviews: dict[int, Overview] = {}
        self._reading = threading.Lock()

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials that are shown, sorted by number."""
        with self._reading:
            if study_id not in self._overviews:
                self._overviews[study_id] = Overview(self._backend, study_id)
            trials = self._overviews[study_id].read()
        trials = [trial for trial in trials if states is None or trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials


class Overview:
    """The shown trials of one study."""

    def __init__(self, storage: RDBStorage, study_id: int) -> None:
        """Raises KeyError if there is no such study."""
        directions = storage.get_study_directions(study_id)
        self.storage, self.study_id = storage, study_id
        self.signs = np.array([-1.0 if d is StudyDirection.MAXIMIZE else 1.0 for d in directions])
        self.front: NDArray[Any] = np.empty((0, len(directions)))
        self.shown: dict[int, FrozenTrial] = {}
        self.last_id = -1

    def read(self) -> list[FrozenTrial]:
        """Return what was shown before, brought up to date, and what is new."""
        chosen = [i for i, trial in self.shown.items() if not trial.state.is_finished()]
        for trial_id, number, state, values in self._new():
            self.last_id = max(self.last_id, trial_id)
            joins = values is not None and self._joins_front(values)
            regular = number < SHOWN_FIRST or number % ONE_IN == 0
            if joins or regular or not state.is_finished():
                chosen.append(trial_id)
        self.shown |= {trial_id: self.storage.get_trial(trial_id) for trial_id in chosen}
        return sorted(self.shown.values(), key=lambda trial: trial.number)

    def _new(self) -> Iterator[tuple[int, int, TrialState, list[float] | None]]:
        """Yield id, number, state and, if complete and feasible, values of each new trial."""
        here = (TrialModel.study_id == self.study_id, TrialModel.trial_id > self.last_id)
        attribute, value = TrialSystemAttributeModel, TrialValueModel
        trials = select(TrialModel.trial_id, TrialModel.number, TrialModel.state)
        values = select(value.trial_id, value.value, value.value_type).join(TrialModel)
        constraints = select(attribute.trial_id, attribute.value_json).join(TrialModel)
        with Session(self.storage.engine) as session:
            found = session.execute(trials.where(*here).order_by(TrialModel.trial_id)).all()
            infeasible = {
                trial_id
                for trial_id, text in session.execute(
                    constraints.where(*here, attribute.key.startswith("constraints"))
                )
                if np.max(json.loads(text)) > 0
            }
            by_id: dict[int, list[float]] = {}
            for trial_id, *stored in session.execute(values.where(*here).order_by(value.objective)):
                by_id.setdefault(trial_id, []).append(value.stored_repr_to_value(*stored))
        for trial_id, number, state in found:
            is_candidate = state is TrialState.COMPLETE and trial_id not in infeasible
            yield trial_id, number, state, by_id.get(trial_id) if is_candidate else None

    def _joins_front(self, values: list[float]) -> bool:
        """Return whether no earlier trial beats these values, and remember them if so."""
        losses = self.signs * values
        no_worse = (self.front <= losses).all(1)
        if (no_worse & (self.front < losses).any(1)).any():
            return False
        if not no_worse.any():  # no equal trial
            beaten = (losses <= self.front).all(1)
            self.front = np.vstack([self.front[~beaten], losses])
        return True
