"""The trials of a study that are ours: scored on its supernet, and whole."""

import math
from collections.abc import Container, Iterable
from typing import Any

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from app.commit import FINGERPRINT


def own_trials(trials: Iterable[FrozenTrial], fingerprint: str) -> list[FrozenTrial]:
    """Select the trials that this study's supernet has scored, oldest first.

    Others may have added some: plain Optuna, another supernet, or somebody by hand.
    """
    return [t for t in trials if t.user_attrs.get(FINGERPRINT) == fingerprint and _is_whole(t)]


def completed_trials(study: Study) -> list[FrozenTrial]:
    """Select the COMPLETE trials of a study that are ours, oldest first."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    fingerprint = study.user_attrs.get(FINGERPRINT)
    if fingerprint is None:  # searched by a version that stored none, and not resumed since
        return [t for t in trials if _is_whole(t)]
    return own_trials(trials, fingerprint)


def foreign_trials(study: Study) -> int:
    """Count the COMPLETE trials of a study that are not ours."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return len(trials) - len(completed_trials(study))


def queued_choices(trial: FrozenTrial) -> dict[str, Any]:
    """The choices that whoever queued a trial has fixed, through Optuna's queue or as params."""
    return trial.system_attrs.get("fixed_params") or trial.params


def failure_reason(trial: FrozenTrial) -> str | None:
    """Why a trial of ours has no values; None if it says nothing."""
    keys = ("failed", "infeasible", "invalid")
    return next((str(trial.user_attrs[k]) for k in keys if k in trial.user_attrs), None)


def stopped_candidates(study: Study, finished: Container[str]) -> list[FrozenTrial]:
    """Select what `select` has trained in folders that are not among the `finished` ones."""
    name = f"{study.study_name} select"
    if name not in optuna.get_all_study_names(study._storage):
        return []
    trials = optuna.load_study(study_name=name, storage=study._storage).get_trials(deepcopy=False)
    trials.sort(key=lambda trial: len(trial.intermediate_values))
    longest = {trial.user_attrs.get("folder", ""): trial for trial in trials}
    return [trial for folder, trial in longest.items() if folder not in finished]


def _is_whole(trial: FrozenTrial) -> bool:
    """Whether a finished trial has what ours have, each of its type."""
    if trial.state is not TrialState.COMPLETE:
        return trial.state.is_finished()
    attrs = trial.user_attrs
    return (
        isinstance(attrs.get("arch"), str)
        and all(_is_number(attrs.get(name)) for name in ("flops", "params"))
        and all(_is_number(value) for value in trial.values)
        and all(_is_number(value) for value in trial.system_attrs.get("constraints", ()))
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
