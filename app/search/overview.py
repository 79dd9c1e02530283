"""A study's trials as the dashboard is to show them: so many that its page stays quick.

optuna-dashboard sends every trial to the browser, some 11 kB each with 21 choices: 20,000 of them
are 230 MB, and a page takes a quarter of a minute. So the first trials of a study are all shown,
and of later ones those that were on the front when they came, which includes all that still are,
and a fixed share of the rest. What is shown stays: a page that is open goes on from what it has.
"""

from collections.abc import Container
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from app.search.storage import Storage

SHOWN_FIRST = 500
"""So many trials of a study are all shown."""

ONE_IN = 25
"""Of those after them, and behind the front, one in so many is."""


class OverviewStorage(Storage):
    """Optuna's storage, from which most of the trials of a large study are left out."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._fronts: dict[int, Front] = {}

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        """As the base class, less what is left out."""
        trials = super()._get_trials(study_id, states, included_trial_ids, trial_id_greater_than)
        if study_id not in self._fronts:
            self._fronts[study_id] = Front(self.get_study_directions(study_id))
        front = self._fronts[study_id]
        return [t for t in trials if t._trial_id in included_trial_ids or is_shown(t, front)]


class Front:
    """The feasible trials seen so far that no other one beats."""

    def __init__(self, directions: list[StudyDirection]) -> None:
        self.signs = np.array([-1.0 if d is StudyDirection.MAXIMIZE else 1.0 for d in directions])
        self.losses: NDArray[Any] = np.empty((0, len(directions)))

    def joins(self, trial: FrozenTrial) -> bool:
        """Whether the trial is on the front, which it then joins; asked again, the same."""
        if trial.state is not TrialState.COMPLETE or any(v > 0 for v in trial.constraints.values()):
            return False
        losses = self.signs * trial.values
        no_worse = (self.losses <= losses).all(1)
        if (no_worse & (self.losses < losses).any(1)).any():
            return False
        if not no_worse.any():  # no equal one
            beaten = (losses <= self.losses).all(1)
            self.losses = np.vstack([self.losses[~beaten], losses])
        return True


def is_shown(trial: FrozenTrial, front: Front) -> bool:
    """Whether the dashboard is to show it; trials must be asked about in their order."""
    joins = front.joins(trial)
    return (
        joins
        or trial.number < SHOWN_FIRST
        or trial.number % ONE_IN == 0
        or not trial.state.is_finished()
    )
