"""Trainings as trials of an Optuna study, so that optuna-dashboard draws their learning curves."""

from collections.abc import Sequence
from contextlib import suppress

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from app.retraining.candidate import Candidate, History

FOLDER, SELECTION = "folder", "selection"
"""Attributes of a trial."""


class TrainingTrials:
    """A trial for each candidate: RUNNING until its training ends, whichever process goes on.

    The value is the best accuracy by `criterion`. Trials of another `selection` are left alone.
    Without a storage, trials are kept in memory. Made by one process at a time.
    """

    def __init__(
        self,
        storage: BaseStorage | None,
        name: str,
        candidates: Sequence[Candidate],
        criterion: str,
        selection: str = "",
    ) -> None:
        self._criterion, self._selection = criterion, selection
        self._study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize", load_if_exists=True
        )
        self._storage = self._study._storage
        known = self.read()
        for candidate in candidates:
            if candidate.folder.name not in known:
                attrs = {"arch": candidate.definition["network"], FOLDER: candidate.folder.name}
                attrs |= {"network": candidate.label, SELECTION: selection}
                self._study.add_trial(create_trial(state=TrialState.RUNNING, user_attrs=attrs))
        self._ids = {folder: trial._trial_id for folder, trial in self.read().items()}

    def read(self) -> dict[str, FrozenTrial]:
        """The trials as they are now, by the name of the training's folder."""
        try:
            trials = self._study.get_trials(deepcopy=False)
        except KeyError:
            raise StorageInternalError("the study was deleted by another process") from None
        ours = [t for t in trials if t.user_attrs.get(SELECTION) == self._selection]
        return {t.user_attrs[FOLDER]: t for t in ours}

    def report(self, candidate: Candidate, history: History) -> None:
        """Add the epochs that the trial lacks."""
        trial_id = self._ids[candidate.folder.name]
        with suppress(KeyError, UpdateFinishedTrialError):  # deleted or ended, perhaps by hand
            known = self._storage.get_trial(trial_id).intermediate_values
            for epoch in history:
                if (step := int(epoch["epoch"])) not in known:
                    value = epoch[self._criterion]
                    self._storage.set_trial_intermediate_value(trial_id, step, value)

    def end(self, candidate: Candidate, state: TrialState) -> None:
        """Finish the trial, unless another process has."""
        trial_id = self._ids[candidate.folder.name]
        with suppress(KeyError, UpdateFinishedTrialError):
            seen = accuracies(self._storage.get_trial(trial_id))
            best = [max(seen)] if seen and state is not TrialState.FAIL else None
            self._storage.set_trial_state_values(trial_id, state, best)


def accuracies(trial: FrozenTrial) -> list[float]:
    """The accuracy after each epoch that a trial has seen."""
    return [value for _, value in sorted(trial.intermediate_values.items())]
